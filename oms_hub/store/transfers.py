"""Transfers: units on their way from one place to another, in two steps, with what is in transit between them.

What belongs here: starting, receiving, closing and cancelling, each with its movements. Not here: counts (`counts`),
corrections by hand (`adjustments`).

Starting takes the units off the place that they leave and makes them `incoming` at the other. Receiving moves them
from incoming to on_hand, all at once or bit by bit. Each step is told in totals, so that telling it again adds nothing.
What is still on its way when a transfer is closed is lost: it left, and came nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from oms_hub.domain.transfers import Transfer, TransferLine, arrivals, check_same, check_start, check_there
from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.goods import find_location, find_skus
from oms_hub.store.stock import lock_mapping, mark_dirty

_LOCK = """
SELECT b.sku_id, b.location_id, CASE WHEN b.counted_at IS NOT NULL THEN b.on_hand - b.unavailable END
FROM hub.balances b
WHERE b.sku_id = ANY(CAST(:sku_ids AS bigint[])) AND b.location_id = ANY(CAST(:places AS integer[]))
ORDER BY b.sku_id, b.location_id FOR UPDATE
"""

_START = """
INSERT INTO hub.transfers (merchant_id, reference, from_location_id, to_location_id, started_at)
VALUES (:merchant_id, :reference, :from_id, :to_id, :now) RETURNING transfer_id
"""

_LINES = """
INSERT INTO hub.transfer_lines (transfer_id, sku_id, merchant_id, units)
SELECT :transfer_id, sku_id, :merchant_id, units
FROM unnest(CAST(:sku_ids AS bigint[]), CAST(:units AS integer[])) AS g (sku_id, units) ORDER BY sku_id
"""

_MOVE = """
WITH moves AS (
    SELECT * FROM unnest(CAST(:sku_ids AS bigint[]), CAST(:units AS integer[]), CAST(:details AS text[]))
        AS g (sku_id, units, detail)
),
booked AS (
    INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after,
                               occurred_at, source, natural_key, cause)
    SELECT :merchant_id, b.sku_id, b.location_id, :kind, m.units, b.on_hand, b.on_hand + m.units, :now,
           :source, concat_ws(':', 'transfer', CAST(:transfer_id AS bigint), m.detail), :cause
    FROM moves m JOIN hub.balances b ON b.sku_id = m.sku_id AND b.location_id = :location_id
    ORDER BY b.sku_id
    RETURNING sku_id, location_id, quantity
)
UPDATE hub.balances b SET on_hand = b.on_hand + k.quantity, updated_at = :now
FROM booked k WHERE b.sku_id = k.sku_id AND b.location_id = k.location_id
"""

_INCOMING = """
UPDATE hub.balances b SET incoming = b.incoming + g.units, updated_at = :now
FROM unnest(CAST(:sku_ids AS bigint[]), CAST(:units AS integer[])) AS g (sku_id, units)
WHERE b.sku_id = g.sku_id AND b.location_id = :location_id
"""

_COUNT_ON = """
UPDATE hub.transfer_lines l SET received_units = received_units + g.received, returned_units = returned_units + g.back
FROM unnest(CAST(:sku_ids AS bigint[]), CAST(:received AS integer[]), CAST(:back AS integer[]))
    AS g (sku_id, received, back)
WHERE l.transfer_id = :transfer_id AND l.sku_id = g.sku_id
"""

_FIND = """
SELECT t.transfer_id, t.from_location_id, t.to_location_id FROM hub.transfers t
WHERE t.merchant_id = :merchant_id AND t.reference = :reference FOR UPDATE
"""

_LIST = """
SELECT t.reference, f.code, o.code, t.state, t.started_at, t.closed_at,
       (SELECT json_agg(json_build_array(s.sku, l.units, l.received_units, l.returned_units) ORDER BY s.sku)
        FROM hub.transfer_lines l JOIN hub.skus s USING (sku_id) WHERE l.transfer_id = t.transfer_id)
FROM hub.transfers t
JOIN hub.locations f ON f.location_id = t.from_location_id JOIN hub.locations o ON o.location_id = t.to_location_id
WHERE t.merchant_id = :merchant_id AND t.state = coalesce(CAST(:state AS text), t.state)
  AND t.reference = coalesce(CAST(:reference AS text), t.reference)
ORDER BY t.transfer_id DESC LIMIT :limit
"""


def list_transfers(
    tx: Transaction, merchant_id: int, *, state: str | None = None, reference: str | None = None, limit: int = 1_000
) -> Sequence[Transfer]:
    """Return a merchant's transfers, the newest first; of one state or reference if given."""
    values = {"merchant_id": merchant_id, "state": state, "reference": reference, "limit": limit}
    rows = tx.execute(text(_LIST), values)
    return [
        Transfer(row[0], row[1], row[2], row[3], row[4], row[5], tuple(TransferLine(*line) for line in row[6]))
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class TransferStart:
    """What is to be sent: its name, codes of the places that it leaves and goes to, SKU -> units."""

    reference: str
    places: tuple[str, str]
    units: Mapping[str, int]


def start_transfer(tx: Transaction, merchant_id: int, start: TransferStart, *, now: datetime) -> bool:
    """Take units off one place and make them incoming at the other; return False where this stands already.

    Raises:
        Misconfigured: a code is unknown, a place was never counted, fewer units are there, or the name stands for
            another transfer; nothing was changed.
    """
    check_start(start.reference, start.places, start.units)
    lock_mapping(tx, merchant_id)
    from_id, to_id = (find_location(tx, merchant_id, code).location_id for code in start.places)
    own = _own(tx, merchant_id, _Found(0, from_id, to_id), (start.reference, list(start.units)), now)
    known = list_transfers(tx, merchant_id, reference=start.reference)
    if known:
        check_same(known[0], start.places, start.units)
        return False
    for sku_id, (sku, asked) in zip(own["sku_ids"], start.units.items(), strict=True):
        check_there(sku, start.places[0], own["free"].get((sku_id, from_id)), asked=asked)
        check_there(sku, start.places[1], own["free"].get((sku_id, to_id)))
    units = list(start.units.values())
    own["transfer_id"] = tx.execute(
        text(_START), {**own, "reference": start.reference, "from_id": from_id, "to_id": to_id}
    ).scalar_one()
    tx.execute(text(_LINES), {**own, "units": units})
    cause = f"transfer {start.reference} from {start.places[0]} to {start.places[1]}"
    _move(tx, own, from_id, _Moves("transfer_out", [-each for each in units], ["out"] * len(units), cause))
    _count_incoming(tx, own, to_id, units)
    mark_dirty(tx, merchant_id, own["sku_ids"])
    return True


def receive_transfer(
    tx: Transaction, merchant_id: int, reference: str, *, totals: Mapping[str, int] | None, now: datetime
) -> Transfer:
    """Take units in that arrived, and return the transfer as it stands then.

    Args:
        tx: the transaction.
        merchant_id: whose goods.
        reference: which transfer.
        totals: SKU -> how many have arrived in all so far; None for everything that is on its way.
        now: when they arrived, aware.

    Raises:
        Misconfigured: there is no such transfer, or it says something else; nothing was changed.
    """
    found, before = _find(tx, merchant_id, reference)
    news = arrivals(before, totals)
    if not news:
        return before
    own = _own(tx, merchant_id, found, (reference, list(news)), now)
    units = list(news.values())
    received = {line.sku: line.received for line in before.lines}
    details = [f"in:{received[sku] + arrived}" for sku, arrived in news.items()]
    _count_incoming(tx, own, found.to_id, [-each for each in units])
    cause = f"transfer {reference} from {before.from_location} arrived"
    _move(tx, own, found.to_id, _Moves("transfer_in", units, details, cause))
    tx.execute(text(_COUNT_ON), {**own, "received": units, "back": [0] * len(units)})
    if news == before.under_way():
        _close(tx, found, "received", now)
    mark_dirty(tx, merchant_id, own["sku_ids"])
    return list_transfers(tx, merchant_id, reference=reference)[0]


def end_transfer(tx: Transaction, merchant_id: int, reference: str, *, is_cancelled: bool, now: datetime) -> Transfer:
    """End a transfer of which something is still on its way, and return it; one that has ended stays as it is.

    Args:
        tx: the transaction.
        merchant_id: whose goods.
        reference: which transfer.
        is_cancelled: True puts what is on its way back where it came from; False writes it off as lost.
        now: the instant, aware.

    Raises:
        Misconfigured: there is no such transfer.
    """
    found, before = _find(tx, merchant_id, reference)
    under_way = before.under_way()
    if not under_way:
        return before
    own = _own(tx, merchant_id, found, (reference, list(under_way)), now)
    units = list(under_way.values())
    _count_incoming(tx, own, found.to_id, [-each for each in units])
    if is_cancelled:
        cause = f"transfer {reference} to {before.to_location} came back"
        _move(tx, own, found.from_id, _Moves("transfer_in", units, ["back"] * len(units), cause))
        tx.execute(text(_COUNT_ON), {**own, "received": [0] * len(units), "back": units})
    has_arrived = any(line.received for line in before.lines)
    _close(tx, found, "cancelled" if is_cancelled and not has_arrived else "received", now)
    mark_dirty(tx, merchant_id, own["sku_ids"])
    return list_transfers(tx, merchant_id, reference=reference)[0]


@dataclass(frozen=True, slots=True)
class _Found:
    transfer_id: int
    from_id: int
    to_id: int


@dataclass(frozen=True, slots=True)
class _Moves:
    kind: str
    units: Sequence[int]
    details: Sequence[str]
    cause: str


def _find(tx: Transaction, merchant_id: int, reference: str) -> tuple[_Found, Transfer]:
    row = tx.execute(text(_FIND), {"merchant_id": merchant_id, "reference": reference}).one_or_none()
    if row is None:
        raise Misconfigured(f"There is no transfer {reference}", remedy="See: oms-hub stock transfer list")
    return _Found(*row), list_transfers(tx, merchant_id, reference=reference)[0]


def _own(
    tx: Transaction, merchant_id: int, found: _Found, named: tuple[str, Sequence[str]], now: datetime
) -> dict[str, Any]:
    """Lock the balances of some goods at both ends and return what every statement about them needs.

    `free` is (SKU id, place id) -> units there that are not set aside, None where it was never counted.
    """
    reference, skus = named
    sku_ids = list(find_skus(tx, merchant_id, skus).values())
    rows = tx.execute(text(_LOCK), {"sku_ids": sku_ids, "places": [found.from_id, found.to_id]})
    return {
        "merchant_id": merchant_id, "transfer_id": found.transfer_id, "sku_ids": sku_ids, "now": now,
        "source": f"transfer:{reference}", "free": {(row[0], row[1]): row[2] for row in rows},
    }  # fmt: skip


def _move(tx: Transaction, own: Mapping[str, Any], location_id: int, moves: _Moves) -> None:
    keys = [f"{sku_id}:{detail}" for sku_id, detail in zip(own["sku_ids"], moves.details, strict=True)]
    values = {"units": moves.units, "details": keys, "kind": moves.kind, "cause": moves.cause}
    tx.execute(text(_MOVE), {**own, **values, "location_id": location_id})


def _count_incoming(tx: Transaction, own: Mapping[str, Any], location_id: int, units: Sequence[int]) -> None:
    tx.execute(text(_INCOMING), {**own, "units": units, "location_id": location_id})


def _close(tx: Transaction, found: _Found, state: str, now: datetime) -> None:
    statement = "UPDATE hub.transfers SET state = :state, closed_at = :now WHERE transfer_id = :transfer_id"
    tx.execute(text(statement), {"state": state, "now": now, "transfer_id": found.transfer_id})
