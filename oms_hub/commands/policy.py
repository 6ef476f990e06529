"""`oms-hub policy ...`: what channels may be offered, said for a merchant, a channel, a connection or a SKU."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import typer

from oms_hub.commands.context import opened_store
from oms_hub.commands.output import complain, say, show_rows
from oms_hub.errors import Misconfigured
from oms_hub.store.connections import get_connection
from oms_hub.store.engine import Transaction
from oms_hub.store.goods import find_sku, list_locations
from oms_hub.store.merchants import Merchant, get_merchant, list_merchants
from oms_hub.store.policies import FIELDS, PolicyTarget, list_policies, set_policy
from oms_hub.store.policy_places import list_place_safety, set_place_safety
from oms_hub.store.policy_reasons import reasons_of

policy_app = typer.Typer(help="Stock policies: the nearest word wins, field by field.", no_args_is_help=True)
COLUMNS = ("merchant", "for", "field", "value")
WHY_COLUMNS = ("connection", "listing", "field", "value", "said_by")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(policy_app, name="policy")


@policy_app.command("set")
def set_some(
    said: list[str] = typer.Argument(
        ..., help="FIELD=VALUE, such as safety_stock=2 share=50% places=main,store; FIELD= takes back what was said."
    ),
    merchant: str = typer.Option(..., help="The merchant's name."),
    channel: str = typer.Option(None, help="Only for connections of this kind of channel."),
    connection: str = typer.Option(None, help="Only for this connection."),
    sku: str = typer.Option(None, help="Only for this SKU."),
    place: str = typer.Option(None, help="The safety_stock of this place, for all SKUs or for --sku."),
) -> None:
    """Say what may be offered; what is not mentioned stays as it was said.

    Fields: safety_stock (units kept at each place), threshold (units of the pool never offered), share (part of the
    pool), cap (most units), end_when (a pool of this size or smaller is not offered), floor (fewest units, whatever is
    there: oversells on purpose), scarce (hold_back or shared: who shows the last units), risk (standard deviations held
    back), news_seconds (how long news take; measured unless given), is_paused (true or false), places (which feed the
    connection).
    """
    if channel and (connection or sku):
        raise typer.BadParameter("a channel stands alone: name a connection instead", param_hint="--channel")
    given = _given(said)
    with opened_store() as store, store.begin() as tx:
        owner = get_merchant(tx, merchant)
        target = _target(tx, owner, channel, connection, sku)
        warnings: Sequence[str] = ()
        if not place:
            cleared = [name for name, value in given.items() if value is None]
            told = {name: value for name, value in given.items() if value is not None and name != "places"}
            places = [_location(tx, owner, code) for code in given.get("places") or ()]
            warnings = set_policy(tx, target, told, places=places if given.get("places") else None, cleared=cleared)
        else:
            _set_at_place(tx, target, _location(tx, owner, place), given)
    say("Said. The next plan goes by it; see: oms-hub policy show")
    for warning in warnings:
        complain(f"oms-hub: warning: {warning}")


@policy_app.command("show")
def show(
    merchant: str = typer.Option(None, help="Only this merchant's."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List everything that was said."""
    with opened_store() as store, store.read() as tx:
        owners = [get_merchant(tx, merchant)] if merchant else list_merchants(tx)
        rows = [row for owner in owners for row in _said_rows(tx, owner)]
    show_rows(rows, COLUMNS, as_json=as_json, empty="Nothing was said: every listing is offered the whole pool.")


@policy_app.command("why")
def why(
    sku: str,
    merchant: str = typer.Option(..., help="The merchant's name."),
    connection: str = typer.Option(None, help="Only on this connection."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show what holds for each listing of a SKU, who said it, and what the last plan made of it."""
    with opened_store() as store, store.read() as tx:
        owner = get_merchant(tx, merchant)
        sku_id = _sku(tx, owner, sku)
        only = None if connection is None else get_connection(tx, connection).connection_id
        rows = reasons_of(tx, owner.merchant_id, sku_id, connection_id=only)
    empty = f"{sku} has no listing there: oms-hub listings list"
    show_rows([dict(zip(WHY_COLUMNS, row, strict=True)) for row in rows], WHY_COLUMNS, as_json=as_json, empty=empty)


def _said_rows(tx: Transaction, owner: Merchant) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for layer in list_policies(tx, owner.merchant_id):
        for name in (*FIELDS, "places"):
            value = getattr(layer, name)
            if value is not None:
                told = ", ".join(sorted(value)) if name == "places" else value
                rows.append({"merchant": owner.name, "for": layer.name, "field": name, "value": told})
    for place, sku, units in list_place_safety(tx, owner.merchant_id):
        told = f"place {place}" if sku is None else f"sku {sku} at {place}"
        rows.append({"merchant": owner.name, "for": told, "field": "safety_stock", "value": units})
    return rows


def _given(said: Sequence[str]) -> dict[str, Any]:
    """Return field -> value; None where it is taken back.

    Raises:
        BadParameter: an unknown field, one twice, or a value that cannot be one of it.
    """
    found: dict[str, Any] = {}
    for pair in said:
        name, separator, value = pair.partition("=")
        name = name.replace("-", "_")
        if not separator or name not in _READ:
            raise typer.BadParameter(f"give FIELD=VALUE with one of {', '.join(_READ)}, not {pair!r}")
        if name in found:
            raise typer.BadParameter(f"{name} is given twice")
        try:
            found[name] = _READ[name](value) if value else None
        except (ValueError, ArithmeticError):
            raise typer.BadParameter(f"{value!r} cannot be a {name}") from None
    return found


def _units(value: str) -> int:
    if not re.fullmatch("-?[0-9]{1,9}", value):
        raise ValueError(value)
    return int(value)


def _share(value: str) -> Decimal:
    if not re.fullmatch(r"-?[0-9]{1,3}([.][0-9]{1,6})?%?", value):
        raise ValueError(value)
    part = Decimal(value.rstrip("%"))
    return part / 100 if value.endswith("%") else part


def _number(value: str) -> float:
    if not re.fullmatch(r"-?[0-9]{1,9}([.][0-9]{1,6})?", value):
        raise ValueError(value)
    return float(value)


def _scarce(value: str) -> str:
    if value not in ("hold_back", "shared"):
        raise ValueError(value)
    return value


def _flag(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError(value)
    return value == "true"


def _codes(value: str) -> list[str]:
    codes = [code.strip() for code in value.split(",")]
    if not all(codes):
        raise ValueError(value)
    return codes


_READ: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("safety_stock", "threshold", "cap", "end_when", "floor"), _units),
    "share": _share,
    "scarce": _scarce,
    "risk": _number,
    "news_seconds": _number,
    "is_paused": _flag,
    "places": _codes,
}


def _target(
    tx: Transaction, owner: Merchant, channel: str | None, connection: str | None, sku: str | None
) -> PolicyTarget:
    connection_id = None
    if connection is not None:
        stored = get_connection(tx, connection)
        if stored.merchant_id != owner.merchant_id:
            raise Misconfigured(f"{connection} belongs to {stored.merchant}", remedy="Name its own merchant")
        connection_id = stored.connection_id
    sku_id = None if sku is None else _sku(tx, owner, sku)
    return PolicyTarget(owner.merchant_id, channel, connection_id, sku_id)


def _set_at_place(tx: Transaction, target: PolicyTarget, location_id: int, given: Mapping[str, Any]) -> None:
    if target.channel is not None or target.connection_id is not None or set(given) != {"safety_stock"}:
        raise typer.BadParameter("a place states only safety_stock, for all SKUs or one", param_hint="--place")
    set_place_safety(tx, target.merchant_id, location_id, given["safety_stock"], sku_id=target.sku_id)


def _location(tx: Transaction, owner: Merchant, code: str) -> int:
    for place in list_locations(tx, owner.merchant_id):
        if place.code == code:
            return place.location_id
    raise Misconfigured(f"{owner.name} has no location {code}", remedy="See: oms-hub locations list")


def _sku(tx: Transaction, owner: Merchant, sku: str) -> int:
    found = find_sku(tx, owner.merchant_id, sku)
    if found is None:
        raise Misconfigured(f"{owner.name} has no SKU {sku}", remedy="See: oms-hub listings list")
    return found
