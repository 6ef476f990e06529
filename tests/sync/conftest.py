"""A hub on a real store, with a channel in memory whose pages each test writes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from oms_hub.channel.contract import (
    Capabilities,
    Channel,
    ChannelSession,
    Connection,
    Notice,
    Payload,
    PullRequest,
    RawPage,
    RawRecord,
    RecordMode,
)
from oms_hub.channel.secrets import SecretBox
from oms_hub.domain.orders import (
    Charge,
    ChargeKind,
    Customer,
    FulfilmentState,
    Order,
    OrderLine,
    OrderState,
    PaymentState,
    Refund,
    RefundLine,
    Shipment,
    ShipmentLine,
    Tax,
)
from oms_hub.errors import BadPayload
from oms_hub.store.connections import StoredConnection, add_connection
from oms_hub.store.engine import Store, open_store_at
from oms_hub.store.merchants import Merchant, add_merchant
from oms_hub.sync.hub import Hub

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


@dataclass
class MemoryChannel:
    """A channel whose feed is a list of pages; `before_page` may change the world or raise at a page."""

    record_mode: RecordMode = RecordMode.SNAPSHOT
    feed: list[tuple[str, bytes, tuple[Notice, ...]]] = field(default_factory=list)
    before_page: Callable[[int], object] = lambda _number: None
    requests: list[PullRequest] = field(default_factory=list)
    parse: Callable[[Sequence[Payload], Connection], Order] | None = None
    listed: Sequence[str] = ()
    at_channel: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked_for: list[str] = field(default_factory=list)

    def page(self, *records: Any, kind: str = "orders", notices: tuple[Notice, ...] = ()) -> None:
        """Put a page at the end of the feed."""
        self.feed.append((kind, orjson.dumps(list(records)), notices))

    def gone(self, *order_ids: str) -> None:
        """Put a page of tombstones at the end of the feed."""
        self.page(*({"id": order_id} for order_id in order_ids), kind="order_tombstones")

    @property
    def channel(self) -> Channel:
        """Return the channel."""
        return Channel(
            name="practice",
            title="Practice",
            capabilities=Capabilities(record_mode=self.record_mode),
            settings=(),
            split_page=split_page,
            parse_order=self._parse,
            check=lambda _session: (),
            check_settings=lambda _settings: None,
            order_source=self._source,
            order_lookup=self._lookup,
            order_ids=lambda _session, _from, _to: iter(self.listed),
        )

    def _parse(self, payloads: Sequence[Payload], connection: Connection) -> Order:
        return (self.parse or parse_order)(payloads, connection)

    def _source(self, _session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
        self.requests.append(request)
        start = 0 if request.is_full else request.cursor.get("next", 0)
        for number in range(start, len(self.feed)):
            self.before_page(number)
            kind, body, notices = self.feed[number]
            yield RawPage(kind, body, {"next": number + 1}, notices=notices)

    def _lookup(self, _session: ChannelSession, order_ids: Sequence[str]) -> Iterator[RawPage]:
        self.asked_for.extend(order_ids)
        found = [self.at_channel[order_id] for order_id in order_ids if order_id in self.at_channel]
        gone = [{"id": order_id} for order_id in order_ids if order_id not in self.at_channel]
        if found:
            yield RawPage("orders", orjson.dumps(found), {})
        if gone:
            yield RawPage("order_tombstones", orjson.dumps(gone), {})


def split_page(kind: str, body: bytes) -> Sequence[RawRecord]:
    """Read a page: a JSON list of records, each with `id`."""
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadPayload("a page is not JSON", where=kind) from error
    return [RawRecord(row["id"], row, _at(row["changed"]) if "changed" in row else None) for row in rows]


def parse_order(payloads: Sequence[Payload], _connection: Connection) -> Order:
    """Read an order; several payloads are rows of one order, each with its own lines."""
    first, last = payloads[0], payloads[-1]
    if last.get("total") == "rubbish":
        raise BadPayload("an amount is not a number", where="total")
    lines = [line for payload in payloads for line in payload.get("lines", ())]
    return Order(
        channel_order_id=last.get("says_id", last["id"]),
        label=f"#{last['id']}",
        placed_at=_at(first.get("placed", 0)),
        updated_at=_at(last["changed"]),
        version=last.get("version", 0),
        state=OrderState(last.get("state", "open")),
        payment_state=PaymentState(last.get("payment", "paid")),
        fulfilment_state=FulfilmentState(last.get("fulfilment", "unfulfilled")),
        channel_state=last.get("state", "open"),
        currency="MXN",
        total=sum((Decimal(payload["total"]) for payload in payloads), Decimal(0)),
        unknown_words=tuple(last.get("words", ())),
        remarks=tuple(last.get("remarks", ())),
        is_test=last.get("is_test", False),
        lines=tuple(_line(position, line) for position, line in enumerate(lines)),
        charges=tuple(
            Charge(f"c{nth}", ChargeKind.SHIPPING, "Shipping", Decimal(amount))
            for nth, amount in enumerate(last.get("charges", ()))
        ),
        shipments=tuple(
            Shipment(each["id"], _at(each["at"]), tuple(ShipmentLine(*line) for line in each["lines"]))
            for each in last.get("shipments", ())
        ),
        refunds=tuple(
            Refund(
                each["id"], _at(each["at"]), Decimal(each["paid"]),
                tuple(RefundLine(line, units, Decimal(0), is_restocked=True) for line, units in each["lines"]),
            )
            for each in last.get("refunds", ())
        ),
        customer=Customer(last["customer"], last.get("country")) if "customer" in last else None,
    )  # fmt: skip


def _line(position: int, line: dict[str, Any]) -> OrderLine:
    return OrderLine(
        line_id=line.get("line_id", f"l{position}"),
        title=line.get("title", "A mug"),
        quantity=line["units"],
        unit_price=Decimal(line["price"]),
        gross_amount=Decimal(line["price"]) * line["units"],
        listing_key=line.get("listing"),
        sku=line.get("sku"),
        taxes=tuple(Tax("IVA", Decimal(amount), Decimal("0.16")) for amount in line.get("taxes", ())),
    )


def order(order_id: str, changed: int = 0, **more: Any) -> dict[str, Any]:
    """Return a payload: one mug of 10 MXN unless said otherwise."""
    lines = more.pop("lines", [{"sku": "MUG", "units": 1, "price": "10"}])
    return {"id": order_id, "changed": changed, "total": "10", "lines": lines, **more}


@pytest.fixture
def memory() -> MemoryChannel:
    """Give a channel with an empty feed."""
    return MemoryChannel()


@pytest.fixture
def make_order() -> Callable[..., dict[str, Any]]:
    """Give `order(order_id, changed=0, **fields)`, which returns a payload of the practice channel."""
    return order


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Give the store of a fresh database."""
    opened = open_store_at(database_url)
    yield opened
    opened.close()


@pytest.fixture
def merchant(store: Store) -> Merchant:
    """Give a merchant in Mexico City."""
    with store.begin() as tx:
        return add_merchant(tx, "norte", currency="MXN", time_zone="America/Mexico_City")


@pytest.fixture
def connection(store: Store, merchant: Merchant) -> StoredConnection:
    """Give a connection of that merchant on the practice channel, named shop-1."""
    with store.begin() as tx:
        return add_connection(tx, "shop-1", merchant=merchant, channel="practice", settings={})


@pytest.fixture
def hub(
    store: Store, connection: StoredConnection, memory: MemoryChannel, frozen_clock: Callable[[], datetime],
    no_sleep: Callable[[float], None],
) -> Hub:  # fmt: skip
    """Give a hub whose only channel is the one in memory, with a clock that stands still."""
    return Hub(store, {"practice": memory.channel}, SecretBox([b"k" * 32]), frozen_clock, no_sleep)
