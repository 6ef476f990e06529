"""What a channel may be offered of a SKU: places -> pool -> offer.

What belongs here: the arithmetic from what lies at the places to the level a policy allows, for SKUs, bundles, packs.
Not here: units that the hub has not heard of yet (`in_flight`), units kept back for the other channels (`hold_back`),
which policy holds for a listing (`policies`), whether a level is sent (`push_plan`).

Nothing here hides an oversell: `available` and `pool` may be negative. Only `offer` clamps, because it is pushed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

OfferReason: TypeAlias = Literal["pool", "empty", "end_when", "share", "cap", "floor"]
"""What decided an offer: the whole pool, nothing left, or the policy that made it smaller (or, a floor, larger)."""


@dataclass(frozen=True, slots=True)
class PlaceStock:
    """The stock of one SKU at one place, in units; any figure may make `available` negative."""

    on_hand: int
    allocated: int = 0
    reserved: int = 0
    unavailable: int = 0
    safety_stock: int = 0

    def available(self) -> int:
        """Return on_hand − allocated − reserved − unavailable; negative where more was sold than is there."""
        return self.on_hand - self.allocated - self.reserved - self.unavailable

    def sellable(self) -> int:
        """Return what this place adds to a pool: available minus safety stock, never below zero."""
        return max(0, self.available() - self.safety_stock)


@dataclass(frozen=True, slots=True)
class OfferPolicy:
    """How much of a pool one listing shows.

    Attributes:
        threshold: units of the pool that are never offered.
        share: fraction of the pool, 0 to 1.
        cap: at most this many, None for no limit.
        end_when: a pool of this size or smaller is not offered at all.
        floor: at least this many, whatever the pool: OVERSELLS ON PURPOSE; None for no floor.
        safety_stock: units kept at each place that states no safety stock of its own.

    Raises:
        ValueError: if a figure is out of its range or the cap is below the floor; the text names both.
    """

    threshold: int = 0
    share: Decimal | Fraction = Fraction(1)
    cap: int | None = None
    end_when: int = 0
    floor: int | None = None
    safety_stock: int = 0

    def __post_init__(self) -> None:
        named = {"threshold": self.threshold, "end_when": self.end_when, "safety_stock": self.safety_stock}
        for name, value in {**named, "cap": self.cap, "floor": self.floor}.items():
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be between 0 and 1, got {self.share}")
        if self.cap is not None and self.floor is not None and self.cap < self.floor:
            raise ValueError(f"cap {self.cap} is below floor {self.floor}: raise the cap or lower the floor")

    def warnings(self) -> tuple[str, ...]:
        """Return what a merchant should be told about this policy, in plain words."""
        if self.floor:
            return (f"floor {self.floor} offers units that may not be there: it oversells on purpose",)
        return ()


@dataclass(frozen=True, slots=True)
class BundleComponent:
    """One component of a bundle: how many units a bundle takes, and the SKU's stock by place."""

    sku: str
    units: int
    places: Mapping[Hashable, PlaceStock]


def pool(places: Iterable[PlaceStock], *, threshold: int = 0, unplaced: int = 0) -> int:
    """Return the units that a connection may be offered of.

    Args:
        places: the SKU's stock at the places that feed the connection.
        threshold: the merchant's units that are never offered.
        unplaced: open demand that has no place yet.

    Returns:
        Sum over places minus both; negative where more is promised than is there.
    """
    return sum(place.sellable() for place in places) - threshold - unplaced


def bundle_pool(components: Sequence[BundleComponent], *, threshold: int = 0, unplaced: int = 0) -> int:
    """Return how many bundles can be made: per place the scarcest component decides, then summed.

    Args:
        components: one entry per SKU; a place that a component does not know makes no bundle.
        threshold: bundles that are never offered.
        unplaced: open demand for bundles that has no place yet.

    Raises:
        ValueError: without components, with fewer than one unit of one, or for one without any stock record.
    """
    if not components:
        raise ValueError("a bundle needs at least one component")
    for component in components:
        if component.units < 1:
            raise ValueError(f"component {component.sku}: units per bundle must be 1 or more, got {component.units}")
        if not component.places:
            raise ValueError(f"component {component.sku} has no stock record: import a count for it first")
    everywhere = set(components[0].places).intersection(*(component.places for component in components[1:]))
    kits = sum(
        min(component.places[place].sellable() // component.units for component in components) for place in everywhere
    )
    return kits - threshold - unplaced


def bundles_left(kits: int, own: int, components: Iterable[tuple[int, int, int]]) -> int:
    """Return how many bundles can still be promised; negative where more is promised than can be made.

    Units that are promised or in flight and stand at no place are taken from where they are missed least: no component
    may be used up over all places.

    Args:
        kits: what can be made, place by place (`bundle_pool`).
        own: bundles of this very SKU that are promised without a place, or in flight; each takes all its components.
        components: per component, (units per bundle, its sellable units at all places, its units that are promised
            without a place or in flight, `own` included).
    """
    bounds = [(sellable - max(0, gone - own * per_bundle)) // per_bundle for per_bundle, sellable, gone in components]
    return min([kits, *bounds]) - own


def check_bundles(bundles: Mapping[str, Mapping[str, int]]) -> None:
    """Refuse bundles that contain bundles, themselves included.

    Args:
        bundles: bundle SKU -> component SKU -> units per bundle.

    Raises:
        ValueError: naming the first offender in the order of SKUs.
    """
    for sku in sorted(bundles):
        for component in sorted(bundles[sku]):
            if component == sku:
                raise ValueError(f"bundle {sku} contains itself")
            if component in bundles:
                raise ValueError(f"bundle {sku} contains bundle {component}: list that one's components instead")


def offer(units: int, policy: OfferPolicy) -> int:
    """Return the level that a listing may show of a pool of `units`; never negative."""
    return offer_with_reason(units, policy)[0]


def offer_with_reason(units: int, policy: OfferPolicy) -> tuple[int, OfferReason]:
    """Return the level that a listing may show, and what decided it.

    Args:
        units: the pool, with in-flight units already taken off; may be negative.
        policy: the listing's policy; its threshold is taken off in `pool`, not here.
    """
    reason: OfferReason = "pool"
    if units <= 0:
        level, reason = 0, "empty"
    elif units <= policy.end_when:
        level, reason = 0, "end_when"
    else:
        numerator, denominator = policy.share.as_integer_ratio()
        level = units * numerator // denominator
        if level < units:
            reason = "share"
        if policy.cap is not None and level > policy.cap:
            level, reason = policy.cap, "cap"
    if policy.floor is not None and level < policy.floor:
        return policy.floor, "floor"
    return level, reason


def packs(units: int, pack_size: int) -> int:
    """Return how many whole packs of `pack_size` units can be shown; never negative.

    Raises:
        ValueError: if the pack size is below 1.
    """
    if pack_size < 1:
        raise ValueError(f"pack size must be 1 or more, got {pack_size}")
    return max(0, units) // pack_size
