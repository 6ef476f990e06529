"""`oms-hub stock transfer ...`, `stock adjust`, `stock unavailable`: what people do to stock by hand.

They join `oms-hub stock` there (`oms_hub.commands.stock`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import uuid4

import typer

from oms_hub.commands.context import opened_hub
from oms_hub.commands.output import say, show_rows
from oms_hub.domain.transfers import Transfer
from oms_hub.errors import Misconfigured
from oms_hub.store.adjustments import Correction
from oms_hub.store.transfers import TransferStart
from oms_hub.sync import move_stock

transfer_app = typer.Typer(help="Transfers: units on their way from one place to another.", no_args_is_help=True)
COLUMNS = ("reference", "from", "to", "state", "sku", "units", "received", "returned", "in_transit", "started_at",
           "closed_at")  # fmt: skip
_MERCHANT = typer.Option(..., "--merchant", help="The merchant's name.")
_REFERENCE = typer.Argument(..., help="What the transfer is called.")
_MOST_UNITS = 1_000_000_000


def units_by_sku(words: Sequence[str]) -> dict[str, int]:
    """Return SKU -> units of words such as `MUG-1=5`.

    Raises:
        Misconfigured: a word is no such thing, or a SKU is named twice.
    """
    found: dict[str, int] = {}
    for word in words:
        sku, _, units = word.rpartition("=")
        if not sku or not re.fullmatch("[0-9]{1,10}", units) or int(units) > _MOST_UNITS:
            raise Misconfigured(f"{word!r} is not SKU=UNITS", remedy="Write goods as MUG-1=5")
        if sku in found:
            raise Misconfigured(f"{sku} is named twice", remedy="Name each SKU once")
        found[sku] = int(units)
    return found


@transfer_app.command("start")
def start(
    reference: str = _REFERENCE,
    goods: list[str] = typer.Argument(..., metavar="SKU=UNITS...", help="What is sent."),
    merchant: str = _MERCHANT,
    from_location: str = typer.Option(..., "--from", help="Code of the place that it leaves."),
    to_location: str = typer.Option(..., "--to", help="Code of the place that it goes to."),
) -> None:
    """Send units off: they leave one place at once and are incoming at the other. The same again changes nothing."""
    wanted = TransferStart(reference, (from_location, to_location), units_by_sku(goods))
    with opened_hub() as hub:
        is_new = move_stock.start_transfer(hub, merchant, wanted)
    say(f"Transfer {reference} is on its way." if is_new else f"Transfer {reference} stands already; nothing changed.")


@transfer_app.command("receive")
def receive(
    reference: str = _REFERENCE,
    goods: list[str] = typer.Argument(
        None, metavar="[SKU=UNITS...]", help="How many have arrived in all so far; everything without it."
    ),
    merchant: str = _MERCHANT,
) -> None:
    """Take in what arrived. Told in totals, so that the same again changes nothing."""
    totals = units_by_sku(goods) if goods else None
    with opened_hub() as hub:
        _tell(move_stock.receive_transfer(hub, merchant, reference, totals))


@transfer_app.command("close")
def close(reference: str = _REFERENCE, merchant: str = _MERCHANT) -> None:
    """End a transfer of which nothing more will come: what is still on its way is written off."""
    with opened_hub() as hub:
        _tell(move_stock.end_transfer(hub, merchant, reference, is_cancelled=False))


@transfer_app.command("cancel")
def cancel(reference: str = _REFERENCE, merchant: str = _MERCHANT) -> None:
    """End a transfer whose goods went back: what is still on its way is on hand again where it came from."""
    with opened_hub() as hub:
        _tell(move_stock.end_transfer(hub, merchant, reference, is_cancelled=True))


@transfer_app.command("list")
def list_all(
    merchant: str = _MERCHANT,
    state: Literal["in_transit", "received", "cancelled", "all"] = typer.Option("in_transit", help="Only these."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List transfers with their goods, the newest first."""
    with opened_hub() as hub:
        found = move_stock.list_transfers(hub, merchant, state=None if state == "all" else state)
    rows = [row for transfer in found for row in _rows(transfer)]
    show_rows(rows, COLUMNS, as_json=as_json, empty="No transfers.")


def adjust(
    sku: str,
    merchant: str = _MERCHANT,
    by: int = typer.Option(..., min=-_MOST_UNITS, max=_MOST_UNITS, help="Units more (5) or fewer (-5)."),
    reason: str = typer.Option(..., help="Why; kept with the movement."),
    location: str = typer.Option(None, help="Code of the place; the default place without it."),
    reference: str = typer.Option(None, help="What makes it the same when it is told twice."),
) -> None:
    """Correct what is on hand by some units: found, lost, broken. A count is better where the whole place is known."""
    correction = Correction(sku, location, by, reason, reference or str(uuid4()))
    with opened_hub() as hub:
        is_new = move_stock.correct_stock(hub, merchant, correction)
    say(f"{sku} corrected by {by:+}." if is_new else "This correction stands already; nothing changed.")


def unavailable(
    sku: str,
    merchant: str = _MERCHANT,
    by: int = typer.Option(..., min=-_MOST_UNITS, max=_MOST_UNITS, help="Units to set aside; -2 gives two free."),
    reason: str = typer.Option(..., help="Why: damaged, in inspection, ..."),
    location: str = typer.Option(None, help="Code of the place; the default place without it."),
    reference: str = typer.Option(None, help="What makes it the same when it is told twice."),
) -> None:
    """Set units aside that are there and cannot be sold, or give them free again."""
    correction = Correction(sku, location, by, reason, reference or str(uuid4()))
    with opened_hub() as hub:
        is_new = move_stock.set_units_aside(hub, merchant, correction)
    say(f"{by:+} of {sku} set aside." if is_new else "This stands already; nothing changed.")


def _rows(transfer: Transfer) -> list[Mapping[str, object]]:
    under_way = transfer.under_way()
    return [
        {
            "reference": transfer.reference,
            "from": transfer.from_location,
            "to": transfer.to_location,
            "state": transfer.state,
            "sku": line.sku,
            "units": line.units,
            "received": line.received,
            "returned": line.returned,
            "in_transit": under_way.get(line.sku, 0),
            "started_at": transfer.started_at,
            "closed_at": transfer.closed_at,
        }
        for line in transfer.lines
    ]


def _tell(transfer: Transfer) -> None:
    received = sum(line.received for line in transfer.lines)
    under_way = sum(transfer.under_way().values())
    state = transfer.state.replace("_", " ")
    say(f"Transfer {transfer.reference} is {state}: {received} units arrived, {under_way} on their way.")
