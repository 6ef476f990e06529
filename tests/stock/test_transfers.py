"""Transfers in two steps, corrections by hand, units set aside: what the ledger says, and what is refused."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from oms_hub.domain.transfers import Transfer, TransferLine
from oms_hub.errors import Misconfigured
from oms_hub.store.adjustments import Correction
from oms_hub.store.goods import add_location
from oms_hub.store.transfers import TransferStart
from oms_hub.sync.move_stock import (
    correct_stock,
    end_transfer,
    list_transfers,
    receive_transfer,
    set_units_aside,
    start_transfer,
)


@pytest.fixture
def store(world, kit):
    """Give a second place where A was counted at 0; the default place has 10 of A and 4 of B."""
    with world.store.begin() as tx:
        place = add_location(tx, world.merchant_id, "store").location_id
    world.skus("A", "B")
    for code, units in (("A", 10), ("B", 4)):
        world.count(code, units, kit.at(-60))
        world.count(code, 0, kit.at(-60), location_id=place)
    world.clean()
    return place


def start(world, reference="T1", places=("main", "store"), **units):
    return start_transfer(world.hub, "acme", TransferStart(reference, places, units))


def incoming(world):
    return [
        tuple(row)
        for row in world.rows(
            "SELECT s.sku, p.code, b.on_hand, b.incoming FROM hub.balances b JOIN hub.skus s USING (sku_id) "
            "JOIN hub.locations p USING (location_id) ORDER BY 1, 2"
        )
    ]


def moves(world, code):
    return [(kind, quantity) for kind, quantity, _, _ in world.ledger(code) if kind.startswith("transfer")]


def test_a_transfer_leaves_one_place_at_once_and_arrives_at_the_other_later(world, store):
    assert start(world, A=4, B=1) is True
    assert incoming(world) == [("A", "main", 6, 0), ("A", "store", 0, 4), ("B", "main", 3, 0), ("B", "store", 0, 1)]
    assert world.dirty() == {"A", "B"}

    done = receive_transfer(world.hub, "acme", "T1", None)

    assert done.state == "received"
    assert done.lines == (TransferLine("A", 4, 4, 0), TransferLine("B", 1, 1, 0))
    assert incoming(world) == [("A", "main", 6, 0), ("A", "store", 4, 0), ("B", "main", 3, 0), ("B", "store", 1, 0)]
    assert moves(world, "A") == [("transfer_out", -4), ("transfer_in", 4)]
    world.assert_ledger_balances()


def test_every_step_told_again_changes_nothing(world, store):
    start(world, A=4)
    assert start(world, A=4) is False
    for _ in range(2):
        partly = receive_transfer(world.hub, "acme", "T1", {"A": 3})
        assert (partly.state, partly.under_way()) == ("in_transit", {"A": 1})
    for _ in range(2):
        assert receive_transfer(world.hub, "acme", "T1", None).state == "received"
    assert receive_transfer(world.hub, "acme", "T1", {"A": 4}).state == "received"
    assert end_transfer(world.hub, "acme", "T1", is_cancelled=True).state == "received"

    assert moves(world, "A") == [("transfer_out", -4), ("transfer_in", 3), ("transfer_in", 1)]
    assert incoming(world)[:2] == [("A", "main", 6, 0), ("A", "store", 4, 0)]


def test_what_never_arrives_is_written_off_when_the_transfer_is_closed(world, store):
    start(world, A=4)
    receive_transfer(world.hub, "acme", "T1", {"A": 3})

    closed = end_transfer(world.hub, "acme", "T1", is_cancelled=False)

    assert (closed.state, closed.under_way(), closed.lines[0].under_way) == ("received", {}, 1)
    assert incoming(world)[:2] == [("A", "main", 6, 0), ("A", "store", 3, 0)]
    world.assert_ledger_balances()


def test_what_goes_back_is_on_hand_again_where_it_came_from(world, store):
    start(world, A=4)
    receive_transfer(world.hub, "acme", "T1", {"A": 1})
    assert end_transfer(world.hub, "acme", "T1", is_cancelled=True).state == "received"
    start(world, "T2", B=2)
    assert end_transfer(world.hub, "acme", "T2", is_cancelled=True).state == "cancelled"

    assert incoming(world) == [("A", "main", 9, 0), ("A", "store", 1, 0), ("B", "main", 4, 0), ("B", "store", 0, 0)]
    assert moves(world, "A") == [("transfer_out", -4), ("transfer_in", 1), ("transfer_in", 3)]
    assert [each.reference for each in list_transfers(world.hub, "acme", state="cancelled")] == ["T2"]


@pytest.mark.parametrize(
    ("units", "places", "complaint"),
    [
        ({"A": 11}, ("main", "store"), "main has 10 of A, not 11"),
        ({"A": 0}, ("main", "store"), "0 of A cannot be sent"),
        ({}, ("main", "store"), "Transfer T9 has no goods"),
        ({"A": 1}, ("main", "main"), "main is where the goods are already"),
        ({"A": 1}, ("main", "moon"), "There is no location moon"),
        ({"X": 1}, ("main", "store"), "There is no SKU X"),
        ({"C": 1}, ("main", "store"), "C was never counted at main"),
        ({"D": 1}, ("main", "store"), "D was never counted at store"),
    ],
)
def test_a_transfer_that_cannot_be_is_refused_and_nothing_is_moved(world, kit, store, units, places, complaint):
    world.skus("C", "D")
    world.count("D", 5, kit.at(-60))
    before = incoming(world)

    with pytest.raises(Misconfigured, match=rf"^{complaint}"):
        start(world, "T9", places, **units)

    assert incoming(world) == before
    assert list_transfers(world.hub, "acme", state=None) == []


def test_units_that_are_set_aside_are_not_sent(world, store):
    set_units_aside(world.hub, "acme", Correction("A", None, 3, "damaged", "D1"))
    with pytest.raises(Misconfigured, match=r"^main has 7 of A, not 8"):
        start(world, A=8)


@pytest.mark.parametrize("reference", ["", " T", "T\n", "x" * 101])
def test_a_transfer_needs_a_plain_name(world, store, reference):
    with pytest.raises(Misconfigured, match="cannot be a transfer's name"):
        start(world, reference, A=1)


def test_one_name_stands_for_one_transfer(world, store):
    start(world, A=4)
    for places, units in ((("main", "store"), {"A": 3}), (("store", "main"), {"A": 4})):
        with pytest.raises(Misconfigured, match=r"^There is another transfer T1 already, from main to store"):
            start(world, "T1", places, **units)


@pytest.mark.parametrize(
    ("totals", "complaint"),
    [
        ({"A": 1}, "2 of A have arrived already, not 1"),
        ({"A": 5}, "Only 4 of A are on transfer T1, not 5"),
        ({"B": 1}, "Transfer T1 holds no B"),
    ],
)
def test_an_arrival_that_cannot_be_is_refused_and_nothing_is_moved(world, store, totals, complaint):
    start(world, A=4)
    receive_transfer(world.hub, "acme", "T1", {"A": 2})
    before = incoming(world)
    with pytest.raises(Misconfigured, match=rf"^{complaint}"):
        receive_transfer(world.hub, "acme", "T1", totals)
    assert incoming(world) == before


def test_nothing_arrives_on_a_transfer_that_has_ended(world, store):
    start(world, A=4)
    end_transfer(world.hub, "acme", "T1", is_cancelled=False)
    with pytest.raises(Misconfigured, match=r"^Transfer T1 has ended \(received\)"):
        receive_transfer(world.hub, "acme", "T1", {"A": 4})
    with pytest.raises(Misconfigured, match=r"^There is no transfer T2"):
        receive_transfer(world.hub, "acme", "T2", None)


def test_a_transfer_knows_what_is_on_its_way(frozen_clock):
    lines = (TransferLine("A", 3, 1, 1), TransferLine("B", 2, 2))
    going = Transfer("T", "main", "store", "in_transit", frozen_clock(), None, lines)
    assert going.under_way() == {"A": 1}


def test_a_correction_moves_on_hand_once(world, store):
    lost = Correction("A", None, -3, "broken in the aisle", "R1")
    assert correct_stock(world.hub, "acme", lost) is True
    assert correct_stock(world.hub, "acme", lost) is False
    assert correct_stock(world.hub, "acme", Correction("A", "store", 2, "found", "R1")) is True

    assert (world.on_hand("A"), world.on_hand("A", store)) == (7, 2)
    assert [row[0] for row in world.rows("SELECT cause FROM hub.movements WHERE kind = 'adjustment'")] == [
        "broken in the aisle", "found",
    ]  # fmt: skip
    assert world.dirty() == {"A"}
    world.assert_ledger_balances()


def test_an_oversold_place_can_still_be_corrected_upwards(world, kit, store):
    shop, _ = world.connect("shop")
    world.order(shop, "o1", kit.Line("B", 6, shipped=[(6, kit.at(-5))]))
    assert world.on_hand("B") == -2
    with pytest.raises(Misconfigured, match=r"^Only 0 of B are there, 1 cannot be taken off"):
        correct_stock(world.hub, "acme", Correction("B", None, -1, "gone", "R1"))
    assert correct_stock(world.hub, "acme", Correction("B", None, 1, "found", "R1")) is True
    assert world.on_hand("B") == -1


def test_units_set_aside_stay_on_hand_and_are_written_down(world, store):
    assert set_units_aside(world.hub, "acme", Correction("A", None, 3, "damaged", "D1")) is True
    assert set_units_aside(world.hub, "acme", Correction("A", None, 3, "damaged", "D1")) is False
    assert set_units_aside(world.hub, "acme", Correction("A", None, -1, "repaired", "D2")) is True

    assert world.on_hand("A") == 10
    assert [tuple(row) for row in world.rows("SELECT unavailable FROM hub.balances WHERE unavailable > 0")] == [(2,)]
    rows = world.rows(
        "SELECT quantity, balance_before, balance_after, cause FROM hub.unavailable_moves ORDER BY move_id"
    )
    assert [tuple(row) for row in rows] == [(3, 0, 3, "damaged"), (-1, 3, 2, "repaired")]


@pytest.mark.parametrize(
    "statement", ["UPDATE hub.unavailable_moves SET cause = ''", "DELETE FROM hub.unavailable_moves"]
)
def test_the_ledger_of_units_set_aside_refuses_to_be_changed(world, store, statement):
    set_units_aside(world.hub, "acme", Correction("A", None, 3, "damaged", "D1"))
    with pytest.raises(SQLAlchemyError, match="append-only"), world.store.begin() as tx:
        tx.execute(text(statement))


@pytest.mark.parametrize(
    ("function", "correction", "complaint"),
    [
        (correct_stock, Correction("A", None, -11, "gone", "R1"), "Only 10 of A are there, 11 cannot be taken off"),
        (correct_stock, Correction("A", None, 0, "gone", "R1"), "A correction of 0 units changes nothing"),
        (correct_stock, Correction("A", None, 1, " ", "R1"), "A correction needs a reason and a name"),
        (correct_stock, Correction("C", None, 1, "found", "R1"), "C was never counted at main"),
        (set_units_aside, Correction("A", None, 11, "wet", "D1"), "Only 10 of A are there and not set aside yet"),
        (set_units_aside, Correction("A", None, -1, "dry", "D1"), "Only 0 of A are set aside"),
    ],
)
def test_a_correction_that_cannot_be_is_refused_and_nothing_changes(world, store, function, correction, complaint):
    world.skus("C")
    with pytest.raises(Misconfigured, match=rf"^{complaint}"):
        function(world.hub, "acme", correction)
    assert incoming(world)[:2] == [("A", "main", 10, 0), ("A", "store", 0, 0)]


def test_one_name_stands_for_one_correction(world, store):
    correct_stock(world.hub, "acme", Correction("A", None, -3, "lost", "R1"))
    with pytest.raises(Misconfigured, match=r"^R1 stands for a correction of -3 already"):
        correct_stock(world.hub, "acme", Correction("A", None, -2, "lost", "R1"))


# -------------------------------------------------------------------------------------------------- the program


@pytest.fixture
def stocked(acme):
    folder = acme.folder / "count.csv"
    folder.write_text("sku,location,quantity\nA,main,10\nA,store,0\n", encoding="utf-8")
    assert acme("locations", "add", "store", "--merchant", "acme").exit_code == 0
    assert acme("stock", "import", folder, "--merchant", "acme", "--create-skus").exit_code == 0
    return acme


def test_the_program_sends_receives_corrects_and_sets_aside(stocked):
    own = ("--merchant", "acme")
    said = [
        stocked("stock", "transfer", "start", "T1", "A=4", *own, "--from", "main", "--to", "store"),
        stocked("stock", "transfer", "start", "T1", "A=4", *own, "--from", "main", "--to", "store"),
        stocked("stock", "transfer", "receive", "T1", "A=3", *own),
        stocked("stock", "transfer", "close", "T1", *own),
        stocked("stock", "transfer", "start", "T2", "A=1", *own, "--from", "main", "--to", "store"),
        stocked("stock", "transfer", "cancel", "T2", *own),
        stocked("stock", "transfer", "receive", "T2", *own),
        stocked("stock", "adjust", "A", *own, "--by", "-2", "--reason", "broken"),
        stocked("stock", "unavailable", "A", *own, "--by", "1", "--reason", "wet", "--reference", "D1"),
        stocked("stock", "unavailable", "A", *own, "--by", "1", "--reason", "wet", "--reference", "D1"),
    ]
    assert [(each.exit_code, each.stderr) for each in said] == [(0, "")] * len(said)
    assert [each.stdout.strip() for each in said] == [
        "Transfer T1 is on its way.",
        "Transfer T1 stands already; nothing changed.",
        "Transfer T1 is in transit: 3 units arrived, 1 on their way.",
        "Transfer T1 is received: 3 units arrived, 0 on their way.",
        "Transfer T2 is on its way.",
        "Transfer T2 is cancelled: 0 units arrived, 0 on their way.",
        "Transfer T2 is cancelled: 0 units arrived, 0 on their way.",
        "A corrected by -2.",
        "+1 of A set aside.",
        "This stands already; nothing changed.",
    ]
    assert stocked.rows("SELECT on_hand, unavailable, incoming FROM hub.balances ORDER BY location_id") == [
        (4, 1, 0), (3, 0, 0),
    ]  # fmt: skip
    listed = stocked("stock", "transfer", "list", *own, "--state", "all", "--json").json
    assert [(row["reference"], row["state"], row["in_transit"]) for row in listed] == [
        ("T2", "cancelled", 0), ("T1", "received", 0),
    ]  # fmt: skip
    assert stocked("stock", "transfer", "list", *own).stdout == "No transfers.\n"


def test_goods_that_are_no_sku_and_units_are_refused(stocked):
    before = stocked.row_counts()
    ends = ("--merchant", "acme", "--from", "main", "--to", "store")
    for word in ("A", "A=", "=3", "A=-1", "A=x", "A=99999999999"):
        result = stocked("stock", "transfer", "start", "T1", word, *ends)
        assert (result.exit_code, result.complaint) == (1, f"{word!r} is not SKU=UNITS. Write goods as MUG-1=5")
    twice = stocked("stock", "transfer", "start", "T1", "A=1", "A=2", *ends)
    assert (twice.exit_code, twice.complaint) == (1, "A is named twice. Name each SKU once")
    assert stocked.row_counts() == before
