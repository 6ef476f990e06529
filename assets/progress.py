"""How far a connection's streams stand: the window of a materialisation, and its lag behind the channel."""

from collections.abc import Mapping
from typing import Any

from oms_hub.store.cursors import read_cursor
from oms_hub.store.pending import newest_change_at
from oms_hub.sync.hub import Hub

_LONGEST = 80
_SHOWN = 6


def stands_at(hub: Hub, name: str, stream: str) -> Mapping[str, Any]:
    """Return the cursor of a connection's stream."""
    stored = hub.connection(name)
    with hub.store.read() as tx:
        return read_cursor(tx, stored.connection_id, stream)


def window_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return from where to where a step went: the short plain values of the cursors around it."""
    return {"from": _plain(before), "to": _plain(after)}


def _plain(cursor: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        key: value
        for key, value in cursor.items()
        if isinstance(value, int) or (isinstance(value, str) and len(value) <= _LONGEST)
    }
    return dict(list(shown.items())[:_SHOWN])


def lag_of(hub: Hub, name: str) -> dict[str, float]:
    """Return the age of the newest change that landed, as `lag_seconds`; nothing where the channel states none."""
    stored = hub.connection(name)
    with hub.store.read() as tx:
        changed_at = newest_change_at(tx, stored.connection_id)
    return {} if changed_at is None else {"lag_seconds": round((hub.clock() - changed_at).total_seconds(), 1)}
