"""The practice account's searches: orders, claims, items, missed notifications.

What belongs here: filters, paging and their limits. Not here: routes (`sandbox_routes`), shapes (`sandbox_shown`).

As Mercado Libre: a filter with a name that the search does not know is ignored silently; dates are precise to the hour;
cancelled orders are left out; an offset beyond the ceiling is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from connectors.mercadolibre.sandbox_account import Account
from connectors.mercadolibre.sandbox_records import ClaimRecord, OrderRecord
from connectors.mercadolibre.sandbox_shown import shown_claim, shown_order, stamp
from connectors.mercadolibre.slices import HOUR
from oms_hub.domain.pull_windows import floor_to

Query = Mapping[str, str]
MOST_ORDERS = 50
_MOST_CLAIMS = 100
_CLAIMS_CEILING = 10_000
_DATES = {"date_created": "created_at", "date_last_updated": "updated_at"}


class ApiError(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, error: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.shown = {"message": message, "error": error, "status": status, "cause": [], **more}


def refuse(status: int, error: str, message: str) -> NoReturn:
    """End the request with an error."""
    raise ApiError(status, error, message)


def _number(query: Query, name: str, otherwise: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else otherwise


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        refuse(400, "bad_request", f"invalid date {text}")


def search_orders(account: Account, query: Query) -> dict[str, Any]:
    """Return a page of the order search."""
    if query.get("seller") != str(account.seller_id):
        refuse(403, "forbidden", "The caller is not allowed to search these orders")
    offset, limit = _number(query, "offset", 0), min(MOST_ORDERS, _number(query, "limit", MOST_ORDERS))
    if offset + limit > account.traits.offset_ceiling:
        refuse(400, "bad_request", "offset is out of range")
    bounds = {} if account.traits.ignores_filters else _order_bounds(query)
    with account.lock:
        found = [order for order in account.orders.values() if not order.is_hidden and _is_within(order, bounds)]
        newest_first = query.get("sort", "date_desc") == "date_desc"
        found.sort(key=lambda order: (order.created_at, order.order_id), reverse=newest_first)
        rows = [shown_order(account, order) for order in found[offset : offset + limit]]
    return {
        "query": "",
        "results": rows,
        "sort": {"id": query.get("sort", "date_desc"), "name": "Date"},
        "available_sorts": [{"id": "date_asc", "name": "Date ascending"}],
        "filters": [{"id": name, "values": [{"id": value}]} for name, value in query.items() if name in bounds],
        "available_filters": [],
        "paging": {"total": len(found), "offset": offset, "limit": limit},
        "display": "complete",
    }


def _order_bounds(query: Query) -> dict[str, datetime]:
    known = {f"order.{name}.{side}" for name in _DATES for side in ("from", "to")}
    return {name: floor_to(_moment(text), HOUR) for name, text in query.items() if name in known}


def _is_within(order: OrderRecord, bounds: Mapping[str, datetime]) -> bool:
    for name, bound in bounds.items():
        _, field, side = name.split(".")
        at = getattr(order, _DATES[field])
        if (side == "from" and at < bound) or (side == "to" and at > bound):
            return False
    return True


def search_claims(account: Account, query: Query) -> dict[str, Any]:
    """Return a page of the claims search."""
    role, user = query.get("players.role"), query.get("players.user_id")
    if (role is None) != (user is None):
        refuse(400, "invalid_params", "Invalid parameters. At least submit players.role and players.user_id")
    if role is None and "order_id" not in query:
        refuse(400, "invalid_query", "at least any of these filters: id, type, players.role, players.user_id, order_id")
    offset, limit = _number(query, "offset", 0), min(_MOST_CLAIMS, _number(query, "limit", 30))
    if offset >= _CLAIMS_CEILING:
        refuse(400, "invalid_query", "offset must be lower than 10000")
    after, before = _range(query.get("range", ""))

    def fits(claim: ClaimRecord) -> bool:
        is_of_order = query.get("order_id") in (None, str(claim.order_id))
        is_of_role = role is None or (role == claim.role and user == str(account.seller_id))
        return (
            is_of_order and is_of_role and (after is None or after <= claim.updated_at < (before or claim.updated_at))
        )

    with account.lock:
        found = [claim for claim in account.claims.values() if fits(claim)]
        rows = [shown_claim(account, claim, is_detail=False) for claim in found[offset : offset + limit]]
    return {"paging": {"total": len(found), "offset": offset, "limit": limit}, "data": rows}


def _range(text: str) -> tuple[datetime | None, datetime | None]:
    if not text:
        return None, None
    name, _, rest = text.partition(":after:")
    start, comma, end = rest.partition(",before:")
    if name != "last_updated" or not comma:
        refuse(400, "invalid_query", "invalid range")
    return _moment(start), _moment(end)


class Scans:
    """Scans of the items: each goes on where it stopped, and ends after five minutes."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[list[str], datetime]] = {}

    def search(self, account: Account, query: Query) -> dict[str, Any]:
        """Return a page of the search of the seller's items."""
        with account.lock:
            ids = list(account.items)
            limit = min(100, _number(query, "limit", 50))
            paging = {"limit": limit, "offset": _number(query, "offset", 0), "total": len(ids)}
            shown: dict[str, Any] = {"seller_id": str(account.seller_id), "query": None, "paging": paging, "orders": []}
            if query.get("search_type") != "scan":
                if paging["offset"] + limit > 1_000:
                    refuse(400, "bad_request", "the requested offset is higher than 1000: use search_type=scan")
                return {**shown, "results": ids[paging["offset"] : paging["offset"] + limit]}
            if "scroll_id" in query and {"offset", "limit"} & query.keys():
                refuse(400, "bad_request", "scroll_id cannot be combined with offset or limit")
            scroll_id = query.get("scroll_id") or f"scan-{account.take_number()}"
            if "scroll_id" not in query:
                self._open[scroll_id] = (ids, account.now() + timedelta(minutes=5))
            left, ends_at = self._open.get(scroll_id, ([], account.now()))
            if account.now() >= ends_at:
                refuse(404, "not_found", "the scroll has ended")
            size = limit if "scroll_id" not in query else 100
            page, self._open[scroll_id] = left[:size], (left[size:], ends_at)
            return {**shown, "results": page or None, "scroll_id": scroll_id if page else None}


def missed_feeds(account: Account, client_id: str, query: Query) -> dict[str, Any]:
    """Return a page of the notifications that nobody took: an hour old or more, two days at most."""
    if query.get("app_id") != client_id:
        refuse(403, "forbidden", "the application is not yours")
    now = account.now()
    offset, limit = _number(query, "offset", 0), _number(query, "limit", 10)
    with account.lock:
        found = [
            each
            for each in account.notifications
            if HOUR <= now - each.sent_at <= timedelta(days=2) and query.get("topic") in (None, each.topic)
        ]
    rows: Sequence[dict[str, Any]] = [
        {
            "_id": f"n-{each.number}",
            "resource": each.resource,
            "user_id": account.seller_id,
            "topic": each.topic,
            "application_id": int(client_id),
            "attempts": 8,
            "sent": stamp(each.sent_at),
            "received": stamp(each.sent_at),
            "request": {},
            "response": {"http_code": 0},
        }
        for each in found[offset : offset + limit]
    ]
    return {"messages": rows}
