"""Settings that cannot work are refused before anything is opened; what can be tried is tried step by step."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.pos_feed import CHANNEL, preview
from connectors.pos_feed.sandbox import SHARED_SKUS, PracticeTill, start_sandbox
from oms_hub.channel.contract import ChannelSession, Connection, PullMode, PullRequest, RecordMode
from oms_hub.errors import BadPayload, Misconfigured

HEADER = "order_id,sold_at,sku,quantity,unit_price\n"
COLUMNS = {"order_id": "a", "sold_at": "b", "sku": "c", "quantity": "d", "unit_price": "e"}


class NoSecrets:
    def get(self, name):
        return None


def session(settings):
    connection = Connection(1, "till", "pos_feed", "shop", "MXN", "America/Mexico_City", settings)
    return ChannelSession(connection, NoSecrets(), lambda: datetime(2030, 1, 1, tzinfo=UTC), lambda _: None)


def test_the_channel_says_what_it_is():
    assert (CHANNEL.name, CHANNEL.capabilities.pull_mode, CHANNEL.capabilities.record_mode) == (
        "pos_feed", PullMode.FILE_DROP, RecordMode.APPEND,
    )  # fmt: skip
    assert (CHANNEL.stock_sink, CHANNEL.stock_source, CHANNEL.listing_source, CHANNEL.order_ids) == (None,) * 4
    assert [setting.name for setting in CHANNEL.settings if setting.is_secret] == ["storage_options"]
    assert all(setting.description for setting in CHANNEL.settings)


def test_a_path_alone_is_enough():
    CHANNEL.check_settings({"path": "/feed"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": ""}, "setting path is missing"),
        ({"path": "  "}, "setting path is missing"),
        ({"delimeter": ";"}, "setting delimeter is not a setting of pos_feed"),
        ({"format": "xml"}, "setting format is 'xml'"),
        ({"delimiter": ";;"}, "setting delimiter is ';;'"),
        ({"delimiter": "a"}, "setting delimiter is 'a'"),
        ({"delimiter": '"'}, "setting delimiter is '\"'"),
        ({"decimal": ";"}, "setting decimal is ';'"),
        ({"thousands": "."}, "setting thousands is the same sign as the decimal mark"),
        ({"thousands": "1"}, "setting thousands is '1'"),
        ({"encoding": "utf-9"}, "setting encoding is 'utf-9', which is not known"),
        ({"encoding": "base64"}, "setting encoding is 'base64', which is not known"),
        ({"time_zone": "Mexico"}, "setting time_zone is 'Mexico'"),
        ({"time_zone": "../etc"}, "setting time_zone is '../etc'"),
        ({"time_zone": "America"}, "setting time_zone is 'America'"),
        ({"datetime_format": "dd/mm/yyyy"}, "setting datetime_format is 'dd/mm/yyyy', which has no whole date"),
        ({"datetime_format": "%d/%m/%Y %Q"}, "setting datetime_format is '%d/%m/%Y %Q'"),
        ({"datetime_format": "%d/%m %H:%M"}, "setting datetime_format is '%d/%m %H:%M', which has no whole date"),
        ({"currency": "pesos"}, "setting currency is 'pesos'"),
        ({"columns": "{"}, "setting columns is not JSON"),
        ({"columns": "[]"}, "setting columns is not a JSON object of texts"),
        ({"columns": '{"order_id": 1}'}, "setting columns is not a JSON object of texts"),
        ({"columns": json.dumps({**COLUMNS, "ean": "x"})}, "setting columns names the unknown field 'ean'"),
        ({"columns": '{"order_id": "a", "sku": ""}'}, "setting columns lacks sold_at, sku, quantity, unit_price"),
        ({"columns": json.dumps({**COLUMNS, "tax": ""})}, "setting columns gives no column for tax"),
        ({"not_goods": '{"POST": "postage"}'}, "setting not_goods says 'postage' for 'POST'"),
        ({"restock_returns": "true"}, "setting restock_returns is 'true'"),
    ],
)
def test_a_setting_that_cannot_work_is_named_with_what_it_should_be(settings, message):
    with pytest.raises(Misconfigured) as caught:
        CHANNEL.check_settings({"path": "/feed", **settings})
    assert caught.value.message == message
    assert caught.value.remedy != ""


@pytest.mark.parametrize("word", ["tab", "\\t", "\t"])
def test_a_tab_may_be_written_as_a_word(tmp_path, word):
    (tmp_path / "till.tsv").write_text(HEADER.replace(",", "\t"))
    assert CHANNEL.check(session({"path": str(tmp_path), "delimiter": word}))[-1].is_ok


# --------------------------------------------------------------------------------------------------- trying


def test_a_feed_that_works_passes_every_step():
    shop = start_sandbox(orders=20)
    try:
        results = CHANNEL.check(session(shop.account.settings))
    finally:
        shop.close()
    assert [(one.step, one.is_ok) for one in results] == [
        ("settings", True),
        ("path", True),
        ("files", True),
        ("rows", True),
    ]
    assert results[-1].detail == "51 rows of till-1.csv make 20 receipts without a problem"


def test_what_does_not_work_is_told_with_a_remedy(tmp_path):
    def last(**settings):
        result = CHANNEL.check(session({"path": str(tmp_path), **settings}))[-1]
        return result.step, result.is_ok, result.detail

    assert last(decimal="x") == ("settings", False, "setting decimal is 'x'")
    assert last(path="nowhere://x")[:2] == ("path", False)
    assert last() == ("files", True, f"no file at {tmp_path} yet")
    assert last(path=f"{tmp_path}/*.csv") == ("files", False, f"no file at {tmp_path}/*.csv")
    file = tmp_path / "till.csv"
    file.write_text("")
    assert last() == ("rows", False, "till.csv is empty (0 bytes)")
    file.write_text(HEADER)
    assert last() == ("rows", True, "till.csv has no rows yet")
    file.write_text("a,b\n")
    assert last()[:2] == ("rows", False)
    file.write_text(HEADER + "1,never,MUG,1,1\n\n2,2026-11-20 10:00:00,MUG,1.5,1\n3,2026-11-20 10:00:00,MUG,1,1\n")
    assert last() == ("rows", False, "till.csv:2: column sold_at is no date like %Y-%m-%d %H:%M:%S (and 1 more)")
    file.write_text(HEADER + "2,2026-11-20 10:00:00,MUG,1.5,1\n")
    assert last() == ("rows", False, "till.csv:2: column quantity is not a whole number")


def test_a_preview_shows_the_first_rows_and_what_they_make(tmp_path):
    settings = {"path": str(tmp_path / "till.csv")}
    with pytest.raises(BadPayload, match="there is no file"):
        preview(session(settings))
    rows = "".join(f"{number},2026-11-20 10:00:00,MUG,1,{number}\n" for number in range(1, 9))
    (tmp_path / "till.csv").write_text(HEADER + rows)
    seen = preview(session(settings), rows=3)
    assert (seen.file, seen.header) == ("till.csv", ("order_id", "sold_at", "sku", "quantity", "unit_price"))
    assert seen.rows[0] == [2, ["1", "2026-11-20 10:00:00", "MUG", "1", "1"]]
    assert [order.total for order in seen.orders] == [Decimal(1), Decimal(2), Decimal(3)]
    assert seen.problems == ()
    (tmp_path / "till.jsonl").write_text('{"order_id": "1"}\n')
    seen = preview(session({"path": str(tmp_path / "till.jsonl"), "format": "jsonl"}))
    assert seen.problems == ("till.jsonl:1: column sold_at is empty",)


# ------------------------------------------------------------------------------------------ the practice till


def pulled(shop):
    own = session(shop.account.settings)
    found = {}
    for page in CHANNEL.order_source(own, PullRequest({})):
        for record in CHANNEL.split_page(page.kind, page.body):
            found.setdefault(record.record_id, []).append(record.payload)
    return {order_id: CHANNEL.parse_order(landed, own.connection) for order_id, landed in found.items()}


def test_the_practice_till_is_read_as_it_says(tmp_path):
    shop = PracticeTill(folder=tmp_path / "till", orders=60, clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    shop.advance_clock(60)
    order_id = shop.place_order({"HUB-001": 2, "OTHER": 1})
    orders = pulled(shop)
    assert {key: order.total for key, order in orders.items()} == shop.totals()
    assert list(orders) == shop.order_ids()
    back = {
        key: sum((refund.paid_amount for refund in order.refunds), Decimal(0)) for key, order in orders.items()
    }  # fmt: skip
    assert {key: order.total - back[key] for key, order in orders.items()} == shop.amounts()
    assert orders[order_id].placed_at == datetime(2026, 11, 22, 12, 1, tzinfo=UTC)
    assert orders[order_id].total == Decimal("269.50")
    sold = {line.sku for order in orders.values() for line in order.lines} - {"OTHER"}
    assert sold == set(SHARED_SKUS)
    shop.set_level("HUB-001", 5)
    assert (shop.level("HUB-001"), shop.base_url) == (None, "")
    shop.close()
    assert shop.file.exists()


def test_the_same_seed_prints_the_same_receipts():
    one, two, other = (start_sandbox(orders=30, seed=seed) for seed in (5, 5, 6))
    try:
        assert one.file.read_bytes() == two.file.read_bytes()
        assert one.file.read_bytes() != other.file.read_bytes()
    finally:
        for shop in (one, two, other):
            shop.close()
    assert not one.file.exists()


def test_a_credit_note_that_is_edited_gives_more_back(tmp_path):
    shop = PracticeTill(folder=tmp_path, orders=12)
    note = next(order_id for order_id in shop.order_ids() if order_id.startswith("N"))
    before = shop.amounts()[note]
    assert shop.edit_order(note) == 0
    assert shop.amounts()[note] == before * 2
    shop.break_order(note)
    shop.edit_order(note)
    assert shop.amounts()[note] == before
