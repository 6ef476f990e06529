"""Merchants: the businesses whose orders and stock the hub keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.schema import locations, merchants

DEFAULT_LOCATION = "main"
_COLUMNS = (merchants.c.merchant_id, merchants.c.name, merchants.c.currency, merchants.c.time_zone)


@dataclass(frozen=True, slots=True)
class Merchant:
    """One business. `currency` is its base currency (ISO 4217), `time_zone` its business zone (IANA name)."""

    merchant_id: int
    name: str
    currency: str
    time_zone: str


def add_merchant(tx: Transaction, name: str, *, currency: str, time_zone: str) -> Merchant:
    """Store a new merchant with its default place `main`, and return it.

    Raises:
        Misconfigured: the name is taken or blank, the currency is no ISO code, the zone is unknown.
    """
    if not name.strip() or name != name.strip() or "|" in name or not name.isprintable():
        raise Misconfigured(
            "A merchant's name must be printable text without '|' and without blanks around it",
            remedy="Choose another name",
        )
    if not re.fullmatch("[A-Z]{3}", currency):
        raise Misconfigured(
            f"{currency!r} is no currency code", remedy="Give the ISO 4217 code in capitals, such as MXN"
        )
    require_time_zone(time_zone)
    merchant_id = tx.scalar(
        upsert(merchants)
        .values(name=name, currency=currency, time_zone=time_zone)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(merchants.c.merchant_id)
    )
    if merchant_id is None:
        raise Misconfigured(f"There is a merchant {name!r} already", remedy="Choose another name")
    tx.execute(insert(locations).values(merchant_id=merchant_id, code=DEFAULT_LOCATION, name="", is_default=True))
    return Merchant(merchant_id, name, currency, time_zone)


def require_time_zone(time_zone: str) -> None:
    """Raise Misconfigured unless the text names an IANA time zone."""
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Misconfigured(
            f"{time_zone!r} is no time zone", remedy="Give an IANA name, such as America/Mexico_City"
        ) from None


def get_merchant(tx: Transaction, name: str) -> Merchant:
    """Return a merchant by name.

    Raises:
        Misconfigured: there is none of that name; the remedy lists those there are.
    """
    row = tx.execute(select(*_COLUMNS).where(merchants.c.name == name)).one_or_none()
    if row is not None:
        return _merchant(row)
    known = [merchant.name for merchant in list_merchants(tx)]
    raise Misconfigured(
        f"There is no merchant {name!r}",
        remedy=f"Known: {', '.join(known)}"
        if known
        else "Add one: oms-hub merchants add NAME --currency ... --time-zone ...",
    )


def list_merchants(tx: Transaction) -> Sequence[Merchant]:
    """Return all merchants by name."""
    return [_merchant(row) for row in tx.execute(select(*_COLUMNS).order_by(merchants.c.name))]


def _merchant(row: Any) -> Merchant:
    return Merchant(row.merchant_id, row.name, row.currency, row.time_zone)
