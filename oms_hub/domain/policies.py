"""Which stock policy holds for a listing: the nearest word wins, field by field.

What belongs here: the layers, their meeting, contradictions. Not here: what a policy does to a number
(`availability`, `hold_back`), where layers are kept (`oms_hub.store`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from oms_hub.domain.availability import OfferPolicy

Scarce: TypeAlias = Literal["hold_back", "shared"]


class Scope(IntEnum):
    """What a layer speaks for; the higher is nearer to the listing and wins."""

    MERCHANT = 1
    CHANNEL = 2
    CONNECTION = 3
    SKU = 4
    SKU_ON_CONNECTION = 5


@dataclass(frozen=True, slots=True)
class PolicyLayer:
    """What was said at one scope; None means that nothing was said there.

    Attributes:
        name: of what it speaks, for people: `merchant acme`, `connection shop-mx`, `sku MUG-1`.
        scarce: `hold_back` keeps back what the others may sell; `shared` shows the whole pool everywhere.
        risk: standard deviations held back. news_seconds: the news delay, where it is not to be measured.
        is_paused: True shows nothing, whatever else was said. places: codes of the places that feed the connection.
    """

    scope: Scope
    name: str
    safety_stock: int | None = None
    threshold: int | None = None
    share: Decimal | Fraction | None = None
    cap: int | None = None
    end_when: int | None = None
    floor: int | None = None
    scarce: Scarce | None = None
    risk: float | None = None
    news_seconds: float | None = None
    is_paused: bool | None = None
    places: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """What holds for one listing.

    Attributes:
        offer: share, cap, end_when and so on.
        news_seconds: None where the measured delay holds.
        places: None where all places feed the connection.
        origins: field -> name of the layer that decided it; fields that nobody spoke of are missing.
    """

    offer: OfferPolicy
    scarce: Scarce
    risk: float
    news_seconds: float | None
    is_paused: bool
    places: frozenset[str] | None
    origins: Mapping[str, str]


_SAID_HERE = tuple(field.name for field in fields(PolicyLayer) if field.name not in ("scope", "name"))


def resolve(layers: Iterable[PolicyLayer]) -> EffectivePolicy:
    """Return what holds, field by field: the nearest layer that says something; else the default.

    Args:
        layers: those that speak for the listing, in any order, one per scope.

    Raises:
        ValueError: if two layers have one scope, or what they say together contradicts itself (a cap below a floor);
            the text names the layers.
    """
    said: dict[str, Any] = {}
    origins: dict[str, str] = {}
    ordered = sorted(layers, key=lambda layer: layer.scope)
    for before, after in pairwise(ordered):
        if before.scope == after.scope:
            raise ValueError(f"{before.name} and {after.name} both speak for the same scope")
    for layer in ordered:
        for name in _SAID_HERE:
            value = getattr(layer, name)
            if value is not None:
                said[name] = value
                origins[name] = layer.name
    found = contradictions(said, origins)
    if found:
        raise ValueError("; ".join(found))
    offer = {field.name: said[field.name] for field in fields(OfferPolicy) if field.name in said}
    return EffectivePolicy(
        offer=OfferPolicy(**offer),
        scarce=said.get("scarce", "hold_back"),
        risk=said.get("risk", 3.0),
        news_seconds=said.get("news_seconds"),
        is_paused=said.get("is_paused", False),
        places=said.get("places"),
        origins=origins,
    )


def contradictions(said: Mapping[str, Any], origins: Mapping[str, str]) -> tuple[str, ...]:
    """Return what cannot hold together, in plain words that name where each half was said.

    Args:
        said: policy fields that hold, without those nobody spoke of.
        origins: field -> name of the layer it comes from.
    """

    def where(name: str) -> str:
        return f"{name} {said[name]} ({origins[name]})"

    found: list[str] = []
    for name in ("safety_stock", "threshold", "cap", "end_when", "floor", "risk", "news_seconds"):
        if name in said and said[name] < 0:
            found.append(f"{where(name)} must not be negative")
    if "share" in said and not 0 <= said["share"] <= 1:
        found.append(f"{where('share')} must be between 0 and 1")
    if "cap" in said and "floor" in said and said["cap"] < said["floor"]:
        found.append(f"{where('cap')} is below {where('floor')}: raise the cap or lower the floor")
    if "places" in said and not said["places"]:
        found.append(f"no place feeds the connection ({origins['places']}): name at least one, or pause it")
    return tuple(found)
