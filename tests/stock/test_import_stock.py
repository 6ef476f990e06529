"""Counts from a file: all of it, or nothing and one clear line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from oms_hub.errors import Misconfigured
from oms_hub.store.goods import add_location
from oms_hub.sync.import_stock import ImportReport, import_stock


@pytest.fixture
def importing(world, tmp_path):
    def run(content, *, create_skus=False, name="stock.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return import_stock(world.hub, "acme", path, create_skus=create_skus)

    return run


def assert_nothing_happened(world):
    for table in ("movements", "balances", "stock_dirty"):
        assert world.rows(f"SELECT count(*) FROM hub.{table}")[0][0] == 0


def test_counts_are_booked_at_their_places_with_their_costs(world, importing):
    world.skus("A", "B")
    with world.store.begin() as tx:
        store = add_location(tx, world.merchant_id, "store").location_id

    report = importing(
        "\ufeffsku,location,quantity,unit_cost,counted_at\r\n"
        "A,,5,12.50,\r\n"
        "A,store,7,,2026-11-22T10:00:00Z\r\n"
        "\r\n"
        '"B", main ,0,,2026-11-22 05:30\r\n'
    )

    assert report == ImportReport(rows=3, counted=3, changed=3, unchanged=0, outdated=0, created_skus=0)
    assert (world.on_hand("A"), world.on_hand("A", store), world.on_hand("B")) == (5, 7, 0)
    assert world.rows("SELECT sku, unit_cost FROM hub.skus ORDER BY sku") == [("A", Decimal("12.50")), ("B", None)]
    assert world.dirty() == {"A", "B"}
    counted = world.rows("SELECT counted_at FROM hub.balances ORDER BY counted_at")
    assert [row[0] for row in counted] == [
        datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
        datetime(2026, 11, 22, 11, 30, tzinfo=UTC),
        world.clock(),
    ]


def test_the_same_file_again_adds_nothing_where_it_names_its_instants(world, importing):
    world.skus("A", "B")
    content = "sku,location,quantity,counted_at\nA,,5,2026-11-22\nB,,6,2026-11-22\n"
    importing(content)

    assert importing(content) == ImportReport(2, 0, 0, 2, 0, 0)
    assert importing(content.replace("2026-11-22", "2026-11-21")) == ImportReport(2, 0, 0, 0, 2, 0)
    assert len(world.ledger("A")) == 1


def test_a_count_that_finds_what_stands_confirms_it(world, importing):
    world.skus("A")
    importing("sku,location,quantity\nA,,5\n")
    world.clock.advance(60)

    report = importing("sku,location,quantity\nA,,5\n")

    assert (report.counted, report.changed) == (1, 0)
    assert world.ledger("A") == [("count", 5, 0, 5), ("count", 0, 5, 5)]


def test_new_skus_are_added_only_when_asked_and_orders_that_waited_are_mapped(world, importing, kit):
    shop, _ = world.connect("shop")
    world.order(shop, "o1", kit.Line("NEW", 3, shipped=[(2, kit.at(-10))]))
    content = "sku,location,quantity,counted_at\nNEW,,9,2026-11-22T11:00:00+00:00\n"
    with pytest.raises(Misconfigured, match="unknown SKU 'NEW'") as refused:
        importing(content)
    assert "--create-skus" in refused.value.one_line()
    assert_nothing_happened(world)

    report = importing(content, create_skus=True)

    assert report.created_skus == 1
    assert world.on_hand("NEW") == 7
    assert world.exceptions() == []
    assert importing(content, create_skus=True).created_skus == 0


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("A,,-3", "line 2: quantity -3 is negative"),
        ("A,,ten", "line 2: quantity 'ten' is not a number"),
        ("A,,2.5", "line 2: quantity 2.5 is not whole"),
        ("A,,", "line 2: no quantity"),
        ("A,,99999999999", "line 2: quantity 99999999999 is too large"),
        ("A,,3000000000", "line 2: quantity 3000000000 is too large"),
        (",,3", "line 2: no SKU"),
        ("A\x07,,3", "line 2: a code with characters that cannot be printed"),
        ("A,,3,4", "line 2: 4 fields instead of 3"),
        ("A,moon,3", "line 2: unknown location 'moon'"),
        ("a,,3", "line 2: unknown SKU 'a'"),
        ("A,,3\nA,main,4", "line 3: SKU 'A' stands in line 2 already for the same location"),
    ],
)
def test_a_wrong_row_refuses_the_whole_file(world, importing, row, fault):
    world.skus("A", "B")

    with pytest.raises(Misconfigured) as refused:
        importing(f"sku,location,quantity\n{row}\nB,,1\n")

    assert refused.value.message == f"stock.csv: 1 row is wrong: {fault}"
    assert refused.value.remedy.startswith("Nothing was applied")
    assert_nothing_happened(world)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("cheap,", "unit_cost 'cheap' is not a number"),
        ("-1,", "unit_cost -1 is not an amount of 0 or more"),
        ("NaN,", "unit_cost NaN is not an amount of 0 or more"),
        (",yesterday", "counted_at 'yesterday' is not an ISO date or time"),
        (",2026-11-22T12:00:01Z", "counted_at 2026-11-22T12:00:01Z is in the future"),
        (",2026-11-22T06:00:01", "counted_at 2026-11-22T06:00:01 is in the future"),
    ],
)
def test_a_wrong_cost_or_instant_refuses_the_whole_file(world, importing, fields, fault):
    world.skus("A")

    with pytest.raises(Misconfigured) as refused:
        importing(f"sku,location,quantity,unit_cost,counted_at\nA,,3,{fields}\n")

    assert refused.value.message == f"stock.csv: 1 row is wrong: line 2: {fault}"
    assert_nothing_happened(world)


def test_twenty_faults_are_told_in_the_order_of_the_file_and_the_rest_is_counted(world, importing):
    world.skus("A")
    rows = "".join("X,,1\n" if nth % 2 else "A,,-1\n" for nth in range(60))

    with pytest.raises(Misconfigured) as refused:
        importing(f"sku,location,quantity\n{rows}")

    message = refused.value.message
    assert message.startswith(
        "stock.csv: 60 rows are wrong: line 2: quantity -1 is negative; line 3: unknown SKU 'X'; "
    )
    assert message.count("; line ") == 19
    assert message.endswith("line 21: unknown SKU 'X'; and 40 more")
    assert "\n" not in refused.value.one_line()


def test_an_unknown_location_says_how_to_add_it(world, importing):
    world.skus("A")

    with pytest.raises(Misconfigured) as refused:
        importing("sku,location,quantity\nA,moon,1\n")

    assert "known locations are main; add one with: oms-hub locations add CODE --merchant acme" in refused.value.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "stock.csv is empty"),
        (b" \r\n\r\n", "stock.csv is empty"),
        (b"\xef\xbb\xbf", "stock.csv is empty"),
        (b"sku,location,quantity\n", "stock.csv has a header and no counts"),
        (b"sku,location,quantity\n\n  \n", "stock.csv has a header and no counts"),
        (b"PK\x03\x04\x00\x00rest", "stock.csv is a binary file"),
        ("sku,location,quantity\nA,,1\n".encode("utf-16"), "stock.csv is not UTF-8 but UTF-16"),
        (b"sku,location,quantity\nA,,1\nCaf\xe9,,1\n", "stock.csv is not UTF-8 (after line 1)"),
        (b"sku;location;quantity\nA;;1\n", "The header of stock.csv lacks sku, location, quantity"),
        (b"sku,quantity\nA,1\n", "The header of stock.csv lacks location"),
        (b"sku,location,quantity,colour\nA,,1,red\n", "The header of stock.csv has the column colour"),
        (b"sku,location,quantity,sku\nA,,1,A\n", "The header of stock.csv has the column names twice"),
        (b'sku,location,quantity\n"A,,1\n', "stock.csv is no readable CSV after line 1: unexpected end of data"),
    ],
)
def test_a_file_that_is_none_is_refused(world, importing, content, message):
    world.skus("A")

    with pytest.raises(Misconfigured) as refused:
        importing(content)

    assert refused.value.message == message
    assert refused.value.remedy
    assert_nothing_happened(world)


def test_a_missing_file_and_an_unknown_merchant_say_so(world, tmp_path):
    with pytest.raises(Misconfigured, match=r"none\.csv cannot be read: No such file"):
        import_stock(world.hub, "acme", tmp_path / "none.csv")
    with pytest.raises(Misconfigured, match="no merchant 'nobody'"):
        import_stock(world.hub, "nobody", tmp_path / "none.csv")


def test_a_semicolon_file_is_told_to_use_commas(importing):
    with pytest.raises(Misconfigured, match="lacks sku") as refused:
        importing("sku;location;quantity\nA;;1\n")

    assert refused.value.remedy.endswith("separated by commas")
