"""Levels per listing: what we want there, what the channel acknowledged, what was last seen. A view, always right."""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import CHANNEL, CONNECTION, MERCHANT, ReportDefinition, instant, whole, words

CHANNEL_LEVELS = ReportDefinition(
    name="channel_levels",
    title="Levels per listing: wanted, acknowledged, seen",
    comment=(
        "One row per connection and listing. Computed when read. Levels are whole units as the channel counts them."
    ),
    columns=(
        replace(MERCHANT, is_key=False),
        CONNECTION,
        words("listing", "The channel's own key of the listing", key=True),
        CHANNEL,
        words("sku", "The merchant's SKU that the listing is linked to; null while it is not linked", gaps=True),
        words("channel_sku", "The SKU as the channel writes it; null where it has none", gaps=True),
        words("title", "Name of the listing on the channel"),
        whole("desired", "Level the hub wants there; null before the first plan or without a count", gaps=True),
        whole("acknowledged", "Level the channel last confirmed; null before the first push", gaps=True),
        whole("observed", "Level last read there; null before the first read", gaps=True, signed=True),
        whole("in_flight", "Units sold there that no pulled order explains yet"),
        words(
            "state",
            "inactive (gone from the channel), unmapped, duplicate or ignored (not linked), untracked, not_writable, "
            "pending (a push is open), no_level (no count), in_step (acknowledged = desired), rejected (the last push "
            "failed), push_off (pushing is off), waiting (for the next plan)",
        ),
        instant("observed_at", "When observed was read; null before the first read", gaps=True),
        instant("last_pushed_at", "When a level was last sent; null before the first push", gaps=True),
        words("last_error", "What the channel said to the last push; '' if it was taken"),
    ),
    view_sql="""
SELECT m.name AS merchant, c.name AS connection, l.listing_key AS listing, c.channel, k.sku, l.channel_sku, l.title,
       v.desired::bigint AS desired, v.acknowledged::bigint AS acknowledged, v.observed::bigint AS observed,
       coalesce(v.in_flight, 0)::bigint AS in_flight,
       CASE WHEN NOT l.is_active THEN 'inactive'
            WHEN l.sku_id IS NULL THEN l.link_state
            WHEN NOT l.is_tracked THEN 'untracked'
            WHEN NOT l.is_writable THEN 'not_writable'
            WHEN o.outbox_id IS NOT NULL THEN 'pending'
            WHEN v.desired IS NULL THEN 'no_level'
            WHEN v.acknowledged = v.desired THEN 'in_step'
            WHEN v.last_error <> '' THEN 'rejected'
            WHEN NOT c.is_push_enabled THEN 'push_off'
            ELSE 'waiting' END AS state,
       v.observed_at, v.last_pushed_at, coalesce(v.last_error, '') AS last_error
FROM hub.listings l
JOIN hub.connections c ON c.connection_id = l.connection_id
JOIN hub.merchants m ON m.merchant_id = l.merchant_id
LEFT JOIN hub.skus k ON k.sku_id = l.sku_id
LEFT JOIN hub.listing_levels v ON v.connection_id = l.connection_id AND v.listing_key = l.listing_key
LEFT JOIN hub.outbox o
    ON o.connection_id = l.connection_id AND o.listing_key = l.listing_key AND o.state = 'open'
""",
)
