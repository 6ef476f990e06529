"""Alerts: once per crossing, cleared on recovery, fired again on the next, told through the notifier."""

from __future__ import annotations

import psycopg
import pytest

from oms_hub.channel.notifiers import Notification
from oms_hub.errors import Misconfigured, RetryLater
from oms_hub.store.alert_thresholds import list_thresholds, put_threshold
from oms_hub.store.alerts import list_alerts
from oms_hub.store.connections import set_state
from oms_hub.store.exceptions import OpenException, open_exceptions, resolve_exceptions
from oms_hub.store.health import record_good
from oms_hub.sync.alerts import AlertsReport, alerts_are_due, tell_alerts
from oms_hub.sync.allocate import allocate


@pytest.fixture
def shop(world):
    return world.connect("shop")[0]


@pytest.fixture
def told():
    """Give a notifier that keeps what it is told."""

    class Told(list):
        def __call__(self, notification: Notification) -> None:
            self.append((notification.subject, notification.text))

    return Told()


def alerts(world, state="open"):
    with world.store.read() as tx:
        found = list_alerts(tx, state=state, limit=100)
    return sorted((each.kind, each.reference, each.units) for each in found)


def low_stock_line(world, units, sku=None):
    with world.store.begin() as tx:
        put_threshold(tx, world.merchant_id, sku, units)


def test_low_stock_fires_once_per_crossing_and_again_on_the_next(world, kit, shop):
    world.skus("A")
    low_stock_line(world, 3)
    for minute, units, expected in (
        (-60, 4, (0, 0)), (-50, 3, (1, 0)), (-40, 2, (0, 0)), (-30, 9, (0, 1)), (-20, 1, (1, 0)), (-10, 0, (0, 0)),
    ):  # fmt: skip
        world.count("A", units, kit.at(minute))
        report = allocate(world.hub, "acme")
        assert (report.fired, report.cleared) == expected, units

    assert alerts(world) == [("low_stock", "A", 0)]
    assert alerts(world, "cleared") == [("low_stock", "A", 2)]
    assert [row[0] for row in world.rows("SELECT message FROM hub.alerts WHERE state = 'open'")] == [
        "A is low: 0 available, the line is at 3"
    ]


def test_the_line_of_a_sku_goes_before_the_merchants_and_a_new_line_is_looked_at_again(world, kit):
    world.skus("A", "B")
    for code in "AB":
        world.count(code, 5, kit.at(-60))
    allocate(world.hub, "acme")
    assert alerts(world) == []

    low_stock_line(world, 9)
    low_stock_line(world, 2, "B")
    assert allocate(world.hub, "acme").fired == 1
    assert alerts(world) == [("low_stock", "A", 5)]

    low_stock_line(world, 5, "B")
    low_stock_line(world, 1)
    allocate(world.hub, "acme")
    assert alerts(world) == [("low_stock", "B", 5)]
    with world.store.read() as tx:
        assert list_thresholds(tx, world.merchant_id) == [(None, 1), ("B", 5)]


def test_a_line_for_an_unknown_sku_is_refused(world):
    with pytest.raises(Misconfigured, match=r"^There is no SKU X"):
        low_stock_line(world, 3, "X")


def test_oversell_is_told_with_its_units_and_cleared_once_it_is_over(world, kit, shop):
    world.skus("A")
    world.count("A", 2, kit.at(-60))
    world.order(shop, "o1", kit.Line("A", 3), placed_at=kit.at(-2))
    world.order(shop, "o2", kit.Line("A", 2), placed_at=kit.at(-1))

    assert allocate(world.hub, "acme").fired == 3
    assert alerts(world) == [("backordered", "o1", 1), ("backordered", "o2", 2), ("oversold", "A", 3)]

    world.order(shop, "o2", kit.Line("A", 2, allocated=0), placed_at=kit.at(-1))
    assert allocate(world.hub, "acme").cleared == 1
    assert alerts(world) == [("backordered", "o1", 1), ("oversold", "A", 1)]

    world.count("A", 3, kit.at(-1))
    assert allocate(world.hub, "acme").cleared == 2
    assert alerts(world) == []


def test_an_order_that_waits_for_many_goods_is_one_alert_that_names_a_few(world, kit, shop):
    codes = [f"S{nth}" for nth in range(7)]
    world.skus(*codes)
    for code in codes:
        world.count(code, 0, kit.at(-60))
    world.order(shop, "o1", *(kit.Line(code, line_id=code) for code in codes))

    allocate(world.hub, "acme")

    (row,) = world.rows("SELECT units, message FROM hub.alerts WHERE kind = 'backordered'")
    assert tuple(row) == (7, "Order o1 waits for 1 of S0, 1 of S1, 1 of S2, 1 of S3, 1 of S4 and more")


def test_a_pull_that_is_too_old_fires_and_a_good_one_clears(world, kit, shop, told):
    own = {"connection_id": shop.connection_id, "merchant_id": world.merchant_id}
    assert alerts_are_due(world.hub) is False
    with world.store.begin() as tx:
        record_good(tx, **own, what="pull", at=kit.at(-61))

    assert alerts_are_due(world.hub) is True
    assert tell_alerts(world.hub, told) == AlertsReport(fired=1, cleared=0, told=1)
    assert told == [
        (
            "oms-hub: 1 alert for acme",
            "stale_pull: The last good pull of shop is too old: 2026-11-22 10:59Z",
        )
    ]
    assert alerts_are_due(world.hub) is False
    assert tell_alerts(world.hub, told) == AlertsReport()

    with world.store.begin() as tx:
        record_good(tx, **own, what="pull", at=kit.NOON)
    assert tell_alerts(world.hub, told) == AlertsReport(cleared=1)
    assert len(told) == 1


def test_a_paused_connection_is_never_stale(world, kit, shop, told):
    own = {"connection_id": shop.connection_id, "merchant_id": world.merchant_id}
    with world.store.begin() as tx:
        record_good(tx, **own, what="pull", at=kit.at(-600))
        set_state(tx, shop.connection_id, "paused")
    assert tell_alerts(world.hub, told) == AlertsReport()


def test_rejected_pushes_are_one_alert_per_connection(world, shop, told):
    own = {"merchant_id": world.merchant_id, "connection_id": shop.connection_id}
    refused = [OpenException("push_rejected", key, "no") for key in ("k1", "k2", "k3")]
    with world.store.begin() as tx:
        open_exceptions(tx, **own, found=refused)
    assert tell_alerts(world.hub, told).fired == 1
    assert told[0][1] == "push_rejected: shop refuses the levels of k1 and 2 more"

    with world.store.begin() as tx:
        resolve_exceptions(tx, **own, kind="push_rejected", references=["k1", "k2"], reason="taken")
    assert tell_alerts(world.hub, told) == AlertsReport()
    assert alerts(world) == [("push_rejected", "shop", 1)]
    with world.store.begin() as tx:
        resolve_exceptions(tx, **own, kind="push_rejected", reason="taken")
        open_exceptions(tx, **own, found=refused[:0])
    assert tell_alerts(world.hub, told).cleared == 1
    with world.store.begin() as tx:
        open_exceptions(tx, **own, found=refused[:1])
    assert tell_alerts(world.hub, told) == AlertsReport(fired=1, told=1)
    assert told[1][1] == "push_rejected: shop refuses the levels of k1"


def test_a_drift_keeps_its_connection_on_alert_for_a_day(world, kit, shop, told):
    world.run(
        "INSERT INTO hub.drifts (merchant_id, connection_id, listing_key, kind, handling, fallen, seen_at, recorded_at) "
        "SELECT :m, :c, key, 'manual_edit', 'alerted', 1, :at, :at FROM unnest(ARRAY['k1', 'k2']) AS key",
        m=world.merchant_id,
        c=shop.connection_id,
        at=kit.NOON,
    )
    assert tell_alerts(world.hub, told).fired == 1
    assert told[0][1] == "drift: Levels on shop were not what they should be: k1 and 1 more"

    world.clock.advance(24 * 3600)

    assert tell_alerts(world.hub, told).cleared == 1


def test_many_alerts_are_one_message_per_merchant_and_what_is_told_is_not_told_again(world, kit, shop, told):
    codes = [f"S{nth:02}" for nth in range(25)]
    world.skus(*codes)
    low_stock_line(world, 1)
    for code in codes:
        world.count(code, 0, kit.at(-60))
    allocate(world.hub, "acme")

    assert tell_alerts(world.hub, told).told == 25

    subject, text = told[0]
    lines = text.splitlines()
    assert subject == "oms-hub: 25 alerts for acme"
    assert (len(lines), lines[0], lines[-1]) == (
        21, "low_stock: S00 is low: 0 available, the line is at 1", "and 5 more: oms-hub alerts list",
    )  # fmt: skip
    assert tell_alerts(world.hub, told).told == 0


def test_what_the_notifier_could_not_take_is_told_the_next_time(world, kit, told):
    world.skus("A")
    low_stock_line(world, 1)
    world.count("A", 0, kit.at(-60))
    allocate(world.hub, "acme")

    def unreachable(_notification):
        raise RetryLater("The notification webhook answered 503")

    with pytest.raises(RetryLater):
        tell_alerts(world.hub, unreachable)
    assert alerts_are_due(world.hub) is True
    assert tell_alerts(world.hub, told).told == 1


def test_what_was_cleared_before_it_could_be_told_is_not_told(world, kit, told):
    world.skus("A")
    low_stock_line(world, 1)
    for minute, units in ((-60, 0), (-50, 5)):
        world.count("A", units, kit.at(minute))
        allocate(world.hub, "acme")

    assert tell_alerts(world.hub, told) == AlertsReport()
    assert told == []


# -------------------------------------------------------------------------------------------------- the program


@pytest.fixture
def stocked(acme):
    folder = acme.folder / "count.csv"
    folder.write_text("sku,location,quantity\nA,main,2\nB,main,9\n", encoding="utf-8")
    assert acme("stock", "import", folder, "--merchant", "acme", "--create-skus").exit_code == 0
    return acme


def test_the_program_sets_lines_allocates_and_lists_alerts(stocked):
    own = ("--merchant", "acme")
    assert stocked("alerts", "thresholds", *own).stdout == "Nothing counts as low: oms-hub alerts set\n"
    assert stocked("alerts", "list").stdout == "No open alerts.\n"
    assert stocked("alerts", "list", "--state", "all").stdout == "No alerts.\n"
    first = stocked("alerts", "set", *own, "--low-stock", "5")
    second = stocked("alerts", "set", *own, "--sku", "B", "--low-stock", "0")
    assert (first.stdout, second.stdout) == (
        "Every SKU of acme counts as low from 5 units on.\n", "B of acme counts as low from 0 units on.\n",
    )  # fmt: skip
    assert stocked("alerts", "thresholds", *own, "--json").json == [
        {"merchant": "acme", "sku": None, "low_stock": 5}, {"merchant": "acme", "sku": "B", "low_stock": 0},
    ]  # fmt: skip

    ran = stocked("allocation", "run", *own)

    assert ran.stdout == "2 SKUs looked at: 0 units allocated, 0 backordered, 0 unpaid holds ended.\n"
    (alert,) = stocked("alerts", "list", *own, "--kind", "low_stock", "--json").json
    assert (alert["reference"], alert["units"], alert["told_at"]) == ("A", 2, None)
    assert stocked("alerts", "list", "--kind", "drift", "--json").json == []


BAD_INPUT = [
    (("alerts", "list", "--kind", "nonsense"), 2, "'nonsense' is not one of low_stock, oversold"),
    (("alerts", "list", "--merchant", "nobody"), 1, "There is no merchant 'nobody'"),
    (("alerts", "set", "--merchant", "acme", "--sku", "X", "--low-stock", "1"), 1, "There is no SKU X"),
    (("alerts", "set", "--merchant", "acme", "--low-stock", "-1"), 2, "greater than or equal to 0"),
    (("allocation", "run", "--merchant", "nobody"), 1, "There is no merchant 'nobody'"),
    (("allocation", "rule", "r", "--merchant", "acme"), 1, "The rule r does not say which orders"),
    (("allocation", "forget", "r", "--merchant", "acme"), 1, "There is no rule r"),
    (("allocation", "set", "--merchant", "acme"), 1, "Nothing is said"),
    (("allocation", "unset", "--merchant", "acme"), 1, "Nothing was said for this scope"),
    (("allocation", "tag", "nobody", "1", "vip"), 1, "There is no connection 'nobody'"),
]


def test_bad_input_is_refused_in_one_line_and_nothing_changes(stocked):
    before = stocked.row_counts()
    for words, code, complaint in BAD_INPUT:
        result = stocked(*words)
        assert result.exit_code == code, words
        assert complaint in " ".join(result.stderr.replace("│", " ").split()), words
        assert code == 2 or len(result.stderr.splitlines()) == 1, words
    assert stocked.row_counts() == before


def test_the_program_keeps_rules_and_settings(stocked):
    own = ("--merchant", "acme")
    assert stocked("allocation", "list", *own).stdout == (
        "No rules: the oldest order goes first.\nNo settings: parts are allocated, holds do not end.\n"
    )
    for words in (
        ("rule", "fast", *own, "--shipping", "express", "--expedited"),
        ("rule", "shop first", *own, "--channel", "woocommerce", "--priority", "10"),
        ("set", *own, "--hold-minutes", "60", "--lines", "whole"),
        ("set", *own, "--channel", "woocommerce", "--lines", "part"),
        ("forget", "fast", *own),
        ("unset", *own, "--channel", "woocommerce"),
    ):
        done = stocked("allocation", *words)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
    assert stocked("allocation", "list", *own, "--json").json == {
        "rules": [
            {"name": "shop first", "connection": None, "channel": "woocommerce", "order_kind": None, "shipping": None,
             "tag": None, "priority": 10, "is_expedited": False}
        ],
        "settings": [{"channel": None, "connection": None, "takes_part": False, "hold_minutes": 60}],
    }  # fmt: skip


def test_the_program_tags_orders(stocked):
    till = stocked.folder / "till.csv"
    till.write_text("order_id,sold_at,sku,quantity,unit_price\n1,2026-11-20 10:00:00,A,2,50.00\n", encoding="utf-8")
    added = stocked("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={till}")
    assert added.exit_code == 0, added.output
    assert stocked("sync", "till").exit_code == 0
    said = [stocked("allocation", "tag", "till", "1", "vip", *more).stdout for more in ((), (), ("--remove",))]
    assert said == ["Order 1 bears vip.\n", "Order 1 bears vip already.\n", "Order 1 does not bear vip.\n"]


def test_status_shows_what_is_missing_and_fails_only_for_what_failed(stocked):
    till = stocked.folder / "till.csv"
    till.write_text("order_id,sold_at,sku,quantity,unit_price\n", encoding="utf-8")
    added = stocked("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={till}")
    assert added.exit_code == 0, added.output
    with psycopg.connect(stocked.database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO hub.alerts (merchant_id, kind, reference, units, message, fired_at) "
            "SELECT merchant_id, 'oversold', 'A', 3, 'A is oversold by 3', now() FROM hub.merchants"
        )
        connection.execute(
            "INSERT INTO hub.backorders (connection_id, channel_order_id, line_id, sku_id, merchant_id, units, is_reserved)"
            " SELECT connection_id, 'o1', '1', 1, merchant_id, 2, false FROM hub.connections"
        )
    shown = stocked("status", "--json")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert [(row["connection"], row["backordered"], row["oversold"]) for row in shown.json] == [("till", 2, 3)]

    with psycopg.connect(stocked.database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO hub.exceptions (merchant_id, connection_id, kind, reference, message) "
            "SELECT m.merchant_id, g.connection_id, g.kind, g.reference, g.message FROM hub.merchants m, (VALUES "
            "(NULL::integer, 'sync_failed', 'plan', 'the disk is full'), (1, 'push_rejected', 'k1', 'no such product'), "
            "(1, 'push_rejected', 'k2', 'archived'), (1, 'unmapped_sku', 'X', 'X belongs to no SKU')) "
            "AS g (connection_id, kind, reference, message)"
        )
    failed = stocked("status")
    assert failed.exit_code == 1
    assert failed.stderr.splitlines() == [
        "oms-hub: acme: sync_failed: the disk is full. See: oms-hub exceptions list",
        "oms-hub: till: push_rejected: archived (and 1 more). See: oms-hub exceptions list",
    ]
