"""The contract suite of the hub, on a practice till; and what only files do, through the real store."""

from decimal import Decimal

import pytest

from connectors.pos_feed import CHANNEL
from connectors.pos_feed.sandbox import start_sandbox
from oms_hub.errors import BadPayload
from oms_hub.testing.bench import Bench, on_the_bench
from oms_hub.testing.contract_suite import Harness, OrderContract
from oms_hub.testing.order_contract import assert_tied

HARNESS = Harness(channel=CHANNEL, start=start_sandbox, orders=950, address_setting="", finds_deletes=False)


class TestPosFeedKeepsTheContract(OrderContract):
    harness = HARNESS


@pytest.fixture
def bench(database_url):
    with on_the_bench(HARNESS, database_url) as bench:
        yield bench


def test_receipts_that_are_deleted_from_the_file_vanish_with_the_second_sync(bench: Bench):
    bench.sync()
    gone = bench.shop.order_ids()[-3:-1]
    for order_id in gone:
        bench.shop.delete_order(order_id)
    bench.sync()
    assert set(gone) <= bench.totals().keys()
    bench.sync()
    assert_tied(bench)
    assert {f"till-1.csv:{order_id}" for order_id in gone} <= set(bench.open_exceptions("source_changed"))


def test_a_changed_row_changes_its_order_and_is_told(bench: Bench):
    bench.sync()
    order_id = bench.shop.order_ids()[600]
    total = bench.shop.edit_order(order_id)
    bench.sync()
    assert bench.totals()[order_id] == total
    references = bench.open_exceptions("source_changed")
    assert order_id in references
    assert len(references) == 2


def test_a_bad_file_beside_a_good_one_fails_the_pull_and_the_good_one_lands(bench: Bench, tmp_path):
    folder = bench.shop.file.parent
    (folder / "till-0.csv").write_text("ticket;fecha\n1;2\n")
    with bench.hub.store.begin() as tx:
        tx.exec_driver_sql(
            "UPDATE hub.connections SET settings = jsonb_set(settings, '{path}', to_jsonb(%s::text))", (str(folder),)
        )
    with pytest.raises(BadPayload, match=r"^till-0.csv lacks the column articulo \(sku\), piezas"):
        bench.sync()
    (folder / "till-0.csv").unlink()
    bench.sync()
    assert_tied(bench)
    assert sum(bench.totals().values()) > Decimal(0)
