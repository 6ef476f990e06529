"""How fast a listing sells, and how long its news takes.

What belongs here: the demand rate (units per second while on offer) and the news delay, both smoothed. Not here:
what is done with them (`hold_back`).

A listing that shows nothing sells nothing: that says nothing about its demand. So rates count sales per second ON
OFFER, and time without stock is neither held against a listing nor lets it be forgotten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemandRule:
    """How rates are smoothed.

    Attributes:
        memory_seconds: time on offer after which an observation weighs 1/e.
        burst_seconds: the same for the quick rate, which notices a rush; the higher of the two counts.
        prior_rate: units per second of a listing that nothing is known of.
        prior_seconds: how much time on offer that prior is worth.
    """

    memory_seconds: float = 7200.0
    burst_seconds: float = 300.0
    prior_rate: float = 1 / 3600
    prior_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Demand:
    """What is known of one listing's demand: smoothed units and smoothed seconds on offer, slow and quick."""

    units: float = 0.0
    seconds: float = 0.0
    burst_units: float = 0.0
    burst_seconds: float = 0.0


DEFAULT_RULE = DemandRule()

FIRST_NEWS_SECONDS = 300.0
"""The news delay of a connection that was not looked at twice yet."""


def seconds_on_offer(elapsed_seconds: float, *, sold: int, level_at_start: int, level_at_end: int) -> float:
    """Return how long a listing was on offer between two looks, as far as two looks can tell.

    On offer all the time where something is left; where it sold out after n sales, n / (n + 1) of the time, which is
    when the last of n sales is to be expected; not at all where there was nothing to sell.
    """
    if level_at_start <= 0:
        return 0.0
    return elapsed_seconds if level_at_end > 0 else elapsed_seconds * sold / (sold + 1)


def observe(demand: Demand, *, units: int, on_offer_seconds: float, rule: DemandRule = DEFAULT_RULE) -> Demand:
    """Return the demand after `units` were sold in `on_offer_seconds` on offer."""
    slow = _faded(demand.units, demand.seconds, units, on_offer_seconds, rule.memory_seconds)
    quick = _faded(demand.burst_units, demand.burst_seconds, units, on_offer_seconds, rule.burst_seconds)
    return Demand(*slow, *quick)


def rate(demand: Demand, rule: DemandRule = DEFAULT_RULE) -> float:
    """Return the expected units per second while on offer: the higher of the slow and the quick rate, above zero."""
    slow = _smoothed(demand.units, demand.seconds, rule.prior_rate, rule.prior_seconds)
    return max(slow, _smoothed(demand.burst_units, demand.burst_seconds, slow, rule.prior_seconds))


def news_delay(smoothed_seconds: float | None, measured_seconds: float, *, weight: float = 0.2) -> float:
    """Return the smoothed time from a sale to the hub acting on it: time between two looks plus delivery.

    A longer delay is believed at once, a shorter one little by little: being late is what oversells.

    Args:
        smoothed_seconds: the value so far, None before the first measurement.
        measured_seconds: the delay just measured.
        weight: how much a shorter delay counts, 0 to 1.
    """
    if smoothed_seconds is None or measured_seconds >= smoothed_seconds:
        return measured_seconds
    return smoothed_seconds + weight * (measured_seconds - smoothed_seconds)


def _faded(units: float, seconds: float, sold: int, on_offer: float, memory: float) -> tuple[float, float]:
    """Return smoothed units and seconds after an observation whose sales are spread evenly over its time."""
    if on_offer <= 0:
        return units + sold, seconds
    kept = math.exp(-on_offer / memory)
    weight = memory * (1 - kept) / on_offer
    return units * kept + sold * weight, seconds * kept + on_offer * weight


def _smoothed(units: float, seconds: float, prior_rate: float, prior_seconds: float) -> float:
    return (units + prior_rate * prior_seconds) / (seconds + prior_seconds)
