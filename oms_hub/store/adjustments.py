"""Corrections by hand: units that turn up or are gone, and units set aside because they cannot be sold.

What belongs here: one movement per correction, idempotent by its reference. Not here: counts (`counts`), transfers
(`transfers`). Units set aside stay in on_hand; they have a ledger of their own (`unavailable_moves`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.goods import find_location, find_skus
from oms_hub.store.stock import mark_dirty


@dataclass(frozen=True, slots=True)
class Correction:
    """A change by hand at one place.

    Attributes:
        sku: the goods.
        location: the place's code, None for the default place.
        units: how many more (positive) or fewer (negative); never 0.
        reason: why, in words.
        reference: what makes it the same when it is told twice.
    """

    sku: str
    location: str | None
    units: int
    reason: str
    reference: str


_LOCK = """
SELECT on_hand, unavailable FROM hub.balances
WHERE sku_id = :sku_id AND location_id = :location_id AND counted_at IS NOT NULL FOR UPDATE
"""

_ADJUST = """
WITH booked AS (
    INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after,
                               occurred_at, source, natural_key, cause)
    VALUES (:merchant_id, :sku_id, :location_id, 'adjustment', :units, :before, :before + :units, :now, :source, :key,
            :reason)
)
UPDATE hub.balances SET on_hand = on_hand + :units, updated_at = :now
WHERE sku_id = :sku_id AND location_id = :location_id
"""

_SET_ASIDE = """
WITH booked AS (
    INSERT INTO hub.unavailable_moves (merchant_id, sku_id, location_id, quantity, balance_before, balance_after,
                                       recorded_at, source, natural_key, cause)
    VALUES (:merchant_id, :sku_id, :location_id, :units, :before, :before + :units, :now, :source, :key, :reason)
)
UPDATE hub.balances SET unavailable = unavailable + :units, updated_at = :now
WHERE sku_id = :sku_id AND location_id = :location_id
"""


def adjust_stock(tx: Transaction, merchant_id: int, correction: Correction, *, now: datetime) -> bool:
    """Change what is on hand by some units; return False where this very correction stands already.

    Raises:
        Misconfigured: a code is unknown, the place was never counted, fewer units are there, or the reference stands
            for another correction; nothing was changed.
    """
    own, on_hand, _ = _place(tx, merchant_id, correction, now)
    if _is_known(tx, own, "movements", correction):
        return False
    if on_hand + correction.units < min(0, on_hand):
        raise Misconfigured(
            f"Only {max(0, on_hand)} of {correction.sku} are there, {-correction.units} cannot be taken off",
            remedy="Take off fewer, or count the place",
        )
    tx.execute(text(_ADJUST), {**own, "before": on_hand})
    mark_dirty(tx, merchant_id, [own["sku_id"]])
    return True


def set_aside(tx: Transaction, merchant_id: int, correction: Correction, *, now: datetime) -> bool:
    """Set units aside that cannot be sold, or (negative) give some free again; return False where it stands already.

    Raises:
        Misconfigured: as for `adjust_stock`; also where fewer units are there, or fewer are set aside.
    """
    own, on_hand, unavailable = _place(tx, merchant_id, correction, now)
    if _is_known(tx, own, "unavailable_moves", correction):
        return False
    if correction.units > 0 and unavailable + correction.units > on_hand:
        raise Misconfigured(
            f"Only {max(0, on_hand - unavailable)} of {correction.sku} are there and not set aside yet",
            remedy="Set aside fewer, or count the place",
        )
    if unavailable + correction.units < 0:
        raise Misconfigured(
            f"Only {unavailable} of {correction.sku} are set aside", remedy="Give free no more than that"
        )
    tx.execute(text(_SET_ASIDE), {**own, "before": unavailable})
    mark_dirty(tx, merchant_id, [own["sku_id"]])
    return True


def _place(tx: Transaction, merchant_id: int, correction: Correction, now: datetime) -> tuple[dict[str, Any], int, int]:
    """Lock the balance and return what the statements need, on_hand and unavailable."""
    if not correction.units:
        raise Misconfigured("A correction of 0 units changes nothing", remedy="Give --by a number other than 0")
    if not correction.reason.strip() or not correction.reference.strip():
        raise Misconfigured("A correction needs a reason and a name", remedy="Say why with --reason")
    place = find_location(tx, merchant_id, correction.location)
    sku_id = find_skus(tx, merchant_id, [correction.sku])[correction.sku]
    row = tx.execute(text(_LOCK), {"sku_id": sku_id, "location_id": place.location_id}).one_or_none()
    if row is None:
        raise Misconfigured(f"{correction.sku} was never counted at {place.code}", remedy="Count it there first")
    key = f"correction:{sku_id}:{place.location_id}:{correction.reference}"
    own = {
        "merchant_id": merchant_id, "sku_id": sku_id, "location_id": place.location_id, "units": correction.units,
        "reason": correction.reason, "source": f"correction:{correction.reference}", "key": key, "now": now,
    }  # fmt: skip
    return own, row[0], row[1]


def _is_known(tx: Transaction, own: dict[str, Any], table: str, correction: Correction) -> bool:
    query = f"SELECT quantity FROM hub.{table} WHERE merchant_id = :merchant_id AND natural_key = :key"
    known = tx.execute(text(query), own).scalar_one_or_none()
    if known is not None and known != correction.units:
        raise Misconfigured(
            f"{correction.reference} stands for a correction of {known} already", remedy="Give another --reference"
        )
    return known is not None
