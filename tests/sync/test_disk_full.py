"""A database whose disk is full while raw pages land: said so, nothing half done, and the next pull goes on."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import text

from oms_hub.errors import StoreUnavailable
from oms_hub.store import embedded_commands
from oms_hub.store.embedded import EmbeddedServer
from oms_hub.store.engine import open_store_at
from oms_hub.store.migrate import upgrade
from oms_hub.store.sync_runs import latest_runs
from oms_hub.sync.pull_orders import pull_orders

pytestmark = pytest.mark.slow


@pytest.fixture
def database_url() -> Iterator[str]:
    """Give a store of its own whose raw pages stand on a disk of 8 MB."""
    folder = Path(tempfile.mkdtemp(prefix="hub-full-"))
    folder.chmod(0o755)
    disk = folder / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or _mount(disk, "size=8m").returncode != 0:
        shutil.rmtree(folder)
        pytest.skip("a small disk can only be mounted by root")
    server = EmbeddedServer(folder / "home")
    try:
        url = server.url()
        upgrade(url)
        shutil.chown(disk, "pgserver")
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            admin.execute("ALTER TABLE hub.raw_pages SET TABLESPACE small")
        yield url
    finally:
        server.leave()
        embedded_commands.stop(folder / "home" / "postgres")
        subprocess.run(["umount", str(disk)], check=True)
        shutil.rmtree(folder)


def _mount(disk: Path, options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True)


def test_a_full_disk_is_said_so_and_the_next_pull_goes_on(hub: Any, memory: Any, database_url: str) -> None:
    noise = random.Random(1)
    for number in range(12):
        padding = noise.randbytes(1_000_000).hex()
        memory.feed.append(("orders", orjson.dumps([{"id": str(number), "changed": 0, "padding": padding}]), ()))
    with pytest.raises(StoreUnavailable, match=r"The disk of the database .* is full") as refused:
        pull_orders(hub, "shop-1")
    assert "Free space on the database's disk" in refused.value.remedy
    with hub.store.read() as tx:
        landed = tx.scalar(text("SELECT count(*) FROM hub.raw_pages"))
        assert 0 < landed < 12
        assert tx.scalar(text("SELECT count(*) FROM hub.raw_records")) == landed
        assert tx.scalar(text("SELECT position FROM hub.cursors")) == {"next": landed}
        assert latest_runs(tx)[0].state == "failed"
        disk = tx.scalar(text("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'small'"))
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
    assert pull_orders(hub, "shop-1").records_new == 12 - landed
    again = open_store_at(database_url)
    with again.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM hub.raw_pages")) == 12
    again.close()
