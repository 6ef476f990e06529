"""Questions whose answer must be "none": what would show that an order or a unit of stock was lost or doubled.

What belongs here: read-only set-based checks over the hub's tables, used by asset checks and `oms-hub status`.
Not here: mending anything, or checks on report tables (`oms_hub.reports`).

A check of everything reads everything. After a run only the orders of its own raw pages are asked about (`Scope`), so
that the cost follows what changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.movements import differing_lines

_ORDERS_AT_ONCE = 2_000
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Scope:
    """Which orders are asked about.

    Attributes:
        connection_id: only this connection's; None means all.
        after_page_id: only orders that have a record in a raw page above this one; None means all.
    """

    connection_id: int | None = None
    after_page_id: int | None = None


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class IntegrityResult:
    """One question's answer. `found` counts the violations, `examples` names a few of them."""

    name: str
    description: str
    found: int
    examples: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Return whether nothing was found."""
        return self.found == 0


CHECK_DESCRIPTIONS: dict[str, str] = {
    "raw_has_order_or_exception": "Every raw record has an order, or was put into quarantine",
    "totals_tie": "Lines, charges and taxes of every order add up to the channel's own total",
    "ledger_is_balance": "On hand of every SKU and place is the sum of its movements",
    "no_lost_movement": "What counted order lines did to stock stands in the ledger, unit for unit",
}

_SCOPED = """
scoped AS (
    SELECT DISTINCT r.connection_id, r.record_id AS channel_order_id, r.kind
    FROM hub.raw_records r
    JOIN hub.cursors k ON k.connection_id = r.connection_id AND k.stream = 'normalise_orders'
    WHERE (CAST(:connection_id AS integer) IS NULL OR r.connection_id = :connection_id)
      AND r.page_id <= (k.position ->> 'page_id')::bigint
      AND (CAST(:after_page_id AS bigint) IS NULL OR r.page_id > :after_page_id)
)"""

_QUERIES = {
    "raw_has_order_or_exception": f"""
        WITH {_SCOPED}
        SELECT c.name || ' ' || s.channel_order_id AS example
        FROM scoped s JOIN hub.connections c USING (connection_id)
        LEFT JOIN hub.orders o USING (connection_id, channel_order_id)
        LEFT JOIN hub.quarantine q ON q.connection_id = s.connection_id AND q.record_id = s.channel_order_id
        WHERE s.kind = 'orders' AND o.connection_id IS NULL AND q.connection_id IS NULL""",
    "totals_tie": f"""
        WITH {_SCOPED}
        SELECT c.name || ' ' || o.channel_order_id AS example
        FROM (SELECT DISTINCT connection_id, channel_order_id FROM scoped) s
        JOIN hub.orders o USING (connection_id, channel_order_id)
        JOIN hub.connections c USING (connection_id)
        LEFT JOIN LATERAL (
            SELECT coalesce(sum(gross_amount - discount_amount - order_discount_amount + tax_amount), 0) AS amount
            FROM hub.order_lines l
            WHERE l.connection_id = o.connection_id AND l.channel_order_id = o.channel_order_id
        ) lines ON true
        LEFT JOIN LATERAL (
            SELECT coalesce(sum(amount + tax_amount), 0) AS amount
            FROM hub.order_charges g
            WHERE g.connection_id = o.connection_id AND g.channel_order_id = o.channel_order_id
        ) charges ON true
        WHERE o.total <> lines.amount + charges.amount""",
    "ledger_is_balance": f"""
        WITH {_SCOPED}, wanted AS (
            SELECT DISTINCT l.sku_id FROM scoped JOIN hub.order_lines l USING (connection_id, channel_order_id)
            WHERE l.sku_id IS NOT NULL AND CAST(:after_page_id AS bigint) IS NOT NULL
            UNION ALL SELECT DISTINCT sku_id FROM hub.balances WHERE CAST(:after_page_id AS bigint) IS NULL
        )
        SELECT s.sku || ' at ' || p.code AS example
        FROM wanted JOIN hub.balances b USING (sku_id) JOIN hub.skus s USING (sku_id)
        JOIN hub.locations p ON p.location_id = b.location_id
        WHERE b.on_hand <> (SELECT coalesce(sum(m.quantity), 0) FROM hub.movements m
                            WHERE m.sku_id = b.sku_id AND m.location_id = b.location_id)""",
}


def run_checks(tx: Transaction, scope: Scope = EVERYTHING) -> tuple[IntegrityResult, ...]:
    """Ask the integrity questions about the orders of a scope; one result each, in the order of their names' list."""
    results = []
    values = {"connection_id": scope.connection_id, "after_page_id": scope.after_page_id}
    for name, query in _QUERIES.items():
        counted = f"SELECT count(*), (array_agg(example ORDER BY example))[1:{_EXAMPLES}] FROM ({query}) AS found"
        found, examples = tx.execute(text(counted), values).one()
        results.append(IntegrityResult(name, CHECK_DESCRIPTIONS[name], int(found), tuple(examples or ())))
    lost = _lost_movements(tx, scope)
    name = "no_lost_movement"
    return (*results, IntegrityResult(name, CHECK_DESCRIPTIONS[name], len(lost), lost[:_EXAMPLES]))


def _lost_movements(tx: Transaction, scope: Scope) -> tuple[str, ...]:
    """Compare the ledger with what it would be if it were derived anew, some orders at a time."""
    query = f"""
        WITH {_SCOPED}
        SELECT DISTINCT connection_id, channel_order_id FROM scoped
        JOIN hub.order_stock_events USING (connection_id, channel_order_id) ORDER BY 1, 2
    """
    values = {"connection_id": scope.connection_id, "after_page_id": scope.after_page_id}
    keys: Sequence[tuple[int, str]] = [(row[0], row[1]) for row in tx.execute(text(query), values)]
    lost: list[str] = []
    for start in range(0, len(keys), _ORDERS_AT_ONCE):
        lost += differing_lines(tx, keys[start : start + _ORDERS_AT_ONCE])
    return tuple(lost)


def pages_before_last_run(tx: Transaction, connection_id: int) -> int:
    """Return the raw page after which the last normalising of a connection began; 0 where it read everything."""
    found = tx.execute(
        text(
            "SELECT (counts ->> 'after_page_id')::bigint FROM hub.sync_runs "
            "WHERE connection_id = :connection_id AND step = 'normalise_orders' ORDER BY sync_run_id DESC LIMIT 1"
        ),
        {"connection_id": connection_id},
    ).scalar_one_or_none()
    return int(found or 0)
