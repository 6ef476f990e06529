"""How fast a listing sells."""

from __future__ import annotations

import math

import pytest

from oms_hub.domain.demand import Demand, DemandRule, news_delay, observe, rate, seconds_on_offer

RULE = DemandRule(memory_seconds=1000, burst_seconds=100, prior_rate=0.001, prior_seconds=100)


def test_a_new_listing_is_taken_to_sell_at_the_prior_rate() -> None:
    assert rate(Demand(), RULE) == pytest.approx(0.001)
    assert rate(Demand()) == pytest.approx(1 / 3600)


def test_older_sales_weigh_less() -> None:
    later = observe(Demand(units=2, seconds=100), units=0, on_offer_seconds=1000, rule=RULE)
    assert later.units == pytest.approx(2 / math.e)
    assert later.seconds == pytest.approx(100 / math.e + 1000 * (1 - 1 / math.e))


def test_a_long_time_between_two_looks_does_not_change_the_rate_that_was_seen() -> None:
    seen = observe(Demand(), units=50, on_offer_seconds=5000, rule=RULE)
    assert seen.units / seen.seconds == pytest.approx(0.01)
    assert seen.seconds == pytest.approx(1000 * (1 - math.exp(-5)))


def test_a_rush_counts_at_once() -> None:
    calm = observe(Demand(), units=1, on_offer_seconds=5000, rule=RULE)
    rush = observe(calm, units=10, on_offer_seconds=100, rule=RULE)
    slow = (rush.units + 0.1) / (rush.seconds + 100)
    assert rate(rush, RULE) == pytest.approx((rush.burst_units + slow * 100) / (rush.burst_seconds + 100))
    assert rate(rush, RULE) > 4 * slow


def test_time_without_stock_is_not_held_against_a_listing() -> None:
    assert seconds_on_offer(60, sold=0, level_at_start=0, level_at_end=0) == 0
    sold_out = observe(Demand(units=3, seconds=300), units=0, on_offer_seconds=0, rule=RULE)
    assert (sold_out.units, sold_out.seconds) == (3, 300)


def test_time_on_offer_is_all_of_it_or_up_to_the_last_of_n_sales() -> None:
    assert seconds_on_offer(60, sold=2, level_at_start=5, level_at_end=3) == 60
    assert seconds_on_offer(60, sold=2, level_at_start=2, level_at_end=0) == 40


def test_a_longer_news_delay_is_believed_at_once_and_a_shorter_one_little_by_little() -> None:
    assert [news_delay(None, 30), news_delay(30, 60), news_delay(60, 10)] == [30, 60, 50]
