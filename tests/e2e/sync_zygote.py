"""Runs syncs in forked children, so that a test can kill one in the middle without paying for imports each time.

Reads one database URL per line; answers `started PID` and, when the child is gone, `ended STATUS`. Run as a script.
"""

from __future__ import annotations

import base64
import importlib
import os
import sys
import traceback

from oms_hub.channel.registry import load_channels
from oms_hub.channel.secrets import SecretBox, open_box
from oms_hub.reports import refresh_touched
from oms_hub.store.connections import list_connections
from oms_hub.store.engine import open_store_at
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.plan_all import plan_all
from oms_hub.sync.pull_listings import pull_listings
from oms_hub.sync.pull_orders import pull_orders

KEY = base64.b64encode(bytes(range(32))).decode()


def practice_box() -> SecretBox:
    from pathlib import Path

    return open_box(Path(), master_key=KEY)


def sync_all(database_url: str) -> None:
    hub = Hub(open_store_at(database_url), load_channels(), practice_box())
    with hub.store.read() as tx:
        connections = list_connections(tx)
    for stored in connections:
        pull_orders(hub, stored.name)
        normalise_orders(hub, stored.name)
        if hub.channel(stored).listing_source:
            pull_listings(hub, stored.name)
    plan_all(hub)
    for stored in connections:
        if hub.channel(stored).stock_sink:
            deliver_push(hub, stored.name)
    refresh_touched(hub.store)
    hub.store.close()


def warm_up() -> None:
    """Import what a sync imports on its way, so that no child has to."""
    for channel in load_channels().values():
        importlib.import_module(f"connectors.{channel.name}")
    for late in (
        "anyio._backends",
        "certifi",
        "encodings.idna",
        "encodings.utf_8_sig",
        "fsspec.implementations.local",
        "h11",
        "httpcore",
        "shopify",
    ):
        importlib.import_module(late)


def main() -> None:
    warm_up()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                sync_all(line.strip())
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(f"started {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
