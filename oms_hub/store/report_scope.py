"""Which orders, refunds and quarantined records a refresh looks at: temporary tables that the reports' SQL reads.

What belongs here: taking the touched days, and filling `report_placed`, `report_refunded`, `report_paid` and
`report_quarantined` with what counts in any report. Not here: what is summed up from them (`report_sales`, ...).

Days come first and instants follow from them, so that the indexes on instants are used: each run of neighbouring
days is one range with a margin, and the exact day is checked on what the range finds. The margin covers zones whose
clocks go back over midnight, where a day is not one stretch of time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, text

_TEMPORARY_TABLES = (
    "CREATE TEMP TABLE report_days (merchant_id integer, connection_id integer, business_date date) ON COMMIT DROP",
    """CREATE TEMP TABLE report_placed (connection_id integer, channel_order_id text, business_date date, currency text,
       total numeric, is_sale boolean, is_cancelled boolean, placed_at timestamptz, ship_by_at timestamptz,
       deliver_by_at timestamptz) ON COMMIT DROP""",
    """CREATE TEMP TABLE report_refunded (connection_id integer, channel_order_id text, refund_id text,
       business_date date, currency text, paid_amount numeric, shipping_amount numeric, shipping_tax_amount numeric,
       other_amount numeric, reason text) ON COMMIT DROP""",
    """CREATE TEMP TABLE report_paid (connection_id integer, business_date date, currency text, kind text, gateway text,
       amount numeric, is_successful boolean) ON COMMIT DROP""",
    """CREATE TEMP TABLE report_quarantined (connection_id integer, business_date date, quarantined bigint)
       ON COMMIT DROP""",
)

_TAKE_TOUCHED = """
WITH picked AS (
    SELECT merchant_id, connection_id, business_date FROM hub.touched_days
    WHERE CAST(:merchant_id AS integer) IS NULL OR merchant_id = :merchant_id
    FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM hub.touched_days t USING picked p
    WHERE t.merchant_id = p.merchant_id AND t.connection_id = p.connection_id AND t.business_date = p.business_date
    RETURNING t.merchant_id, t.connection_id, t.business_date
)
INSERT INTO report_days SELECT merchant_id, connection_id, business_date FROM taken
"""

_ADD_QUARANTINE_NEWS = """
INSERT INTO report_days
SELECT m.merchant_id, c.connection_id, coalesce(q.business_date, r.business_date)
FROM (
    SELECT q.connection_id, (q.first_seen_at AT TIME ZONE m.time_zone)::date AS business_date, count(*) AS quarantined
    FROM hub.quarantine q JOIN hub.merchants m USING (merchant_id)
    WHERE q.state = 'open' GROUP BY 1, 2
) q
FULL JOIN (
    SELECT c.connection_id, r.business_date, r.quarantined
    FROM reports.reconciliation_daily r JOIN hub.connections c ON c.name = r.connection
    WHERE r.quarantined > 0
) r ON r.connection_id = q.connection_id AND r.business_date = q.business_date
JOIN hub.connections c ON c.connection_id = coalesce(q.connection_id, r.connection_id)
JOIN hub.merchants m ON m.merchant_id = c.merchant_id
WHERE q.quarantined IS DISTINCT FROM r.quarantined
  AND (CAST(:merchant_id AS integer) IS NULL OR m.merchant_id = :merchant_id)
"""

_ORDER_COUNTS = "NOT o.is_test AND NOT o.is_draft AND o.vanished_at IS NULL"
_IN_RANGE = """
  AND {instant} >= CAST(:first_date AS timestamp) AT TIME ZONE CAST(:time_zone AS text) - interval '3 hours'
  AND {instant} < CAST(CAST(:last_date AS date) + 1 AS timestamp) AT TIME ZONE CAST(:time_zone AS text)
                  + interval '3 hours'
  AND EXISTS (SELECT FROM report_days d WHERE d.connection_id = o.connection_id
              AND d.business_date = ({instant} AT TIME ZONE CAST(:time_zone AS text))::date)"""

_FILL_PLACED = f"""
INSERT INTO report_placed
SELECT o.connection_id, o.channel_order_id, (o.placed_at AT TIME ZONE CAST(:time_zone AS text))::date, o.currency,
       o.total, o.is_sale, o.state = 'cancelled', o.placed_at, o.ship_by_at, o.deliver_by_at
FROM hub.orders o
WHERE o.merchant_id = :merchant_id AND {_ORDER_COUNTS} AND o.kind <> 'credit_note'
  AND (o.is_sale OR o.state = 'cancelled')"""

_FILL_REFUNDED = f"""
INSERT INTO report_refunded
SELECT r.connection_id, r.channel_order_id, r.refund_id, (r.refunded_at AT TIME ZONE CAST(:time_zone AS text))::date,
       o.currency, r.paid_amount, r.shipping_amount, r.shipping_tax_amount, r.other_amount,
       r.reason
FROM hub.refunds r JOIN hub.orders o USING (connection_id, channel_order_id)
WHERE r.merchant_id = :merchant_id AND {_ORDER_COUNTS} AND (o.is_sale OR o.kind = 'credit_note')"""

_FILL_PAID = f"""
INSERT INTO report_paid
SELECT p.connection_id, (p.processed_at AT TIME ZONE CAST(:time_zone AS text))::date, p.currency, p.kind, p.gateway,
       p.amount, p.is_successful
FROM hub.payments p JOIN hub.orders o USING (connection_id, channel_order_id)
WHERE p.merchant_id = :merchant_id AND {_ORDER_COUNTS}"""

_FILL_QUARANTINED = """
INSERT INTO report_quarantined
SELECT q.connection_id, (q.first_seen_at AT TIME ZONE CAST(:time_zone AS text))::date, count(*)
FROM hub.quarantine q WHERE q.merchant_id = :merchant_id AND q.state = 'open' {in_scope} GROUP BY 1, 2"""
_QUARANTINED_DAYS = """AND EXISTS (SELECT FROM report_days d WHERE d.connection_id = q.connection_id
    AND d.business_date = (q.first_seen_at AT TIME ZONE CAST(:time_zone AS text))::date)"""


@dataclass(frozen=True, slots=True)
class ReportMerchant:
    """A merchant as the reports see it; `time_zone` decides its business days."""

    merchant_id: int
    name: str
    time_zone: str


def report_merchants(transaction: Connection, merchant: str | None) -> tuple[ReportMerchant, ...]:
    """Return the merchant of that name (none if there is none), or all merchants, by number."""
    found = transaction.execute(
        text(
            "SELECT merchant_id, name, time_zone FROM hub.merchants "
            "WHERE CAST(:merchant AS text) IS NULL OR name = :merchant ORDER BY merchant_id"
        ),
        {"merchant": merchant},
    )
    return tuple(ReportMerchant(row.merchant_id, row.name, row.time_zone) for row in found)


def open_scope(transaction: Connection) -> None:
    """Make the empty temporary tables of this transaction."""
    for statement in _TEMPORARY_TABLES:
        transaction.execute(text(statement))


def take_touched_days(transaction: Connection, merchant_id: int | None) -> int:
    """Move the touched days into the scope; they stay touched if the transaction fails.

    Days that another transaction is just touching are skipped and stay touched. Days whose count of quarantined
    records changed are added, though nobody touches days for them.

    Returns:
        How many (connection, day) pairs are to be made anew.
    """
    given = {"merchant_id": merchant_id}
    transaction.execute(text(_TAKE_TOUCHED), given)
    transaction.execute(text(_ADD_QUARANTINE_NEWS), given)
    transaction.execute(text("ANALYZE report_days"))
    return int(transaction.scalar(text("SELECT count(*) FROM report_days")) or 0)


def forget_touched_days(transaction: Connection, merchant_id: int | None) -> None:
    """Take the touched days off the list, because everything is made anew in this transaction."""
    transaction.execute(text(_TAKE_TOUCHED), {"merchant_id": merchant_id})
    transaction.execute(text("TRUNCATE report_days"))


def fill_touched(transaction: Connection, merchants: Iterable[ReportMerchant]) -> None:
    """Fill the scope with what counts on the days that were taken."""
    for merchant in merchants:
        given = {"merchant_id": merchant.merchant_id, "time_zone": merchant.time_zone}
        days = transaction.scalars(
            text("SELECT DISTINCT business_date FROM report_days WHERE merchant_id = :merchant_id ORDER BY 1"),
            {"merchant_id": merchant.merchant_id},
        )
        for first_date, last_date in day_runs(days):
            bounds = {**given, "first_date": first_date, "last_date": last_date}
            transaction.execute(text(_FILL_PLACED + _IN_RANGE.format(instant="o.placed_at")), bounds)
            transaction.execute(text(_FILL_REFUNDED + _IN_RANGE.format(instant="r.refunded_at")), bounds)
            transaction.execute(text(_FILL_PAID + _IN_RANGE.format(instant="p.processed_at")), bounds)
        transaction.execute(text(_FILL_QUARANTINED.format(in_scope=_QUARANTINED_DAYS)), given)
    _analyze(transaction)


def fill_everything(transaction: Connection, merchants: Iterable[ReportMerchant]) -> None:
    """Fill the scope with all that counts."""
    for merchant in merchants:
        given = {"merchant_id": merchant.merchant_id, "time_zone": merchant.time_zone}
        transaction.execute(text(_FILL_PLACED), given)
        transaction.execute(text(_FILL_REFUNDED), given)
        transaction.execute(text(_FILL_PAID), given)
        transaction.execute(text(_FILL_QUARANTINED.format(in_scope="")), given)
    _analyze(transaction)


def day_runs(days: Iterable[date]) -> tuple[tuple[date, date], ...]:
    """Join ascending days into runs of neighbours.

    Example:
        >>> day_runs([date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 5)])
        ((datetime.date(2026, 3, 1), datetime.date(2026, 3, 2)), (datetime.date(2026, 3, 5), datetime.date(2026, 3, 5)))
    """
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and day - runs[-1][1] <= timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return tuple(runs)


def _analyze(transaction: Connection) -> None:
    transaction.execute(text("ANALYZE report_placed, report_refunded, report_paid"))
