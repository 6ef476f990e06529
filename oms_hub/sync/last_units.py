"""The last units: splitting a scarce pool among the listings of its SKU, by the rule of `oms_hub.domain.hold_back`.

What belongs here: bringing the few SKUs that are scarce from the plan's tables to the rule and back. Not here: the
rule, and the SKUs that are not scarce, which the plan computes in SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter

from oms_hub.domain import hold_back
from oms_hub.store.plan_offers import ScarceSeller


@lru_cache(maxsize=20_000)
def _settled(pool: int, sellers: tuple[hold_back.Seller, ...], risk: float) -> tuple[tuple[int, int], ...]:
    return hold_back.settle(pool, sellers, risk=risk)


def settle_scarce(rows: Sequence[ScarceSeller]) -> Iterator[tuple[int, int, int, int]]:
    """Yield what each listing of a scarce SKU should show, and may show right now.

    Args:
        rows: the sellers, SKU by SKU.

    Yields:
        (SKU id, the listing's number in the plan, units wanted, units reachable now); tills yield nothing.
    """
    for sku_id, group in groupby(rows, key=attrgetter("sku_id")):
        sellers = list(group)
        asked = tuple(
            hold_back.Seller(
                each.rate, each.news_seconds, each.shown, each.limit, each.units, can_be_stopped=each.can_be_stopped
            )
            for each in sellers
        )
        settled = _settled(sellers[0].pool, asked, sellers[0].risk)
        for each, (wanted, reachable) in zip(sellers, settled, strict=True):
            if each.nth is not None:
                yield sku_id, each.nth, wanted, reachable
