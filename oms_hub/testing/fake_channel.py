"""A complete small channel over real HTTP, for tests of the hub and as the shortest example of a connector.

What belongs here: the functions that a `Channel` binds, on the server of `fake_shop`. Not here: the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from oms_hub.channel.answers import read_json
from oms_hub.channel.contract import (
    Capabilities,
    Channel,
    ChannelSession,
    CheckResult,
    Connection,
    Cursor,
    ListingRecord,
    ListingRef,
    ObservedLevel,
    Payload,
    PullRequest,
    PushOutcome,
    PushResult,
    RawPage,
    RawRecord,
    Setting,
    StockWrite,
    StockWriteMode,
)
from oms_hub.channel.hosts import check_base_url
from oms_hub.channel.http import ChannelHttp, open_client
from oms_hub.channel.prefetch import fetch_ahead
from oms_hub.domain.orders import (
    Charge,
    ChargeKind,
    FulfilmentState,
    Order,
    OrderLine,
    OrderState,
    PaymentState,
)
from oms_hub.domain.pull_windows import OverlapRule, advance, from_text, to_text, window_from
from oms_hub.errors import BadPayload, HubError, Misconfigured, OutcomeUnknown, RetryLater
from oms_hub.testing.fake_shop import FakeShop

_RULE = OverlapRule()


def fake_channel(
    *, name: str = "fake", stock_write: StockWriteMode | None = StockWriteMode.COMPARE_AND_SWAP, batch_size: int = 5
) -> Channel:
    """Return a channel that talks to `FakeShop`.

    Args:
        name: under which it is registered.
        stock_write: how it takes levels; None makes it a channel without stock.
        batch_size: levels per write.
    """
    capabilities = Capabilities(stock_write=stock_write, stock_batch_size=batch_size, has_idempotency_keys=True)
    has_stock = stock_write is not None
    return Channel(
        name=name,
        title="Practice channel",
        capabilities=capabilities,
        settings=(
            Setting("base_url", "address of the shop", is_required=True),
            Setting("token", "the shop's token", is_required=True, is_secret=True),
        ),
        split_page=split_page,
        parse_order=parse_order,
        check=check,
        check_settings=check_settings,
        order_source=order_source,
        order_lookup=order_lookup,
        order_ids=order_ids,
        listing_source=listing_source,
        stock_source=stock_source if has_stock else None,
        stock_sink=stock_sink if has_stock else None,
        sandbox=lambda *, port=0, orders=60, seed=1: FakeShop(
            port=port, orders=orders, seed=seed, write_mode=stock_write
        ),
    )


def _client(session: ChannelSession) -> ChannelHttp:
    token = session.secrets.get("token") or ""
    return open_client(session, session.connection.settings["base_url"], headers={"x-token": token})


def check_settings(settings: Mapping[str, str]) -> None:
    """Raise Misconfigured for an address that cannot be talked to."""
    if "base_url" not in settings:
        raise Misconfigured("base_url is missing", remedy="Give --set base_url=https://HOST")
    check_base_url(settings["base_url"])


def check(session: ChannelSession) -> Sequence[CheckResult]:
    """Return whether orders can be read."""
    try:
        with _client(session) as client:
            client.get_json("/orders", query={"limit": "1"})
    except HubError as error:
        return (CheckResult("orders", False, error.message, error.remedy),)
    return (CheckResult("orders", True, "orders can be read"),)


# ------------------------------------------------------------------------------------------------------- orders


def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
    """Yield pages in order of change, each with the cursor that resumes after it."""
    cursor = {} if request.is_full else request.cursor
    return fetch_ahead(_walk(session, cursor, request.placed_from), ahead=2)


def _walk(session: ChannelSession, cursor: Cursor, placed_from: datetime | None) -> Iterator[RawPage]:
    watermark = from_text(cursor["watermark"]) if "watermark" in cursor else None
    query = dict(cursor.get("walk") or _first_query(watermark))
    if placed_from is not None:
        query["placed_from"] = to_text(placed_from)
    with _client(session) as client:
        while True:
            parsed, _, body = client.get_json("/orders", query=query)
            orders = parsed["orders"]
            newest = from_text(orders[-1]["updated_at"]) if orders else None
            watermark = advance(watermark, newest, server_now=from_text(parsed["now"]))
            after: dict[str, Any] = {} if watermark is None else {"watermark": to_text(watermark)}
            if parsed["has_more"]:
                query |= {"after_at": orders[-1]["updated_at"], "after_id": orders[-1]["id"]}
                after["walk"] = dict(query)
            yield RawPage("orders", body, after)
            if not parsed["has_more"]:
                return


def _first_query(watermark: datetime | None) -> dict[str, str]:
    start = window_from(watermark, rule=_RULE)
    return {} if start is None else {"updated_from": to_text(start)}


def order_lookup(session: ChannelSession, ids: Sequence[str]) -> Iterator[RawPage]:
    """Yield the named orders, and tombstones for those that are gone."""
    with _client(session) as client:
        parsed, _, body = client.get_json("/orders", query={"ids": ",".join(ids)})
    yield RawPage("orders", body, {})
    found = {order["id"] for order in parsed["orders"]}
    gone = [{"id": order_id} for order_id in ids if order_id not in found]
    if gone:
        yield RawPage("order_tombstones", json.dumps({"orders": gone}).encode(), {})


def order_ids(session: ChannelSession, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    """Yield the ids of orders placed in the stretch."""
    with _client(session) as client:
        query = {"placed_from": to_text(placed_from), "placed_to": to_text(placed_to)}
        yield from client.get_json("/order-ids", query=query).parsed["ids"]


def split_page(kind: str, body: bytes) -> Sequence[RawRecord]:
    """Return the records of a page."""
    try:
        records = read_json(body).parsed["orders"]
        stamp = "updated_at" if kind == "orders" else ""
        return [
            RawRecord(record["id"], record, from_text(record[stamp]) if stamp in record else None) for record in records
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise BadPayload(f"the page holds no orders ({type(error).__name__})", where="orders") from None


def parse_order(payloads: Sequence[Payload], connection: Connection) -> Order:
    """Return the order of the newest payload."""
    record = payloads[-1]
    try:
        placed_at = from_text(record["placed_at"])
        return Order(
            channel_order_id=record["id"],
            label=record["number"],
            placed_at=placed_at,
            updated_at=from_text(record["updated_at"]),
            state=OrderState(record["status"]),
            payment_state=PaymentState.PAID,
            fulfilment_state=FulfilmentState.UNFULFILLED,
            currency=record.get("currency", connection.currency),
            total=Decimal(record["total"]),
            channel_state=record["status"],
            lines=tuple(_line(line) for line in record["lines"]),
            charges=(Charge("shipping", ChargeKind.SHIPPING, "Shipping", Decimal(record["shipping"])),),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise BadPayload(f"the order cannot be read ({type(error).__name__})", where="order") from None


def _line(line: Mapping[str, Any]) -> OrderLine:
    price = Decimal(line["unit_price"])
    return OrderLine(
        line_id=line["id"],
        title=line["title"],
        quantity=line["quantity"],
        unit_price=price,
        gross_amount=price * line["quantity"],
        listing_key=line["listing"],
        sku=line["sku"],
    )


# ------------------------------------------------------------------------------------------- listings and levels


def listing_source(session: ChannelSession) -> Iterator[Sequence[ListingRecord]]:
    """Yield all listings in one batch."""
    with _client(session) as client:
        found = client.get_json("/listings").parsed["listings"]
    yield [
        ListingRecord(row["key"], row["sku"], row["title"], is_tracked=row["is_tracked"], is_writable=row["is_tracked"])
        for row in found
    ]


def stock_source(session: ChannelSession, listings: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
    """Yield the present level of each named listing."""
    with _client(session) as client:
        query = {"keys": ",".join(listing.listing_key for listing in listings)}
        for row in client.get_json("/levels", query=query).parsed["levels"]:
            note = "" if row["level"] is not None else "not tracked"
            yield ObservedLevel(row["key"], row["level"], version=str(row["version"]), note=note)


def stock_sink(session: ChannelSession, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
    """Write levels and return the shop's word on each."""
    rows: list[dict[str, Any]] = [
        {
            "key": write.listing.listing_key,
            "quantity": write.quantity,
            "expected": write.expected,
            "idempotency_key": write.idempotency_key,
        }
        for write in writes
    ]
    with _client(session) as client:
        try:
            results = client.post_json("/levels", {"writes": rows}).parsed["results"]
        except OutcomeUnknown as error:
            return [PushOutcome(row["key"], PushResult.UNKNOWN, reason=error.message) for row in rows]
        except RetryLater as error:
            return [
                PushOutcome(row["key"], PushResult.RETRY, reason=error.message, after_seconds=error.after_seconds)
                for row in rows
            ]
    return [_outcome(result) for result in results]


def _outcome(result: Mapping[str, Any]) -> PushOutcome:
    error = result.get("error")
    if error is None:
        return PushOutcome(result["key"], PushResult.APPLIED, observed=result["level"])
    if error == "stale":
        return PushOutcome(result["key"], PushResult.STALE, observed=result["level"], reason="the level had changed")
    return PushOutcome(result["key"], PushResult.REJECTED, reason=error)
