"""Amazon through the hub's own steps on a real store: joined records, refunds, FBA, levels, shared rate limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from connectors.amazon import CHANNEL
from connectors.amazon.sandbox import AmazonSandbox, start_sandbox
from oms_hub.channel.secrets import SecretBox
from oms_hub.errors import NeedsReconnect
from oms_hub.store.connections import add_connection, set_push
from oms_hub.store.engine import open_store_at
from oms_hub.store.merchants import add_merchant
from oms_hub.store.vault import put_secrets
from oms_hub.sync.adopt_stock import SkippedSku, adopt_stock
from oms_hub.sync.connect import NewConnection, check_connection
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.hub import Hub
from oms_hub.sync.import_stock import import_stock
from oms_hub.sync.normalise_orders import NormaliseReport, normalise_orders
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_listings import pull_listings
from oms_hub.sync.pull_orders import PullReport, pull_orders
from oms_hub.sync.pull_stock import pull_stock


class Shop:
    """A practice account connected to a hub."""

    def __init__(self, database_url: str, **settings: str) -> None:
        self.sandbox: AmazonSandbox = start_sandbox(orders=18, rate_factor=20_000.0)
        self.store = open_store_at(database_url)
        box = SecretBox([b"k" * 32])
        self.hub = Hub(
            self.store, {"amazon": CHANNEL}, box, clock=self.sandbox.seller.now, sleep=lambda _seconds: None
        )  # fmt: skip
        account = self.sandbox.account
        with self.store.begin() as tx:
            self.merchant = add_merchant(tx, "acme", currency="MXN", time_zone="America/Mexico_City")
            stored = add_connection(
                tx, "amz", merchant=self.merchant, channel="amazon", settings={**account.settings, **settings}
            )
            put_secrets(tx, stored, values=account.secrets, references={}, box=box)
            set_push(tx, stored.connection_id, True)

    def sync(self) -> tuple[PullReport, NormaliseReport]:
        return pull_orders(self.hub, "amz"), normalise_orders(self.hub, "amz")

    def push(self) -> Any:
        self.sync()
        pull_listings(self.hub, "amz")
        pull_stock(self.hub, "amz")
        plan_push(self.hub, "acme")
        return deliver_push(self.hub, "amz")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.store.read() as tx:
            return [tuple(row) for row in tx.execute(text(query))]

    def close(self) -> None:
        self.sandbox.close()
        self.store.close()


@pytest.fixture
def shop(database_url: str) -> Iterator[Shop]:
    connected = Shop(database_url)
    yield connected
    connected.close()


def test_orders_of_files_and_api_tie_and_a_refund_joins_its_order_without_the_order_changing(shop: Shop) -> None:
    _, normalised = shop.sync()
    assert (normalised.quarantined, normalised.mismatches) == (0, 0)
    stored = dict(shop.rows("SELECT channel_order_id, total FROM hub.orders"))
    assert stored == shop.sandbox.totals()
    pulled, normalised = shop.sync()
    assert (pulled.records_new, normalised.written) == (0, 0)
    order_id = next(each.order_id for each in shop.sandbox.seller.orders.values() if each.status == "SHIPPED")
    before = shop.rows(f"SELECT channel_updated_at, total FROM hub.orders WHERE channel_order_id = '{order_id}'")
    known = shop.rows(f"SELECT count(*) FROM hub.refunds WHERE channel_order_id = '{order_id}'")[0][0]
    posted = shop.sandbox.seller.refund(order_id, status="DEFERRED")
    shop.sandbox.advance_clock(3700)
    assert shop.sync()[1].written == 1
    shop.sandbox.seller.release(posted)
    shop.sandbox.advance_clock(3700)
    assert shop.sync()[1].written == 1, "its status changed"
    assert (
        shop.rows(f"SELECT channel_updated_at, total FROM hub.orders WHERE channel_order_id = '{order_id}'") == before
    )
    refunds = shop.rows(f"SELECT paid_amount FROM hub.refunds WHERE channel_order_id = '{order_id}'")
    assert len(refunds) == known + 1, "deferred and released is one refund"
    assert normalise_orders(shop.hub, "amz", is_replay=True).quarantined == 0
    assert dict(shop.rows("SELECT channel_order_id, total FROM hub.orders")) == stored


def test_a_refund_of_an_order_from_before_the_history_is_kept_and_counts_as_no_order(shop: Shop) -> None:
    order_id = shop.sandbox.seller.place_order({"HUB-001": 1}).order_id
    shop.sandbox.seller.ship(order_id)
    shop.sandbox.seller.refund(order_id)
    shop.sandbox.advance_clock(3700)
    order = shop.sandbox.seller.orders.pop(order_id)
    _, normalised = shop.sync()
    assert normalised.quarantined == 0
    query = f"SELECT kind, is_sale, total FROM hub.orders WHERE channel_order_id = '{order_id}'"
    assert shop.rows(query) == [("credit_note", False, Decimal(0))]
    shop.sandbox.seller.orders[order_id] = order
    shop.sandbox.seller.touch(order)
    shop.sandbox.advance_clock(200)
    shop.sync()
    assert shop.rows(query) == [("standard", True, order.total)]
    assert shop.rows(f"SELECT count(*) FROM hub.refunds WHERE channel_order_id = '{order_id}'") == [(1,)]


def test_a_pending_order_holds_stock_and_brings_revenue_once_its_prices_are_there(shop: Shop) -> None:
    order_id = shop.sandbox.seller.place_order({"HUB-001": 3}, status="PENDING").order_id
    shop.sandbox.advance_clock(200)
    shop.sync()
    lines = (
        "SELECT l.allocated_quantity, l.reserved_quantity, l.gross_amount, o.is_sale, o.total FROM hub.order_lines l"
        f" JOIN hub.orders o USING (connection_id, channel_order_id) WHERE channel_order_id = '{order_id}'"
    )
    assert shop.rows(lines) == [(0, 3, Decimal(0), False, Decimal(0))]
    shop.sandbox.edit_order(order_id)
    shop.sync()
    gross = Decimal("327.00") - Decimal("45.10")
    assert shop.rows(lines) == [(3, 0, gross, True, Decimal("327.00"))]


def test_levels_are_pushed_and_read_back_and_amazons_own_stock_is_nobodys_count(shop: Shop, tmp_path: Path) -> None:
    shop.sync()
    pull_listings(shop.hub, "amz")
    pull_stock(shop.hub, "amz")
    report = adopt_stock(shop.hub, "amz")
    fba = SkippedSku("FBA-001", "its level is kept by others (the marketplace's warehouse, a parent listing)")
    assert (report.adopted, fba in report.skipped, len(report.skipped)) == (23, True, 4)
    shop.push()
    before = len(shop.sandbox.server.traffic)
    counts = tmp_path / "counts.csv"
    counts.write_text("sku,location,quantity\nHUB-001,,1000\n", encoding="utf-8")
    import_stock(shop.hub, "acme", counts, create_skus=False)
    assert shop.push().applied == 1
    level = shop.sandbox.level("HUB-001") or 0
    assert level > 900
    shop.sandbox.advance_clock(5)
    sold = shop.sandbox.place_order({"HUB-001": 4, "FBA-001": 1})
    assert sold in shop.sandbox.totals()
    assert shop.push().applied == 0, "Amazon took the sold units off by itself"
    assert shop.sandbox.level("HUB-001") == level - 4
    patches = [each for each in shop.sandbox.server.traffic[before:] if each.operation == "patchListingsItem"]
    assert len(patches) == 1
    assert shop.rows("SELECT count(*) FROM hub.movements JOIN hub.skus USING (sku_id) WHERE sku LIKE 'FBA-%'") == [(0,)]


def test_a_withdrawn_consent_stops_the_connection_once(shop: Shop) -> None:
    shop.sync()
    shop.sandbox.withdraw_consent()
    with pytest.raises(NeedsReconnect, match="invalid_grant"):
        pull_orders(shop.hub, "amz")
    assert shop.hub.connection("amz").state == "needs_reconnect"
    before = len(shop.sandbox.server.traffic)
    with pytest.raises(NeedsReconnect, match="waits for new credentials"):
        pull_orders(shop.hub, "amz")
    assert len(shop.sandbox.server.traffic) == before
    assert shop.rows("SELECT count(*) FROM hub.exceptions WHERE kind = 'needs_reconnect'") == [(1,)]


def test_rate_limits_and_tokens_are_kept_in_the_store(shop: Shop) -> None:
    shop.sync()
    names = {name for (name,) in shop.rows("SELECT name FROM hub.rate_buckets")}
    assert "amazon na A2PRACTICE0SELLER searchOrders" in names
    rate = shop.rows("SELECT per_second FROM hub.rate_buckets WHERE name LIKE '%searchOrders'")
    assert rate == [(112.0,)], "the rate that Amazon told"
    with shop.store.begin() as tx:
        tx.execute(
            text("UPDATE hub.rate_buckets SET tokens = -1000, per_second = 0.0056 WHERE name LIKE '%searchOrders'")
        )
    with pytest.raises(Exception, match="the rate limit of searchOrders is used up"):
        pull_orders(shop.hub, "amz")
    stored = {name for (name,) in shop.rows("SELECT name FROM hub.secrets WHERE ciphertext IS NOT NULL")}
    assert {"access_token", "access_token_expires_at", "refresh_token_used_since"} <= stored


def test_a_new_account_is_tested_before_it_is_stored_with_the_tokens_that_came(shop: Shop) -> None:
    account = shop.sandbox.account
    new = NewConnection("amazon", "second", shop.merchant, account.settings, account.secrets)
    results, kept = check_connection(shop.hub, new)
    assert all(result.is_ok for result in results)
    assert set(kept.secrets) > set(account.secrets)
    assert shop.sandbox.seller.now() - shop.hub.clock() < timedelta(seconds=2)
