"""How many nodes to ask for at once: as many as the cost allows.

What belongs here: page sizes that learn from what answers cost, and the loop that shrinks them. Shopify bounds the
points of one query; what a query costs is known only by asking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.shopify.api import QUERY_COST_MAX, Answer, ShopifyApi, TooCostly
from connectors.shopify.documents import ROWS_MAX, Document

_AIM = 0.8 * QUERY_COST_MAX


class PageSize:
    """A number of nodes that grows while queries are cheap and shrinks when they are not.

    Args:
        start: the first guess.
        most: never above.
    """

    def __init__(self, start: int, *, most: int = ROWS_MAX) -> None:
        self.value = min(start, most)
        self._most = most

    def learn(self, asked: int, cost: float) -> None:
        """Take the cost of a query for `asked` nodes into account; costs grow at most in proportion."""
        if cost > 0 and asked >= self.value:
            self.value = max(1, min(self._most, int(asked * _AIM / cost)))

    def shrink(self, cost: float) -> bool:
        """Make the next query smaller after a refusal; return False where one node is too much already."""
        if self.value <= 1:
            return False
        by_cost = int(self.value * _AIM / cost) if cost > 0 else self.value
        self.value = max(1, min(self.value // 2, by_cost))
        return True


def run_sized(
    api: ShopifyApi,
    document: Document,
    sizes: tuple[PageSize, ...],
    variables: Callable[[], Mapping[str, Any]],
    *,
    needs: str = "",
) -> Answer:
    """Return the answer of a document, asked for with ever smaller sizes until it is cheap enough.

    Args:
        api: the shop.
        document: what to send.
        sizes: shrunk in this order, the next only when the one before cannot shrink any more; the first one learns.
        variables: gives the variables at the present sizes; the first size is in `first`, or in the length of `ids`.
        needs: the scope that the document needs.

    Raises:
        TooCostly: even a single node costs too much.
    """
    while True:
        chosen = variables()
        try:
            answer = api.run(document, chosen, needs=needs)
        except TooCostly as error:
            if not any(size.shrink(error.cost) for size in sizes):
                raise
            continue
        sizes[0].learn(chosen["first"] if "first" in chosen else len(chosen["ids"]), answer.cost)
        return answer
