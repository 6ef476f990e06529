"""A disk that fills up while raw pages land: one line, nothing half done, and the next sync goes on."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oms_hub.store.embedded import leave_embedded

DISK_MEGABYTES = 96
RECEIPTS = 2_000


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a small disk in memory, below a folder that the database's own user can reach; unmounted afterwards."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs root and mount")
    folder = Path(tempfile.mkdtemp(prefix="oms-hub-disk-"))
    folder.chmod(0o755)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=0755", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("this machine does not allow mounting a small disk")
    try:
        yield folder
    finally:
        leave_embedded(folder / "home")
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def _fill(disk: Path, *, leaving_bytes: int) -> Path:
    free = shutil.disk_usage(disk).free
    filler = disk / "filler"
    filler.write_bytes(bytes(max(0, free - leaving_bytes)))
    return filler


def _dagster_home(folder: Path) -> Path:
    home = folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return home


@pytest.mark.slow
@pytest.mark.parametrize("is_dagster_elsewhere", [True, False])
def test_a_full_disk_is_named_and_the_sync_goes_on_once_there_is_room(
    is_dagster_elsewhere: bool, module_program: Any, small_disk: Path, tmp_path: Path
) -> None:
    where_dagster_is = {"DAGSTER_HOME": str(_dagster_home(tmp_path))} if is_dagster_elsewhere else {}
    program = replace(module_program, folder=tmp_path, home=small_disk / "home", database_url="")
    assert program("migrate").exit_code == 0
    merchant = ("merchants", "add", "acme", "--currency", "MXN", "--time-zone", "America/Mexico_City")
    assert program(*merchant).exit_code == 0
    noise = random.Random(8)
    rows = "".join(
        f"{number},2026-11-20 10:00:00,{noise.randbytes(40).hex()},1,1.00\n" for number in range(1, RECEIPTS + 1)
    )
    (tmp_path / "till.csv").write_text(f"order_id,sold_at,sku,quantity,unit_price\n{rows}", encoding="utf-8")
    till = ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={tmp_path}/till.csv")
    assert program(*till, "--no-test").exit_code == 0
    filler = _fill(small_disk, leaving_bytes=128 * 1024)

    result = program("sync", "till", **where_dagster_is)
    assert result.exit_code == 1
    assert "disk" in result.complaint
    assert "then run again" in result.complaint

    filler.unlink()
    assert [row["name"] for row in program("connections", "list", "--json").json] == ["till"]
    checked = program("status", "--check", "--json")
    assert "not so" not in checked.stderr, checked.output
    again = program("sync", "till", **where_dagster_is)
    assert (again.exit_code, again.stderr) == (0, ""), again.output
    (day,) = program("report", "sales_daily", "--format", "json").json
    assert (day["orders"], day["total_sales"]) == (RECEIPTS, f"{RECEIPTS}.00")
    assert program("status", "--check").exit_code == 0
