"""The merchant's SKUs and places, and which of ours a channel's places are.

What belongs here: rows of `skus`, `locations` and `location_links`. Not here: listings (`listings`), levels
(`counts`, `movements`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class Location:
    """A place that holds stock."""

    location_id: int
    code: str
    name: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class ChannelPlace:
    """A place as a channel tells it."""

    channel_location_id: str
    name: str
    is_default: bool = False
    is_active: bool = True


def add_location(tx: Transaction, merchant_id: int, code: str, name: str = "") -> Location:
    """Add a place to a merchant and return it.

    Raises:
        Misconfigured: the code is empty, longer than 64 characters, has blanks around it, or is taken.
    """
    if not code or len(code) > 64 or code != code.strip() or not code.isprintable():
        raise Misconfigured(f"{code!r} cannot be a location's code", remedy="Use 1 to 64 printable characters")
    row = tx.execute(
        text(
            "INSERT INTO hub.locations (merchant_id, code, name) VALUES (:merchant_id, :code, :name) "
            "ON CONFLICT (merchant_id, code) DO NOTHING RETURNING location_id, code, name, is_default"
        ),
        {"merchant_id": merchant_id, "code": code, "name": name},
    ).one_or_none()
    if row is None:
        raise Misconfigured(f"The merchant already has a location {code}", remedy="Choose another code")
    return Location(*row)


def list_locations(tx: Transaction, merchant_id: int) -> tuple[Location, ...]:
    """Return the merchant's places, the default first, then by code."""
    rows = tx.execute(
        text(
            "SELECT location_id, code, name, is_default FROM hub.locations WHERE merchant_id = :merchant_id "
            'ORDER BY is_default DESC, code COLLATE "C"'
        ),
        {"merchant_id": merchant_id},
    )
    return tuple(Location(*row) for row in rows)


def default_location(tx: Transaction, merchant_id: int) -> Location:
    """Return the merchant's default place.

    Raises:
        Misconfigured: it has none, which `merchants add` never leaves behind.
    """
    for location in list_locations(tx, merchant_id):
        if location.is_default:
            return location
    raise Misconfigured("The merchant has no default location", remedy="Add the merchant with: oms-hub merchants add")


def find_location(tx: Transaction, merchant_id: int, code: str | None) -> Location:
    """Return a merchant's place by its code; the default place for None.

    Raises:
        Misconfigured: it has no such place; the remedy lists those there are.
    """
    places = list_locations(tx, merchant_id)
    for place in places:
        if place.is_default if code is None else place.code == code:
            return place
    raise Misconfigured(f"There is no location {code}", remedy=f"Known: {', '.join(place.code for place in places)}")


def find_skus(tx: Transaction, merchant_id: int, codes: Sequence[str]) -> dict[str, int]:
    """Return code -> id of a merchant's SKUs, in the given order.

    Raises:
        Misconfigured: some are unknown; the message names up to five of them.
    """
    rows = tx.execute(
        text("SELECT sku, sku_id FROM hub.skus WHERE merchant_id = :merchant_id AND sku = ANY(CAST(:codes AS text[]))"),
        {"merchant_id": merchant_id, "codes": list(codes)},
    )
    known = {row[0]: row[1] for row in rows}
    missing = [code for code in codes if code not in known]
    if missing:
        raise Misconfigured(f"There is no SKU {', '.join(missing[:5])}", remedy="See: oms-hub listings list")
    return {code: known[code] for code in codes}


def find_sku(tx: Transaction, merchant_id: int, sku: str) -> int | None:
    """Return the id of a merchant's SKU (exact, case-sensitive), None where it has no such code."""
    found: int | None = tx.execute(
        text("SELECT sku_id FROM hub.skus WHERE merchant_id = :merchant_id AND sku = :sku"),
        {"merchant_id": merchant_id, "sku": sku},
    ).scalar_one_or_none()
    return found


def add_skus(tx: Transaction, merchant_id: int, codes: Sequence[str]) -> int:
    """Add the codes that the merchant does not have yet and return how many those were."""
    added = tx.execute(
        text(
            "INSERT INTO hub.skus (merchant_id, sku) SELECT :merchant_id, code "
            "FROM (SELECT DISTINCT unnest(CAST(:codes AS text[])) AS code) AS given ORDER BY code "
            "ON CONFLICT (merchant_id, sku) DO NOTHING"
        ),
        {"merchant_id": merchant_id, "codes": list(codes)},
    )
    return added.rowcount


def store_channel_places(tx: Transaction, connection_id: int, places: Sequence[ChannelPlace]) -> None:
    """Keep a channel's places as it tells them now; links that a person made stay, places it dropped turn inactive."""
    parameters = {
        "connection_id": connection_id,
        "ids": [place.channel_location_id for place in places],
        "names": [place.name for place in places],
        "defaults": [place.is_default for place in places],
        "actives": [place.is_active for place in places],
    }
    tx.execute(
        text(
            """
            INSERT INTO hub.location_links (connection_id, merchant_id, channel_location_id, name, is_default,
                                            is_active)
            SELECT c.connection_id, c.merchant_id, g.id, g.name, g.is_default, g.is_active
            FROM hub.connections c, unnest(CAST(:ids AS text[]), CAST(:names AS text[]), CAST(:defaults AS boolean[]),
                                           CAST(:actives AS boolean[])) AS g (id, name, is_default, is_active)
            WHERE c.connection_id = :connection_id
            ON CONFLICT (connection_id, channel_location_id) DO UPDATE
            SET name = excluded.name, is_default = excluded.is_default, is_active = excluded.is_active
            """
        ),
        parameters,
    )
    tx.execute(
        text(
            "UPDATE hub.location_links SET is_active = false, is_default = false "
            "WHERE connection_id = :connection_id AND is_active AND channel_location_id <> ALL(CAST(:ids AS text[]))"
        ),
        parameters,
    )


def channel_place(
    tx: Transaction, connection_id: int, wanted: str | None, *, feeding: Sequence[int] | None = None
) -> str | None:
    """Return the channel's place that the hub reads and writes: the wanted one, one that feeds it, or its default.

    Args:
        tx: the transaction.
        connection_id: the connection.
        wanted: the connection's setting `location`: the channel's id or the place's name; None or "" for none.
        feeding: our places that feed the connection by policy; the channel's place that is one of them is taken.

    Returns:
        The channel's own id of the place; None where it has no places.

    Raises:
        Misconfigured: no place is called so; the message lists those there are.
    """
    rows = tx.execute(
        text(
            "SELECT l.channel_location_id, l.name, l.is_default, "
            "coalesce(l.location_id, main.location_id) = ANY(CAST(:feeding AS integer[])) AS feeds "
            "FROM hub.location_links l "
            "JOIN hub.locations main ON main.merchant_id = l.merchant_id AND main.is_default "
            'WHERE l.connection_id = :connection_id AND l.is_active ORDER BY l.channel_location_id COLLATE "C"'
        ),
        {"connection_id": connection_id, "feeding": list(feeding or ())},
    ).all()
    if wanted:
        for row in rows:
            if wanted in (row.channel_location_id, row.name, row.channel_location_id.rpartition("/")[2]):
                return str(row.channel_location_id)
        known = ", ".join(f"{row.name} ({row.channel_location_id})" for row in rows) or "none"
        raise Misconfigured(f"The channel has no location {wanted}; it has: {known}", remedy="Correct setting location")
    preferred = sorted(rows, key=lambda row: (not row.feeds, not row.is_default))
    return str(preferred[0].channel_location_id) if preferred else None


def link_location(tx: Transaction, connection_id: int, channel_location_id: str, location_id: int | None) -> None:
    """Say which of our places a channel's place is; None makes it count as the default place again.

    Movements that stand already stay where they are until their order changes.

    Raises:
        Misconfigured: the channel told no such place, or the place belongs to another merchant.
    """
    updated = tx.execute(
        text(
            "UPDATE hub.location_links AS l SET location_id = :location_id "
            "WHERE l.connection_id = :connection_id AND l.channel_location_id = :channel_location_id "
            "AND (CAST(:location_id AS integer) IS NULL OR EXISTS (SELECT 1 FROM hub.locations p "
            "WHERE p.location_id = :location_id AND p.merchant_id = l.merchant_id))"
        ),
        {
            "connection_id": connection_id,
            "channel_location_id": channel_location_id,
            "location_id": location_id,
        },
    )
    if updated.rowcount == 0:
        raise Misconfigured(
            f"The channel's location {channel_location_id} cannot be linked so",
            remedy="Sync the connection first, and name a location of the same merchant",
        )
