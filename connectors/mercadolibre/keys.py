"""What a listing is called here, the same in listings, levels and order lines. Pure.

What belongs here: making and reading listing keys. Not here: listings (`listings`), levels (`levels`).

Mercado Libre keeps a level per user product (`MLMU...`), and copies it to every item that offers it; so the user
product is the listing, wherever an item or variation names one. Older ones that name none are listings of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from oms_hub.errors import BadPayload

_ITEM = r"[A-Z]{3}\d{1,20}"
_KEY = re.compile(
    rf"up:(?P<product>[A-Z]{{3}}U\d{{1,20}})|item:(?P<item>{_ITEM})|variation:(?P<of>{_ITEM}):(?P<own>\d{{1,20}})"
)


@dataclass(frozen=True, slots=True)
class ListingName:
    """What a listing key names; what it does not name is empty."""

    user_product_id: str = ""
    item_id: str = ""
    variation_id: str = ""


def listing_key(item_id: Any, variation_id: Any, user_product_id: Any) -> str:
    """Return the key of what carries the quantity.

    Example:
        >>> listing_key("MLM1", 22, None), listing_key("MLM1", 22, "MLMU7")
        ('variation:MLM1:22', 'up:MLMU7')
    """
    if user_product_id:
        return f"up:{user_product_id}"
    return f"variation:{item_id}:{variation_id}" if variation_id else f"item:{item_id}"


def name_of(key: str) -> ListingName:
    """Return what a key names; raises BadPayload where it is no key of this channel."""
    match = _KEY.fullmatch(key)
    if match is None:
        raise BadPayload("a listing key is not of this channel", where="listing_key")
    return ListingName(match["product"] or "", match["item"] or match["of"] or "", match["own"] or "")
