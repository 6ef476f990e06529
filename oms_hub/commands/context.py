"""Opening the hub for one command, and closing it whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from oms_hub.settings import load_settings
from oms_hub.store.engine import Store, open_store
from oms_hub.sync.hub import Hub, open_hub


@contextmanager
def opened_hub() -> Iterator[Hub]:
    """Give the hub of the present settings."""
    hub = open_hub(load_settings())
    try:
        yield hub
    finally:
        hub.close()


@contextmanager
def opened_store(*, check_revision: bool = True) -> Iterator[Store]:
    """Give the store of the present settings."""
    store = open_store(load_settings(), check_revision=check_revision)
    try:
        yield store
    finally:
        store.close()
