"""`oms-hub connections ...`: a merchant's accounts on channels, tested before they are stored."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import typer

from oms_hub.channel.contract import Channel, CheckResult
from oms_hub.channel.registry import load_channels
from oms_hub.channel.secrets import resolve_reference
from oms_hub.commands.context import opened_hub, opened_store
from oms_hub.commands.output import complain, say, show_json, show_rows
from oms_hub.errors import Misconfigured
from oms_hub.store.connections import (
    ConnectionState,
    Role,
    get_connection,
    list_connections,
    remove_connection,
    set_push,
    set_state,
)
from oms_hub.store.merchants import get_merchant
from oms_hub.sync.connect import NewConnection, check_connection, check_new, check_stored, store_new

connections_app = typer.Typer(help="Accounts on channels, and whether stock is pushed to them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(connections_app, name="connections")


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in given:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise typer.BadParameter(f"give key=value, not {key!r}", param_hint=option)
        if key in found:
            raise typer.BadParameter(f"{key} is given twice", param_hint=option)
        found[key] = value
    return found


def _secret_values(channel: Channel, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return (values to encrypt, references to keep); asks without echo for required ones that are missing."""
    values: dict[str, str] = {}
    references: dict[str, str] = {}
    for name, told in given.items():
        if told.startswith(("env:", "file:")):
            resolve_reference(told)
            references[name] = told
        elif told == "-":
            values[name] = _secret_line(name)
        else:
            raise Misconfigured(
                f"Secret {name} must not stand on the command line, where others can read it",
                remedy=f"Give --secret {name}=env:VARIABLE, {name}=file:PATH or {name}=- (standard input)",
            )
    for setting in channel.settings:
        if setting.is_secret and setting.is_required and setting.name not in given:
            if not sys.stdin.isatty():
                raise Misconfigured(
                    f"Secret {setting.name} of {channel.name} is missing: {setting.description}",
                    remedy=f"Give --secret {setting.name}=env:VARIABLE, file:PATH or - (standard input)",
                )
            values[setting.name] = typer.prompt(setting.description, hide_input=True)
    return values, references


def _secret_line(name: str) -> str:
    value = sys.stdin.readline().strip("\r\n")
    if not value.strip():
        raise Misconfigured(f"Secret {name} is empty on standard input", remedy="Give it there, a line for each secret")
    return value


def _show_checks(results: Sequence[CheckResult], *, as_json: bool) -> str:
    """Print the steps; return what failed in one line, nothing where all is well."""
    rows = [
        {"step": found.step, "ok": found.is_ok, "detail": found.detail, "remedy": found.remedy} for found in results
    ]
    show_rows(rows, ("step", "ok", "detail", "remedy"), as_json=as_json, empty="Nothing to test")
    failed = [found for found in results if not found.is_ok]
    if not failed:
        return ""
    first = failed[0]
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    said = f"{first.step}: {first.detail}{more}" + (f". {first.remedy}" if first.remedy else "")
    return " ".join(said.split())


@connections_app.command("add")
def add(
    channel: str = typer.Argument(..., help="Kind of system, such as shopify, woocommerce, pos_feed."),
    name: str = typer.Argument(..., help="Your own short name for this account."),
    merchant: str = typer.Option(..., help="The merchant's name."),
    setting: list[str] = typer.Option([], "--set", help="key=value, as often as needed."),
    secret: list[str] = typer.Option([], "--secret", help="key=env:VARIABLE, key=file:PATH or key=- (standard input)."),
    push: str = typer.Option("off", help="on: push stock from the first sync; off: only show what would be pushed."),
    role: Role = typer.Option("follows", help="follows: our level wins; counts: edits made there are adopted."),
    is_tested: bool = typer.Option(True, "--test/--no-test", help="Try the credentials before storing them."),
) -> None:
    """Connect an account: settings are checked, credentials are tried, secrets are stored encrypted."""
    if push not in ("on", "off"):
        raise typer.BadParameter("give on or off", param_hint="--push")
    settings, told = _pairs(setting, "--set"), _pairs(secret, "--secret")
    kind = load_channels()[channel]
    values, references = _secret_values(kind, told)
    with opened_hub() as hub:
        with hub.store.read() as tx:
            owner = get_merchant(tx, merchant)
        new = NewConnection(
            channel=channel,
            name=name,
            merchant=owner,
            settings=settings,
            secrets=values,
            references=references,
            role=role,
            is_push_enabled=push == "on",
        )
        check_new(hub, new)
        if is_tested:
            results, new = check_connection(hub, new)
            trouble = _show_checks(results, as_json=False)
            if trouble:
                complain(f"oms-hub: {name} was not stored: {trouble}; or add --no-test")
                raise typer.Exit(1)
        stored = store_new(hub, new)
    is_on = "on" if stored.is_push_enabled else "off"
    say(f"Connection {name} stored; pushing is {is_on}. Next: oms-hub sync {name}")


@connections_app.command("test")
def try_stored(name: str, as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Say what works and what is missing, step by step."""
    with opened_hub() as hub:
        results = check_stored(hub, name)
    trouble = _show_checks(results, as_json=as_json)
    if trouble:
        complain(f"oms-hub: {name}: {trouble}")
        raise typer.Exit(1)


@connections_app.command("list")
def list_all(
    merchant: str = typer.Option(None, help="Only this merchant's."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List the connections."""
    with opened_store() as store, store.read() as tx:
        if merchant is not None:
            get_merchant(tx, merchant)
        rows = [
            {
                "name": found.name,
                "channel": found.channel,
                "merchant": found.merchant,
                "state": found.state,
                "push": found.is_push_enabled,
                "role": found.role,
                "reason": found.state_reason,
            }
            for found in list_connections(tx, merchant=merchant)
        ]
    columns = ("name", "channel", "merchant", "state", "push", "role", "reason")
    show_rows(rows, columns, as_json=as_json, empty="No connections yet: oms-hub connections add")


def _set_state(name: str, state: ConnectionState, said: str) -> None:
    with opened_store() as store, store.begin() as tx:
        set_state(tx, get_connection(tx, name).connection_id, state)
    say(f"Connection {name} {said}.")


@connections_app.command("pause")
def pause(name: str) -> None:
    """Stop syncing a connection until it is resumed; nothing is lost meanwhile."""
    _set_state(name, "paused", "is paused")


@connections_app.command("resume")
def resume(name: str) -> None:
    """Sync a connection again; it goes on where it stopped."""
    _set_state(name, "active", "is active")


@connections_app.command("remove")
def remove(name: str, is_sure: bool = typer.Option(False, "--yes", help="Do not ask.")) -> None:
    """Erase a connection's secrets and stop it; its orders and reports stay."""
    if not is_sure:
        typer.confirm(f"Remove {name} and erase its secrets? Its orders and reports stay", abort=True)
    with opened_store() as store, store.begin() as tx:
        remove_connection(tx, get_connection(tx, name).connection_id)
    say(f"Connection {name} removed; its secrets are erased, its orders and reports stay.")


@connections_app.command("push")
def push(name: str, switch: str = typer.Argument(..., help="on or off")) -> None:
    """Turn pushing stock to a connection on or off."""
    if switch not in ("on", "off"):
        raise typer.BadParameter("give on or off")
    with opened_store() as store, store.begin() as tx:
        set_push(tx, get_connection(tx, name).connection_id, switch == "on")
    say(f"Pushing to {name} is {switch}.")


@connections_app.command("channels")
def channels(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the kinds of channels with their settings and secrets."""
    rows = [
        {
            "channel": kind.name,
            "setting": setting.name,
            "secret": setting.is_secret,
            "required": setting.is_required,
            "default": setting.default,
            "description": setting.description,
        }
        for kind in load_channels().values()
        for setting in kind.settings
    ]
    if as_json:
        show_json(rows)
        return
    show_rows(rows, tuple(rows[0]) if rows else (), as_json=False, empty="No channels are installed")
