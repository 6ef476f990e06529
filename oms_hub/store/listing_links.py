"""Which of the merchant's SKUs a listing is.

What belongs here: linking by equal codes, by hand and from a list, and the `duplicate_sku` exceptions. Not here:
what a link means to stored orders (`stock.map_order_lines`, which every function here calls).

A listing whose code equals a SKU letter by letter is linked by itself, and a code that is new makes a new SKU. Where
two pushable listings of one connection carry the same code, nobody can tell which of them sells the goods that the
other also offers: both wait as `duplicate` until a person links them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import OpenException, open_exceptions, resolve_exceptions
from oms_hub.store.goods import add_skus, find_sku
from oms_hub.store.outbox import withdraw_unpushable
from oms_hub.store.stock import lock_mapping, map_order_lines, mark_dirty

_NEW_SKUS = """
INSERT INTO hub.skus (merchant_id, sku, title, barcode)
SELECT DISTINCT ON (l.channel_sku) l.merchant_id, l.channel_sku, l.title, l.barcode
FROM hub.listings l
WHERE l.connection_id = :connection_id AND l.channel_sku IS NOT NULL AND l.link_state NOT IN ('manual', 'ignored')
  AND NOT EXISTS (SELECT 1 FROM hub.skus s WHERE s.merchant_id = l.merchant_id AND s.sku = l.channel_sku)
ORDER BY l.channel_sku, l.is_active DESC, l.listing_key
ON CONFLICT (merchant_id, sku) DO NOTHING
"""

_LINK = """
WITH pushable AS (
    SELECT channel_sku, count(*) AS listings FROM hub.listings
    WHERE connection_id = :connection_id AND channel_sku IS NOT NULL AND is_active AND is_writable AND is_tracked
      AND link_state <> 'ignored'
    GROUP BY 1
),
target AS (
    SELECT l.listing_key, l.sku_id AS old_sku_id,
           CASE WHEN l.channel_sku IS NULL THEN 'unmapped'
                WHEN p.listings > 1 AND l.is_active AND l.is_writable AND l.is_tracked THEN 'duplicate'
                ELSE 'automatic' END AS link_state,
           s.sku_id
    FROM hub.listings l
    LEFT JOIN hub.skus s ON s.merchant_id = l.merchant_id AND s.sku = l.channel_sku
    LEFT JOIN pushable p ON p.channel_sku = l.channel_sku
    WHERE l.connection_id = :connection_id AND l.link_state NOT IN ('manual', 'ignored')
)
UPDATE hub.listings l
SET link_state = t.link_state, sku_id = CASE t.link_state WHEN 'automatic' THEN t.sku_id END,
    pack_size = CASE WHEN l.sku_id IS NOT DISTINCT FROM t.sku_id THEN l.pack_size ELSE 1 END
FROM target t
WHERE l.connection_id = :connection_id AND l.listing_key = t.listing_key
  AND (l.link_state, l.sku_id) IS DISTINCT FROM
      (t.link_state, CASE t.link_state WHEN 'automatic' THEN t.sku_id END)
RETURNING l.listing_key, t.old_sku_id, l.sku_id
"""

_COUNTS = """
SELECT count(*) FILTER (WHERE link_state IN ('automatic', 'manual')),
       count(*) FILTER (WHERE link_state = 'unmapped'), count(*) FILTER (WHERE link_state = 'duplicate')
FROM hub.listings WHERE connection_id = :connection_id AND is_active
"""

_DUPLICATES = """
SELECT channel_sku, count(*) FROM hub.listings
WHERE connection_id = :connection_id AND link_state = 'duplicate' AND channel_sku IS NOT NULL
GROUP BY channel_sku ORDER BY channel_sku COLLATE "C"
"""

_SET_LINK = """
UPDATE hub.listings l SET sku_id = :sku_id, link_state = :link_state, pack_size = :pack_size
FROM (SELECT connection_id, listing_key, sku_id FROM hub.listings
      WHERE connection_id = :connection_id AND listing_key = :listing_key FOR UPDATE) AS old
WHERE l.connection_id = old.connection_id AND l.listing_key = old.listing_key
RETURNING old.sku_id
"""


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """Active listings of a connection by how they are linked."""

    linked: int
    unmapped: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Link:
    """A link that a person makes: one unit of the listing takes `pack_size` units of the SKU."""

    listing_key: str
    sku: str
    pack_size: int = 1


def link_listings(tx: Transaction, merchant_id: int, connection_id: int) -> LinkCounts:
    """Link all listings of a connection whose code tells their SKU; stored orders, stock and offers follow.

    Returns:
        The connection's active listings by link.
    """
    lock_mapping(tx, merchant_id)
    parameters = {"connection_id": connection_id}
    created = tx.execute(text(_NEW_SKUS), parameters).rowcount
    changed = tx.execute(text(_LINK), parameters).all()
    mark_dirty(tx, merchant_id, [sku_id for row in changed for sku_id in (row[1], row[2]) if sku_id is not None])
    relinked = [(connection_id, str(row[0])) for row in changed if row[1] is not None]
    if created or changed:
        map_order_lines(tx, merchant_id, relinked=relinked)
    withdraw_unpushable(tx, connection_id)
    _tell_duplicates(tx, merchant_id, connection_id)
    return LinkCounts(*tx.execute(text(_COUNTS), parameters).one())


def link_by_hand(
    tx: Transaction, merchant_id: int, connection_id: int, links: Sequence[Link], *, create_skus: bool = False
) -> int:
    """Link listings to SKUs because a person says so; pulls leave these links alone. Return how many were linked.

    Raises:
        Misconfigured: an unknown listing or SKU, or a pack size below 1; nothing is linked.
    """
    lock_mapping(tx, merchant_id)
    if create_skus:
        add_skus(tx, merchant_id, [link.sku for link in links])
    for link in links:
        if link.pack_size < 1:
            raise Misconfigured(
                f"Listing {link.listing_key}: pack size {link.pack_size}", remedy="Give a pack size of 1 or more"
            )
        sku_id = find_sku(tx, merchant_id, link.sku)
        if sku_id is None:
            raise Misconfigured(
                f"Listing {link.listing_key}: the merchant has no SKU {link.sku}",
                remedy="Correct the code, or add it by importing its stock",
            )
        _set_link(tx, merchant_id, connection_id, link, sku_id=sku_id, link_state="manual")
    map_order_lines(tx, merchant_id, relinked=[(connection_id, link.listing_key) for link in links])
    _tell_duplicates(tx, merchant_id, connection_id)
    return len(links)


def ignore_listing(tx: Transaction, merchant_id: int, connection_id: int, listing_key: str) -> None:
    """Leave a listing alone for good: it is never pushed, its sales take no stock and ask nobody.

    Raises:
        Misconfigured: the connection has no such listing.
    """
    lock_mapping(tx, merchant_id)
    link = Link(listing_key, "")
    _set_link(tx, merchant_id, connection_id, link, sku_id=None, link_state="ignored")
    map_order_lines(tx, merchant_id, relinked=[(connection_id, listing_key)])
    link_listings(tx, merchant_id, connection_id)


def _set_link(
    tx: Transaction, merchant_id: int, connection_id: int, link: Link, *, sku_id: int | None, link_state: str
) -> None:
    row = tx.execute(
        text(_SET_LINK),
        {
            "connection_id": connection_id,
            "listing_key": link.listing_key,
            "sku_id": sku_id,
            "link_state": link_state,
            "pack_size": link.pack_size,
        },
    ).one_or_none()
    if row is None:
        raise Misconfigured(
            f"The connection has no listing {link.listing_key}", remedy="See: oms-hub listings list, or sync first"
        )
    mark_dirty(tx, merchant_id, [each for each in (row[0], sku_id) if each is not None])


def _tell_duplicates(tx: Transaction, merchant_id: int, connection_id: int) -> None:
    found = tx.execute(text(_DUPLICATES), {"connection_id": connection_id}).all()
    already = _open_duplicates(tx, merchant_id, connection_id)
    now = {str(row[0]) for row in found}
    open_exceptions(
        tx,
        merchant_id=merchant_id,
        connection_id=connection_id,
        found=[
            OpenException(
                "duplicate_sku",
                str(sku),
                f"{count} listings carry the SKU {sku}; none of them is pushed",
                "Give each its own SKU on the channel, or link them with oms-hub listings link",
            )
            for sku, count in found
            if sku not in already
        ],
    )
    resolve_exceptions(
        tx,
        merchant_id=merchant_id,
        connection_id=connection_id,
        kind="duplicate_sku",
        references=sorted(already - now),
        reason="no longer carried twice",
    )


def _open_duplicates(tx: Transaction, merchant_id: int, connection_id: int) -> set[str]:
    rows = tx.execute(
        text(
            "SELECT reference FROM hub.exceptions WHERE merchant_id = :merchant_id AND state = 'open' "
            "AND coalesce(connection_id, 0) = :connection_id AND kind = 'duplicate_sku'"
        ),
        {"merchant_id": merchant_id, "connection_id": connection_id},
    )
    return {str(row[0]) for row in rows}
