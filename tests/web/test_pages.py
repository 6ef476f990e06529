"""What pages show: everything, as text, in both languages; tables that sort, filter, page and export."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from oms_hub.errors import Misconfigured
from oms_hub.store.web_table_rows import ORDERS, TABLES
from oms_hub.store.web_tables import TableQuery, read_page
from oms_hub.web.charts import cover_bars, stacked_bars
from oms_hub.web.language import LANGUAGES, Words, spanish
from oms_hub.web.pages import TEMPLATES
from tests.web.conftest import SCRIPT, words_of

EVERY_PAGE = ["/", "/orders", "/stock", "/listings", "/exceptions", "/alerts", "/connect", "/connect/shopify",
              "/connect/woocommerce", "/connect/pos_feed", "/connections/shop", "/connections/shop/setup",
              "/connections/shop/reconnect", "/orders/view?connection=shop&order=%3Cscript%3E",
              f"/stock/view?sku={SCRIPT}", "/listings/link?connection=shop&listing=%3Cscript%3E", "/exceptions/{number}",
              "/people", "/audit", "/account"]  # fmt: skip


@pytest.fixture
def full(console: Any) -> Any:
    """Give a console with one of everything, named like a script wherever a name is free."""
    console.add_sku(SCRIPT)
    shop = console.connect("shop")
    console.add_order(shop, "<script>", label=SCRIPT)
    for kind in ("unmapped_sku", "needs_reconnect", "total_mismatch"):
        console.add_exception(shop, kind, SCRIPT)
    console.number = console.add_exception(shop, "bad_payload", SCRIPT)
    run, values = console.run, {"c": shop.connection_id, "m": shop.merchant_id, "t": SCRIPT}
    run("UPDATE hub.skus SET title = :t", t=SCRIPT)
    run(
        "UPDATE hub.connections SET state_reason = :t, settings = jsonb_build_object('url', CAST(:t AS text))", t=SCRIPT
    )
    run("INSERT INTO hub.listings (connection_id, listing_key, merchant_id, channel_sku, title, sku_id, link_state)"
        " SELECT :c, '<script>', :m, :t, :t, sku_id, 'automatic' FROM hub.skus", **values)  # fmt: skip
    run(
        "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, title) VALUES (:c, 'loose', :m, :t)",
        **values,
    )
    run("INSERT INTO hub.listing_levels (connection_id, listing_key, merchant_id, desired, observed, observed_at,"
        " last_error, pool_units, held_units, in_flight, plan_reason)"
        " VALUES (:c, '<script>', :m, 4, 3, now(), :t, 5, 1, 1, 'hold_back')", **values)  # fmt: skip
    run("INSERT INTO hub.balances (sku_id, location_id, merchant_id, on_hand, counted_at)"
        " SELECT sku_id, location_id, :m, 9, now() FROM hub.skus, hub.locations l WHERE l.merchant_id = :m", m=values["m"])  # fmt: skip
    run("INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after,"
        " occurred_at, source, natural_key, cause) SELECT :m, sku_id, location_id, 'count', 9, 0, 9, now(), :t, 'k', :t"
        " FROM hub.skus, hub.locations l WHERE l.merchant_id = :m", m=values["m"], t=SCRIPT)  # fmt: skip
    run("INSERT INTO hub.outbox (merchant_id, connection_id, listing_key, from_level, to_level, cause)"
        " VALUES (:m, :c, '<script>', 3, 4, :t)", **values)  # fmt: skip
    run("INSERT INTO hub.alerts (merchant_id, kind, reference, units, message, fired_at)"
        " VALUES (:m, 'low_stock', :t, 2, :t, now())", m=values["m"], t=SCRIPT)  # fmt: skip
    run("INSERT INTO hub.location_links (connection_id, channel_location_id, merchant_id, name) VALUES (:c, :t, :m, :t)", **values)  # fmt: skip
    for step in ("pull_listings", "normalise_orders"):
        run("INSERT INTO hub.sync_runs (merchant_id, connection_id, step, state, error, counts)"
            " VALUES (:m, :c, :s, 'succeeded', :t, '{\"seen\": 2}')", s=step, **values)  # fmt: skip
    run("UPDATE hub.order_lines SET allocated_quantity = 1")
    parts = {
        "payments": "payment_id, kind, amount, currency, processed_at, gateway, is_successful",
        "shipments": "shipment_id, status, shipped_at, carrier", "refunds": "refund_id, refunded_at, paid_amount,"
        " shipping_amount, shipping_tax_amount, other_amount, reason", "returns": "return_id, status, opened_at",
        "order_charges": "charge_id, kind, title, amount, tax_amount", "order_status_history": "field, value,"
        " channel_value, channel_updated_at",
    }  # fmt: skip
    filled = {
        "payments": "'1', 'sale', 5, 'MXN', now(), :t, false", "shipments": "'1', :t, now(), :t",
        "refunds": "'1', now(), 5, 0, 0, 0, :t", "returns": "'1', :t, now()",
        "order_charges": "'1', 'shipping', :t, 5, 0", "order_status_history": "'state', 'open', :t, now()",
    }  # fmt: skip
    for table, columns in parts.items():
        run(f"INSERT INTO hub.{table} (connection_id, channel_order_id, merchant_id, {columns})"
            f" VALUES (:c, '<script>', :m, {filled[table]})", **values)  # fmt: skip
    return console


def test_no_text_becomes_markup_on_any_page(full: Any) -> None:
    visit = full.signed_in()
    for path in EVERY_PAGE:
        page = visit.see(path.format(number=full.number))
        assert "<script>" not in page.replace('<script src="/static/app.js" defer></script>', ""), path
        policy = visit.get(path.format(number=full.number)).headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert " style=" not in page, path
        assert "onclick" not in page, path


def test_pages_say_it_in_spanish(full: Any) -> None:
    visit = full.signed_in()
    visit.headers["accept-language"] = "es-MX,es;q=0.9,en;q=0.8"
    for path, word in (("/", "Conexiones"), ("/orders", "Entrega"), ("/stock", "En mano"), ("/people", "Papel")):
        page = visit.see(path)
        assert '<html lang="es">' in page
        assert word in page
    visit.submit("/language", language="en", next="/orders")
    assert '<html lang="en">' in visit.see("/orders")
    visit.submit("/language", language="xx", next="/orders")
    assert '<html lang="en">' in visit.see("/orders")


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "en"), ("fr,de", "en"), ("es", "es"), ("en;q=0.5, es;q=0.9", "es"), ("es;q=x, en", "en"), ("ES-mx", "es")],
)
def test_the_browser_chooses_the_language(console: Any, header: str, language: str) -> None:
    visit = console.open()
    visit.headers["accept-language"] = header
    assert f'<html lang="{language}">' in visit.see("/sign-in")


def _texts() -> set[str]:
    found: set[str] = set()
    for path in TEMPLATES.glob("*.html"):
        found.update(re.findall(r'\b_\(\s*"([^"]+)"', path.read_text(encoding="utf-8")))
    found.update(name for _, name in re.findall(r'\("(/[^"]*)", "([^"]+)"\)', (TEMPLATES / "menu.html").read_text()))
    for path in Path(TEMPLATES).parent.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        found.update(re.findall(r'(?:words|self)\(\s*"([^"]+)"', source))
        found.update(re.findall(r'said="([^"]+)"', source))
    for table in TABLES.values():
        found.update(column.title for column in table.columns if column.title)
        found.update(choice for _, choices in table.filters.values() for choice in choices)
    return found - {""}


def test_every_text_is_there_in_spanish_with_the_same_values() -> None:
    missing = sorted(_texts() - set(spanish()))
    assert missing == []
    for english, text in spanish().items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", text)), english


def test_orders_are_sorted_filtered_searched_and_paged_without_gaps(console: Any) -> None:
    shop, till = console.connect("shop"), console.connect("till")
    for number in range(120):
        day = f"timestamptz '2026-11-01 00:00Z' + interval '{number % 7} hours'"
        console.add_order(shop if number % 3 else till, f"{number:03d}", label=f"#{number}", placed=day)
    visit = console.signed_in()
    seen: list[str] = []
    path = "/orders"
    for _ in range(4):
        page = visit.see(path)
        seen += re.findall(r"order=(\d{3})", page)
        following = re.search(r'href="([^"]+)"[^>]* rel="next"', page)
        if not following:
            break
        path = following[1].replace("&amp;", "&")
    assert len(seen) == 120
    assert len(set(seen)) == 120
    assert "First page" in page
    assert len(re.findall(r"order=\d{3}", visit.see("/orders?connection=till"))) == 40
    assert re.findall(r"order=(\d{3})", visit.see("/orders?q=%23119")) == ["119"]
    assert "No order is here" in visit.see("/orders?q=100%25")
    ascending = re.findall(r"order=(\d{3})", visit.see("/orders?sort=label&order=asc"))
    assert ascending[:3] == ["000", "001", "010"]
    assert 'aria-sort="ascending"' in visit.see("/orders?sort=label&order=asc")
    for wrong in (
        "/orders?sort=nonsense",
        "/orders?after=xx",
        "/orders?sort=label&after=bm9wZQ",
        "/export/orders.csv?sort=x",
    ):
        assert visit.get(wrong).status_code == 400, wrong


def test_a_mark_of_another_sorting_is_refused(console: Any) -> None:
    shop = console.connect("shop")
    for number in range(3):
        console.add_order(shop, str(number))
    with console.store.read() as tx:
        mark = read_page(tx, ORDERS, console.acme.merchant_id, TableQuery(limit=1)).next_mark
        for query in (
            TableQuery(sort="label", after=mark),
            TableQuery(filters={"nonsense": "x"}),
            TableQuery(after="é"),
        ):
            with pytest.raises(Misconfigured):
                read_page(tx, ORDERS, console.acme.merchant_id, query)


def test_a_table_is_exported_whole_and_opens_no_formula(console: Any) -> None:
    console.add_sku("=HYPERLINK(1)")
    shop = console.connect("shop")
    for number in range(60):
        console.add_order(shop, str(number), label=f"=cmd{number}")
    visit = console.signed_in()
    answer = visit.get("/export/orders.csv?sort=label&order=asc")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    assert len(rows) == 60
    assert rows[0]["label"] == "'=cmd0"
    assert rows[0]["total"] == "116.5"
    assert rows[0]["placed_at"].endswith("+00:00")
    assert visit.get("/export/stock.csv").text.splitlines()[1].startswith("'=HYPERLINK(1),,,0,0,,0,not_counted")
    assert visit.get("/export/nonsense.csv").status_code == 404


def test_an_exception_is_mapped_dismissed_or_tried_again(console: Any) -> None:
    shop = console.connect("shop")
    console.add_order(shop, "1")
    unmapped = console.add_exception(shop, "unmapped_sku", SCRIPT)
    plain = console.add_exception(shop, "on_hold", "1")
    visit = console.signed_in("operator")
    visit.see(f"/exceptions/{plain}")
    visit.submit(f"/exceptions/{plain}/map", status=409)
    visit.submit(f"/exceptions/{plain}/retry", status=409)
    visit.submit(f"/exceptions/{plain}/dismiss", reason=" ", status=409)
    visit.submit(f"/exceptions/{plain}/dismiss", reason="seen <it>")
    visit.submit(f"/exceptions/{plain}/dismiss", reason="again", status=409)
    visit.submit(f"/exceptions/{unmapped}/map")
    assert console.rows("SELECT kind, state, closed_reason FROM hub.exceptions ORDER BY exception_id") == [
        ("unmapped_sku", "resolved", "mapped"), ("on_hold", "dismissed", "seen <it>"),
    ]  # fmt: skip
    assert console.rows("SELECT sku FROM hub.skus") == [(SCRIPT,)]
    assert console.rows("SELECT count(*) FROM hub.order_lines WHERE sku_id IS NOT NULL") == [(1,)]
    assert visit.get(f"/exceptions/{2**63}").status_code == 404
    gone = console.add_exception(shop, "bad_payload", "9")
    visit.submit(f"/exceptions/{gone}/retry", status=409)
    assert console.rows("SELECT action FROM hub.audit_log WHERE action LIKE 'exception.%' ORDER BY audit_id") == [
        ("exception.retry",), ("exception.dismiss",), ("exception.retry",)
    ]  # fmt: skip


def test_the_first_page_shows_sales_cover_and_health(console: Any) -> None:
    console.add_sku("MUG")
    shop = console.connect("shop")
    console.add_order(shop, "1", placed="timestamptz '2026-11-20 12:00Z'")
    console.run("UPDATE hub.order_lines SET sku_id = (SELECT sku_id FROM hub.skus)")
    console.run(
        "INSERT INTO hub.balances (sku_id, location_id, merchant_id, on_hand, counted_at) SELECT s.sku_id, l.location_id,"
        " s.merchant_id, 4, now() FROM hub.skus s JOIN hub.locations l USING (merchant_id)"
    )
    console.run(
        "INSERT INTO reports.sales_daily (merchant, connection, business_date, currency, channel, orders, units,"
        " gross_sales, discounts, returns, net_sales, shipping, tax, fees, total_sales, refunds_paid, cancelled_orders, restated_because)"
        " VALUES ('acme', 'shop', '2026-11-20', 'MXN', 'woocommerce', 1, 2, 100, 0, 0, 100, 0, 0, 0, 100, 0, 0, ''),"
        " ('other', 'x', '2026-11-20', 'EUR', 'secret-channel', 1, 2, 9, 0, 0, 9, 0, 0, 0, 9, 0, 0, '')"
    )
    for minutes in (10, 5):
        console.run(
            "INSERT INTO hub.sync_runs (merchant_id, connection_id, step, state, started_at) VALUES (:m, :c,"
            f" 'pull_orders', 'failed', timestamptz '2026-11-22 12:00Z' - interval '{minutes} minutes')",
            m=shop.merchant_id, c=shop.connection_id,
        )  # fmt: skip
    console.run("UPDATE hub.connection_health SET consecutive_failures = 2, last_failure = 'no answer'")
    page = console.signed_in().see("/")
    text = words_of(page)
    assert "Net sales by day and channel, 28 days: 100.00 MXN" in page
    assert "100.00 MXN · 1 orders" in text
    assert "secret-channel" not in page
    assert "56 days · 4" in text
    assert "due" in text
    assert "no answer" in text
    console.run("UPDATE hub.connections SET state = 'needs_reconnect', state_reason = 'token refused'")
    again = console.signed_in().see("/")
    assert "token refused" in again
    assert "/connections/shop/reconnect" in again
    assert "The channel refuses the credentials: token refused" in console.signed_in().see("/connections/shop")


def test_charts_survive_odd_figures() -> None:
    days = [date(2026, 11, 1) + timedelta(days=each) for each in range(3)]
    flat = stacked_bars(days, {}, title="<none>")
    assert "&lt;none&gt;" in flat.svg
    assert "<rect" not in flat.svg
    chart = stacked_bars(days, {"a<b": {days[0]: Decimal(2_500_000), days[1]: Decimal(-5)}}, title="t")
    assert chart.svg.count("<rect") == 1
    assert "a&lt;b" in chart.svg
    assert "M</text>" in chart.svg
    assert [name for name, _ in chart.legend] == ["a<b"]
    odd = cover_bars([("x" * 40, 0, Decimal(0)), ("b", 1, Decimal(10)), ("c", 9, Decimal(90))], title="t", unit="days")
    assert odd.svg.count("<rect") == 3
    assert "x…" in odd.svg
    assert 'class="c4"' in odd.svg


def test_words_show_numbers_and_times(frozen_clock: Any) -> None:
    words = Words("en", "America/Mexico_City", frozen_clock())
    assert words.number(None) == "–"
    assert words.number(12_345) == "12,345"
    assert words.money(Decimal("1234.5"), "MXN") == "1,234.50 MXN"
    assert words.money(None, "MXN") == "–"
    assert words.time(frozen_clock()) == "2026-11-22 06:00"
    assert words.time(None) == "–"
    assert words.day(date(2026, 1, 2)) == "2026-01-02"
    assert words.day(None) == "–"
    gaps = {-90061: "in 1 d", 3700: "1 h ago", 120: "2 min ago", 0: "just now"}
    assert {each: words.ago(frozen_clock() - timedelta(seconds=each)) for each in gaps} == gaps
    assert words.ago(None) == "never"
    assert words("needs_reconnect") == "needs reconnect"
    assert set(LANGUAGES) == {"en", "es"}
    assert json.dumps(spanish()["never"]) == '"nunca"'
