"""What people do to stock by hand: transfers between places, corrections, units set aside.

What belongs here: one transaction per deed, for commands and the console. Not here: the ledger
(`oms_hub.store.transfers`, `adjustments`), counts (`import_stock`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from oms_hub.domain.transfers import Transfer
from oms_hub.store import transfers
from oms_hub.store.adjustments import Correction, adjust_stock, set_aside
from oms_hub.store.engine import Transaction
from oms_hub.store.merchants import get_merchant
from oms_hub.store.transfers import TransferStart
from oms_hub.sync.hub import Hub

_Deed: TypeAlias = Callable[[Transaction, int, datetime], bool]


def start_transfer(hub: Hub, merchant: str, start: TransferStart) -> bool:
    """Send units from one place to another; False where this transfer stands already. Raises Misconfigured."""
    return _done(hub, merchant, lambda tx, owner, now: transfers.start_transfer(tx, owner, start, now=now))


def receive_transfer(hub: Hub, merchant: str, reference: str, totals: Mapping[str, int] | None) -> Transfer:
    """Take in what arrived (SKU -> in all so far; None: all of it), return the transfer. Raises Misconfigured."""
    with hub.store.begin() as tx:
        owner = get_merchant(tx, merchant).merchant_id
        return transfers.receive_transfer(tx, owner, reference, totals=totals, now=hub.clock())


def end_transfer(hub: Hub, merchant: str, reference: str, *, is_cancelled: bool) -> Transfer:
    """End a transfer: what is under way went back, or is lost. Raises Misconfigured."""
    with hub.store.begin() as tx:
        owner = get_merchant(tx, merchant).merchant_id
        return transfers.end_transfer(tx, owner, reference, is_cancelled=is_cancelled, now=hub.clock())


def list_transfers(hub: Hub, merchant: str, *, state: str | None) -> Sequence[Transfer]:
    """Return a merchant's transfers, the newest first; of one state if given. Raises Misconfigured."""
    with hub.store.read() as tx:
        return transfers.list_transfers(tx, get_merchant(tx, merchant).merchant_id, state=state)


def correct_stock(hub: Hub, merchant: str, correction: Correction) -> bool:
    """Change what is on hand; False where this correction stands already. Raises Misconfigured."""
    return _done(hub, merchant, lambda tx, owner, now: adjust_stock(tx, owner, correction, now=now))


def set_units_aside(hub: Hub, merchant: str, correction: Correction) -> bool:
    """Set units aside or give them free; False where this stands already. Raises Misconfigured."""
    return _done(hub, merchant, lambda tx, owner, now: set_aside(tx, owner, correction, now=now))


def _done(hub: Hub, merchant: str, deed: _Deed) -> bool:
    with hub.store.begin() as tx:
        return deed(tx, get_merchant(tx, merchant).merchant_id, hub.clock())
