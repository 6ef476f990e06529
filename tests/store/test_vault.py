"""The vault: nothing in plain text, all or none, one refresh at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from oms_hub.channel.secrets import open_box
from oms_hub.errors import Misconfigured, RetryLater
from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Store
from oms_hub.store.vault import Box, ConnectionSecrets, forget_secrets, put_secrets, secret_names


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Give a cipher with a key of its own."""
    return open_box(tmp_path)


def resolve(reference: str) -> str:
    return f"value of {reference}"


def secrets_of(store: Store, connection: StoredConnection, box: Box) -> ConnectionSecrets:
    return ConnectionSecrets(store, connection.connection_id, connection.merchant_id, box, resolve=resolve)


def test_values_come_back_and_never_stand_in_plain_text(store: Store, connection: StoredConnection, box: Box) -> None:
    with store.begin() as tx:
        put_secrets(tx, connection, values={"token": "s3cret ñ"}, references={"key": "env:SHOP_KEY"}, box=box)
        kept = bytes(tx.scalar(text("SELECT ciphertext FROM hub.secrets WHERE name = 'token'")))
        assert secret_names(tx, connection.connection_id) == {"key": "env:SHOP_KEY", "token": ""}
    assert b"s3cret" not in kept
    found = secrets_of(store, connection, box)
    assert found.get("token") == "s3cret ñ"
    assert found.get("key") == "value of env:SHOP_KEY"
    assert found.get("other") is None


def test_a_rotated_token_takes_the_place_of_the_old_and_the_others_stay(
    store: Store, connection: StoredConnection, box: Box
) -> None:
    with store.begin() as tx:
        put_secrets(tx, connection, values={"id": "i"}, references={"refresh_token": "file:/x"}, box=box)
    found = secrets_of(store, connection, box)
    found.replace({"access_token": "a2", "refresh_token": "r2"})
    assert [found.get(name) for name in ("access_token", "refresh_token", "id")] == ["a2", "r2", "i"]
    found.replace({})
    assert found.get("access_token") == "a2"


def test_a_secret_moved_to_another_name_does_not_open(store: Store, connection: StoredConnection, box: Box) -> None:
    with store.begin() as tx:
        put_secrets(tx, connection, values={"token": "s3cret"}, references={}, box=box)
        tx.execute(text("UPDATE hub.secrets SET name = 'other'"))
    with pytest.raises(Misconfigured) as refused:
        secrets_of(store, connection, box).get("other")
    assert "s3cret" not in refused.value.one_line()


def test_secrets_are_forgotten_by_name(store: Store, connection: StoredConnection, box: Box) -> None:
    with store.begin() as tx:
        put_secrets(tx, connection, values={"a": "1", "b": "2"}, references={}, box=box)
        forget_secrets(tx, connection.connection_id, ["a"])
        assert secret_names(tx, connection.connection_id) == {"b": ""}


def test_one_refresh_at_a_time(store: Store, connection: StoredConnection, box: Box) -> None:
    course: list[str] = []
    is_waiting = threading.Event()

    def second() -> None:
        is_waiting.set()
        with secrets_of(store, connection, box).lock():
            course.append("second")

    with secrets_of(store, connection, box).lock():
        thread = threading.Thread(target=second)
        thread.start()
        is_waiting.wait(5)
        thread.join(0.1)
        course.append("first")
    thread.join(5)
    assert course == ["first", "second"]


def test_a_lock_that_never_comes_free_is_tried_later(
    store: Store, connection: StoredConnection, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms_hub.store.vault._LOCK_WAIT", "50ms")
    with secrets_of(store, connection, box).lock():  # noqa: SIM117
        with pytest.raises(RetryLater), secrets_of(store, connection, box).lock():
            pytest.fail("both hold it")
