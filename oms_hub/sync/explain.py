"""Why a number is what it is, and what became of an order: facts for people and programs, from the store alone.

What belongs here: finding what is asked about, and adding the policy that holds for each listing. Not here: reading
(`oms_hub.store.explain_stock`, `explain_order`), words (`oms_hub.commands.explain_words`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from oms_hub.domain.policies import EffectivePolicy, PolicyLayer, resolve
from oms_hub.errors import Misconfigured
from oms_hub.store.explain_order import order_facts
from oms_hub.store.explain_stock import Facts, stock_facts
from oms_hub.store.goods import find_skus
from oms_hub.store.merchants import get_merchant
from oms_hub.store.policies import PolicyTarget, layers_of
from oms_hub.sync.hub import Hub

_SUMMED = ("on_hand", "allocated", "reserved", "unavailable", "incoming", "available")


def explain_stock(hub: Hub, merchant: str, sku: str, *, limit: int) -> Facts:
    """Return everything that stands behind a SKU's numbers, at most `limit` rows of a kind.

    Raises:
        Misconfigured: the merchant or the SKU is unknown.
    """
    with hub.store.read() as tx:
        owner = get_merchant(tx, merchant)
        sku_id = find_skus(tx, owner.merchant_id, [sku])[sku]
        facts = stock_facts(tx, owner.merchant_id, sku_id, limit=limit)
        layers = {
            (listing["connection_id"], listing["sku_id"]): layers_of(
                tx,
                PolicyTarget(owner.merchant_id, listing["channel"], listing["connection_id"], listing["sku_id"]),
            )
            for listing in facts["listings"]
        }
    counted = [place for place in facts["places"] if place["on_hand"] is not None]
    level = {name: sum(place[name] or 0 for place in facts["places"]) for name in _SUMMED} if counted else None
    listings = [_listing(listing, layers) for listing in facts["listings"]]
    return {"merchant": owner.name, "explained_at": hub.clock(), **facts, "level": level, "listings": listings}


def explain_order(hub: Hub, connection: str, order_id: str, *, limit: int) -> Facts:
    """Return the life of an order, at most `limit` rows of a kind.

    Raises:
        Misconfigured: the connection is unknown, or nothing was ever heard of such an order.
    """
    stored = hub.connection(connection)
    with hub.store.read() as tx:
        facts = order_facts(tx, stored.merchant_id, stored.connection_id, order_id, limit=limit)
    if facts is None:
        raise Misconfigured(
            f"{connection} has no order {order_id}",
            remedy="Give the channel's own id of it (report tables and exceptions show it), or sync first",
        )
    return {"merchant": stored.merchant, "connection": stored.name, "channel": stored.channel, **facts}


def _listing(listing: Facts, layers: Mapping[tuple[int, int], Sequence[PolicyLayer]]) -> Facts:
    own = layers[listing["connection_id"], listing["sku_id"]]
    shown = {key: value for key, value in listing.items() if key not in ("connection_id", "sku_id")}
    return {**shown, "policy": _policy(resolve(own))}


def _policy(policy: EffectivePolicy) -> dict[str, Any]:
    """Return what holds, field by field, each with where it was said; fields that nobody spoke of are left out."""
    said: dict[str, Any] = {each.name: getattr(policy.offer, each.name) for each in fields(policy.offer)}
    said |= {name: getattr(policy, name) for name in ("scarce", "risk", "news_seconds", "is_paused")}
    said["places"] = sorted(policy.places or ())
    return {name: {"value": _plain(said[name]), "from": origin} for name, origin in sorted(policy.origins.items())}


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | list | str) or value is None else float(value)
