"""Any order of events, any repetition, any crash: the ledger adds up, units are handed out once, levels come right."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from oms_hub.errors import Misconfigured
from oms_hub.store.adjustments import Correction
from oms_hub.store.allocation_rules import QueueSetting, put_setting
from oms_hub.store.goods import add_location
from oms_hub.store.stock import apply_order_changes
from oms_hub.store.transfers import TransferStart
from oms_hub.sync.allocate import allocate
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.explain import explain_stock
from oms_hub.sync.move_stock import correct_stock, end_transfer, receive_transfer, set_units_aside, start_transfer
from oms_hub.sync.plan_push import plan_push

PROFILE = settings(
    max_examples=8,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
HOLD_MINUTES = 30


@dataclass
class Sold:
    """An order as the test knows it: one line."""

    where: int
    minute: int
    units: int
    is_paid: bool
    is_cancelled: bool = False
    shipped: list[tuple[int, int]] = field(default_factory=list)
    returned: list[tuple[int, int]] = field(default_factory=list)

    @property
    def gone(self) -> int:
        return sum(units for units, _ in self.shipped)

    @property
    def back(self) -> int:
        return sum(units for units, _ in self.returned)


def machine_for(world, kit, numbers):
    """Return the machine's class, bound to a store; each run has goods and connections of its own."""

    class Stock(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.number = next(numbers)
            self.sku = f"S{self.number}"
            self.minute = -900
            self.orders: list[Sold] = []
            self.transfer = 0
            self.tell_time()
            self.shops = [world.connect(f"c{self.number}-{nth}") for nth in (0, 1)]
            world.skus(self.sku)
            for units, place in ((12, world.main), (0, world.store_place)):
                world.count(self.sku, units, kit.at(self.minute), location_id=place)
            self.main, self.store, self.incoming, self.aside = 12, 0, 0, 0
            for stored, _ in self.shops:
                world.listing(stored, self.sku, self.sku, level=0)

        # ------------------------------------------------------------------------------------------- events

        def tell_time(self):
            self.minute += 1
            world.clock.now = kit.at(self.minute)

        def tell(self, nth, *, crashes=False):
            """Store an order as it is now, the way normalising does."""
            sold = self.orders[nth]
            stored = self.shops[sold.where][0]
            open_units = 0 if sold.is_cancelled else sold.units - sold.gone
            line = kit.Line(
                self.sku,
                sold.units,
                shipped=[(units, kit.at(minute)) for units, minute in sold.shipped],
                returned=[(units, kit.at(minute)) for units, minute in sold.returned],
                allocated=open_units if sold.is_paid else 0,
                reserved=0 if sold.is_paid else open_units,
            )
            name = f"{self.sku}-{nth}"
            with world.store.begin() as tx:
                kit.store_order(tx, stored, name, [line], placed_at=kit.at(sold.minute))
                apply_order_changes(tx, connection_id=stored.connection_id, channel_order_ids=[name])
                if crashes:
                    tx.rollback()

        @rule(where=st.integers(0, 1), units=st.integers(1, 4), is_paid=st.booleans(), age=st.integers(0, 40))
        def sell(self, where, units, is_paid, age):
            self.tell_time()
            self.orders.append(Sold(where, self.minute - age, units, is_paid))
            self.tell(-1 % len(self.orders))

        @precondition(lambda self: self.orders)
        @rule(data=st.data(), deed=st.sampled_from(["edit", "cancel", "ship", "give back", "pay", "repeat", "crash"]))
        def change(self, data, deed):
            self.tell_time()
            nth = data.draw(st.integers(0, len(self.orders) - 1))
            sold = self.orders[nth]
            if deed == "edit":
                sold.units = max(sold.gone, data.draw(st.integers(1, 5)))
            elif deed == "cancel":
                sold.is_cancelled = True
            elif deed == "pay":
                sold.is_paid = True
            elif deed == "ship" and not sold.is_cancelled and sold.units > sold.gone:
                units = data.draw(st.integers(1, sold.units - sold.gone))
                sold.shipped.append((units, self.minute))
                self.main -= units
            elif deed == "give back" and sold.gone > sold.back:
                sold.returned.append((1, self.minute))
                self.main += 1
            self.tell(nth)
            if deed == "crash":
                sold.units += 1
                self.tell(nth, crashes=True)
                sold.units -= 1

        @rule(units=st.integers(0, 12))
        def count(self, units):
            self.tell_time()
            world.count(self.sku, units, kit.at(self.minute))
            self.main = units

        @rule(units=st.integers(-3, 3))
        def correct(self, units):
            self.tell_time()
            correction = Correction(self.sku, None, units, "found or lost", f"R{self.minute}")
            for _ in range(2):
                try:
                    if correct_stock(world.hub, "acme", correction):
                        self.main += units
                except Misconfigured:
                    assert units == 0 or self.main + units < min(0, self.main)

        @rule(units=st.integers(-2, 3))
        def set_aside(self, units):
            self.tell_time()
            try:
                set_units_aside(world.hub, "acme", Correction(self.sku, None, units, "damaged", f"D{self.minute}"))
            except Misconfigured:
                assert units == 0 or self.aside + units > self.main or self.aside + units < 0
            else:
                self.aside += units

        @rule(units=st.integers(1, 4), arrived=st.integers(0, 4), end=st.sampled_from(["", "close", "cancel"]))
        def send(self, units, arrived, end):
            self.tell_time()
            self.transfer += 1
            name = f"{self.sku}-T{self.transfer}"
            start = TransferStart(name, ("main", "store"), {self.sku: units})
            try:
                start_transfer(world.hub, "acme", start)
            except Misconfigured:
                assert self.main - self.aside < units
                return
            came = min(units, arrived)
            receive_transfer(world.hub, "acme", name, {self.sku: came})
            self.main, self.store, self.incoming = self.main - units, self.store + came, self.incoming + units - came
            if end and came < units:
                end_transfer(world.hub, "acme", name, is_cancelled=end == "cancel")
                self.incoming -= units - came
                self.main += units - came if end == "cancel" else 0

        # -------------------------------------------------------------------------------------------- steps

        @rule()
        def hand_out(self):
            allocate(world.hub, "acme")

        @rule()
        def sync(self):
            for stored, _ in self.shops:
                world.pulled(stored)
            self.plan_and_deliver()

        @rule(where=st.integers(0, 1))
        def sync_after_a_failed_pull(self, where):
            before = [shop.levels[self.sku] for _, shop in self.shops]
            world.pulled(self.shops[where][0], error="the shop does not answer")
            self.plan_and_deliver()
            after = [shop.levels[self.sku] for _, shop in self.shops]
            assert all(now <= then for then, now in zip(before, after, strict=True)), "a level went up"

        def plan_and_deliver(self):
            allocate(world.hub, "acme")
            plan_push(world.hub, "acme")
            for stored, _ in self.shops:
                deliver_push(world.hub, stored.name)

        # ------------------------------------------------------------------------------------- what holds

        @invariant()
        def the_ledger_adds_up(self):
            world.assert_ledger_balances()
            rows = world.rows(
                "SELECT p.is_default, b.on_hand, b.incoming, b.unavailable FROM hub.balances b "
                "JOIN hub.locations p USING (location_id) WHERE b.sku_id = :sku ORDER BY p.is_default DESC",
                sku=world.sku_id(self.sku),
            )
            assert [tuple(row) for row in rows] == [
                (True, self.main, 0, self.aside), (False, self.store, self.incoming, 0),
            ]  # fmt: skip

        def teardown(self):
            for _ in range(3):
                self.sync()
            self.the_ledger_adds_up()
            facts = explain_stock(world.hub, "acme", self.sku, limit=100)
            level, totals = facts["level"], facts["orders"]["totals"]
            assert (
                level["available"] == level["on_hand"] - level["allocated"] - level["reserved"] - level["unavailable"]
            )
            assert (level["allocated"], level["reserved"]) == self.promised()
            assert totals["there"] + totals["backordered"] == level["allocated"] + level["reserved"]
            there = max(0, self.main - self.aside) + max(0, self.store)
            assert totals["there"] == min(there, level["allocated"] + level["reserved"])
            pool = there - level["allocated"] - level["reserved"]
            assert [shop.levels[self.sku] for _, shop in self.shops] == [max(0, pool)] * 2
            before = self.state()
            for nth in reversed(range(len(self.orders))):
                self.tell(nth)
            allocate(world.hub, "acme")
            assert self.state() == before
            self.sync()
            assert allocate(world.hub, "acme").skus == 0

        def promised(self):
            """Return units that open orders hold: paid ones, and unpaid ones whose time is not up."""
            still = [sold for sold in self.orders if not sold.is_cancelled]
            paid = sum(sold.units - sold.gone for sold in still if sold.is_paid)
            late = self.minute - HOLD_MINUTES
            unpaid = sum(sold.units - sold.gone for sold in still if not sold.is_paid and sold.minute > late)
            return paid, unpaid

        def state(self):
            return [
                [tuple(row) for row in world.rows(query, sku=world.sku_id(self.sku))]
                for query in (
                    "SELECT channel_order_id, location_id, units, is_reserved FROM hub.allocations "
                    "WHERE sku_id = :sku ORDER BY 1, 2",
                    "SELECT channel_order_id, units, is_reserved FROM hub.backorders WHERE sku_id = :sku ORDER BY 1",
                    "SELECT kind, quantity, balance_after FROM hub.movements WHERE sku_id = :sku ORDER BY movement_id",
                )
            ]

    return Stock


def test_whatever_happens_in_whatever_order_and_however_often(world, kit):
    with world.store.begin() as tx:
        world.store_place = add_location(tx, world.merchant_id, "store").location_id
        put_setting(tx, world.merchant_id, QueueSetting(hold_minutes=HOLD_MINUTES))
    world.run("INSERT INTO hub.policies (merchant_id, scope, scarce) VALUES (:m, 'merchant', 'shared')",
              m=world.merchant_id)  # fmt: skip

    run_state_machine_as_test(machine_for(world, kit, iter(range(10_000))), settings=PROFILE)
