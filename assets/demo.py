"""`oms-hub demo`: the whole flow on practice channels, in a store of its own, from nothing to reports."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import typer

from assets.instance import opened_instance
from assets.sync_lines import show_outcome
from assets.sync_run import StepOutcome, SyncOptions, run_sync
from oms_hub.channel.contract import RunningSandbox
from oms_hub.commands.output import complain, say, show_rows
from oms_hub.reports import frame, known_report
from oms_hub.reports.text_table import write_table
from oms_hub.settings import Settings
from oms_hub.store.embedded import start_embedded
from oms_hub.store.merchants import Merchant, add_merchant
from oms_hub.store.start_over import start_over
from oms_hub.sync.connect import NewConnection, check_connection, store_new
from oms_hub.sync.hub import Hub, open_hub
from oms_hub.sync.import_stock import import_stock

MERCHANT = "demo"
ORDERS = 40
SEED = 7
COUNTED = 25
SKUS = tuple(f"HUB-{number:03d}" for number in range(1, 21))
SOLD_SKU = SKUS[0]
SHOWN_SKUS = SKUS[:3]
REPORTS_SHOWN = ("sales_daily", "stock_levels", "channel_levels", "reconciliation_daily", "sync_health")


@dataclass(frozen=True, slots=True)
class DemoShop:
    """A practice channel and the connection to it."""

    name: str
    sandbox: RunningSandbox


def run_demo(settings: Settings) -> None:
    """Run the demo in `<home>/demo`, made anew each time; a database that the settings name is never touched.

    Raises:
        typer.Exit: code 1, where anything failed.
    """
    home = settings.home.resolve() / "demo"
    start_over(start_embedded(home))
    own = Settings(home=home, database_url=None, master_key=None)
    with ExitStack() as stack:
        hub = open_hub(own)
        stack.callback(hub.store.close)
        instance = stack.enter_context(opened_instance(own))
        shops = list(_connected_shops(hub, stack))
        failures = _story(hub, instance, shops, home)
    for failure in failures:
        complain(f"oms-hub: {failure}")
    if failures:
        raise typer.Exit(1)
    _where_next(home)


def _connected_shops(hub: Hub, stack: ExitStack) -> Iterator[DemoShop]:
    """Start every channel's sandbox and connect to it, as `oms-hub connections add` does."""
    with hub.store.begin() as tx:
        merchant = add_merchant(tx, MERCHANT, currency="MXN", time_zone="America/Mexico_City")
    say("1. Connect: a practice server for every channel, each tested before it is stored")
    for channel in hub.channels.values():
        if channel.sandbox is None:
            continue
        sandbox = channel.sandbox(orders=ORDERS, seed=SEED)
        stack.callback(sandbox.close)
        yield DemoShop(_connect(hub, merchant, channel.name, sandbox), sandbox)


def _connect(hub: Hub, merchant: Merchant, channel_name: str, sandbox: RunningSandbox) -> str:
    name = f"my-{channel_name.replace('_', '-')}"
    account = sandbox.account
    new = NewConnection(channel_name, name, merchant, account.settings, account.secrets, is_push_enabled=True)
    results, new = check_connection(hub, new)
    store_new(hub, new)
    passed = sum(result.is_ok for result in results)
    say(f"   {name:<16} {passed} of {len(results)} checks passed")
    return name


def _story(hub: Hub, instance: dg.DagsterInstance, shops: Sequence[DemoShop], home: Path) -> list[str]:
    say("\n2. Sync: Dagster pulls orders and listings; nothing is counted yet, so nothing is pushed")
    outcomes = _sync(hub, instance)
    say(f"\n3. Count: {COUNTED} units of each SKU, from a file, then sync: every channel gets one truth")
    import_stock(hub, MERCHANT, _count_file(home), create_skus=True)
    outcomes += _sync(hub, instance)
    _show_levels(hub, shops)
    say(f"\n4. Sell: a buyer on each channel takes one {SOLD_SKU}; sync: all channels follow")
    for shop in shops:
        shop.sandbox.place_order({SOLD_SKU: 1})
    outcomes += _sync(hub, instance)
    _show_levels(hub, shops)
    say("\n5. Again: what the channels showed while levels were written is taken in, and the last units settle")
    outcomes += _sync(hub, instance)
    say("\n6. Again, without news: nothing is written anywhere")
    outcomes += _sync(hub, instance)
    say("\n7. Reports")
    for name in REPORTS_SHOWN:
        say(f"\n{name}")
        write_table(known_report(name).definition, frame(hub.store, name).tail(12), sys.stdout)
    return [f"{outcome.connection or outcome.step}: {line}" for outcome in outcomes for line in outcome.failures]


def _sync(hub: Hub, instance: dg.DagsterInstance) -> list[StepOutcome]:
    return run_sync(hub, instance, options=SyncOptions(), tell=lambda outcome: show_outcome(outcome, indent="   "))


def _count_file(home: Path) -> Path:
    path = home / "count.csv"
    rows = ["sku,location,quantity,unit_cost", *(f"{sku},main,{COUNTED},40.00" for sku in SKUS)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _show_levels(hub: Hub, shops: Sequence[DemoShop]) -> None:
    rows = [
        {"sku": sku, **{shop.name: shop.sandbox.level(sku) for shop in shops if shop.sandbox.level(sku) is not None}}
        for sku in SHOWN_SKUS
    ]
    columns = ["sku", *dict.fromkeys(key for row in rows for key in row if key != "sku")]
    say("   What buyers see now:")
    show_rows(rows, columns, as_json=False, empty="nothing")


def _where_next(home: Path) -> None:
    say(
        f"""
Where to look next
  export OMS_HUB_HOME={home}
  oms-hub report sales_by_sku_daily        more tables: oms-hub report list
  oms-hub exceptions list                  what needs a person, and how to mend it
  oms-hub dev                              Dagster's UI on this demo's store
  docs/tutorial/first-sync.md              the same with your own shop"""
    )
