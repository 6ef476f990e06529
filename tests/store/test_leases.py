"""Leases: one holder at a time, freed by death, and no write after losing it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from oms_hub.errors import Conflict
from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Store
from oms_hub.store.leases import lease

HOLD = """
import sys, time
from oms_hub.store.engine import open_store_at
from oms_hub.store.leases import lease
store = open_store_at(sys.argv[1])
with lease(store, "connection:1", holder="the other process"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_told_who_works_there(store: Store) -> None:
    waits: list[float] = []
    with lease(store, "connection:1", holder="first"):  # noqa: SIM117
        with pytest.raises(Conflict) as refused, lease(
            store, "connection:1", holder="second", subject="connection shop-1", patience_seconds=0.1,
            sleep=waits.append,
        ):  # fmt: skip
            pytest.fail("both hold it")
    assert refused.value.message.startswith("Another sync is working on connection shop-1 (first, since 20")
    assert refused.value.remedy == "Wait until it has ended, then run again"
    assert waits == [0.02] * 5


def test_a_held_lease_without_a_row_yet_is_refused_as_well(store: Store) -> None:
    with lease(store, "connection:1", holder="first"):
        with store.begin() as tx:
            tx.execute(text("DELETE FROM hub.leases"))
        with pytest.raises(Conflict) as refused, lease(store, "connection:1", holder="second", patience_seconds=0):
            pytest.fail("both hold it")
    assert refused.value.message == "Another sync is working on connection:1"


def test_leases_of_other_names_do_not_meet(store: Store) -> None:
    with (
        lease(store, "connection:1", holder="a") as first,
        lease(store, "connection:2", holder="b") as second,
        store.begin() as tx,
    ):
        first.assert_held(tx)
        second.assert_held(tx)


def test_each_holder_gets_a_higher_fence_and_the_lease_is_free_after_the_block(
    store: Store, connection: StoredConnection
) -> None:
    for fence in (1, 2, 3):
        with lease(store, "connection:1", holder=f"run {fence}", merchant_id=connection.merchant_id) as held:
            assert held.fence == fence
    with store.read() as tx:
        rows = tx.execute(text("SELECT name, merchant_id, holder, fence FROM hub.leases")).all()
    assert rows == [("connection:1", connection.merchant_id, "run 3", 3)]


def test_a_stale_fence_writes_nothing(store: Store) -> None:
    with lease(store, "connection:1", holder="first") as stale:
        pass
    with lease(store, "connection:1", holder="second") as held:
        with pytest.raises(Conflict, match="was taken over"), store.begin() as tx:
            stale.assert_held(tx)
        with store.begin() as tx:
            held.assert_held(tx)


def test_a_fence_stands_until_the_transaction_that_checked_it_ends(store: Store, server_url: str) -> None:
    with lease(store, "connection:1", holder="first") as held, store.begin() as tx:
        held.assert_held(tx)
        with store.begin() as other:
            other.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(Exception, match="lock timeout"):
                other.execute(text("UPDATE hub.leases SET fence = fence + 1"))


def test_the_lease_of_a_killed_process_is_free_at_once(store: Store) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, store.database_url], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(Conflict, match="the other process"),
            lease(store, "connection:1", holder="me", patience_seconds=0),
        ):
            pytest.fail("both hold it")
        os.kill(holder.pid, signal.SIGKILL)
        started = time.monotonic()
        with lease(store, "connection:1", holder="me") as held:
            assert held.fence == 2
        assert time.monotonic() - started < 2
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
