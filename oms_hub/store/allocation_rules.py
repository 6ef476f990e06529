"""What a merchant says about the queue for units: rules, settings by scope, tags on orders.

What belongs here: keeping and listing them, and marking what they change. Not here: what they do (`allocation`,
`allocation_holds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.connections import get_connection
from oms_hub.store.engine import Transaction
from oms_hub.store.stock import mark_dirty

LOWEST, HIGHEST = -1_000, 1_000
_LONGEST_HOLD_MINUTES = 366 * 24 * 60


@dataclass(frozen=True, slots=True)
class Rule:
    """Which orders go before others. What is None is not asked for; `priority` None leaves it as it is.

    Attributes:
        connection: only orders of the connection of that name.
        channel, order_kind: only orders of that kind of channel, of that kind.
        shipping: only orders with a shipping charge whose title or code has this, in capitals or not.
        tag: only orders that bear this tag.
        priority: the lower goes first; orders that no rule speaks of have 100.
        is_expedited: before the others of the same priority.
    """

    name: str
    connection: str | None = None
    channel: str | None = None
    order_kind: str | None = None
    shipping: str | None = None
    tag: str | None = None
    priority: int | None = None
    is_expedited: bool = False


@dataclass(frozen=True, slots=True)
class QueueSetting:
    """How orders are treated: of a whole merchant, of one channel, or of one connection. None is not said here."""

    channel: str | None = None
    connection: str | None = None
    takes_part: bool | None = None
    hold_minutes: int | None = None


_PUT_RULE = """
INSERT INTO hub.allocation_rules AS r (merchant_id, name, connection_id, channel, order_kind, shipping, tag, priority,
                                       is_expedited)
VALUES (:merchant_id, :name, :connection_id, :channel, :order_kind, :shipping, :tag, :priority, :is_expedited)
ON CONFLICT (merchant_id, name) DO UPDATE
SET connection_id = excluded.connection_id, channel = excluded.channel, order_kind = excluded.order_kind,
    shipping = excluded.shipping, tag = excluded.tag, priority = excluded.priority, is_expedited = excluded.is_expedited
"""

_PUT_SETTING = """
INSERT INTO hub.allocation_settings AS s (merchant_id, channel, connection_id, takes_part, hold_minutes)
VALUES (:merchant_id, :channel, :connection_id, :takes_part, :hold_minutes)
ON CONFLICT (merchant_id, (coalesce(channel, '')), (coalesce(connection_id, 0))) DO UPDATE
SET takes_part = coalesce(excluded.takes_part, s.takes_part),
    hold_minutes = coalesce(excluded.hold_minutes, s.hold_minutes)
"""

_HELD_SKUS = """
SELECT DISTINCT sku_id FROM hub.order_lines
WHERE merchant_id = :merchant_id AND sku_id IS NOT NULL AND (allocated_quantity > 0 OR reserved_quantity > 0)
"""


def put_rule(tx: Transaction, merchant_id: int, rule: Rule) -> None:
    """Keep a rule; one of the same name is replaced.

    Raises:
        Misconfigured: it asks for nothing or does nothing, a name is unknown, or its priority is out of range.
    """
    asked = (rule.connection, rule.channel, rule.order_kind, rule.shipping, rule.tag)
    if not any(asked):
        raise Misconfigured(
            f"The rule {rule.name} does not say which orders it is for",
            remedy="Give at least one of --connection, --channel, --kind, --shipping, --tag",
        )
    if rule.priority is None and not rule.is_expedited:
        raise Misconfigured(f"The rule {rule.name} changes nothing", remedy="Give --priority, --expedited or both")
    if rule.priority is not None and not LOWEST <= rule.priority <= HIGHEST:
        raise Misconfigured(
            f"The priority {rule.priority} is out of range", remedy=f"Give a number from {LOWEST} to {HIGHEST}"
        )
    tx.execute(
        text(_PUT_RULE),
        {
            "merchant_id": merchant_id,
            "name": rule.name,
            "connection_id": _own_connection(tx, merchant_id, rule.connection),
            "channel": rule.channel,
            "order_kind": rule.order_kind,
            "shipping": rule.shipping,
            "tag": rule.tag,
            "priority": rule.priority,
            "is_expedited": rule.is_expedited,
        },
    )
    _mark_held(tx, merchant_id)


def remove_rule(tx: Transaction, merchant_id: int, name: str) -> None:
    """Forget a rule; raises Misconfigured where there is none of that name."""
    gone = tx.execute(
        text("DELETE FROM hub.allocation_rules WHERE merchant_id = :merchant_id AND name = :name"),
        {"merchant_id": merchant_id, "name": name},
    )
    if not gone.rowcount:
        raise Misconfigured(f"There is no rule {name}", remedy="See: oms-hub allocation list")
    _mark_held(tx, merchant_id)


def list_rules(tx: Transaction, merchant_id: int) -> Sequence[Rule]:
    """Return a merchant's rules by name."""
    query = """
        SELECT r.name, c.name, r.channel, r.order_kind, r.shipping, r.tag, r.priority, r.is_expedited
        FROM hub.allocation_rules r LEFT JOIN hub.connections c USING (connection_id)
        WHERE r.merchant_id = :merchant_id ORDER BY r.name
    """
    return [Rule(*row) for row in tx.execute(text(query), {"merchant_id": merchant_id})]


def put_setting(tx: Transaction, merchant_id: int, setting: QueueSetting) -> None:
    """Keep how orders of a scope are treated; what is None stays as it was said before.

    Raises:
        Misconfigured: both scopes are named, nothing is said, a name is unknown, or the time is out of range.
    """
    if setting.channel and setting.connection:
        raise Misconfigured("A setting is for a channel or for a connection, not both", remedy="Give one of the two")
    if setting.takes_part is None and setting.hold_minutes is None:
        raise Misconfigured("Nothing is said", remedy="Give --hold-minutes, --partial or --whole")
    if setting.hold_minutes is not None and not 0 <= setting.hold_minutes <= _LONGEST_HOLD_MINUTES:
        raise Misconfigured(
            f"{setting.hold_minutes} minutes are no time to hold",
            remedy=f"Give 0 to {_LONGEST_HOLD_MINUTES} minutes (a year)",
        )
    tx.execute(
        text(_PUT_SETTING),
        {
            "merchant_id": merchant_id,
            "channel": setting.channel,
            "connection_id": _own_connection(tx, merchant_id, setting.connection),
            "takes_part": setting.takes_part,
            "hold_minutes": setting.hold_minutes,
        },
    )
    _mark_held(tx, merchant_id)


def remove_setting(tx: Transaction, merchant_id: int, *, channel: str | None, connection: str | None) -> None:
    """Forget what was said for a scope; raises Misconfigured where nothing was.

    Holds that ended meanwhile stay ended until their order changes.
    """
    gone = tx.execute(
        text(
            "DELETE FROM hub.allocation_settings WHERE merchant_id = :merchant_id "
            "AND channel IS NOT DISTINCT FROM CAST(:channel AS text) "
            "AND connection_id IS NOT DISTINCT FROM CAST(:connection_id AS integer)"
        ),
        {
            "merchant_id": merchant_id,
            "channel": channel,
            "connection_id": _own_connection(tx, merchant_id, connection),
        },
    )
    if not gone.rowcount:
        raise Misconfigured("Nothing was said for this scope", remedy="See: oms-hub allocation list")
    _mark_held(tx, merchant_id)


def list_settings(tx: Transaction, merchant_id: int) -> Sequence[QueueSetting]:
    """Return what a merchant said by scope, the widest first."""
    query = """
        SELECT s.channel, c.name, s.takes_part, s.hold_minutes
        FROM hub.allocation_settings s LEFT JOIN hub.connections c USING (connection_id)
        WHERE s.merchant_id = :merchant_id
        ORDER BY s.connection_id IS NOT NULL, s.channel IS NOT NULL, s.channel, c.name
    """
    return [QueueSetting(*row) for row in tx.execute(text(query), {"merchant_id": merchant_id})]


def tag_order(tx: Transaction, connection: str, channel_order_id: str, tag: str, *, is_removed: bool = False) -> bool:
    """Put a tag on an order or take it off; return whether that changed anything.

    Raises:
        Misconfigured: there is no such connection or order, or the tag is empty.
    """
    stored = get_connection(tx, connection)
    if not tag.strip() or tag != tag.strip() or not tag.isprintable():
        raise Misconfigured(f"{tag!r} cannot be a tag", remedy="Give printable text without blanks around it")
    key = {"connection_id": stored.connection_id, "order_id": channel_order_id}
    known = tx.execute(
        text("SELECT 1 FROM hub.orders WHERE connection_id = :connection_id AND channel_order_id = :order_id"), key
    ).first()
    if known is None:
        raise Misconfigured(f"{connection} has no order {channel_order_id}", remedy="Give the channel's own id of it")
    statement = (
        "DELETE FROM hub.order_tags"
        " WHERE connection_id = :connection_id AND channel_order_id = :order_id AND tag = :tag"
        if is_removed
        else "INSERT INTO hub.order_tags (connection_id, channel_order_id, tag, merchant_id)"
        " VALUES (:connection_id, :order_id, :tag, :merchant_id) ON CONFLICT DO NOTHING"
    )
    changed = tx.execute(text(statement), {**key, "tag": tag, "merchant_id": stored.merchant_id}).rowcount
    of_order = " AND connection_id = :connection_id AND channel_order_id = :order_id"
    rows = tx.execute(text(_HELD_SKUS + of_order), {**key, "merchant_id": stored.merchant_id})
    mark_dirty(tx, stored.merchant_id, list(rows.scalars()))
    return bool(changed)


def _own_connection(tx: Transaction, merchant_id: int, name: str | None) -> int | None:
    if name is None:
        return None
    stored = get_connection(tx, name)
    if stored.merchant_id != merchant_id:
        raise Misconfigured(f"Connection {name} belongs to another merchant", remedy="See: oms-hub connections list")
    return stored.connection_id


def _mark_held(tx: Transaction, merchant_id: int) -> None:
    """Have all goods that open orders want handed out again: any of them may go to somebody else now."""
    mark_dirty(tx, merchant_id, list(tx.execute(text(_HELD_SKUS), {"merchant_id": merchant_id}).scalars()))
