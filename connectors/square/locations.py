"""The seller's locations: which are wanted, and at which levels are read and written.

What belongs here: places. Not here: levels (`stock`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.square.api import SquareApi, open_api, rows_of
from connectors.square.settings import location_ids
from oms_hub.channel.contract import ChannelLocation, ChannelSession
from oms_hub.errors import Misconfigured

PATH = "/v2/locations"
NEEDS = "MERCHANT_PROFILE_READ"


def locations(session: ChannelSession) -> Sequence[ChannelLocation]:
    """Return the wanted locations; the first active one of `location_ids`, else of the account, is the default.

    Raises:
        NeedsReconnect: the token is refused or lacks MERCHANT_PROFILE_READ.
        RetryLater: Square does not answer.
        Misconfigured: `location_ids` names one that the seller does not have.
    """
    with open_api(session) as api:
        return [as_place(row, default) for row, default in _with_default(wanted_rows(api, session))]


def wanted_rows(api: SquareApi, session: ChannelSession) -> list[Mapping[str, Any]]:
    """Return the wanted locations as Square tells them, in the order of `location_ids`, else by age.

    Raises:
        Misconfigured: `location_ids` names one that the seller does not have.
    """
    rows = {row["id"]: row for row in rows_of(api.get(PATH, needs=NEEDS), "locations") if _is_place(row)}
    chosen = location_ids(session.connection.settings)
    missing = [place for place in chosen if place not in rows]
    if missing:
        known = ", ".join(f"{row.get('name') or 'unnamed'} ({key})" for key, row in rows.items()) or "none"
        raise Misconfigured(
            f"The seller has no location {', '.join(missing)}; there are: {known}", remedy="Correct location_ids"
        )
    if chosen:
        return [rows[place] for place in chosen]
    return sorted(rows.values(), key=lambda row: (str(row.get("created_at") or ""), row["id"]))


def wanted_ids(api: SquareApi, session: ChannelSession) -> tuple[str, ...]:
    """Return the ids of the wanted locations, closed ones too: their past sales are sales. Asks only if it has to."""
    chosen = location_ids(session.connection.settings)
    return chosen or tuple(row["id"] for row in wanted_rows(api, session))


def default_id(api: SquareApi, session: ChannelSession) -> str:
    """Return the location at which levels are read and written where a listing names none.

    Raises:
        Misconfigured: none of the wanted locations is active.
    """
    for row, is_default in _with_default(wanted_rows(api, session)):
        if is_default:
            return str(row["id"])
    raise Misconfigured("None of the locations is active", remedy="Set location_ids to an active location")


def _with_default(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], bool]]:
    first = next((row["id"] for row in rows if is_active(row)), None)
    return [(row, row["id"] == first) for row in rows]


def is_active(row: Mapping[str, Any]) -> bool:
    """Return whether a location is open for business."""
    return row.get("status") != "INACTIVE"


def as_place(row: Mapping[str, Any], is_default: bool) -> ChannelLocation:
    """Return a location in the hub's terms."""
    return ChannelLocation(row["id"], str(row.get("name") or row["id"]), is_active(row), is_default)


def _is_place(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), str) and bool(row["id"])
