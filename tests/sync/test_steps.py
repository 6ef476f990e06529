"""What is the same around every step, and opening the hub."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from oms_hub.errors import Conflict, HubError, Misconfigured, NeedsReconnect, StoreBehind
from oms_hub.settings import Settings
from oms_hub.store.connections import StoredConnection
from oms_hub.store.exceptions import list_exceptions
from oms_hub.store.health import list_health
from oms_hub.store.merchants import Merchant
from oms_hub.store.sync_runs import latest_runs
from oms_hub.store.vault import put_secrets
from oms_hub.sync.hub import Hub, open_hub
from oms_hub.sync.paused_collection import paused_collection, sweep
from oms_hub.sync.steps import running_merchant_step, running_step


def test_a_merchant_s_step_is_recorded_without_a_connection(hub: Hub, merchant: Merchant) -> None:
    with running_merchant_step(hub, merchant, "plan") as run:
        run.count(skus=3)
        with (
            pytest.raises(Conflict, match="Another sync is working on merchant norte"),
            running_merchant_step(hub, merchant, "plan"),
        ):
            pytest.fail("both run")
    with hub.store.read() as tx:
        assert [(each.step, each.connection_id, each.counts) for each in latest_runs(tx)] == [
            ("plan", None, {"skus": 3})
        ]
    with pytest.raises(HubError, match="no"), running_merchant_step(hub, merchant, "plan"):
        raise HubError("no")
    with hub.store.read() as tx:
        assert [(each.kind, each.reference, each.connection) for each in list_exceptions(tx)] == [
            ("sync_failed", "plan", None)
        ]


def test_an_interrupted_step_is_failed_without_alarm(hub: Hub, connection: StoredConnection) -> None:
    with pytest.raises(KeyboardInterrupt), running_step(hub, connection, "pull_orders"):
        raise KeyboardInterrupt
    with hub.store.read() as tx:
        assert [(each.state, each.error) for each in latest_runs(tx)] == [
            ("failed", "Unexpected KeyboardInterrupt in pull_orders")
        ]
        assert list_exceptions(tx) == []
        assert [each.consecutive_failures for each in list_health(tx)] == [0]


@pytest.mark.parametrize("error", [HubError("the shop is closed"), NeedsReconnect("the key is gone")])
def test_a_failure_that_cannot_be_recorded_is_raised_all_the_same(
    hub: Hub, connection: StoredConnection, error: HubError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_positional: object, **_named: object) -> None:
        raise HubError("the store is gone")

    monkeypatch.setattr("oms_hub.store.sync_runs.finish_run", fail)
    monkeypatch.setattr("oms_hub.sync.steps.set_state", fail)
    with pytest.raises(type(error), match=error.message) as raised, running_step(hub, connection, "pull_orders"):
        raise error
    notes = " ".join(raised.value.__notes__)
    assert "could not be recorded: the store is gone" in notes


def test_a_good_push_is_marked_as_such(hub: Hub, connection: StoredConnection) -> None:
    with running_step(hub, connection, "deliver_push") as run:
        run.mark_good("push")
    with hub.store.read() as tx:
        (health,) = list_health(tx)
    assert (health.last_good_pull_at, health.last_good_push_at) == (None, hub.clock())


def test_the_hub_opens_with_all_that_steps_need(database_url: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), master_key=SecretStr("ab" * 32))
    opened = open_hub(settings)
    assert opened.channels is not None
    with opened.store.read() as tx:
        assert tx.scalar(text("SELECT 1")) == 1
    opened.close()


def test_a_hub_that_cannot_open_its_secrets_leaves_no_connection_behind(database_url: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), master_key=SecretStr("short"))
    with pytest.raises(Misconfigured, match="OMS_HUB_MASTER_KEY"):
        open_hub(settings)


def test_a_hub_on_a_store_that_is_behind_says_so(hub: Hub, tmp_path: Path) -> None:
    with hub.store.begin() as tx:
        tx.execute(text("DELETE FROM hub.alembic_version"))
    with pytest.raises(StoreBehind):
        open_hub(Settings(home=tmp_path, database_url=SecretStr(hub.store.database_url)))


def test_a_session_gives_the_connector_what_it_needs_and_no_more(hub: Hub, connection: StoredConnection) -> None:
    with hub.store.begin() as tx:
        put_secrets(tx, connection, values={"token": "s3cret"}, references={}, box=hub.box)
    session = hub.session(connection)
    assert session.secrets.get("token") == "s3cret"
    assert (session.connection.name, session.connection.currency) == ("shop-1", "MXN")
    assert session.connection.time_zone == "America/Mexico_City"
    assert session.clock() == hub.clock()


def test_pauses_of_the_collector_may_overlap_and_end_as_they_began() -> None:
    assert gc.isenabled()
    with paused_collection():
        with paused_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
        sweep()
    assert gc.isenabled()
    gc.disable()
    try:
        with paused_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
