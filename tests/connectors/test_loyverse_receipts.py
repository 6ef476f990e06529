"""Loyverse: receipts into orders, refunds into credit notes, items and levels; questions that its reference knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator

from connectors.loyverse import CHANNEL
from connectors.loyverse.api import open_api
from connectors.loyverse.listings import listing_source, locations
from connectors.loyverse.orders import order_ids, order_lookup, order_source
from connectors.loyverse.parse import parse_order, split_page
from connectors.loyverse.sandbox import LoyverseSandbox, start_sandbox
from connectors.loyverse.sandbox_till import MAIN, SECOND
from connectors.loyverse.settings import check_settings
from connectors.loyverse.stock import stock_source
from oms_hub.channel.contract import ChannelSession, ListingRef, PullRequest
from oms_hub.channel.http import HttpRefused
from oms_hub.domain.orders import ChargeKind, Order, OrderKind, OrderState, PaymentKind, stated_total
from oms_hub.domain.stock_ledger import stock_events
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect, RetryLater
from oms_hub.testing.factories import a_connection, a_session

D = Decimal


@pytest.fixture
def till() -> Iterator[LoyverseSandbox]:
    running = start_sandbox(orders=30, seed=2)
    yield running
    running.close()


def session_of(till: LoyverseSandbox, **settings: str) -> ChannelSession:
    return a_session({**till.account.settings, "page_size": "12", **settings}, till.account.secrets)


def answering(answer: Callable[[httpx.Request], Any]) -> ChannelSession:
    def handle(request: httpx.Request) -> httpx.Response:
        told = answer(request)
        return told if isinstance(told, httpx.Response) else httpx.Response(200, json=told)

    return a_session({"base_url": "http://127.0.0.1:9"}, {"access_token": "t"}, transport=httpx.MockTransport(handle))


# ------------------------------------------------------------------------------------------------------ receipts


def a_line(**changes: Any) -> dict[str, Any]:
    line = {"id": "l1", "variant_id": "v1", "item_name": "Taza", "quantity": 2, "price": 58.0, "sku": "HUB-001"}
    return {**line, "gross_total_money": 116.0, "total_money": 116.0, **changes}


def a_receipt(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    row = {"receipt_number": "1-7", "receipt_type": "SALE", "store_id": "s1", "total_money": 116.0}
    row |= {"created_at": "2026-11-03T10:00:00.000Z", "receipt_date": "2026-11-01T09:00:00.000Z"}
    return {**row, "line_items": list(lines or (a_line(),)), **changes}


def read(row: Any, **settings: str) -> Order:
    return parse_order([row], a_connection(currency="MXN", settings=settings))


def test_a_sale_left_the_shop_when_it_was_made_although_it_arrived_later() -> None:
    order = read(
        a_receipt(payments=[{"money_amount": 116.0, "name": "Efectivo"}, {"money_amount": 0}], customer_id="c")
    )
    assert (order.kind, order.state, order.total, order.currency) == (
        OrderKind.POS,
        OrderState.CLOSED,
        D("116.0"),
        "MXN",
    )
    assert order.placed_at == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert order.updated_at == datetime(2026, 11, 3, 10, tzinfo=UTC)
    assert [(e.kind, e.channel_location_id, e.occurred_at) for e in stock_events(order)] == [
        ("sale", "s1", order.placed_at)
    ]
    assert [(p.kind, p.amount, p.gateway) for p in order.payments] == [(PaymentKind.SALE, D("116.0"), "Efectivo")]
    assert order.customer is not None


def test_included_and_added_taxes_and_discounts_tie() -> None:
    taxes = [
        {"money_amount": 14.4, "type": "INCLUDED", "name": "IVA", "rate": 16},
        {"money_amount": 5.22, "type": "ADDED"},
    ]
    line = a_line(line_taxes=taxes, line_discounts=[{"money_amount": 11.6}])
    order = read(a_receipt(line, total_money=116 - 11.6 + 5.22 + 3 + 2, tip=3, surcharge=2))
    found = order.lines[0]
    assert (found.gross_amount, found.discount_amount, found.tax_amount) == (D("100.00"), D("10.00"), D("19.62"))
    assert [(tax.title, tax.rate) for tax in found.taxes] == [("IVA", D("0.16")), ("Tax", None)]
    assert [(c.kind, c.amount) for c in order.charges] == [(ChargeKind.TIP, D(3)), (ChargeKind.FEE, D(2))]
    assert order.taxes_included
    assert stated_total(order) == D("114.62")


def test_what_is_sold_by_weight_is_money_without_stock() -> None:
    found = read(a_receipt(a_line(quantity=0.355, variant_name="kg"), a_line(id="l2", variant_id=None))).lines
    assert [(line.title, line.quantity, line.needs_stock) for line in found] == [
        ("Taza kg, 0.355", 1, False),
        ("Taza", 2, False),
    ]


@pytest.mark.parametrize(("setting", "events"), [("no", []), ("yes", [("return", 2)])])
def test_a_refund_is_a_credit_note_and_restocks_only_where_a_person_says_so(setting: str, events: list[Any]) -> None:
    row = a_receipt(a_line(line_taxes=[{"money_amount": 16}]), receipt_type="REFUND", refund_for="1-3", tip=4)
    order = read({**row, "total_money": -120.0, "payments": [{"money_amount": -120.0}]}, restock_refunds=setting)
    assert (order.kind, order.total, order.label) == (OrderKind.CREDIT_NOTE, D(0), "refund of 1-3")
    refund = order.refunds[0]
    assert (refund.paid_amount, refund.other_amount) == (D("120.0"), D("4.0"))
    assert [(row.quantity, row.amount, row.tax_amount) for row in refund.lines] == [(2, D("100.0"), D(16))]
    assert [(e.kind, e.cumulative_quantity) for e in stock_events(order)] == events
    assert [(p.kind, p.amount) for p in order.payments] == [(PaymentKind.REFUND, D("120.0"))]
    assert (stated_total(order), order.charges) == (D(0), ())


@pytest.mark.parametrize("kind", ["SALE", "REFUND"])
def test_a_cancelled_receipt_never_happened(kind: str) -> None:
    order = read(a_receipt(receipt_type=kind, cancelled_at="2026-11-04T10:00:00Z", updated_at="2026-11-04T10:00:00Z"))
    assert (order.state, order.is_sale, order.payments, order.refunds) == (OrderState.CANCELLED, False, (), ())
    assert (stock_events(order), order.cancelled_at) == ((), datetime(2026, 11, 4, 10, tzinfo=UTC))


def test_a_new_kind_of_receipt_is_kept_flagged_and_no_sale() -> None:
    order = read(a_receipt(receipt_type="QUOTE"))
    assert (order.unknown_words, order.is_sale) == (("receipt type QUOTE",), False)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("receipt", "no readable times"),
        (a_receipt(created_at="soon"), "no readable times"),
        (a_receipt(line_items="none"), "not what the reference says"),
        (a_receipt(total_money="ten"), "not what the reference says"),
        (a_receipt(a_line(quantity=None)), "not what the reference says"),
        ({key: value for key, value in a_receipt().items() if key != "line_items"}, "the field line_items is missing"),
    ],
)
def test_what_cannot_be_read_is_set_aside_alone(row: Any, said: str) -> None:
    with pytest.raises(BadPayload, match=said):
        read(row)


def test_pages_without_receipts_are_refused() -> None:
    for body in (b"[]", b'{"receipts":7}'):
        with pytest.raises(BadPayload, match="no list of receipts"):
            split_page("orders", body)
    assert [row.record_id for row in split_page("orders", b'{"receipts":[7,{}]}')] == ["position:0", "position:1"]


# ---------------------------------------------------------------------------------------------------- questions


def pull(session: ChannelSession, cursor: Any = None, **request: Any) -> tuple[list[str], Any]:
    pages = list(order_source(session, PullRequest(cursor or {}, **request)))
    return [row.record_id for page in pages for row in page.records or ()], pages[-1].cursor


def test_a_pull_asks_for_what_changed_and_a_cancelled_receipt_is_found(till: LoyverseSandbox) -> None:
    session = session_of(till)
    found, cursor = pull(session)
    assert found == till.order_ids()[::-1]
    till.advance_clock(7200)
    old = till.order_ids()[3]
    till.cancel_order(old)
    again, cursor = pull(session, cursor)
    assert old in again
    assert len(again) <= 2
    assert pull(session, cursor)[1] == cursor


def test_history_can_begin_later_and_a_free_plan_says_what_to_do(till: LoyverseSandbox) -> None:
    till.till.is_free_plan = True
    with pytest.raises(Misconfigured, match="of that age on this plan"):
        pull(session_of(till))
    found, _ = pull(session_of(till, orders_from="2026-11-11"))
    assert 0 < len(found) < 30
    start = datetime(2026, 11, 15, tzinfo=UTC)
    assert len(pull(session_of(till), placed_from=start, is_full=True)[0]) < len(found)


def test_a_stored_page_that_loyverse_no_longer_knows_begins_the_walk_again() -> None:
    def answer(request: httpx.Request) -> Any:
        is_old = request.url.params.get("cursor") == "old"
        return httpx.Response(400, json={}) if is_old else {"receipts": [a_receipt()]}

    walk = {"query": {"limit": "5"}, "next": "old", "newest": "2026-11-05T00:00:00Z"}
    found, cursor = pull(answering(answer), {"seen": "2026-11-01T00:00:00Z", "walk": walk})
    assert (found, cursor) == (["1-7"], {"seen": "2026-11-05T00:00:00Z"})
    with pytest.raises(HttpRefused):
        pull(answering(lambda _: httpx.Response(400, json={})))


@pytest.mark.parametrize("cursor", [{"seen": 7}, {"seen": "noon"}, {"walk": 7}, {"walk": {"query": 7}}])
def test_a_foreign_cursor_is_refused(cursor: Any) -> None:
    with pytest.raises(Misconfigured, match="not one of a Loyverse connection"):
        pull(answering(lambda _: {}), cursor)


def test_named_receipts_and_those_of_a_stretch(till: LoyverseSandbox) -> None:
    session = session_of(till)
    first = till.order_ids()[0]
    kinds = [
        (page.kind, split_page(page.kind, page.body)[0].record_id) for page in order_lookup(session, [first, "9/9"])
    ]
    assert kinds == [("orders", first), ("order_tombstones", "9/9")]
    assert list(order_lookup(session, [])) == []
    with pytest.raises(HttpRefused):
        list(order_lookup(answering(lambda _: httpx.Response(410, json={})), ["1"]))
    start, end = datetime(2026, 11, 5, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC)
    made = {number: datetime.fromisoformat(row["receipt_date"]) for number, row in till.till.receipts.items()}
    inside = {number for number, moment in made.items() if start <= moment < end}
    assert set(order_ids(session, start, end)) == inside
    late = next(number for number, row in till.till.receipts.items() if row["receipt_date"] < row["created_at"])
    assert late in set(order_ids(session, made[late], made[late] + timedelta(seconds=1)))


def test_pages_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.loyverse.api._MOST_PAGES", 3)
    with pytest.raises(RetryLater, match="do not end"):
        pull(answering(lambda _: {"receipts": [], "cursor": "c"}))


# ------------------------------------------------------------------------------------------------- goods, levels


def test_items_stores_and_levels(till: LoyverseSandbox) -> None:
    session = session_of(till)
    rows = {row.sku: row for batch in listing_source(session) for row in batch}
    assert (rows["HUB-001"].is_tracked, rows["HUB-001"].is_writable, rows["HUB-001"].is_active) == (True, False, True)
    assert not rows["SERVICE-1"].is_tracked
    assert [(place.name, place.is_default) for place in locations(session)] == [("Mercado", False), ("Centro", True)]
    key = rows["HUB-001"].listing_key
    till.till.levels[key, SECOND] = 2.5
    refs = [ListingRef(key), ListingRef(key, SECOND), ListingRef(rows["SERVICE-1"].listing_key, MAIN)]
    levels = list(stock_source(session, refs))
    assert [(row.available, row.channel_location_id, row.note) for row in levels] == [
        (till.level("HUB-001"), MAIN, ""),
        (None, MAIN, "Loyverse keeps no quantity for it at this store"),
        (2, SECOND, "Loyverse shows 2.5"),
    ]
    assert CHANNEL.stock_sink is None
    till.set_level("HUB-002", 3)
    assert (till.level("HUB-002"), till.level("SERVICE-1")) == (3, None)
    with pytest.raises(KeyError):
        till.place_order({"HUB-999": 1})
    with pytest.raises(HttpRefused, match="404"), open_api(session) as http:
        http.get_json("/customers")
    with pytest.raises(HttpRefused, match="400"), open_api(session) as http:
        http.get_json("/items", query={"limit": "251"})


def test_odd_goods_and_levels_are_refused() -> None:
    with pytest.raises(BadPayload, match="an item is not what"):
        list(listing_source(answering(lambda _: {"items": [{"variants": [{}]}]})))
    with pytest.raises(BadPayload, match="no list of items"):
        list(listing_source(answering(lambda _: [])))
    with pytest.raises(BadPayload, match="a level is not what"):
        list(
            stock_source(
                answering(lambda _: {"inventory_levels": [{"store_id": "s", "variant_id": "v"}]}),
                [ListingRef("v", "s")],
            )
        )
    closed = {"stores": [{"id": "s", "name": "", "deleted_at": "2026-01-01T00:00:00Z"}]}
    with pytest.raises(Misconfigured, match="no open store"):
        list(stock_source(answering(lambda _: closed), [ListingRef("v")]))


# -------------------------------------------------------------------------------------------- settings and check


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "http://loyverse.example"}, "plain http"),
        ({"orders_from": "yesterday"}, "orders_from is not a day"),
        ({"page_size": "251"}, "page_size is not a number from 1 to 250"),
        ({"restock_refunds": "maybe"}, "neither yes nor no"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_any_request(settings: dict[str, str], said: str) -> None:
    check_settings({})
    with pytest.raises(Misconfigured, match=said):
        check_settings(settings)


def test_the_connection_test_goes_permission_by_permission(till: LoyverseSandbox) -> None:
    assert [step.is_ok for step in CHANNEL.check(session_of(till))] == [True] * 4
    empty = answering(lambda r: {name: [] for name in ("receipts", "items", "inventory_levels", "stores")})
    assert {step.detail for step in CHANNEL.check(empty)} == {"allowed; there is none yet"}
    session = session_of(till)
    till.till.token = "another"
    failed = CHANNEL.check(session)
    assert [step.is_ok for step in failed] == [False] * 4
    assert "401" in failed[0].detail
    with pytest.raises(NeedsReconnect, match="the access token is missing"):
        pull(a_session(till.account.settings))


# --------------------------------------------------------------------------------------------------- the reference

BEYOND = {"updated_at_min"}
"""Parameters that client libraries use and the third party's summary leaves out."""


@pytest.mark.contracts
def test_questions_and_answers_are_those_of_the_summarised_reference(
    contracts_dir: Path, till: LoyverseSandbox
) -> None:
    document = yaml.safe_load((contracts_dir / "loyverse" / "loyverse-derived-unofficial.yml").read_text("utf-8"))
    text = json.dumps(document["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
    definitions = {name: _nullable(row) for name, row in json.loads(text).items()}
    seen: list[tuple[httpx.Request, Any]] = []
    inner = httpx.HTTPTransport()

    def tap(request: httpx.Request) -> httpx.Response:
        response = inner.handle_request(request)
        response.read()
        seen.append((request, response.json()))
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    settings = {**till.account.settings, "page_size": "12"}
    session = a_session(settings, till.account.secrets, transport=httpx.MockTransport(tap))
    _, cursor = pull(session)
    pull(session, cursor)
    keys = [row.listing_key for batch in listing_source(session) for row in batch]
    list(stock_source(session, [ListingRef(key) for key in keys]))
    list(order_lookup(session, till.order_ids()[:1]))
    pages = {"/receipts": "ReceiptsPage", "/items": "ItemsPage", "/stores": "StoresPage", "/inventory": "InventoryPage"}
    for request, answer in seen:
        path = request.url.path.removeprefix("/v1.0")
        known = document["paths"].get(path) or document["paths"]["/receipts/{receipt_number}"]
        shared = document["components"]["parameters"]
        named = {
            row.get("name") or shared[row["$ref"].rpartition("/")[2]]["name"]
            for row in known["get"].get("parameters", [])
        }
        assert set(request.url.params) - named <= BEYOND, path
        schema = {"$ref": f"#/$defs/{pages.get(path, 'Receipt')}", "$defs": definitions}
        assert [error.message for error in Draft202012Validator(schema).iter_errors(answer)] == []
    assert {request.url.path for request, _ in seen} >= {f"/v1.0{path}" for path in pages}
    inner.close()


def _nullable(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _nullable(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain
