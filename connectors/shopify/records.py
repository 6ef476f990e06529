"""Whole orders out of pages: fetches what did not fit into the page, and notices orders that change meanwhile.

What belongs here: making records. A record is an envelope of verbatim parts:
`{"id": <order gid>, "head": <the order's node>, "parts": [<refunds, fulfilments, returns, open fulfilment orders>]}`.
The pages of each connection are joined into one `{"nodes": [...]}`, so that an unchanged order gives the same record
whatever the page sizes were, and whether it came by a walk or by a bulk export. Not here: which orders are looked at
(`orders`, `bulk`), what they mean (`parse`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.shopify.api import Answer, ShopifyApi
from connectors.shopify.documents import CONNECTIONS, ORDERS_BY_ID, PIECE_TYPES, PIECES, REST, SCOPES, Document
from connectors.shopify.sizes import PageSize, run_sized
from oms_hub.errors import RetryLater

ROUNDS = 3
"""How often an order that changes under our hands is read before it is taken as it is; its change shows up again."""

_DONE_TASKS = frozenset({"CLOSED", "CANCELLED", "INCOMPLETE"})
_TASK_SCOPES = tuple(
    f"read_{kind}_fulfillment_orders" for kind in ("merchant_managed", "assigned", "third_party", "marketplace")
)


@dataclass(frozen=True, slots=True)
class Granted:
    """What the token may read; the rest is not asked for."""

    scopes: frozenset[str]

    def has(self, *scopes: str) -> bool:
        """Return whether one of the scopes is there; the right to write implies the right to read."""
        return any(scope in self.scopes or scope.replace("read_", "write_", 1) in self.scopes for scope in scopes)

    def switches(self) -> dict[str, bool]:
        """Return the variables that switch parts of an order on."""
        return {
            "withCustomer": self.has("read_customers"),
            "withReturns": self.has("read_returns"),
            "withTasks": self.has(*_TASK_SCOPES),
        }


def granted(api: ShopifyApi) -> Granted:
    """Return the scopes of the token; every token may ask for them."""
    installation = api.run(SCOPES, {}).data["currentAppInstallation"]
    return Granted(frozenset(scope["handle"] for scope in installation["accessScopes"]))


@dataclass(slots=True)
class Fetched:
    """What became of a batch of orders: whole records, ids that no longer exist, paths withheld for lack of a scope."""

    records: list[dict[str, Any]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)


def body_of(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the body of a raw page."""
    return orjson.dumps({"records": list(records)})


def nodes_by_id(
    api: ShopifyApi,
    document: Document,
    ids: Sequence[str],
    sizes: tuple[PageSize, ...],
    variables: Callable[[], Mapping[str, Any]],
    *,
    needs: str = "",
) -> Iterator[tuple[Answer, Sequence[tuple[str, Any]]]]:
    """Yield, batch by batch, the answer and (id, node or None) of a `nodes(ids:)` document.

    Args:
        api: the shop.
        document: its only required variable besides `variables` is `ids`.
        ids: what to fetch, in this order.
        sizes: the first is the number of ids per call; see `run_sized`.
        variables: the other variables, at the present sizes.
        needs: the scope that the document needs.

    Raises:
        RetryLater: the answer is to another question.
    """
    position = 0
    while position < len(ids):
        batch: list[str] = []

        def with_ids(start: int = position, batch: list[str] = batch) -> Mapping[str, Any]:
            batch[:] = ids[start : start + sizes[0].value]
            return {"ids": batch, **variables()}

        answer = run_sized(api, document, sizes, with_ids, needs=needs)
        nodes = answer.data["nodes"]
        pairs = list(zip(batch, nodes, strict=False))
        if len(nodes) != len(batch) or any(node and node.get("id", key) != key for key, node in pairs):
            raise RetryLater(f"{api.shop} answered another question", after_seconds=1.0)
        yield answer, pairs
        position += len(batch)


class RecordMaker:
    """Completes orders; remembers page sizes between batches."""

    def __init__(self, api: ShopifyApi, rights: Granted) -> None:
        self.api = api
        self.rights = rights
        self.nested = PageSize(8)
        self._lookup_size = PageSize(4)
        self._piece_sizes = {kind: PageSize(10) for kind in PIECE_TYPES}
        self._piece_nested = PageSize(10)
        self._rest_size = PageSize(50)

    def complete(self, heads: Sequence[Mapping[str, Any]]) -> Fetched:
        """Return records of orders whose first pages are here.

        An order that changes between its page and what is fetched after it is read again as a whole. In its last
        round it is taken as it is: whatever changed carries a later `updatedAt`, and is seen again.
        """
        done = Fetched()
        for round_number in range(1, ROUNDS + 1):
            drafts = [_Draft(dict(head)) for head in heads]
            self._add_parts(drafts)
            is_last = round_number == ROUNDS
            done.records.extend(draft.record() for draft in drafts if is_last or not draft.has_changed)
            changed = [draft.order_id for draft in drafts if draft.has_changed]
            if is_last or not changed:
                break
            heads = self._read_heads(changed, done)
        return done

    def look_up(self, ids: Sequence[str]) -> Iterator[Fetched]:
        """Yield records of named orders, some at a time."""
        for start in range(0, len(ids), 50):
            done = Fetched()
            completed = self.complete(self._read_heads(ids[start : start + 50], done))
            yield Fetched(completed.records, [*done.gone, *completed.gone], [*done.withheld, *completed.withheld])

    def _read_heads(self, ids: Sequence[str], done: Fetched) -> list[Mapping[str, Any]]:
        heads: list[Mapping[str, Any]] = []
        sizes = (self._lookup_size, self.nested)
        for answer, pairs in nodes_by_id(
            self.api,
            ORDERS_BY_ID,
            ids,
            sizes,
            lambda: {"nested": self.nested.value, **self.rights.switches()},
            needs="read_orders",
        ):
            done.withheld.extend(answer.withheld)
            heads.extend(node for _, node in pairs if node)
            done.gone.extend(identifier for identifier, node in pairs if not node)
        return heads

    def _add_parts(self, drafts: Sequence[_Draft]) -> None:
        for draft in drafts:
            self._add_rest("Order", draft.head, draft)
        for kind in PIECE_TYPES:
            wanted = {piece_id: draft for draft in drafts for piece_id in draft.piece_ids(kind)}
            sizes = (self._piece_sizes[kind], self._piece_nested)
            for _, pairs in nodes_by_id(
                self.api, PIECES[kind], list(wanted), sizes, lambda: {"nested": self._piece_nested.value}
            ):
                for piece_id, node in pairs:
                    self._add_piece(kind, node, wanted[piece_id])

    def _add_piece(self, kind: str, node: Mapping[str, Any] | None, draft: _Draft) -> None:
        if not node:
            draft.has_changed = True
            return
        piece = dict(node)
        draft.compare(piece.pop("order", None))
        self._add_rest(kind, piece, draft)
        draft.parts.append(piece)

    def _add_rest(self, kind: str, owner: dict[str, Any], draft: _Draft) -> None:
        """Join all pages of the owner's connections, in place; one that cannot be finished keeps its `pageInfo`."""
        for connection in CONNECTIONS[kind]:
            if not isinstance(owner.get(connection), dict):
                continue
            page: dict[str, Any] = owner[connection]
            nodes, after = _nodes_of(page), _next_cursor(page)
            while after is not None:
                rest = self._rest(kind, connection, owner["id"], after)
                if not rest or not isinstance(rest.get(connection), dict):
                    draft.has_changed = True
                    break
                draft.compare(rest if kind == "Order" else rest.get("order"))
                page = rest[connection]
                nodes, after = [*nodes, *_nodes_of(page)], _next_cursor(page)
            owner[connection] = {"nodes": nodes, "pageInfo": page["pageInfo"]} if _has_more(page) else {"nodes": nodes}

    def _rest(self, kind: str, connection: str, owner_id: str, after: str) -> Mapping[str, Any] | None:
        answer = run_sized(
            self.api,
            REST[kind, connection],
            (self._rest_size,),
            lambda: {"id": owner_id, "first": self._rest_size.value, "after": after},
        )
        node: Mapping[str, Any] | None = answer.data["node"]
        return node


class _Draft:
    """A record being made; a malformed place is kept as it came, and `parse` says what is wrong with it."""

    def __init__(self, head: dict[str, Any]) -> None:
        self.head = head
        self.parts: list[dict[str, Any]] = []
        self.has_changed = False

    @property
    def order_id(self) -> str:
        return str(self.head.get("id"))

    def compare(self, order: Any) -> None:
        """Notice that the order changed since its head was read."""
        if isinstance(order, dict) and order.get("updatedAt") != self.head.get("updatedAt"):
            self.has_changed = True

    def piece_ids(self, kind: str) -> list[str]:
        """Return the ids of the pieces of a kind that the head names."""
        if kind in {"Refund", "Fulfillment"}:
            rows = self.head.get("refunds" if kind == "Refund" else "fulfillments")
        else:
            rows = _nodes_of(self.head.get("returns" if kind == "Return" else "fulfillmentOrders"))
        found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return [row["id"] for row in found if isinstance(row.get("id"), str) and row.get("status") not in _DONE_TASKS]

    def record(self) -> dict[str, Any]:
        parts = sorted(self.parts, key=lambda part: (part["__typename"], part["id"]))
        return {"id": self.head.get("id"), "head": self.head, "parts": parts}


def _has_more(connection: Mapping[str, Any]) -> bool:
    page = connection.get("pageInfo")
    return isinstance(page, dict) and page.get("hasNextPage") is True


def _next_cursor(connection: Mapping[str, Any]) -> str | None:
    cursor = connection["pageInfo"].get("endCursor") if _has_more(connection) else None
    return cursor if isinstance(cursor, str) else None


def _nodes_of(connection: Any) -> list[Any]:
    nodes = connection.get("nodes") if isinstance(connection, dict) else None
    return list(nodes) if isinstance(nodes, list) else []
