"""A receipt becomes an order: every amount lands in exactly one place."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.pos_feed import CHANNEL
from oms_hub.channel.contract import Connection
from oms_hub.domain.orders import (
    Charge,
    ChargeKind,
    Customer,
    FulfilmentState,
    OrderKind,
    OrderState,
    Payment,
    PaymentKind,
    PaymentState,
    RefundLine,
    ShipmentLine,
    Tax,
    close_gap,
)
from oms_hub.errors import BadPayload

HEADER = [
    "order_id", "sold_at", "sku", "quantity", "unit_price", "discount", "tax", "currency", "location", "customer",
    "country", "payment", "reference", "description",
]  # fmt: skip
NOT_GOODS = '{"POST": "shipping", "D": "discount", "BAG": "fee", "M": "adjustment"}'
AT = "2026-11-20 10:00:00"


def connection(**settings):
    given_settings = {"path": "/feed", "not_goods": NOT_GOODS, "credit_note_prefix": "C", **settings}
    return Connection(1, "till", "pos_feed", "shop", "MXN", "America/Mexico_City", given_settings)


def cells(order_id="1", sku="MUG", quantity="1", price="10.00", at=AT, **more):
    named = {"order_id": order_id, "sku": sku, "quantity": quantity, "unit_price": price, "sold_at": at, **more}
    return [named.get(column, "") for column in HEADER]


def payload(*rows, first_line=2, file="till.csv", file_id="f1", walk=(0, 1, 0), header=HEADER):
    numbered = [[line, row] for line, row in enumerate(rows, start=first_line)]
    return {"file": file, "file_id": file_id, "format": "csv", "walk": list(walk), "header": header, "rows": numbered}


def parse(*rows, **settings):
    return CHANNEL.parse_order([payload(*rows)], connection(**settings))


def refund_value(order):
    return sum(
        (
            sum((line.amount + line.tax_amount for line in refund.lines), Decimal(0))
            + refund.shipping_amount + refund.shipping_tax_amount + refund.other_amount
            for refund in order.refunds
        ),
        Decimal(0),
    )  # fmt: skip


def test_a_receipt_is_a_sale_that_is_paid_and_gone():
    order = parse(
        cells(quantity="2", discount="1.50", tax="2.96", description="A mug", location="north", payment="card"),
        cells(sku="CUP", price="5", customer="K7", country="MX", at="2026-11-20 10:01:00"),
    )
    at = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
    assert (order.channel_order_id, order.label, order.kind) == ("1", "1", OrderKind.POS)
    assert (order.placed_at, order.closed_at) == (at, at)
    assert (order.updated_at, order.version) == (datetime(2026, 11, 20, 16, 1, tzinfo=UTC), 1)
    assert (order.state, order.payment_state, order.fulfilment_state) == (
        OrderState.CLOSED, PaymentState.PAID, FulfilmentState.FULFILLED,
    )  # fmt: skip
    mug, cup = order.lines
    assert (mug.line_id, mug.title, mug.sku, mug.quantity, mug.unit_price) == (
        "MUG",
        "A mug",
        "MUG",
        2,
        Decimal("10.00"),
    )
    assert (mug.gross_amount, mug.discount_amount, mug.taxes) == (
        Decimal("20.00"), Decimal("1.50"), (Tax("tax", Decimal("2.96")),),
    )  # fmt: skip
    assert (cup.title, cup.channel_location_id, cup.taxes) == ("CUP", None, ())
    assert order.total == Decimal("26.46")
    assert close_gap(order)[1] == 0
    assert order.payments == (Payment("sale", PaymentKind.SALE, Decimal("26.46"), "MXN", at, "card"),)
    assert [(one.shipment_id, one.channel_location_id, one.lines) for one in order.shipments] == [
        ("sale:north", "north", (ShipmentLine("MUG", 2),)),
        ("sale", None, (ShipmentLine("CUP", 1),)),
    ]
    assert order.customer == Customer("K7", "MX")
    assert (order.is_sale, order.refunds, order.remarks, order.taxes_included) == (True, (), (), False)


def test_prices_with_tax_are_taken_apart():
    order = parse(cells(quantity="2", price="58.00", discount="11.60", tax="14.40"), price_includes_tax="yes")
    [line] = order.lines
    assert (order.total, order.taxes_included) == (Decimal("104.40"), True)
    assert (line.gross_amount, line.discount_amount, line.net_amount) == (
        Decimal("100.00"),
        Decimal("10.00"),
        Decimal("90.00"),
    )
    assert close_gap(order)[1] == 0
    assert parse(cells(price="58.00"), price_includes_tax="yes").total == Decimal("58.00")


def test_codes_that_are_not_goods_become_charges():
    order = parse(
        cells(), cells(sku="POST", price="18", quantity="3", tax="2"), cells(sku="BAG", price="1"),
        cells(sku="M", price="0.42", quantity="-1"),
    )  # fmt: skip
    assert order.charges == (
        Charge("POST", ChargeKind.SHIPPING, "POST", Decimal(54), "POST", (Tax("tax", Decimal(2)),)),
        Charge("BAG", ChargeKind.FEE, "BAG", Decimal(1), "BAG"),
        Charge("M", ChargeKind.ADJUSTMENT, "M", Decimal("-0.42"), "M"),
    )
    assert order.total == Decimal("66.58")
    assert [line.sku for line in order.lines] == ["MUG"]


def test_a_discount_row_is_spread_over_the_goods_to_the_cent():
    order = parse(
        cells(price="10"), cells(sku="CUP", price="10"), cells(sku="PEN", price="10"), cells(sku="BAG", price="5"),
        cells(sku="D", quantity="-1", price="10", description="Friends"),
    )  # fmt: skip
    assert [line.order_discount_amount for line in order.lines] == [Decimal("3.34"), Decimal("3.33"), Decimal("3.33")]
    assert [(one.title, one.amount, one.code) for one in order.discounts] == [("Friends", Decimal(10), "D")]
    assert (order.total, order.charges[0].kind, close_gap(order)[1]) == (Decimal(25), ChargeKind.FEE, 0)


@pytest.mark.parametrize(
    ("row", "amount"),
    [
        (cells(sku="D", quantity="-1", price="99"), Decimal(-99)),
        (cells(sku="D", quantity="1", price="3"), Decimal(3)),
        (cells(sku="D", quantity="-1", price="2", tax="-0.32"), Decimal(-2)),
    ],
)
def test_a_discount_that_cannot_be_spread_is_an_adjustment(row, amount):
    order = parse(cells(), row)
    assert [(one.kind, one.amount) for one in order.charges] == [(ChargeKind.ADJUSTMENT, amount)]
    assert (order.discounts, order.lines[0].order_discount_amount, close_gap(order)[1]) == ((), 0, 0)


def test_goods_that_come_back_on_a_receipt_are_a_refund_on_it():
    order = parse(cells(sku="BIG", price="12"), cells(quantity="-2", price="4", tax="-0.64", location="north"))
    assert (order.total, order.payment_state) == (Decimal(12), PaymentState.PARTIALLY_REFUNDED)
    [refund] = order.refunds
    assert refund.lines == (RefundLine("MUG", 2, Decimal(8), Decimal("0.64"), False, "north"),)
    assert (refund.refund_id, refund.paid_amount, refund.reason) == (
        "refund",
        Decimal("8.64"),
        "returned on the receipt",
    )
    back = order.lines[1]
    assert (back.line_id, back.quantity, back.gross_amount, back.needs_stock) == ("MUG", 0, 0, True)
    assert [(one.kind, one.amount) for one in order.payments] == [("sale", Decimal(12)), ("refund", Decimal("8.64"))]
    assert [one.lines for one in order.shipments] == [(ShipmentLine("BIG", 1),)]
    assert parse(cells(quantity="-1")).payment_state is PaymentState.REFUNDED
    assert parse(cells(quantity="-1"), restock_returns="yes").refunds[0].lines[0].is_restocked is True


def test_a_credit_note_gives_everything_back_and_charges_nothing():
    order = parse(
        cells("C9", quantity="-2", price="5", reference="1"), cells("C9", quantity="-1", price="0", sku="CUP"),
        cells("C9", sku="POST", quantity="-1", price="18", tax="-2"), cells("C9", sku="D", quantity="-1", price="27.5"),
        cells("C9", sku="PEN", quantity="1", price="3"),
    )  # fmt: skip
    assert (order.kind, order.total, order.is_sale) == (OrderKind.CREDIT_NOTE, 0, True)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.REFUNDED, FulfilmentState.RETURNED)
    [refund] = order.refunds
    assert refund.lines == (RefundLine("MUG", 2, Decimal(10)), RefundLine("CUP", 1, Decimal(0)))
    assert (refund.shipping_amount, refund.shipping_tax_amount) == (Decimal(18), Decimal(2))
    assert (refund.other_amount, refund.paid_amount) == (Decimal("24.5"), Decimal("54.5"))
    assert refund.reason == "credit note for 1"
    assert [(line.line_id, line.quantity) for line in order.lines] == [("MUG", 0), ("CUP", 0)]
    assert (order.shipments, close_gap(order)[1]) == ((), 0)
    assert parse(cells("C9", quantity="-1")).refunds[0].reason == "credit note"
    assert parse(cells("C9"), credit_note_prefix="").kind is OrderKind.POS


def test_rows_at_price_zero_are_kept_and_move_nothing_unless_told():
    gift = (cells(), cells(sku="GIFT", price="0", quantity="3"))
    kept, moved = parse(*gift), parse(*gift, zero_price_moves_stock="yes")
    assert [line.needs_stock for line in kept.lines] == [True, False]
    assert kept.shipments[0].lines == (ShipmentLine("MUG", 1),)
    assert moved.shipments[0].lines == (ShipmentLine("MUG", 1), ShipmentLine("GIFT", 3))
    assert (kept.total, kept.is_sale, kept.channel_state) == (Decimal("10.00"), True, "")


def test_a_receipt_of_corrections_alone_is_no_sale():
    order = parse(cells(quantity="-10", price="0"), cells(quantity="56", price="0"), zero_price_moves_stock="no")
    assert (order.is_sale, order.channel_state, order.total) == (False, "stock_correction", 0)
    assert [(line.line_id, line.title, line.quantity, line.needs_stock) for line in order.lines] == [
        ("MUG", "MUG (stock correction of -10, not applied)", 0, False), ("MUG#2", "MUG", 56, False),
    ]  # fmt: skip
    assert (order.shipments, order.refunds, order.payments) == ((), (), ())
    assert parse(cells(quantity="5", price="0"), zero_price_moves_stock="yes").is_sale is True
    assert parse(cells(quantity="0", price="0", tax="1")).is_sale is True


def test_the_same_sku_twice_has_two_lines():
    assert [line.line_id for line in parse(cells(), cells(), cells(sku="CUP")).lines] == ["MUG", "MUG#2", "CUP"]


@pytest.mark.parametrize(
    ("text", "settings", "value"),
    [
        ("2,55", {"decimal": ","}, "2.55"),
        ("1.234,50", {"decimal": ",", "thousands": "."}, "1234.50"),
        ("1,234,567.8", {"thousands": ","}, "1234567.8"),
        ("1\u00a0234,5", {"decimal": ",", "thousands": "space"}, "1234.5"),
        (".5", {}, "0.5"),
        ("7.", {}, "7"),
        ("1e3", {}, "1000"),
        ("+3", {}, "3"),
    ],
)
def test_numbers_are_read_in_the_notation_that_is_set(text, settings, value):
    assert parse(cells(price=text), **settings).total == Decimal(value)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("2,55", {}), ("2.55", {"decimal": ","}), ("1,23", {"thousands": ","}), ("NaN", {}), ("1_0", {}), ("$5", {}),
        ("1.234.5", {}), ("12,34,567", {"thousands": ","}),
    ],
)  # fmt: skip
def test_another_notation_is_refused_and_never_guessed(text, settings):
    with pytest.raises(BadPayload, match=r"^till.csv:2: column unit_price is no number with the decimal mark"):
        parse(cells(price=text), **settings)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (cells(sku=""), "till.csv:2: column sku is empty"),
        (cells(quantity=" "), "till.csv:2: column quantity is empty"),
        (cells(price=""), "till.csv:2: column unit_price is empty"),
        (cells(at=""), "till.csv:2: column sold_at is empty"),
        (cells(order_id=""), "till.csv:2: column order_id is empty"),
        (cells(quantity="1.5"), "till.csv:2: column quantity is not a whole number"),
        (cells(quantity="3000000000"), "till.csv:2: column quantity is too large"),
        (cells(at="2026-02-30 10:00:00"), "till.csv:2: column sold_at is no date like %Y-%m-%d %H:%M:%S"),
        (cells(at="20/11/2026"), "till.csv:2: column sold_at is no date like %Y-%m-%d %H:%M:%S"),
        (cells(currency="pesos"), "till.csv:2: column currency is no three-letter currency code"),
        (cells(discount="x"), "till.csv:2: column discount is no number with the decimal mark ."),
        (cells(tax="x"), "till.csv:2: column tax is no number with the decimal mark ."),
    ],
)
def test_a_cell_that_cannot_be_read_names_file_line_and_column(row, message):
    with pytest.raises(BadPayload) as caught:
        parse(row)
    assert caught.value.message.startswith(message)
    assert caught.value.remedy != ""


def test_whole_quantities_may_be_written_with_decimals():
    assert parse(cells(quantity="2,000", price="1"), decimal=",").lines[0].quantity == 2


def test_two_currencies_on_one_receipt_are_refused():
    with pytest.raises(BadPayload, match=r"^till.csv:3 is in USD, till.csv:2 of the same receipt in MXN$"):
        parse(cells(), cells(currency="usd"))
    assert parse(cells(currency="eur")).currency == "EUR"
    assert parse(cells(), currency="GBP").currency == "GBP"


@pytest.mark.parametrize(
    ("text", "settings", "at"),
    [
        ("1/12/2010 08:26", {"datetime_format": "%d/%m/%Y %H:%M", "time_zone": "Europe/London"}, (2010, 12, 1, 8, 26)),
        ("2026-11-20T10:00:00", {"datetime_format": "iso8601"}, (2026, 11, 20, 16, 0)),
        ("2026-11-20T10:00:00+01:00", {"datetime_format": "iso8601"}, (2026, 11, 20, 9, 0)),
        ("20261120 1000 -0600", {"datetime_format": "%Y%m%d %H%M %z"}, (2026, 11, 20, 16, 0)),
        ("2026-03-29 01:30:00", {"time_zone": "Europe/London"}, (2026, 3, 29, 1, 30)),
        ("2026-10-25 01:30:00", {"time_zone": "Europe/London"}, (2026, 10, 25, 0, 30)),
    ],
)
def test_dates_are_read_in_their_format_and_zone(text, settings, at):
    assert parse(cells(at=text), **settings).placed_at == datetime(*at, tzinfo=UTC)


def test_rows_without_mapped_extra_columns_need_only_the_five():
    header = ["a", "b", "c", "d", "e"]
    columns = '{"order_id": "a", "sold_at": "b", "sku": "c", "quantity": "d", "unit_price": "e", "tax": "not there"}'
    one = payload(["1", AT, "MUG", "1", "2"], header=header)
    order = CHANNEL.parse_order([one], connection(columns=columns))
    assert (order.total, order.customer, order.currency) == (Decimal(2), None, "MXN")


def test_a_receipt_over_several_pages_has_all_its_rows_whatever_lands_twice():
    first, second = payload(cells()), payload(cells(), cells(sku="CUP"), first_line=3)
    for landed in ([first, second], [second, first], [first, second, first]):
        order = CHANNEL.parse_order(landed, connection())
        assert sorted(line.line_id for line in order.lines) == ["CUP", "MUG", "MUG#2"]
        assert order.version == len(landed)


def test_a_later_reading_replaces_its_lines_and_only_those():
    landed = [payload(cells(), cells(), cells(sku="CUP")), payload(cells(quantity="3"), first_line=3, walk=(1, 3, 3))]
    order = CHANNEL.parse_order(landed, connection())
    assert [(line.line_id, line.quantity) for line in order.lines] == [("MUG", 1), ("MUG#2", 3), ("CUP", 1)]
    assert order.remarks == ("till.csv:3 was changed after it was taken (quantity)",)


def test_a_date_that_moves_back_makes_no_older_version():
    landed = [payload(cells()), payload(cells(at="2026-11-19 10:00:00"), walk=(1, 1, 0))]
    before, after = (CHANNEL.parse_order(landed[:count], connection()) for count in (1, 2))
    assert after.placed_at == datetime(2026, 11, 19, 16, tzinfo=UTC)
    assert (after.updated_at, after.version) == (before.updated_at, 2)


def test_a_bad_row_that_was_mended_stops_nothing():
    landed = [payload(cells(at="never"), ["1", "2"]), payload(cells(), cells(sku="CUP"), walk=(1, 1, 0))]
    with pytest.raises(BadPayload):
        CHANNEL.parse_order(landed[:1], connection())
    order = CHANNEL.parse_order(landed, connection())
    assert (order.total, order.remarks) == (
        Decimal(20),
        (
            "till.csv:2 was changed after it was taken (sold_at)",
            "a row that stood at till.csv:3 was removed or replaced after it was taken",
        ),
    )


def test_a_receipt_without_any_row_is_refused():
    with pytest.raises(BadPayload, match="no row of this receipt is left"):
        CHANNEL.parse_order([payload()], connection())


def test_a_file_that_names_the_receipt_without_rows_left_changes_nothing():
    landed = [
        payload(cells()),
        payload(cells(), file="b.csv", file_id="f2"),
        payload(file="b.csv", file_id="f2", walk=(1, 1, 0)),
    ]
    assert CHANNEL.parse_order(landed, connection()).total == Decimal("10.00")


amounts = st.decimals(min_value=-999, max_value=999, places=2)
some_rows = st.lists(
    st.tuples(
        st.sampled_from(["MUG", "CUP", "PEN", "POST", "D", "BAG", "M"]), st.integers(-9, 9), amounts, amounts, amounts
    ),
    min_size=1,
    max_size=8,
)


@given(rows=some_rows, is_credit_note=st.booleans(), includes_tax=st.booleans())
def test_no_amount_is_ever_lost(rows, is_credit_note, includes_tax):
    order_id = "C1" if is_credit_note else "1"
    order = parse(
        *(
            cells(order_id, sku, str(quantity), str(price), discount=str(discount), tax=str(tax))
            for sku, quantity, price, discount, tax in rows
        ),
        price_includes_tax="yes" if includes_tax else "no",
    )
    expected = sum(
        (q * price - discount + (0 if includes_tax else tax) for _, q, price, discount, tax in rows), Decimal(0)
    )
    assert order.total - refund_value(order) == expected
    assert close_gap(order)[1] == 0
    assert order.total == 0 or not is_credit_note
    assert replace(order, version=1) == order
