"""Six ways of pushing stock, from what most programs do to what this hub does.

What belongs here: one generator per strategy, run once per sync. Not here: what the hub knows (`hub`), the rules
(`oms_hub.domain`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from oms_hub.domain import demand, hold_back, push_plan
from oms_hub.simulation.hub import HubView

Strategy: TypeAlias = Callable[[HubView], Iterator[float]]
"""One sync: a generator that yields the seconds it waits."""

_TRIES = 3


def blind_set(hub: HubView) -> Iterator[float]:
    """Write what the last pull left, then pull again: stock and orders are two jobs that do not wait for each other."""
    yield from _set_everywhere(hub, hub.pool())
    yield from hub.pull()


def pull_then_set(hub: HubView) -> Iterator[float]:
    """Pull, then write what differs from the last acknowledged level."""
    yield from hub.pull()
    yield from _set_everywhere(hub, hub.pool())


def compare_and_set(hub: HubView) -> Iterator[float]:
    """Pull, read, and write only if the level is still the one that was read."""
    yield from hub.pull()
    for book in hub.shops:
        hub.look(book)
    yield from _until_settled(hub, lambda: dict.fromkeys(range(len(hub.shops)), hub.pool()))


def delta(hub: HubView) -> Iterator[float]:
    """Pull, then tell each channel the change of the pool, less what it took off by itself for its own orders."""
    yield from hub.pull()
    desired = hub.place().available()
    yield hub.market.scenario.push_seconds / 2
    for book in hub.shops:
        if book.open_shift is not None and hub.send(book, book.open_shift).result == "applied":
            book.open_shift = None
        book.acknowledged += book.restocked_units - book.new_units
        change = desired - book.acknowledged
        if change and book.open_shift is None:
            write = hub.new_write("shift", change)
            book.acknowledged = desired
            if hub.send(book, write).result == "unknown":
                book.open_shift = write
    yield hub.market.scenario.push_seconds / 2


def in_flight(hub: HubView) -> Iterator[float]:
    """Compare-and-swap of the pool less the units in flight; raised only after a good pull."""
    yield from hub.pull()
    for book in hub.shops:
        hub.look(book)
    yield from _until_settled(
        hub,
        lambda: dict.fromkeys(range(len(hub.shops)), hub.pool_after_in_flight()),
        may_raise=hub.is_pull_good,
    )


def hold_back_last_units(hub: HubView) -> Iterator[float]:
    """As `in_flight`, and what the other channels may sell before the next look is held back.

    Reductions are written and confirmed first; raises follow in the same sync, from figures computed again.
    """
    yield from hub.pull()
    for book in hub.books:
        if book.channel.is_till:
            hub.observe_till(book)
        else:
            hub.look(book)

    def wanted() -> Mapping[int, int]:
        return dict(enumerate(hold_back.targets(hub.pool_after_in_flight(), _sellers(hub))[: len(hub.shops)]))

    def raised() -> Mapping[int, int]:
        pool, sellers = hub.pool_after_in_flight(), _sellers(hub)
        goals = hold_back.targets(pool, sellers)
        return dict(enumerate(hold_back.raises(pool, sellers, goals)[: len(hub.shops)]))

    yield from _until_settled(hub, wanted, may_raise=False)
    if hub.is_pull_good:
        yield from _until_settled(hub, raised)


STRATEGIES: Mapping[str, Strategy] = {
    "blind_set": blind_set,
    "pull_then_set": pull_then_set,
    "compare_and_set": compare_and_set,
    "delta": delta,
    "in_flight": in_flight,
    "hold_back": hold_back_last_units,
}


def _sellers(hub: HubView) -> list[hold_back.Seller]:
    scenario = hub.market.scenario
    delivery = scenario.pull_seconds + 2 * scenario.push_seconds
    return [
        hold_back.Seller(
            rate=demand.rate(book.demand),
            news_seconds=scenario.sync_seconds
            + delivery
            + (scenario.visible_after[1] + scenario.picked_after[1] if book.channel.is_till else 0.0)
            + (hub.now - book.looked_at),
            shown=book.most_shown,
            can_be_stopped=not book.channel.is_till,
        )
        for book in hub.books
    ]


def _set_everywhere(hub: HubView, desired: int) -> Iterator[float]:
    yield hub.market.scenario.push_seconds / 2
    for book in hub.shops:
        level, _ = push_plan.decide(desired, book.acknowledged, None, may_raise=True)
        if level is not None and hub.send(book, hub.new_write("set", level)).result == "applied":
            book.acknowledged = level
    yield hub.market.scenario.push_seconds / 2


def _until_settled(hub: HubView, wanted: Callable[[], Mapping[int, int]], *, may_raise: bool = True) -> Iterator[float]:
    """Write what differs; where an answer was stale or lost, compute again, a bounded number of times."""
    for _ in range(_TRIES):
        changes: dict[int, int] = {}
        for index, desired in wanted().items():
            level, _reason = push_plan.decide(desired, None, hub.shops[index].level, may_raise=may_raise)
            if level is not None:
                changes[index] = level
        if not changes:
            return
        yield from hub.write(changes)
