"""Leaving people out: what Mercado Libre tells about buyers and never lands in the hub's store.

What belongs here: which fields go. Orders and shipments cannot be asked for without names and addresses, so these are
dropped before a raw page is made; ids, amounts and countries stay.
"""

from __future__ import annotations

from typing import Any

_PERSONAL = frozenset(
    {
        "alternative_phone", "billing_info", "card_id", "comment", "comments", "email", "first_name", "last_name",
        "nickname", "payer_id", "phone", "receiver_id", "receiver_name", "receiver_phone",
    }
)  # fmt: skip
_ADDRESSES = frozenset({"shipping_address", "receiver_address", "sender_address"})
_KEPT_OF_ADDRESSES = frozenset({"country", "node"})


def without_people(value: Any) -> Any:
    """Return a copy of a JSON value without what tells who somebody is and where they live.

    Example:
        >>> without_people({"buyer": {"id": 7, "nickname": "N"}, "shipping_address": {"country": {"id": "MX"}}})
        {'buyer': {'id': 7}, 'shipping_address': {'country': {'id': 'MX'}}}
    """
    if isinstance(value, list):
        return [without_people(each) for each in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, each in value.items():
        if name in _PERSONAL:
            continue
        if name in _ADDRESSES:
            found[name] = (
                {key: each[key] for key in sorted(_KEPT_OF_ADDRESSES & each.keys())} if isinstance(each, dict) else None
            )
        else:
            found[name] = without_people(each)
    return found
