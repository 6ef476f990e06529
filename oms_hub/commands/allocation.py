"""`oms-hub allocation ...`: which orders go first when there is not enough for all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import typer

from oms_hub.commands.context import opened_hub, opened_store
from oms_hub.commands.output import say, show_json, show_rows
from oms_hub.store.allocation_rules import (
    QueueSetting,
    Rule,
    list_rules,
    list_settings,
    put_rule,
    put_setting,
    remove_rule,
    remove_setting,
    tag_order,
)
from oms_hub.store.merchants import get_merchant
from oms_hub.sync.allocate import allocate

allocation_app = typer.Typer(
    help="Allocation: who gets the units. Rules and settings hold from the next sync on.", no_args_is_help=True
)
RULE_COLUMNS = ("name", "connection", "channel", "order_kind", "shipping", "tag", "priority", "is_expedited")
SETTING_COLUMNS = ("channel", "connection", "takes_part", "hold_minutes")
_MERCHANT = typer.Option(..., "--merchant", help="The merchant's name.")
_CHANNEL = typer.Option(None, help="Only for this kind of channel.")
_CONNECTION = typer.Option(None, help="Only for this connection.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(allocation_app, name="allocation")


@allocation_app.command("run")
def run(merchant: str = _MERCHANT) -> None:
    """Hand out the units of everything that changed, now instead of in the next sync."""
    with opened_hub() as hub:
        report = allocate(hub, merchant)
    say(
        f"{report.skus} SKUs looked at: {report.allocated} units allocated, {report.backordered} backordered, "
        f"{report.expired} unpaid holds ended."
    )


@allocation_app.command("list")
def list_all(merchant: str = _MERCHANT, as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List rules and settings."""
    with opened_store() as store, store.read() as tx:
        merchant_id = get_merchant(tx, merchant).merchant_id
        rules = [asdict(rule) for rule in list_rules(tx, merchant_id)]
        settings = [asdict(setting) for setting in list_settings(tx, merchant_id)]
    if as_json:
        show_json({"rules": rules, "settings": settings})
        return
    show_rows(rules, RULE_COLUMNS, as_json=False, empty="No rules: the oldest order goes first.")
    show_rows(settings, SETTING_COLUMNS, as_json=False, empty="No settings: parts are allocated, holds do not end.")


@allocation_app.command("rule")
def rule(
    name: str,
    merchant: str = _MERCHANT,
    connection: str = _CONNECTION,
    channel: str = _CHANNEL,
    kind: str = typer.Option(None, help="Only for orders of this kind (standard, pickup, preorder, ...)."),
    shipping: str = typer.Option(None, help="Only for orders whose shipping has this in its title or code."),
    tag: str = typer.Option(None, help="Only for orders that bear this tag (oms-hub allocation tag)."),
    priority: int = typer.Option(None, help="Rank, the lower first; 100 without any rule."),
    is_expedited: bool = typer.Option(False, "--expedited", help="Before the others of the same rank."),
) -> None:
    """Say which orders go before others; a rule of the same name is replaced."""
    wanted = Rule(name, connection, channel, kind, shipping, tag, priority, is_expedited)
    with opened_store() as store, store.begin() as tx:
        put_rule(tx, get_merchant(tx, merchant).merchant_id, wanted)
    say(f"Rule {name} is kept.")


@allocation_app.command("forget")
def forget(name: str, merchant: str = _MERCHANT) -> None:
    """Forget a rule."""
    with opened_store() as store, store.begin() as tx:
        remove_rule(tx, get_merchant(tx, merchant).merchant_id, name)
    say(f"Rule {name} is forgotten.")


@allocation_app.command("set")
def set_scope(
    merchant: str = _MERCHANT,
    channel: str = _CHANNEL,
    connection: str = _CONNECTION,
    hold_minutes: int = typer.Option(None, help="How long unpaid orders hold stock; without any word, until paid."),
    part: Literal["part", "whole"] = typer.Option(
        None, "--lines", help="May a part of a line be allocated, or only the whole of it."
    ),
) -> None:
    """Say how orders are treated: of the merchant, of a channel, of a connection; the nearest word holds."""
    takes_part = None if part is None else part == "part"
    with opened_store() as store, store.begin() as tx:
        setting = QueueSetting(channel, connection, takes_part, hold_minutes)
        put_setting(tx, get_merchant(tx, merchant).merchant_id, setting)
    say("Kept.")


@allocation_app.command("unset")
def unset_scope(merchant: str = _MERCHANT, channel: str = _CHANNEL, connection: str = _CONNECTION) -> None:
    """Forget what was said with `set` for this very scope."""
    with opened_store() as store, store.begin() as tx:
        remove_setting(tx, get_merchant(tx, merchant).merchant_id, channel=channel, connection=connection)
    say("Forgotten.")


@allocation_app.command("tag")
def tag(
    connection: str,
    order_id: str = typer.Argument(..., help="The channel's own id of the order."),
    word: str = typer.Argument(..., metavar="TAG"),
    is_removed: bool = typer.Option(False, "--remove", help="Take it off."),
) -> None:
    """Put a tag on an order, for rules that ask for it."""
    with opened_store() as store, store.begin() as tx:
        changed = tag_order(tx, connection, order_id, word, is_removed=is_removed)
    say(f"Order {order_id} {'bears' if not is_removed else 'does not bear'} {word}{'' if changed else ' already'}.")
