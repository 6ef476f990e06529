"""Throwing a store away and making it anew. Only the demo does this, in a database of its own."""

from __future__ import annotations

from sqlalchemy import text

from oms_hub.store.engine import open_store_at
from oms_hub.store.migrate import upgrade


def start_over(url: str) -> None:
    """Drop everything of the hub in this database and create it empty.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    store = open_store_at(url, check_revision=False)
    try:
        with store.begin() as tx:
            tx.execute(text("DROP SCHEMA IF EXISTS reports CASCADE"))
            tx.execute(text("DROP SCHEMA IF EXISTS hub CASCADE"))
    finally:
        store.close()
    upgrade(url)
