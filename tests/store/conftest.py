"""An open store with one merchant and one connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oms_hub.store.connections import StoredConnection, add_connection
from oms_hub.store.engine import Store, open_store_at
from oms_hub.store.merchants import Merchant, add_merchant


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Give the store of a fresh database."""
    opened = open_store_at(database_url)
    yield opened
    opened.close()


@pytest.fixture
def merchant(store: Store) -> Merchant:
    """Give a merchant in Mexico City."""
    with store.begin() as tx:
        return add_merchant(tx, "norte", currency="MXN", time_zone="America/Mexico_City")


@pytest.fixture
def connection(store: Store, merchant: Merchant) -> StoredConnection:
    """Give a connection of that merchant."""
    with store.begin() as tx:
        return add_connection(tx, "shop-1", merchant=merchant, channel="practice", settings={"base_url": "https://x"})
