"""Explanations: why a number is what it is, and the life of an order, down to the raw payload."""

from __future__ import annotations

import pytest

from oms_hub.commands.explain_words import order_lines, stock_lines
from oms_hub.errors import Misconfigured
from oms_hub.store.adjustments import Correction
from oms_hub.store.allocation_rules import QueueSetting, put_setting, tag_order
from oms_hub.store.goods import add_location
from oms_hub.store.raw_payloads import RecordRow, land_page
from oms_hub.store.transfers import TransferStart
from oms_hub.sync.allocate import allocate
from oms_hub.sync.explain import explain_order, explain_stock
from oms_hub.sync.move_stock import set_units_aside, start_transfer


@pytest.fixture
def shop(world):
    return world.connect("shop")[0]


def stock(world, sku="A", limit=20):
    return explain_stock(world.hub, "acme", sku, limit=limit)


def said(facts):
    return "\n".join(stock_lines(facts))


def test_available_is_on_hand_less_what_is_promised_and_set_aside_place_by_place(world, kit, shop):
    world.skus("A")
    with world.store.begin() as tx:
        place = add_location(tx, world.merchant_id, "store").location_id
    world.count("A", 10, kit.at(-60))
    world.count("A", 0, kit.at(-60), location_id=place)
    world.order(shop, "o1", kit.Line("A", 5, shipped=[(2, kit.at(-30))]), placed_at=kit.at(-40))
    world.order(shop, "o2", kit.Line("A", 2, reserved=2), placed_at=kit.at(-5))
    set_units_aside(world.hub, "acme", Correction("A", None, 1, "damaged", "D1"))
    start_transfer(world.hub, "acme", TransferStart("T1", ("main", "store"), {"A": 3}))
    allocate(world.hub, "acme")

    facts = stock(world)

    assert facts["level"] == {
        "on_hand": 5, "allocated": 3, "reserved": 2, "unavailable": 1, "incoming": 3, "available": -1,
    }  # fmt: skip
    assert [(row["location"], row["kind"], row["movements"], row["units"]) for row in facts["movements"]["totals"]] == [
        ("main", "count", 1, 10), ("main", "sale", 1, -2), ("main", "transfer_out", 1, -3), ("store", "count", 1, 0),
    ]  # fmt: skip
    assert [(row["kind"], row["order_id"], row["raw"]) for row in facts["movements"]["newest"]] == [
        ("transfer_out", None, None), ("sale", "o1", "1/0"), ("count", None, None), ("count", None, None),
    ]  # fmt: skip
    assert facts["orders"]["totals"] == {"lines": 2, "allocated": 3, "reserved": 2, "there": 4, "backordered": 1}
    assert [(row["order_id"], row["there"], row["backordered"]) for row in facts["orders"]["oldest"]] == [
        ("o1", 3, 0), ("o2", 1, 1),
    ]  # fmt: skip
    assert [row["cause"] for row in facts["set_aside"]] == ["damaged"]
    text = said(facts)
    assert "available -1 = on hand 5 - allocated 3 - reserved 2 - unavailable 1; incoming 3" in text
    assert "  main: sale -2 in 1 movements" in text
    assert "sale -2, 10 -> 8: sale of 2 in order o1 on shop (order:1:o1; raw payload 1/0)" in text
    assert "2 open order lines: 3 allocated, 2 reserved; 4 of them are there, 1 are backordered" in text
    assert "shop order o2 line 1: 2 reserved (not paid), 1 backordered (raw payload 1/0)" in text
    assert "  in transit: 3 from main to store since 2026-11-22 12:00:00Z (transfer T1)" in text
    assert "Alert oversold since 2026-11-22 12:00:00Z: A is oversold by 1" in text


def test_promises_of_an_uncounted_place_stand_where_the_goods_are(world, kit, shop):
    world.skus("A")
    with world.store.begin() as tx:
        place = add_location(tx, world.merchant_id, "store").location_id
    world.count("A", 4, kit.at(-60), location_id=place)
    world.order(shop, "o1", kit.Line("A", 1))

    assert [
        (row["location"], row["on_hand"], row["allocated"], row["available"]) for row in stock(world)["places"]
    ] == [("store", 4, 1, 3)]


def test_a_sku_that_was_never_counted_says_what_to_do(world, kit, shop):
    world.listing(shop, "k", "A")
    text = said(stock(world))
    assert "It was never counted, so it has no level and nothing is pushed" in text
    assert "  wanted: no level without a count" in text
    world.skus("B")
    assert "No connection lists it: nothing is pushed." in said(stock(world, "B"))


def test_a_place_that_only_expects_goods_is_shown_as_never_counted(world, kit, shop):
    world.skus("A")
    with world.store.begin() as tx:
        place = add_location(tx, world.merchant_id, "store").location_id
    world.count("A", 4, kit.at(-60))
    world.run(
        "INSERT INTO hub.balances (sku_id, location_id, merchant_id, incoming) VALUES (:s, :p, :m, 2)",
        s=world.sku_id("A"), p=place, m=world.merchant_id,
    )  # fmt: skip
    assert "  store: never counted; incoming 2" in said(stock(world))


def test_a_listing_tells_its_pool_policy_flight_and_last_push(world, kit, shop):
    world.listing(shop, "k", "A", pack_size=2)
    world.count("A", 9, kit.at(-60))
    world.run(
        "INSERT INTO hub.listing_levels (connection_id, listing_key, merchant_id, desired, known_level, known_at, "
        "pool_units, held_units, in_flight, plan_reason) VALUES (:c, 'k', :m, 3, 4, :at, 9, 1, 2, 'hold_back')",
        c=shop.connection_id, m=world.merchant_id, at=kit.NOON,
    )  # fmt: skip
    world.run(
        "INSERT INTO hub.outbox (merchant_id, connection_id, listing_key, from_level, to_level, cause, state, sent_at, "
        "last_error, closed_at) VALUES (:m, :c, 'k', NULL, 4, 'first level', 'delivered', :at, '', :at), "
        "(:m, :c, 'k', 4, 3, 'less to offer', 'dead', :at, 'the product is archived', :at)",
        m=world.merchant_id, c=shop.connection_id, at=kit.NOON,
    )  # fmt: skip
    world.run(
        "INSERT INTO hub.policies (merchant_id, scope, connection_id, share, cap) VALUES (:m, 'connection', :c, 0.5, 7)",
        m=world.merchant_id, c=shop.connection_id,
    )  # fmt: skip
    world.run("INSERT INTO hub.policies (merchant_id, scope, threshold, has_places) VALUES (:m, 'merchant', 1, true)",
              m=world.merchant_id)  # fmt: skip
    world.run("INSERT INTO hub.policy_places (policy_id, location_id, merchant_id) SELECT max(policy_id), :p, :m "
              "FROM hub.policies", p=world.main, m=world.merchant_id)  # fmt: skip

    facts = stock(world)

    (listing,) = facts["listings"]
    assert listing["policy"] == {
        "cap": {"value": 7, "from": "connection shop"},
        "places": {"value": ["main"], "from": "merchant acme"},
        "share": {"value": 0.5, "from": "connection shop"},
        "threshold": {"value": 1, "from": "merchant acme"},
    }
    assert (listing["last_push"]["to_level"], listing["last_push"]["state"]) == (3, "dead")
    text = said(facts)
    assert "shop (shop) listing k shows 4 (read or confirmed 2026-11-22 12:00:00Z)" in text
    assert (
        "  wanted: 3 of a pool of 9, packs of 2: units are kept back for what the other channels may sell before the "
        "next look" in text
    )
    assert "  in flight: 2 sold there whose orders are not here; kept back: 1" in text
    assert "  policy: share 0.5 (said for connection shop)" in text
    assert (
        "  last push: 4 -> 3 (less to offer), sent 2026-11-22 12:00:00Z; the channel refuses it for good: "
        "the product is archived" in text
    )
    assert "  last good pull: never" in text


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE hub.connections SET state = 'needs_reconnect'", "the connection is needs reconnect"),
        ("UPDATE hub.listings SET is_active = false", "the listing is gone from the channel"),
        ("UPDATE hub.listings SET is_tracked = false", "the channel keeps no quantity for it"),
        ("UPDATE hub.listings SET is_writable = false", "its level may not be written (others fulfil it)"),
        ("UPDATE hub.connections SET is_push_enabled = false", "pushing is off: oms-hub connections push NAME on"),
    ],
)
def test_what_keeps_a_listing_from_being_pushed_is_said(world, kit, shop, statement, words):
    world.listing(shop, "k", "A")
    world.count("A", 9, kit.at(-60))
    assert "not pushed" not in said(stock(world))
    world.run(statement)
    text = said(stock(world))
    assert f"  not pushed: {words}" in text
    assert "  wanted: no plan yet" in text
    assert "  last push: none" in text


def test_a_push_that_waits_says_since_when(world, kit, shop):
    world.listing(shop, "k", "A")
    world.run(
        "INSERT INTO hub.outbox (merchant_id, connection_id, listing_key, to_level, cause, created_at) "
        "VALUES (:m, :c, 'k', 4, 'first level', :at)", m=world.merchant_id, c=shop.connection_id, at=kit.NOON,
    )  # fmt: skip
    text = said(stock(world))
    assert "  last push: ? -> 4 (first level), planned 2026-11-22 12:00:00Z; waits to be sent" in text


def test_a_bundle_names_its_components_and_a_component_the_bundles_that_sell_it(world, kit, shop):
    world.skus("A")
    world.listing(shop, "kit", "KIT")
    world.run("UPDATE hub.skus SET title = 'Tea set' WHERE sku = 'KIT'")
    world.run(
        "INSERT INTO hub.bundle_components (bundle_sku_id, component_sku_id, merchant_id, units) VALUES (:k, :a, :m, 2)",
        k=world.sku_id("KIT"), a=world.sku_id("A"), m=world.merchant_id,
    )  # fmt: skip
    world.count("A", 9, kit.at(-60))
    world.order(shop, "o1", kit.Line("KIT", 2))

    assert "KIT (Tea set) of acme" in said(stock(world, "KIT"))
    assert "A bundle of 2 x A: it has no stock of its own" in said(stock(world, "KIT"))
    facts = stock(world)
    assert facts["level"]["allocated"] == 4
    assert "shop (shop) listing kit, which sells KIT shows nothing known" in said(facts)


def test_thousands_of_movements_and_promises_are_totals_and_a_few_rows(world, kit, shop):
    world.skus("A")
    world.count("A", 10_000, kit.at(-60))
    world.run(
        "INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after, "
        "occurred_at, source, natural_key, cause) SELECT :m, :s, :p, 'sale', -1, 10001 - n, 10000 - n, :at, "
        "'order:1:o' || n, 'k' || n, 'sale of 1 in order o' || n FROM generate_series(1, 3000) AS n",
        m=world.merchant_id, s=world.sku_id("A"), p=world.main, at=kit.NOON,
    )  # fmt: skip
    world.run("UPDATE hub.balances SET on_hand = 7000")
    world.order(shop, "promises", *(kit.Line("A", line_id=f"{nth:02}") for nth in range(30)))

    facts = stock(world, limit=5)

    assert [(row["kind"], row["movements"], row["units"]) for row in facts["movements"]["totals"]] == [
        ("count", 1, 10_000), ("sale", 3_000, -3_000),
    ]  # fmt: skip
    assert [row["balance_after"] for row in facts["movements"]["newest"]] == [7000, 7001, 7002, 7003, 7004]
    assert len(facts["orders"]["oldest"]) == 5
    text = said(facts)
    assert "On hand by movement (3001 in all):" in text
    assert "  and 25 lines more" in text
    assert len(text.splitlines()) < 40


def test_what_is_unknown_is_refused(world, shop):
    with pytest.raises(Misconfigured, match=r"^There is no SKU X"):
        stock(world, "X")
    with pytest.raises(Misconfigured, match=r"^shop has no order 17"):
        explain_order(world.hub, "shop", "17", limit=5)


# ------------------------------------------------------------------------------------------------------ orders


def landed(world, stored, order_id, body=b"{}", content_hash=b"1"):
    with world.store.begin() as tx:
        return land_page(
            tx, connection_id=stored.connection_id, merchant_id=world.merchant_id, kind="orders", body=body,
            records=[RecordRow(0, order_id, content_hash)],
        ).page_id  # fmt: skip


def test_an_order_tells_its_payloads_states_lines_units_and_movements(world, kit, shop):
    for version in (b"1", b"2"):
        landed(world, shop, "gid://7:8", content_hash=version)
    world.skus("A", "B")
    for code in "AB":
        world.count(code, 3, kit.at(-60))
    line = kit.Line("A", 5, shipped=[(2, kit.at(-30))], returned=[(1, kit.at(-10))])
    with world.store.begin() as tx:
        put_setting(tx, world.merchant_id, QueueSetting(hold_minutes=0))
    world.order(shop, "gid://7:8", line, kit.Line("B", 1, line_id="2", reserved=1), kit.Line("?", 1, line_id="3"))
    with world.store.begin() as tx:
        tag_order(tx, "shop", "gid://7:8", "vip")
    allocate(world.hub, "acme")

    facts = explain_order(world.hub, "shop", "gid://7:8", limit=20)

    assert (facts["connection"], facts["order"]["raw"], facts["order"]["tags"]) == ("shop", "1/0", ["vip"])
    assert (facts["payloads"]["total"], [row["raw"] for row in facts["payloads"]["newest"]]) == (2, ["2/0", "1/0"])
    assert [(row["field"], row["value"]) for row in facts["states"]] == [
        ("fulfilment_state", "unfulfilled"), ("payment_state", "paid"), ("state", "open"),
    ]  # fmt: skip
    assert [(row["line_id"], row["sku"], row["quantity"], row["shipped"], row["refunded"]) for row in facts["lines"]] == [
        ("1", "A", 5, 2, 1), ("2", "B", 1, 0, 0), ("3", None, 1, 0, 0),
    ]  # fmt: skip
    assert [(row["line_id"], row["sku"], row["units"], row["state"], row["location"]) for row in facts["units"]] == [
        ("1", "A", 2, "allocated", "main"), ("1", "A", 1, "backordered", None),
    ]  # fmt: skip
    assert [(row["kind"], row["quantity"]) for row in facts["movements"]] == [("sale", -2), ("return", 1)]
    text = "\n".join(order_lines(facts))
    for words in (
        "Order gid://7:8 (gid://7:8) on shop (shop): standard, 0 MXN; tags: vip",
        "  now: open, paid, unfulfilled",
        "Raw payloads (2), the newest first:",
        "  1: 5 x A at 1; 0 cancelled, 2 shipped, 1 refunded, 3 allocated, 0 reserved",
        "  2: 1 x B at 1; 0 cancelled, 0 shipped, 0 refunded, 0 allocated, 0 reserved, its unpaid hold ended "
        "2026-11-22 12:00:00Z",
        "  3: 1 x ? (not mapped) at 1; 0 cancelled, 0 shipped, 0 refunded, 1 allocated, 0 reserved",
        "  line 1: 2 of A allocated at main, 2026-11-22 12:00:00Z",
        "  line 1: 1 of A backordered, 2026-11-22 12:00:00Z",
        "  2026-11-22 11:30:00Z A at main: sale -2, 3 -> 1: sale of 2 in order gid://7:8",
        "1.0: 2 of line 1, carrier not given without number",
        "1.0: 0 paid back, 1 of line 1 back on the shelf",
        " out_of_stock (open): Order gid://7:8 waits for 1 of A",
    ):
        assert words in text, words


def test_marks_payments_returns_and_an_end_are_told(world, kit, shop):
    world.order(shop, "o1", kit.Line("A"))
    own = {"c": shop.connection_id, "m": world.merchant_id, "at": kit.NOON}
    world.run("UPDATE hub.orders SET is_test = true, is_draft = true, vanished_at = :at", at=kit.NOON)
    world.run(
        "INSERT INTO hub.payments (connection_id, channel_order_id, merchant_id, payment_id, kind, amount, currency, "
        "processed_at, gateway, is_successful) VALUES (:c, 'o1', :m, '1', 'sale', 5, 'MXN', :at, 'card', false)", **own,
    )  # fmt: skip
    world.run(
        "INSERT INTO hub.returns (connection_id, channel_order_id, merchant_id, return_id, status, opened_at, closed_at) "
        "VALUES (:c, 'o1', :m, 'r1', 'closed', :at, :at)", **own,
    )  # fmt: skip
    world.run(
        "INSERT INTO hub.shipments (connection_id, channel_order_id, merchant_id, shipment_id, status, shipped_at, "
        "carrier, tracking_number) VALUES (:c, 'o1', :m, 's1', '', :at, 'DHL', '42')", **own,
    )  # fmt: skip
    world.run(
        "INSERT INTO hub.allocations (connection_id, channel_order_id, line_id, sku_id, location_id, merchant_id, units, "
        "is_reserved, allocated_at) SELECT :c, 'o1', '1', 1, :p, :m, 1, true, :at", p=world.main, **own,
    )  # fmt: skip
    world.skus("A")
    text = "\n".join(order_lines(explain_order(world.hub, "shop", "o1", limit=5)))
    for words in (
        "test draft standard",
        "  gone from the channel since 2026-11-22 12:00:00Z",
        "  2026-11-22 12:00:00Z sale 5 MXN card, failed",
        "  2026-11-22 12:00:00Z r1: closed, closed 2026-11-22 12:00:00Z",
        "  2026-11-22 12:00:00Z s1: no goods, DHL 42",
        "  line 1: 1 of A allocated at main, not paid, 2026-11-22 12:00:00Z",
    ):
        assert words in text, words


def test_an_order_whose_payload_cannot_be_read_tells_why(world, shop):
    page = landed(world, shop, "17")
    world.run(
        "INSERT INTO hub.quarantine (connection_id, record_id, merchant_id, kind, page_id, position, reason) "
        "VALUES (:c, '17', :m, 'orders', :page, 0, 'no total')",
        c=shop.connection_id, m=world.merchant_id, page=page,
    )  # fmt: skip

    facts = explain_order(world.hub, "shop", "17", limit=5)

    assert facts["order"] is None
    lines = list(order_lines(facts))
    assert lines[0] == "shop told of this order, and its payload cannot be read:"
    assert lines[1] == "Raw payloads (1), the newest first:"
    assert lines[3] == f"Quarantine (open): no total (raw payload {page}/0, 1 attempts)"


# -------------------------------------------------------------------------------------------------- the program


def test_the_program_explains_stock_and_orders_in_words_and_json(acme):
    till = acme.folder / "till.csv"
    till.write_text("order_id,sold_at,sku,quantity,unit_price\nR-1,2026-11-20 10:00:00,MUG,2,50.00\n", encoding="utf-8")
    count = acme.folder / "count.csv"
    count.write_text("sku,location,quantity,counted_at\nMUG,main,10,2026-11-01\n", encoding="utf-8")
    for words in (
        ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={till}"),
        ("sync", "till"),
        ("stock", "import", count, "--merchant", "acme", "--create-skus"),
    ):
        assert acme(*words).exit_code == 0

    told = acme("explain", "stock", "MUG", "--merchant", "acme")
    as_json = acme("explain", "stock", "MUG", "--merchant", "acme", "--json", "--limit", "1").json
    order = acme("explain", "order", "till", "R-1", "--json").json
    life = acme("explain", "order", "till", "R-1")

    assert (told.exit_code, told.stderr, life.exit_code, life.stderr) == (0, "", 0, "")
    raw = order["payloads"]["newest"][0]["raw"]
    assert f"sale -2, 10 -> 8: sale of 2 in order R-1 on till (order:1:R-1; raw payload {raw})" in told.stdout
    assert as_json["level"]["on_hand"] == 8
    assert [row["raw"] for row in as_json["movements"]["newest"]] == [raw]
    assert (order["order"]["total"], order["lines"][0]["shipped"]) == ("100.00", 2)
    assert life.stdout.startswith("Order R-1 (R-1) on till (pos_feed): pos, 100.00 MXN\n")


def test_bad_input_is_refused_in_one_line(acme):
    for words, complaint in (
        (("stock", "X", "--merchant", "acme"), "There is no SKU X. See: oms-hub listings list"),
        (("stock", "X", "--merchant", "nobody"), "There is no merchant 'nobody'. Known: acme"),
        (("order", "nobody", "1"), "There is no connection 'nobody'. Add one: oms-hub connections add"),
    ):
        result = acme("explain", *words)
        assert result.exit_code == 1
        assert result.complaint.startswith(complaint)
