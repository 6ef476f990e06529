"""The tables of the hub (PostgreSQL schema `hub`); report tables stand in `report_schema`.

What belongs here: tables, keys, checks and their comments, nothing that runs. Migrations must produce exactly this
(a test compares). Every table carries the merchant it belongs to. Orders and all that hangs on them are keyed by
(connection_id, channel_order_id, ...): natural keys make every load idempotent and need no lookup.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, UUID

from oms_hub.store import (
    allocation_schema,
    rate_limit_schema,
    report_inputs_schema,
    stock_protocol_schema,
    stock_schema,
    web_schema,
)

SCHEMA = "hub"
metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def _words(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, Text, nullable=null, server_default=default)


def _instant(name: str, *, null: bool = True, now: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=null, server_default=func.now() if now else None)


def _amount(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Numeric, nullable=null)


def _units(name: str, *, null: bool = False, default: int | None = None) -> Column[Any]:
    return Column(name, Integer, nullable=null, server_default=None if default is None else text(str(default)))


def _flag(name: str, *, default: bool) -> Column[Any]:
    return Column(name, Boolean, nullable=False, server_default=text("true" if default else "false"))


def _merchant() -> Column[Any]:
    return Column("merchant_id", Integer, ForeignKey(f"{SCHEMA}.merchants.merchant_id"), nullable=False)


def _connection(*, null: bool = False) -> Column[Any]:
    return Column("connection_id", Integer, ForeignKey(f"{SCHEMA}.connections.connection_id"), nullable=null)


def _one_of(column: str, *words: str) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


# ------------------------------------------------------------------------------------- merchants and connections

merchants = Table(
    "merchants",
    metadata,
    Column("merchant_id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("currency", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    _instant("created_at", null=False, now=True),
    *report_inputs_schema.merchant_columns(),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_iso"),
    _one_of("cost_method", *report_inputs_schema.COST_METHODS),
    comment="A business: base currency and business time zone",
)

connections = Table(
    "connections",
    metadata,
    Column("connection_id", Integer, Identity(), primary_key=True),
    _merchant(),
    _words("channel"),
    Column("name", Text, nullable=False, unique=True),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _words("state", default="active"),
    _words("state_reason", default=""),
    _flag("is_push_enabled", default=False),
    _words("role", default="follows"),
    _instant("created_at", null=False, now=True),
    _instant("removed_at"),
    CheckConstraint("name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'", name="name_plain"),
    _one_of("state", "active", "paused", "needs_reconnect", "removed"),
    _one_of("role", "follows", "counts"),
    comment="A merchant's account on a channel; secrets stand in `secrets`, encrypted",
)

secrets = Table(
    "secrets",
    metadata,
    _connection(),
    _words("name"),
    _merchant(),
    Column("ciphertext", LargeBinary, nullable=True),
    _words("reference", null=True),
    _instant("updated_at", null=False, now=True),
    PrimaryKeyConstraint("connection_id", "name"),
    CheckConstraint("(ciphertext IS NULL) <> (reference IS NULL)", name="one_form"),
    comment="Secrets of a connection: encrypted here, or a reference (env:NAME, file:PATH) to where they are",
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("merchant_id", Integer, ForeignKey(f"{SCHEMA}.merchants.merchant_id"), nullable=True),
    _words("holder"),
    Column("fence", BigInteger, nullable=False),
    _instant("taken_at", null=False, now=True),
    comment="Who may work on a connection now; every writing transaction checks its fence",
)

cursors = Table(
    "cursors",
    metadata,
    _connection(),
    _words("stream"),
    _merchant(),
    Column("position", JSONB, nullable=False),
    _instant("updated_at", null=False, now=True),
    PrimaryKeyConstraint("connection_id", "stream"),
    comment="Where each stream of a connection stands; written in the transaction of the data it speaks of",
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("sync_run_id", BigInteger, Identity(), primary_key=True),
    _merchant(),
    _connection(null=True),
    _words("step"),
    _words("state", default="running"),
    _instant("started_at", null=False, now=True),
    _instant("finished_at"),
    Column("counts", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _words("error", default=""),
    _one_of("state", "running", "succeeded", "failed"),
    Index("ix_sync_runs_connection_step", "connection_id", "step", "sync_run_id"),
    comment="One row per step of the flow that ran, with what it counted",
)

exceptions = Table(
    "exceptions",
    metadata,
    Column("exception_id", BigInteger, Identity(), primary_key=True),
    _merchant(),
    _connection(null=True),
    _words("kind"),
    _words("reference"),
    _words("message"),
    _words("remedy", default=""),
    _words("state", default="open"),
    _instant("opened_at", null=False, now=True),
    _instant("last_seen_at", null=False, now=True),
    _units("occurrences", default=1),
    _instant("closed_at"),
    _words("closed_reason", default=""),
    _one_of("state", "open", "resolved", "dismissed"),
    Index(
        "uq_exceptions_open",
        "merchant_id",
        text("coalesce(connection_id, 0)"),
        "kind",
        "reference",
        unique=True,
        postgresql_where=text("state = 'open'"),
    ),
    Index("ix_exceptions_dismissed", "merchant_id", "kind", "reference", postgresql_where=text("state = 'dismissed'")),
    comment="What needs a person, one open row per kind and reference",
)

# ---------------------------------------------------------------------------------------------------- raw intake

raw_pages = Table(
    "raw_pages",
    metadata,
    Column("page_id", BigInteger, Identity(), primary_key=True),
    _merchant(),
    _connection(),
    _words("kind"),
    Column("body", LargeBinary, nullable=False, comment="zstd of the answer as it came"),
    _units("body_bytes"),
    _units("record_count"),
    _instant("landed_at", null=False, now=True),
    Index("ix_raw_pages_connection", "connection_id", "page_id"),
    comment="Pages as they came from the channel; append-only",
)

raw_records = Table(
    "raw_records",
    metadata,
    _connection(),
    _words("record_id"),
    Column("page_id", BigInteger, ForeignKey(f"{SCHEMA}.raw_pages.page_id"), nullable=False),
    _units("position"),
    _merchant(),
    _words("kind"),
    Column("content_hash", LargeBinary, nullable=False),
    _instant("channel_updated_at"),
    PrimaryKeyConstraint("connection_id", "record_id", "page_id", "position"),
    Index("ix_raw_records_page", "page_id"),
    comment="Which record stands where in which page; only records that brought news",
)

quarantine = Table(
    "quarantine",
    metadata,
    _connection(),
    _words("record_id"),
    _merchant(),
    _words("kind"),
    Column("page_id", BigInteger, nullable=False),
    _units("position"),
    _words("reason"),
    _words("state", default="open"),
    _instant("first_seen_at", null=False, now=True),
    _instant("last_seen_at", null=False, now=True),
    _units("attempts", default=1),
    PrimaryKeyConstraint("connection_id", "record_id"),
    _one_of("state", "open", "resolved", "dismissed"),
    comment="Raw records that could not be read; retried when asked or when the parser changes",
)

# -------------------------------------------------------------------------------------------------------- orders

_ORDER_KEY = ("connection_id", "channel_order_id")
_PAYMENT_STATES = ("unpaid", "authorised", "partially_paid", "paid", "partially_refunded", "refunded", "voided")


def _order_columns() -> tuple[Column[Any], Column[Any], Column[Any]]:
    return (
        Column("connection_id", Integer, nullable=False),
        Column("channel_order_id", Text, nullable=False),
        Column("merchant_id", Integer, nullable=False),
    )


def _of_order() -> ForeignKeyConstraint:
    """Only lines carry it: checked row by row, it costs as much again as loading the row (see docs/adr/0008)."""
    return ForeignKeyConstraint(_ORDER_KEY, [f"{SCHEMA}.orders.{column}" for column in _ORDER_KEY], ondelete="CASCADE")


orders = Table(
    "orders",
    metadata,
    *_order_columns(),
    _words("label"),
    _words("kind"),
    _instant("placed_at", null=False),
    _instant("channel_updated_at", null=False),
    Column("channel_version", BigInteger, nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("raw_page_id", BigInteger, nullable=False),
    _units("raw_position"),
    _words("state"),
    _words("payment_state"),
    _words("fulfilment_state"),
    _words("channel_state"),
    _words("channel_payment_state"),
    _words("channel_fulfilment_state"),
    _words("unknown_words", null=True),
    Column("is_sale", Boolean, nullable=False),
    Column("is_test", Boolean, nullable=False),
    Column("is_draft", Boolean, nullable=False),
    Column("taxes_included", Boolean, nullable=False),
    _words("currency"),
    _amount("total"),
    _amount("adjustment_amount"),
    _words("presentment_currency", null=True),
    _amount("presentment_total", null=True),
    _instant("cancelled_at"),
    _instant("closed_at"),
    _instant("ship_by_at"),
    _instant("deliver_by_at"),
    _words("channel_customer_id", null=True),
    _instant("vanished_at"),
    _instant("normalised_at", null=False, now=True),
    PrimaryKeyConstraint(*_ORDER_KEY),
    ForeignKeyConstraint(["connection_id"], [f"{SCHEMA}.connections.connection_id"]),
    ForeignKeyConstraint(["merchant_id"], [f"{SCHEMA}.merchants.merchant_id"]),
    _one_of("state", "open", "on_hold", "cancelled", "closed"),
    _one_of("payment_state", *_PAYMENT_STATES),
    _one_of("fulfilment_state", "unfulfilled", "partial", "fulfilled", "returned"),
    Index("ix_orders_placed", "merchant_id", "placed_at"),
    comment="One row per order at its newest version; amounts in the order's currency",
)

order_lines = Table(
    "order_lines",
    metadata,
    *_order_columns(),
    _words("line_id"),
    _units("position"),
    _words("listing_key", null=True),
    _words("channel_sku", null=True),
    Column("sku_id", BigInteger, nullable=True, comment="the merchant's SKU; null while unmapped"),
    _words("title"),
    _units("quantity"),
    _amount("unit_price"),
    _amount("gross_amount"),
    _amount("discount_amount"),
    _amount("order_discount_amount"),
    _amount("tax_amount"),
    _units("cancelled_quantity"),
    Column("needs_stock", Boolean, nullable=False),
    _words("channel_location_id", null=True),
    _units("allocated_quantity", default=0),
    _units("reserved_quantity", default=0),
    PrimaryKeyConstraint(*_ORDER_KEY, "line_id"),
    _of_order(),
    CheckConstraint("allocated_quantity >= 0 AND reserved_quantity >= 0", name="holds_not_negative"),
    Index(
        "ix_order_lines_held",
        "sku_id",
        postgresql_where=text("allocated_quantity > 0 OR reserved_quantity > 0"),
    ),
    Index(
        "ix_order_lines_unmapped",
        "merchant_id",
        "channel_sku",
        postgresql_where=text("sku_id IS NULL AND needs_stock"),
    ),
    Index("ix_order_lines_reserved", "merchant_id", postgresql_where=text("reserved_quantity > 0")),
    comment="Units of one thing in an order; amounts for the whole line, without tax",
)

order_charges = Table(
    "order_charges",
    metadata,
    *_order_columns(),
    _words("charge_id"),
    _words("kind"),
    _words("title"),
    _words("code", null=True),
    _amount("amount"),
    _amount("tax_amount"),
    PrimaryKeyConstraint(*_ORDER_KEY, "charge_id"),
    _one_of("kind", "shipping", "fee", "duty", "tip", "rounding", "adjustment"),
    comment="Shipping, fees, tips and the explicit adjustment of an order",
)

order_taxes = Table(
    "order_taxes",
    metadata,
    *_order_columns(),
    _words("owner"),
    _units("position"),
    _words("title"),
    Column("rate", Numeric, nullable=True),
    _amount("amount"),
    Column("is_channel_liable", Boolean, nullable=False),
    PrimaryKeyConstraint(*_ORDER_KEY, "owner", "position"),
    comment="Taxes of lines (owner line:ID) and charges (owner charge:ID), and who remits them",
)

order_discounts = Table(
    "order_discounts",
    metadata,
    *_order_columns(),
    _units("position"),
    _words("title"),
    _words("code", null=True),
    _amount("amount"),
    PrimaryKeyConstraint(*_ORDER_KEY, "position"),
    comment="Discounts by name, for information; their amounts stand on the lines",
)

payments = Table(
    "payments",
    metadata,
    *_order_columns(),
    _words("payment_id"),
    _words("kind"),
    _amount("amount"),
    _words("currency"),
    _instant("processed_at", null=False),
    _words("gateway"),
    Column("is_successful", Boolean, nullable=False),
    PrimaryKeyConstraint(*_ORDER_KEY, "payment_id"),
    Index("ix_payments_day", "merchant_id", "processed_at"),
    _one_of("kind", "sale", "authorisation", "capture", "refund", "void"),
    comment="Payment transactions",
)

order_channel_fees = Table(
    "order_channel_fees",
    metadata,
    *_order_columns(),
    Column("fee_id", Text, nullable=False, comment="Names the fee within its order"),
    Column("kind", Text, nullable=False, comment="What it is for, as the channel words it"),
    Column("amount", Numeric, nullable=False, comment="Positive: charged to the seller; negative: given back"),
    Column("currency", Text, nullable=False, comment="ISO 4217 code"),
    Column(
        "charged_at", DateTime(timezone=True), nullable=False, comment="When the channel charged it or gave it back"
    ),
    PrimaryKeyConstraint(*_ORDER_KEY, "fee_id"),
    comment="What the channel charges the seller for an order; never part of the order's total",
)

refunds = Table(
    "refunds",
    metadata,
    *_order_columns(),
    _words("refund_id"),
    _instant("refunded_at", null=False),
    _amount("paid_amount"),
    _amount("shipping_amount"),
    _amount("shipping_tax_amount"),
    _amount("other_amount"),
    _words("reason"),
    PrimaryKeyConstraint(*_ORDER_KEY, "refund_id"),
    Index("ix_refunds_day", "merchant_id", "refunded_at"),
    comment="Money that went back, a fact of its own",
)

refund_lines = Table(
    "refund_lines",
    metadata,
    *_order_columns(),
    _words("refund_id"),
    _units("position"),
    _words("line_id"),
    _units("quantity"),
    _amount("amount"),
    _amount("tax_amount"),
    Column("is_restocked", Boolean, nullable=False),
    _words("channel_location_id", null=True),
    PrimaryKeyConstraint(*_ORDER_KEY, "refund_id", "position"),
    comment="What a refund gave back per order line",
)

returns = Table(
    "returns",
    metadata,
    *_order_columns(),
    _words("return_id"),
    _words("status"),
    _instant("opened_at", null=False),
    _instant("closed_at"),
    PrimaryKeyConstraint(*_ORDER_KEY, "return_id"),
    comment="Goods on their way back",
)

return_lines = Table(
    "return_lines",
    metadata,
    *_order_columns(),
    _words("return_id"),
    _units("position"),
    _words("line_id"),
    _units("quantity"),
    _words("reason"),
    PrimaryKeyConstraint(*_ORDER_KEY, "return_id", "position"),
    comment="Units of order lines that come back",
)

shipments = Table(
    "shipments",
    metadata,
    *_order_columns(),
    _words("shipment_id"),
    _words("status"),
    _instant("shipped_at", null=False),
    _instant("delivered_at"),
    _words("carrier", null=True),
    _words("tracking_number", null=True),
    _words("tracking_url", null=True),
    _words("channel_location_id", null=True),
    PrimaryKeyConstraint(*_ORDER_KEY, "shipment_id"),
    comment="What left, with tracking",
)

shipment_lines = Table(
    "shipment_lines",
    metadata,
    *_order_columns(),
    _words("shipment_id"),
    _units("position"),
    _words("line_id"),
    _units("quantity"),
    PrimaryKeyConstraint(*_ORDER_KEY, "shipment_id", "position"),
    comment="Units of order lines in a shipment",
)

order_stock_events = Table(
    "order_stock_events",
    metadata,
    *_order_columns(),
    _words("line_id"),
    _words("kind"),
    _words("channel_location_id", default=""),
    _units("cumulative_quantity"),
    _instant("occurred_at", null=False),
    PrimaryKeyConstraint(*_ORDER_KEY, "line_id", "kind", "channel_location_id"),
    _one_of("kind", "sale", "return"),
    comment="What each order line did to stock so far, cumulative; movements are derived from the difference",
)

order_status_history = Table(
    "order_status_history",
    metadata,
    *_order_columns(),
    _instant("observed_at", null=False, now=True),
    _words("field"),
    _words("value"),
    _words("channel_value"),
    _instant("channel_updated_at", null=False),
    Index("ix_order_status_history_order", *_ORDER_KEY, "observed_at"),
    comment="Each change of an order's three states, with the channel's own word and time",
)

customers = Table(
    "customers",
    metadata,
    Column("connection_id", Integer, nullable=False),
    _words("channel_customer_id"),
    _merchant(),
    _words("country", null=True),
    PrimaryKeyConstraint("connection_id", "channel_customer_id"),
    comment="Buyers by the channel's own id; no names, no addresses",
)

touched_days = Table(
    "touched_days",
    metadata,
    _merchant(),
    Column("connection_id", Integer, nullable=False),
    Column("business_date", Date, nullable=False),
    PrimaryKeyConstraint("merchant_id", "connection_id", "business_date"),
    comment="Business days whose report rows must be made again; written with the change, cleared with the report",
)

# ----------------------------------------------------------------------------------------------- goods and places

skus = Table(
    "skus",
    metadata,
    Column("sku_id", BigInteger, Identity(), primary_key=True),
    _merchant(),
    _words("sku"),
    _words("title", default=""),
    _words("barcode", null=True),
    Column("unit_cost", Numeric, nullable=True),
    _instant("created_at", null=False, now=True),
    UniqueConstraint("merchant_id", "sku"),
    CheckConstraint("sku <> ''", name="sku_given"),
    CheckConstraint("unit_cost >= 0", name="cost_not_negative"),
    comment="The merchant's own codes of goods",
)

locations = Table(
    "locations",
    metadata,
    Column("location_id", Integer, Identity(), primary_key=True),
    _merchant(),
    _words("code"),
    _words("name", default=""),
    _flag("is_default", default=False),
    UniqueConstraint("merchant_id", "code"),
    Index("uq_locations_default", "merchant_id", unique=True, postgresql_where=text("is_default")),
    comment="Places that hold stock; each merchant has one default",
)

location_links = Table(
    "location_links",
    metadata,
    _connection(),
    _words("channel_location_id"),
    _merchant(),
    _words("name", default=""),
    Column("location_id", Integer, ForeignKey(f"{SCHEMA}.locations.location_id"), nullable=True),
    _flag("is_default", default=False),
    _flag("is_active", default=True),
    PrimaryKeyConstraint("connection_id", "channel_location_id"),
    comment="A channel's places and which of ours they are; null counts as the merchant's default place",
)

listings = Table(
    "listings",
    metadata,
    _connection(),
    _words("listing_key"),
    _merchant(),
    _words("channel_sku", null=True),
    _words("title", default=""),
    _words("barcode", null=True),
    _words("parent_key", null=True),
    Column("sku_id", BigInteger, ForeignKey(f"{SCHEMA}.skus.sku_id"), nullable=True),
    _words("link_state", default="unmapped"),
    _flag("is_tracked", default=True),
    _flag("is_writable", default=True),
    _flag("is_active", default=True),
    _units("pack_size", default=1),
    Column("attributes", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _instant("seen_at", null=False, now=True),
    PrimaryKeyConstraint("connection_id", "listing_key"),
    _one_of("link_state", "automatic", "manual", "unmapped", "duplicate", "ignored"),
    CheckConstraint("(link_state IN ('automatic', 'manual')) = (sku_id IS NOT NULL)", name="linked_has_sku"),
    CheckConstraint("pack_size > 0", name="pack_size_positive"),
    Index("ix_listings_sku", "sku_id"),
    comment="SKUs offered on a connection",
)

# --------------------------------------------------------------------------------------------------------- stock

movements = Table(
    "movements",
    metadata,
    Column("movement_id", BigInteger, Identity(), primary_key=True),
    _merchant(),
    Column("sku_id", BigInteger, ForeignKey(f"{SCHEMA}.skus.sku_id"), nullable=False),
    Column("location_id", Integer, ForeignKey(f"{SCHEMA}.locations.location_id"), nullable=False),
    _words("kind"),
    _units("quantity"),
    _units("balance_before"),
    _units("balance_after"),
    _instant("occurred_at", null=False),
    _instant("recorded_at", null=False, now=True),
    _words("source"),
    _words("natural_key"),
    _words("cause"),
    UniqueConstraint("merchant_id", "natural_key"),
    _one_of("kind", "receipt", "sale", "return", "count", "adjustment", "transfer_out", "transfer_in"),
    CheckConstraint("balance_after = balance_before + quantity", name="adds_up"),
    Index("ix_movements_balance", "sku_id", "location_id", "occurred_at"),
    Index("ix_movements_source", "merchant_id", "source"),
    comment="The stock ledger: append-only (a trigger refuses UPDATE and DELETE); on_hand is the sum",
)

balances = Table(
    "balances",
    metadata,
    Column("sku_id", BigInteger, ForeignKey(f"{SCHEMA}.skus.sku_id"), nullable=False),
    Column("location_id", Integer, ForeignKey(f"{SCHEMA}.locations.location_id"), nullable=False),
    _merchant(),
    _units("on_hand", default=0),
    _units("unavailable", default=0),
    _units("incoming", default=0),
    _instant("counted_at"),
    _instant("updated_at", null=False, now=True),
    PrimaryKeyConstraint("sku_id", "location_id"),
    CheckConstraint("unavailable >= 0 AND incoming >= 0", name="not_negative"),
    comment="Present on_hand per SKU and place (= sum of movements); without counted_at there is no level",
)

stock_dirty = Table(
    "stock_dirty",
    metadata,
    Column("sku_id", BigInteger, ForeignKey(f"{SCHEMA}.skus.sku_id"), primary_key=True),
    _merchant(),
    _instant("marked_at", null=False, now=True),
    comment="SKUs whose offers must be computed again; written with the change, deleted with the plan",
)

# Levels and outbox rows are written from `listings` by the hundred thousand; foreign keys would double that work.


def _level_ledger_columns() -> tuple[Column[Any], ...]:
    """What a listing's level tells beside itself: the in-flight ledger, its demand, why it shows what it shows."""

    def smoothed(name: str, comment: str) -> Column[Any]:
        return Column(name, DOUBLE_PRECISION, nullable=True, comment=f"{comment}; null before the first sale")

    def instant(name: str, comment: str) -> Column[Any]:
        return Column(name, DateTime(timezone=True), nullable=True, comment=comment)

    def units(name: str, comment: str) -> Column[Any]:
        return Column(name, Integer, nullable=False, server_default=text("0"), comment=comment)

    return (
        Column("known_level", Integer, nullable=True, comment="Level as last read or confirmed; null before the first"),
        instant("known_at", "When it was read, or the write that confirmed it was sent"),
        instant("level_since", "When a level was first known; orders placed before are in that level"),
        units("early_units", "Units of orders that came in since the level was read"),
        units("early_restocked", "Cancelled units that came in since and are on offer again"),
        Column(
            "doubted_levels",
            ARRAY(Integer),
            nullable=True,
            comment="Levels of writes whose answer is out or was lost: they may have been done, or be done late",
        ),
        instant("doubted_at", "When the last such answer was lost"),
        smoothed("demand_units", "Smoothed units sold"),
        smoothed("demand_seconds", "Smoothed seconds on offer"),
        smoothed("burst_units", "Smoothed units sold, over a short memory"),
        smoothed("burst_seconds", "Smoothed seconds on offer, over a short memory"),
        instant("demand_at", "Up to when sales are counted in"),
        Column("pool_units", Integer, nullable=True, comment="Units that the last plan had for this listing"),
        units("held_units", "Levels that the last plan kept back for the other listings"),
        Column(
            "plan_reason",
            Text,
            nullable=False,
            server_default="",
            comment="What decided the last plan: pool, empty, end_when, share, cap, floor, paused or hold_back",
        ),
    )


listing_levels = Table(
    "listing_levels",
    metadata,
    Column("connection_id", Integer, nullable=False),
    _words("listing_key"),
    Column("merchant_id", Integer, nullable=False),
    _units("desired", null=True),
    _instant("desired_at"),
    _units("acknowledged", null=True),
    _instant("acknowledged_at"),
    _units("observed", null=True),
    _units("observed_on_hand", null=True),
    _instant("observed_at"),
    _words("observed_note", default=""),
    Column("cumulative_drop", BigInteger, nullable=False, server_default=text("0")),
    _units("in_flight", default=0),
    _instant("last_pushed_at"),
    _words("last_error", default=""),
    *_level_ledger_columns(),
    PrimaryKeyConstraint("connection_id", "listing_key"),
    Index("ix_listing_levels_held", "merchant_id", postgresql_where=text("held_units > 0")),
    Index("ix_listing_levels_in_flight", "merchant_id", postgresql_where=text("in_flight > 0")),
    comment="Per listing: what we want, what the channel acknowledged, what was last seen there",
)

outbox = Table(
    "outbox",
    metadata,
    Column("outbox_id", BigInteger, Identity(), primary_key=True),
    Column("merchant_id", Integer, nullable=False),
    Column("connection_id", Integer, nullable=False),
    _words("listing_key"),
    _units("from_level", null=True),
    _units("to_level"),
    _words("cause"),
    Column(
        "idempotency_key", UUID(as_uuid=False), nullable=True, comment="Key of the last attempt; null before the first"
    ),
    _units("generation", default=1),
    _words("state", default="open"),
    _units("attempts", default=0),
    _instant("next_try_at", null=False, now=True),
    _instant("sent_at"),
    _words("last_error", default=""),
    _instant("created_at", null=False, now=True),
    _instant("closed_at"),
    Column("read_at", DateTime(timezone=True), nullable=True, comment="When the level was read before it was sent"),
    Column("answered_at", DateTime(timezone=True), nullable=True, comment="When the channel's answer came"),
    Column("sent_from", Integer, nullable=True, comment="Level that the write was sent against; a change starts there"),
    _one_of("state", "open", "delivered", "superseded", "dead", "dismissed"),
    CheckConstraint("to_level >= 0", name="to_level_not_negative"),
    Index("uq_outbox_open", "connection_id", "listing_key", unique=True, postgresql_where=text("state = 'open'")),
    Index("ix_outbox_overwriting", "connection_id", "listing_key", postgresql_where=text("read_at IS NOT NULL")),
    comment="Levels to push; one open row per listing, the newest wins; dead rows are the dead letters",
)

connection_health = Table(
    "connection_health",
    metadata,
    Column("connection_id", Integer, ForeignKey(f"{SCHEMA}.connections.connection_id"), primary_key=True),
    _merchant(),
    _instant("last_good_pull_at"),
    _instant("last_good_push_at"),
    _instant("last_failure_at"),
    _words("last_failure", default=""),
    Column("consecutive_failures", SmallInteger, nullable=False, server_default=text("0")),
    comment="Freshness of each connection",
)

allocation_schema.define(metadata)
stock_schema.define(metadata)
stock_protocol_schema.define(metadata)
rate_limit_schema.define(metadata)
report_inputs_schema.define(metadata)
web_schema.define(metadata)
