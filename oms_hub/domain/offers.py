"""The level of every listing of SKUs that share units: from places, policies, units in flight and demand, in one go.

What belongs here: how `availability`, `hold_back` and policies compose over packs, bundles and several places. Not
here: these rules themselves, whether a level is sent (`push_plan`). The store computes the same in SQL for hundreds of
thousands of listings (`oms_hub.store.plan_offers`); a test holds both against each other on random data.

A listing takes units of one SKU (a pack takes several) or of each component of a bundle. Every SKU shares its own
units among all listings that take any of them; a bundle shows what its scarcest component allows.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from oms_hub.domain import availability, hold_back
from oms_hub.domain.availability import OfferPolicy, PlaceStock

Decided: TypeAlias = Literal["pool", "empty", "end_when", "share", "cap", "floor", "paused", "hold_back"]


@dataclass(frozen=True, slots=True)
class Stock:
    """One SKU's units.

    Attributes:
        places: available units by place (on_hand − allocated − reserved − unavailable), negative where oversold.
        unplaced: open demand without a place. in_flight: sold somewhere, orders not here yet.
    """

    places: Mapping[Hashable, int]
    unplaced: int = 0
    in_flight: int = 0

    @property
    def gone(self) -> int:
        """Return the units that are promised or sold and stand at no place."""
        return self.unplaced + self.in_flight


@dataclass(frozen=True, slots=True)
class ListingPolicy:
    """What holds for one listing; `safety` by SKU and place where a place states its own, `feeds` None for all."""

    offer: OfferPolicy = field(default_factory=OfferPolicy)
    is_shared: bool = False
    risk: float = hold_back.DEFAULT_RISK
    is_paused: bool = False
    feeds: frozenset[Hashable] | None = None
    safety: Mapping[tuple[str, Hashable], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OfferedListing:
    """One listing of the group.

    Attributes:
        recipe: SKU -> units that one of it takes: its pack size, times the units in the bundle.
        own_gone: only for bundles: bundles of this SKU that are promised without a place, or in flight anywhere.
        pack_size: bundles (or units) in one of it.
        rate, news_seconds, shown: as in `hold_back.Seller`, the first and the last counted in listings.
        is_on: the hub may write its level; else the others leave it what it may sell.
    """

    recipe: Mapping[str, int]
    rate: float
    news_seconds: float
    shown: int = 0
    pack_size: int = 1
    is_bundle: bool = False
    own_gone: int = 0
    is_on: bool = True
    policy: ListingPolicy = field(default_factory=ListingPolicy)


@dataclass(frozen=True, slots=True)
class Till:
    """A seller of a SKU that shows no level and cannot be stopped."""

    sku: str
    rate: float
    news_seconds: float


@dataclass(frozen=True, slots=True)
class Offer:
    """What one listing should show, may show right now, and why; `pool` in units (or bundles), `held` in listings."""

    level: int
    allowed: int
    pool: int
    held: int
    decided: Decided


def offer_group(
    stock: Mapping[str, Stock], listings: Sequence[OfferedListing], tills: Sequence[Till] = ()
) -> tuple[Offer, ...]:
    """Return the offers of all listings of SKUs that share units, in the order given.

    Args:
        stock: every SKU that a recipe names, with at least one place each (a SKU without a count is not planned).
        listings: all that take any of these units, in a stable order.
        tills: sellers without listings.
    """
    limits = [_limit(stock, listing) for listing in listings]
    shares = {sku: _shares(sku, stock, listings, limits, tills) for sku in stock}
    found: list[Offer] = []
    for nth, listing in enumerate(listings):
        pool, limit, decided = limits[nth]
        level = allowed = limit
        if not listing.policy.is_shared:
            level = min(limit, *(shares[sku][nth][0] // units for sku, units in listing.recipe.items()))
            allowed = min(level, *(shares[sku][nth][1] // units for sku, units in listing.recipe.items()))
        held = limit - level
        floor = (listing.policy.offer.floor or 0) // listing.pack_size
        if floor > level and not listing.policy.is_paused:
            level, allowed, held, decided = floor, max(allowed, floor), 0, "floor"
        found.append(Offer(level, allowed, pool, held, "hold_back" if held else decided))
    return tuple(found)


def _limit(stock: Mapping[str, Stock], listing: OfferedListing) -> tuple[int, int, Decided]:
    """Return a listing's own pool, the most listings that its policy allows of it, and what decided that."""
    pool = _pool(stock, listing) - listing.policy.offer.threshold
    if listing.policy.is_paused:
        return pool, 0, "paused"
    rule = listing.policy.offer
    bounded = OfferPolicy(share=rule.share, cap=rule.cap, end_when=rule.end_when)
    units, decided = availability.offer_with_reason(pool, bounded)
    return pool, availability.packs(units, listing.pack_size), decided


def _pool(stock: Mapping[str, Stock], listing: OfferedListing) -> int:
    if not listing.is_bundle:
        (sku,) = listing.recipe
        return availability.pool(_at_places(sku, stock, listing).values(), unplaced=stock[sku].gone)
    per_bundle = {sku: units // listing.pack_size for sku, units in listing.recipe.items()}
    components = [
        availability.BundleComponent(sku, units, _at_places(sku, stock, listing)) for sku, units in per_bundle.items()
    ]
    places = frozenset.intersection(*(frozenset(component.places) for component in components))
    kits = availability.bundle_pool(components) if places else 0
    bounds = [
        (each.units, sum(place.sellable() for place in each.places.values()), stock[each.sku].gone)
        for each in components
    ]
    return availability.bundles_left(kits, listing.own_gone, bounds)


def _at_places(sku: str, stock: Mapping[str, Stock], listing: OfferedListing) -> dict[Hashable, PlaceStock]:
    policy = listing.policy
    return {
        place: PlaceStock(units, safety_stock=policy.safety.get((sku, place), policy.offer.safety_stock))
        for place, units in stock[sku].places.items()
        if policy.feeds is None or place in policy.feeds
    }


def _shares(
    sku: str,
    stock: Mapping[str, Stock],
    listings: Sequence[OfferedListing],
    limits: Sequence[tuple[int, int, Decided]],
    tills: Sequence[Till],
) -> dict[int, tuple[int, int]]:
    """Return listing's number -> units of this SKU that it should show, and may show right now."""
    takers = [nth for nth, listing in enumerate(listings) if sku in listing.recipe]
    is_nobody_on = not any(listings[nth].is_on for nth in takers)
    sellers = [
        hold_back.Seller(
            rate=listing.rate * listing.recipe[sku],
            news_seconds=listing.news_seconds,
            shown=listing.shown * listing.recipe[sku],
            limit=limits[nth][1] * listing.recipe[sku],
            pack_size=listing.recipe[sku],
            can_be_stopped=listing.is_on or is_nobody_on,
        )
        for nth, listing in ((nth, listings[nth]) for nth in takers)
    ]
    sellers += [
        hold_back.Seller(till.rate, till.news_seconds, can_be_stopped=False) for till in tills if till.sku == sku
    ]
    risks = [listings[nth].policy.risk for nth in takers if not listings[nth].policy.is_shared]
    pool = _shared_pool(sku, stock, [listings[nth] for nth in takers])
    settled = hold_back.settle(pool, sellers, risk=max(risks, default=hold_back.DEFAULT_RISK))
    return dict(zip(takers, settled[: len(takers)], strict=True))


def _shared_pool(sku: str, stock: Mapping[str, Stock], takers: Sequence[OfferedListing]) -> int:
    """Return the units of a SKU that its listings share: each place once, as far as it feeds any of them."""
    at_places: dict[Hashable, int] = {}
    for listing in takers:
        for place, found in _at_places(sku, stock, listing).items():
            at_places[place] = max(at_places.get(place, 0), found.sellable())
    thresholds = [listing.policy.offer.threshold for listing in takers if not listing.is_bundle]
    return sum(at_places.values()) - min(thresholds, default=0) - stock[sku].gone
