"""Merchants and their accounts on channels."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.connections import (
    StoredConnection,
    add_connection,
    get_connection,
    list_connections,
    remove_connection,
    set_push,
    set_state,
)
from oms_hub.store.engine import Store
from oms_hub.store.exceptions import OpenException, list_exceptions, open_exceptions
from oms_hub.store.merchants import Merchant, add_merchant, get_merchant, list_merchants


def test_a_merchant_gets_its_default_place(store: Store, merchant: Merchant) -> None:
    with store.read() as tx:
        assert get_merchant(tx, "norte") == merchant
        assert list_merchants(tx) == [merchant]
        assert tx.execute(text("SELECT code, is_default FROM hub.locations")).all() == [("main", True)]


@pytest.mark.parametrize(
    ("name", "currency", "time_zone", "words"),
    [
        ("norte", "MXN", "America/Mexico_City", "There is a merchant 'norte' already"),
        ("sur", "pesos", "America/Mexico_City", "'pesos' is no currency code"),
        ("sur", "mxn", "America/Mexico_City", "'mxn' is no currency code"),
        ("sur", "MXN", "Mexico/Nowhere", "'Mexico/Nowhere' is no time zone"),
        ("sur", "MXN", "", "'' is no time zone"),
        ("sur", "MXN", "../etc/passwd", "is no time zone"),
        (" ", "MXN", "UTC", "A merchant's name must be"),
        ("a|b", "MXN", "UTC", "A merchant's name must be"),
        ("a\nb", "MXN", "UTC", "A merchant's name must be"),
    ],
)
def test_a_wrong_merchant_is_refused_and_nothing_is_stored(
    store: Store, merchant: Merchant, name: str, currency: str, time_zone: str, words: str
) -> None:
    with pytest.raises(Misconfigured, match=words) as refused, store.begin() as tx:
        add_merchant(tx, name, currency=currency, time_zone=time_zone)
    assert refused.value.remedy
    with store.read() as tx:
        assert list_merchants(tx) == [merchant]


def test_an_unknown_merchant_or_connection_is_answered_with_those_there_are(
    store: Store, connection: StoredConnection
) -> None:
    with store.read() as tx:
        with pytest.raises(Misconfigured) as refused:
            get_merchant(tx, "sur")
        assert refused.value.one_line() == "There is no merchant 'sur'. Known: norte"
        with pytest.raises(Misconfigured) as refused:
            get_connection(tx, "shop-2")
        assert refused.value.one_line() == "There is no connection 'shop-2'. Known: shop-1"


def test_an_empty_store_says_how_to_add_the_first(store: Store) -> None:
    with store.read() as tx:
        with pytest.raises(Misconfigured) as refused:
            get_merchant(tx, "norte")
        assert "oms-hub merchants add" in refused.value.remedy
        with pytest.raises(Misconfigured) as refused:
            get_connection(tx, "shop-1")
        assert "oms-hub connections add" in refused.value.remedy


def test_a_connection_is_kept_as_given_with_pushing_off(store: Store, connection: StoredConnection) -> None:
    with store.read() as tx:
        kept = get_connection(tx, "shop-1")
    assert kept == connection
    assert kept.settings == {"base_url": "https://x"}
    assert (kept.state, kept.role, kept.is_push_enabled) == ("active", "follows", False)
    assert (kept.merchant, kept.currency, kept.time_zone) == ("norte", "MXN", "America/Mexico_City")


@pytest.mark.parametrize("name", ["", "with space", "a|b", "-a", "a" * 64, "ñ"])
def test_a_name_that_cannot_be_a_partition_key_is_refused(store: Store, merchant: Merchant, name: str) -> None:
    with pytest.raises(Misconfigured, match="cannot be a connection's name"), store.begin() as tx:
        add_connection(tx, name, merchant=merchant, channel="practice", settings={})


def test_a_name_is_given_once(store: Store, merchant: Merchant, connection: StoredConnection) -> None:
    with pytest.raises(Misconfigured, match="There is a connection 'shop-1' already"), store.begin() as tx:
        add_connection(tx, "shop-1", merchant=merchant, channel="other", settings={})
    with store.read() as tx:
        assert list_connections(tx) == [connection]


def test_connections_are_listed_by_merchant(store: Store, connection: StoredConnection) -> None:
    with store.begin() as tx:
        sur = add_merchant(tx, "sur", currency="EUR", time_zone="UTC")
        other = add_connection(tx, "a-shop", merchant=sur, channel="practice", settings={}, role="counts")
        assert list_connections(tx) == [other, connection]
        assert list_connections(tx, merchant="sur") == [other]
        assert list_connections(tx, merchant="norte") == [connection]


def test_an_active_connection_needs_no_reconnecting_any_more(store: Store, connection: StoredConnection) -> None:
    own = {"merchant_id": connection.merchant_id, "connection_id": connection.connection_id}
    with store.begin() as tx:
        set_state(tx, connection.connection_id, "needs_reconnect", "the token was withdrawn")
        open_exceptions(tx, **own, found=[OpenException("needs_reconnect", "shop-1", "no")])
        kept = get_connection(tx, "shop-1")
        assert (kept.state, kept.state_reason) == ("needs_reconnect", "the token was withdrawn")
        set_state(tx, connection.connection_id, "paused")
        assert len(list_exceptions(tx)) == 1
        set_state(tx, connection.connection_id, "active")
        assert list_exceptions(tx) == []
        assert get_connection(tx, "shop-1") == connection


def test_setting_the_state_of_a_connection_that_is_not_there_does_nothing(store: Store) -> None:
    with store.begin() as tx:
        set_state(tx, 999, "active")


def link_a_sku(store: Store, connection: StoredConnection) -> None:
    with store.begin() as tx:
        own = {"m": connection.merchant_id, "c": connection.connection_id}
        tx.execute(text("INSERT INTO hub.skus (merchant_id, sku) VALUES (:m, 'MUG')"), own)
        tx.execute(
            text(
                "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, sku_id, link_state)"
                " SELECT :c, 'l1', :m, sku_id, 'automatic' FROM hub.skus"
            ),
            own,
        )


def test_turning_pushing_on_has_every_linked_sku_computed_again(store: Store, connection: StoredConnection) -> None:
    link_a_sku(store, connection)
    with store.begin() as tx:
        set_push(tx, connection.connection_id, True)
        assert get_connection(tx, "shop-1").is_push_enabled is True
        assert tx.scalar(text("SELECT count(*) FROM hub.stock_dirty")) == 1


def test_a_removed_connection_loses_its_secrets_and_its_name_and_keeps_its_past(
    store: Store, merchant: Merchant, connection: StoredConnection
) -> None:
    link_a_sku(store, connection)
    with store.begin() as tx:
        tx.execute(
            text("INSERT INTO hub.secrets (connection_id, name, merchant_id, reference) VALUES (:c, 'k', :m, 'env:A')"),
            {"m": connection.merchant_id, "c": connection.connection_id},
        )
        remove_connection(tx, connection.connection_id)
        assert tx.scalar(text("SELECT count(*) FROM hub.secrets")) == 0
        assert list_connections(tx) == []
        assert tx.execute(text("SELECT name, state, removed_at IS NULL FROM hub.connections")).all() == [
            (f"removed-{connection.connection_id}-shop-1", "removed", False)
        ]
        assert tx.scalar(text("SELECT count(*) FROM hub.listings")) == 1
        assert tx.scalar(text("SELECT count(*) FROM hub.stock_dirty")) == 1
        again = add_connection(tx, "shop-1", merchant=merchant, channel="practice", settings={})
        assert again.connection_id != connection.connection_id
