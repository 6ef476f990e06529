"""The plan's SQL gives what the pure rules give, on random merchants."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from oms_hub.domain import demand, offers
from oms_hub.domain.policies import PolicyLayer, Scope, contradictions, resolve
from oms_hub.domain.push_plan import believed_level, decide
from oms_hub.store.goods import ChannelPlace, add_location, link_location, store_channel_places
from oms_hub.sync.plan_push import plan_push

_NEVER = "2999-01-01"
"""Up to when sales are counted in: no time passes on offer after it."""


class Merchant:
    """A random merchant, in the store and as plain values."""

    def __init__(self, world: Any, seed: int, skus: int) -> None:
        self.world, self.chance = world, random.Random(seed)
        self.connections = {name: world.connect(name)[0] for name in ("one", "two", "three", "quiet", "till")}
        world.run("UPDATE hub.connections SET is_push_enabled = false WHERE name IN ('quiet', 'till')")
        with world.store.begin() as tx:
            self.places = {"main": world.main}
            for code in ("store", "depot"):
                self.places[code] = add_location(tx, world.merchant_id, code).location_id
            known = [ChannelPlace(code, code) for code in self.places]
            store_channel_places(tx, self.connections["one"].connection_id, known)
            for code, location_id in self.places.items():
                link_location(tx, self.connections["one"].connection_id, code, location_id)
        self.simple = [f"S{nth:02}" for nth in range(skus)]
        self.bundles = {f"B{nth:02}": self._recipe() for nth in range(skus // 4)}
        world.skus(*self.simple, *self.bundles)
        self.ids = {row.sku: row.sku_id for row in world.rows("SELECT sku, sku_id FROM hub.skus")}
        self.stock = {sku: self._stock(sku) for sku in self.simple}
        self.layers = self._policies()
        self.safety: dict[tuple[str | None, str], int] = {}
        self.listings: list[dict[str, Any]] = []
        self.tills: list[offers.Till] = []
        self._fill()

    def _recipe(self) -> dict[str, int]:
        parts = self.chance.sample(self.simple, self.chance.choice((1, 2, 2, 3)))
        return {sku: self.chance.choice((1, 1, 2, 3)) for sku in parts}

    def _stock(self, sku: str) -> dict[str, int]:
        places = self.chance.sample(sorted(self.places), self.chance.choice((0, 1, 1, 1, 2, 3)))
        return {place: self.chance.choice((-1, 0, 1, 2, 3, 5, 8, 13, 40, 300)) for place in places}

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            names = ", ".join(row)
            self.world_run(f"INSERT INTO hub.{table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})", row)

    def world_run(self, statement: str, row: dict[str, Any]) -> None:
        self.tx.execute(text(statement), row)

    def _policies(self) -> list[tuple[dict[str, Any], PolicyLayer]]:
        m = self.world.merchant_id
        one, two = (self.connections[name].connection_id for name in ("one", "two"))
        targets: list[tuple[Scope, dict[str, Any]]] = [
            (Scope.MERCHANT, {"scope": "merchant"}),
            (Scope.CHANNEL, {"scope": "channel", "channel": "two"}),
            (Scope.CONNECTION, {"scope": "connection", "connection_id": one}),
        ]
        for sku in self.chance.sample([*self.simple, *self.bundles], len(self.simple) // 3):
            targets.append((Scope.SKU, {"scope": "sku", "sku_id": self.ids[sku]}))
            pair = {"scope": "sku_on_connection", "sku_id": self.ids[sku], "connection_id": two}
            targets.append((Scope.SKU_ON_CONNECTION, pair))
        found = []
        for scope, target in targets:
            said = {name: value for name, value in self._said().items() if self.chance.random() < 0.25}
            if scope < Scope.CONNECTION:
                said = {name: value for name, value in said.items() if name not in ("scarce", "is_paused")}
            places = self.chance.sample(sorted(self.places), 2) if self.chance.random() < 0.15 else None
            if contradictions(said, defaultdict(str)):
                del said["cap"]
            layer = PolicyLayer(scope, str(target), places=None if places is None else frozenset(places), **said)
            found.append(({"merchant_id": m, **target, **said, "has_places": places and True}, layer))
        return found

    def _said(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {
            "safety_stock": pick((0, 1, 2)), "threshold": pick((0, 1, 4)),
            "share": pick((Decimal("0.5"), Decimal("0.333"), Decimal(1))), "cap": pick((0, 3, 10)),
            "end_when": pick((0, 1, 3)), "floor": pick((0, 1, 2)), "scarce": pick(("hold_back", "shared")),
            "risk": pick((0.0, 1.0, 3.0)), "news_seconds": pick((5.0, 60.0, 900.0)), "is_paused": pick((True, False)),
        }  # fmt: skip

    def _fill(self) -> None:
        with self.world.store.begin() as self.tx:
            for values, layer in self.layers:
                policy_id = self.tx.execute(
                    text(
                        f"INSERT INTO hub.policies ({', '.join(values)}) "
                        f"VALUES ({', '.join(f':{name}' for name in values)}) RETURNING policy_id"
                    ),
                    values,
                ).scalar_one()
                for code in layer.places or ():
                    row = {
                        "policy_id": policy_id,
                        "location_id": self.places[code],
                        "merchant_id": values["merchant_id"],
                    }
                    self._insert("policy_places", [row])
            self._fill_stock()
            for sku in (*self.simple, *self.bundles):
                for _ in range(self.chance.choice((0, 1, 2, 3, 4))):
                    self._add_listing(sku)
            self.world_run(
                "INSERT INTO hub.stock_dirty (sku_id, merchant_id) SELECT sku_id, merchant_id FROM hub.skus", {}
            )

    def _fill_stock(self) -> None:
        m = self.world.merchant_id
        for (sku, place), units in {
            (None, "depot"): 1,
            (self.simple[0], "main"): 3,
            (self.simple[1], "depot"): 0,
        }.items():
            self.safety[sku, place] = units
            row = {"merchant_id": m, "location_id": self.places[place], "units": units}
            self._insert("safety_stocks", [{**row, "sku_id": sku and self.ids[sku]}])
        for sku, at_places in self.stock.items():
            for place, units in at_places.items():
                row = {"sku_id": self.ids[sku], "location_id": self.places[place], "merchant_id": m}
                self._insert("balances", [{**row, "on_hand": units, "counted_at": "2026-01-01"}])
        for bundle, parts in self.bundles.items():
            for sku, units in parts.items():
                row = {"bundle_sku_id": self.ids[bundle], "component_sku_id": self.ids[sku], "units": units}
                self._insert("bundle_components", [{**row, "merchant_id": m}])
        self.held: list[tuple[str, str, int]] = []
        for nth, sku in enumerate(self.chance.choices([*self.simple, *self.bundles], k=len(self.simple) // 2)):
            place, units = self.chance.choice(("", "", "main", "store")), self.chance.choice((1, 2, 5))
            line = self.world.kit_line(sku, units, place=place)
            self.world.kit_store(self.tx, self.connections["one"], f"o{nth}", [line])
            self.world_run(
                "UPDATE hub.order_lines SET sku_id = :sku WHERE channel_order_id = :o",
                {"sku": self.ids[sku], "o": f"o{nth}"},
            )
            self.held.append((sku, place, units))
        for sku in self.chance.sample([*self.simple, *self.bundles], 6):
            row = {"connection_id": self.connections["till"].connection_id, "sku_id": self.ids[sku], "merchant_id": m}
            sold = {"demand_units": 4.0, "demand_seconds": 2000.0, "burst_units": 1.0, "burst_seconds": 250.0}
            self._insert("till_demand", [{**row, **sold, "demand_at": _NEVER}])
            rate = demand.rate(demand.Demand(4.0, 2000.0, 1.0, 250.0))
            news = self._policy("till", sku, for_till=True).news_seconds or 300.0
            parts = self.bundles.get(sku, {sku: 1})
            self.tills += [offers.Till(part, rate * units, news) for part, units in parts.items()]

    def _add_listing(self, sku: str) -> None:
        pick, m = self.chance.choice, self.world.merchant_id
        connection = pick(("one", "two", "three", "quiet"))
        key = f"{sku}/{len(self.listings):03}"
        sold = demand.Demand(pick((0.0, 1.0, 9.0)), pick((0.0, 4000.0)), pick((0.0, 2.0)), pick((0.0, 200.0)))
        listing = {
            "connection": connection, "key": key, "sku": sku, "pack_size": pick((1, 1, 1, 2, 6)), "demand": sold,
            "known": pick((None, 0, 1, 2, 5, 20)), "doubt": pick((None, None, None, 7)), "in_flight": pick((0, 0, 0, 1, 2)), "early": pick((0, 0, 0, 1, 3)),
        }  # fmt: skip
        own = {"connection_id": self.connections[connection].connection_id, "listing_key": key, "merchant_id": m}
        linked = {"sku_id": self.ids[sku], "link_state": "automatic", "pack_size": listing["pack_size"]}
        self._insert("listings", [{**own, **linked}])
        level = {
            "known_level": listing["known"], "early_units": listing["early"], "in_flight": listing["in_flight"], "demand_units": sold.units,
            "demand_seconds": sold.seconds, "burst_units": sold.burst_units, "burst_seconds": sold.burst_seconds,
            "demand_at": _NEVER, "doubted_at": listing["doubt"] and _NEVER,
            "doubted_levels": listing["doubt"] and [listing["doubt"]],
        }  # fmt: skip
        self._insert("listing_levels", [{**own, **level}])
        self.listings.append(listing)

    # ------------------------------------------------------------------------------------ the same, by the pure rules

    def _policy(self, connection: str, sku: str, *, for_till: bool = False):
        own = self.connections[connection].connection_id
        fits = []
        for values, layer in self.layers:
            is_here = {
                "merchant": True, "channel": values.get("channel") == connection,
                "connection": values.get("connection_id") == own,
                "sku": values.get("sku_id") == self.ids[sku] and not for_till,
                "sku_on_connection": (values.get("sku_id"), values.get("connection_id")) == (self.ids[sku], own),
            }[values["scope"]]  # fmt: skip
            if is_here:
                fits.append(layer)
        try:
            return resolve(fits)
        except ValueError:
            # A cap below a floor, said at two scopes: the store refuses that when it is said; the plan lets the cap win.
            holds = resolve([replace(each, floor=None) for each in fits])
            return replace(holds, offer=replace(holds.offer, floor=holds.offer.cap))

    def expected(self) -> dict[str, offers.Offer]:
        stock = {sku: self._domain_stock(sku) for sku, at_places in self.stock.items() if at_places}
        found: dict[str, offers.Offer] = {}
        offered = [self._domain_listing(each) for each in self.listings]
        planned = [
            (each, listing)
            for each, listing in zip(self.listings, offered, strict=True)
            if set(listing.recipe) <= set(stock)
        ]
        planned.sort(key=lambda pair: (self.connections[pair[0]["connection"]].connection_id, pair[0]["key"]))
        asked = offers.offer_group(stock, [listing for _, listing in planned], self.tills)
        for (each, _), offer in zip(planned, asked, strict=True):
            found[each["key"]] = offer
        return found

    def _domain_stock(self, sku: str) -> offers.Stock:
        available, unplaced = dict(self.stock[sku]), 0
        for held, place, units in self.held:
            taken = units * self.bundles.get(held, {held: 1}).get(sku, 0)
            if taken and place in available:
                available[place] -= taken
            else:
                unplaced += taken
        in_flight = sum(
            each["in_flight"] * each["pack_size"] * self.bundles.get(each["sku"], {each["sku"]: 1}).get(sku, 0)
            for each in self.listings
        )
        return offers.Stock(available, unplaced, in_flight)

    def _domain_listing(self, each: dict[str, Any]) -> offers.OfferedListing:
        holds = self._policy(each["connection"], each["sku"])
        parts = self.bundles.get(each["sku"])
        own_gone = 0
        if parts is not None:
            own_gone = sum(units for sku, place, units in self.held if sku == each["sku"] and not place)
            own_gone += sum(row["in_flight"] * row["pack_size"] for row in self.listings if row["sku"] == each["sku"])
        places = {place for place in self.places if holds.places is None or place in holds.places}
        safety = {}
        for sku in parts or {each["sku"]: 1}:
            for place in places:
                own = self.safety.get((sku, place), self.safety.get((None, place)))
                if own is not None:
                    safety[sku, place] = own
        policy = offers.ListingPolicy(
            holds.offer, holds.scarce == "shared", holds.risk, holds.is_paused, frozenset(places), safety
        )
        recipe = {sku: units * each["pack_size"] for sku, units in (parts or {each["sku"]: 1}).items()}
        return offers.OfferedListing(
            recipe, demand.rate(each["demand"]), holds.news_seconds or 300.0, max(0, each["known"] or 0, each["doubt"] or 0),
            each["pack_size"], is_bundle=parts is not None, own_gone=own_gone, is_on=each["connection"] != "quiet",
            policy=policy,
        )  # fmt: skip


@pytest.mark.parametrize(("seed", "is_large"), [(1, False), (3, True)])
def test_the_plan_in_sql_is_the_plan_of_the_pure_rules(world, kit, monkeypatch, seed, is_large):
    if is_large:
        monkeypatch.setattr("oms_hub.sync.plan_push._FEW_SKUS", 0)
    world.kit_line, world.kit_store = (
        kit.Line,
        lambda tx, stored, order, lines: kit.store_order(tx, stored, order, lines, placed_at=kit.NOON),
    )
    merchant = Merchant(world, seed, 48)

    report = plan_push(world.hub, "acme")

    expected = merchant.expected()
    rows = world.rows(
        "SELECT listing_key, desired, pool_units, held_units, plan_reason FROM hub.listing_levels WHERE desired IS NOT NULL"
    )
    planned = {row[0]: tuple(row[1:]) for row in rows}
    assert planned == {key: (offer.level, offer.pool, offer.held, offer.decided) for key, offer in expected.items()}
    listings = {each["key"]: each for each in merchant.listings}
    sent = {key: _sent(listings[key], offer) for key, offer in expected.items()}
    assert {key: level for key, _, level in world.outbox()} == {
        key: level for key, level in sent.items() if level is not None
    }
    assert report.listings == len(expected)
    assert report.waiting == sum(offer.allowed < offer.level for offer in expected.values())
    reasons = {offer.decided for offer in expected.values()}
    assert {"pool", "empty", "hold_back"} <= reasons


def _sent(listing, offer):
    known = listing["known"]
    believed = believed_level(offer.allowed, known, None if known is None else known - listing["early"])
    return decide(offer.allowed, believed, None, may_raise=True)[0]
