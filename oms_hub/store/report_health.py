"""Health of the connections and what waits for a person: two views, right at every moment."""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import (
    CHANNEL,
    CONNECTION,
    MERCHANT,
    ReportDefinition,
    day,
    flag,
    instant,
    seconds,
    whole,
    words,
)

_MERCHANT = replace(MERCHANT, is_key=False)

SYNC_HEALTH = ReportDefinition(
    name="sync_health",
    title="How fresh and how well each connection is",
    comment="One row per connection that was not removed. Computed when read; ages count back from as_of.",
    columns=(
        _MERCHANT,
        CONNECTION,
        CHANNEL,
        words("state", "active, paused or needs_reconnect"),
        words("state_reason", "Why it is in that state; '' where nobody said"),
        instant("as_of", "When this row was computed"),
        instant("last_good_pull_at", "When orders were last pulled without failure; null before the first", gaps=True),
        seconds("pull_age_seconds", "as_of - last_good_pull_at, in seconds; null before the first pull", gaps=True),
        instant("last_good_push_at", "When levels were last pushed without failure; null before the first", gaps=True),
        seconds("push_age_seconds", "as_of - last_good_push_at, in seconds; null before the first push", gaps=True),
        seconds(
            "lag_seconds",
            "as_of - start of the last good pull of orders, in seconds: everything older is in; null before the first",
            gaps=True,
        ),
        flag("is_push_enabled", "Whether levels are pushed to it"),
        whole("consecutive_failures", "Failed steps since the last one that went well"),
        instant("last_failure_at", "When a step last failed; null where none did", gaps=True),
        words("last_failure", "What failed, in one line; '' where nothing did"),
        whole("open_exceptions", "Exceptions of the connection that wait for a person"),
        words("open_by_kind", "The same per kind: 'kind: count', by name, separated by ', '; '' where there is none"),
        whole("pending_pushes", "Levels in the outbox that are still to be sent"),
        whole("dead_pushes", "Levels in the outbox that were given up: the dead letters"),
        whole("quarantined", "Records that could not be read and wait in quarantine"),
        whole("days_waiting", "Business days whose report rows are to be made again"),
    ),
    view_sql="""
WITH open_kinds AS (
    SELECT connection_id, kind, count(*) AS how_many
    FROM hub.exceptions WHERE state = 'open' AND connection_id IS NOT NULL GROUP BY 1, 2
),
waiting AS (
    SELECT connection_id, sum(how_many) AS how_many,
           string_agg(kind || ': ' || how_many, ', ' ORDER BY kind COLLATE "C") AS by_kind
    FROM open_kinds GROUP BY 1
),
pushes AS (
    SELECT connection_id, count(*) FILTER (WHERE state = 'open') AS pending,
           count(*) FILTER (WHERE state = 'dead') AS dead
    FROM hub.outbox WHERE state IN ('open', 'dead') GROUP BY 1
),
unread AS (SELECT connection_id, count(*) AS how_many FROM hub.quarantine WHERE state = 'open' GROUP BY 1),
touched AS (SELECT connection_id, count(*) AS how_many FROM hub.touched_days GROUP BY 1)
SELECT m.name AS merchant, c.name AS connection, c.channel, c.state, c.state_reason, now() AS as_of,
       h.last_good_pull_at, extract(epoch FROM now() - h.last_good_pull_at)::double precision AS pull_age_seconds,
       h.last_good_push_at, extract(epoch FROM now() - h.last_good_push_at)::double precision AS push_age_seconds,
       extract(epoch FROM now() - p.started_at)::double precision AS lag_seconds,
       c.is_push_enabled, coalesce(h.consecutive_failures, 0)::bigint AS consecutive_failures,
       h.last_failure_at, coalesce(h.last_failure, '') AS last_failure,
       coalesce(w.how_many, 0)::bigint AS open_exceptions, coalesce(w.by_kind, '') AS open_by_kind,
       coalesce(b.pending, 0) AS pending_pushes, coalesce(b.dead, 0) AS dead_pushes,
       coalesce(q.how_many, 0) AS quarantined, coalesce(t.how_many, 0) AS days_waiting
FROM hub.connections c
JOIN hub.merchants m ON m.merchant_id = c.merchant_id
LEFT JOIN hub.connection_health h ON h.connection_id = c.connection_id
LEFT JOIN waiting w ON w.connection_id = c.connection_id
LEFT JOIN pushes b ON b.connection_id = c.connection_id
LEFT JOIN unread q ON q.connection_id = c.connection_id
LEFT JOIN touched t ON t.connection_id = c.connection_id
LEFT JOIN LATERAL (
    SELECT r.started_at FROM hub.sync_runs r
    WHERE r.connection_id = c.connection_id AND r.step = 'pull_orders' AND r.state = 'succeeded'
    ORDER BY r.sync_run_id DESC LIMIT 1
) p ON true
WHERE c.state <> 'removed'
""",
)

EXCEPTIONS = ReportDefinition(
    name="exceptions",
    title="What waits for a person",
    comment="One row per open exception; dismissed and resolved ones are not shown. Computed when read.",
    day_column="opened_date",
    columns=(
        whole("exception_id", "Number of the exception, as `oms-hub exceptions` takes it", key=True),
        _MERCHANT,
        replace(CONNECTION, is_key=False, comment=f"{CONNECTION.comment}; '' where the merchant as a whole is meant"),
        replace(CHANNEL, comment=f"{CHANNEL.comment}; '' where the merchant as a whole is meant"),
        words("kind", "Which queue it stands in, such as unmapped_sku, out_of_stock, bad_payload, total_mismatch"),
        words("reference", "What it is about: an order, a SKU, a listing"),
        words("message", "What happened, in one line"),
        words("remedy", "What to do; '' where nothing is known"),
        instant("opened_at", "When it was first seen"),
        day("opened_date", "Day it was first seen, in the merchant's time zone"),
        instant("last_seen_at", "When it was last seen"),
        whole("occurrences", "How often it was seen"),
    ),
    view_sql="""
SELECT e.exception_id, m.name AS merchant, coalesce(c.name, '') AS connection, coalesce(c.channel, '') AS channel,
       e.kind, e.reference, e.message, e.remedy, e.opened_at,
       (e.opened_at AT TIME ZONE m.time_zone)::date AS opened_date, e.last_seen_at,
       e.occurrences::bigint AS occurrences
FROM hub.exceptions e
JOIN hub.merchants m ON m.merchant_id = e.merchant_id
LEFT JOIN hub.connections c ON c.connection_id = e.connection_id
WHERE e.state = 'open'
""",
)
