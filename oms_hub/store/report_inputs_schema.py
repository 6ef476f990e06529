"""Tables that the reports need beside orders and stock: costs, purchase orders, rates, and what was restated.

What belongs here: definitions only, in the metadata of `schema`. Marks on `touched_stock` are written by triggers on
the ledger and on unit costs (migration 0004), so that no writer can forget them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

COST_METHODS = ("weighted_average", "fifo")
"""How the cost of goods is found; the first is what a merchant starts with."""


def merchant_columns() -> tuple[Column[Any], ...]:
    """Return what a merchant's row says for the reports."""
    return (
        Column("cost_method", Text, nullable=False, server_default=COST_METHODS[0]),
        Column("pseudonym_salt", UUID(as_uuid=False), nullable=False, server_default=text("gen_random_uuid()")),
    )


def _merchant() -> Column[Any]:
    target = ForeignKey("hub.merchants.merchant_id")
    return Column("merchant_id", Integer, target, nullable=False, comment="whose it is")


def _sku() -> Column[Any]:
    return Column("sku_id", BigInteger, ForeignKey("hub.skus.sku_id"), nullable=False, comment="the goods")


def _place() -> Column[Any]:
    target = ForeignKey("hub.locations.location_id")
    return Column("location_id", Integer, target, nullable=False, comment="the place")


def _words(name: str, comment: str, *, default: str | None = None) -> Column[Any]:
    return Column(name, Text, nullable=False, server_default=default, comment=comment)


def _units(name: str, comment: str) -> Column[Any]:
    return Column(name, Integer, nullable=False, comment=comment)


def _number(name: str, comment: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Numeric, nullable=null, comment=comment)


def _instant(name: str, comment: str, *, now: bool = False) -> Column[Any]:
    default = func.now() if now else None
    return Column(name, DateTime(timezone=True), nullable=False, server_default=default, comment=comment)


def _marks(metadata: MetaData) -> None:
    Table(
        "touched_stock",
        metadata,
        Column("mark_id", BigInteger, Identity(), primary_key=True, comment="its number"),
        Column("merchant_id", Integer, nullable=False, comment="whose it is"),
        Column("sku_id", BigInteger, nullable=False, comment="the goods"),
        _instant("from_at", "from when on its movements or costs are others; -infinity: from the beginning"),
        comment="SKUs whose stock and cost reports must be made again; written with the change, taken by the refresh",
    )


def _receipts(metadata: MetaData) -> None:
    Table(
        "receipts",
        metadata,
        _merchant(),
        _words("reference", "delivery note or invoice; with SKU and place it makes a receipt the same one"),
        _sku(),
        _place(),
        _units("quantity", "units received"),
        _number("unit_cost", "landed cost of one unit in the merchant's base currency; null where unknown", null=True),
        _instant("received_at", "when they arrived"),
        _instant("recorded_at", "when it was written", now=True),
        _words("source", "where it comes from, such as import:FILE"),
        PrimaryKeyConstraint("merchant_id", "reference", "sku_id", "location_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("unit_cost >= 0", name="cost_not_negative"),
        CheckConstraint("reference <> ''", name="reference_given"),
        Index("ix_receipts_sku", "sku_id", "received_at"),
        comment="Goods received, with what they cost; their units also stand in the ledger",
    )


def _purchase_orders(metadata: MetaData) -> None:
    Table(
        "purchase_orders",
        metadata,
        _merchant(),
        _words("reference", "number of the purchase order; receipts of the same reference count against it"),
        _sku(),
        _units("quantity", "units ordered; 0 closes the line"),
        Column("expected_on", Date, nullable=True, comment="day on which they should arrive; null where unknown"),
        _instant("recorded_at", "when it was written", now=True),
        PrimaryKeyConstraint("merchant_id", "reference", "sku_id"),
        CheckConstraint("quantity >= 0", name="quantity_not_negative"),
        CheckConstraint("reference <> ''", name="reference_given"),
        Index("ix_purchase_orders_sku", "sku_id"),
        comment="Goods ordered from suppliers; what is on order is the quantity less the receipts of the reference",
    )


def _purchase_terms(metadata: MetaData) -> None:
    Table(
        "purchase_terms",
        metadata,
        Column("sku_id", BigInteger, ForeignKey("hub.skus.sku_id"), primary_key=True, comment="the goods"),
        _merchant(),
        _words("supplier", "who delivers; '' where not said", default=""),
        _number("lead_time_days", "days from order to arrival, on average"),
        _number("lead_time_sd_days", "standard deviation of the lead time, in days"),
        _number("cover_days", "days of demand that an order covers beyond its lead time"),
        _units("minimum_quantity", "fewest units that the supplier delivers"),
        _units("pack_size", "units are ordered in multiples of this"),
        _number("service_level", "share of lead times that should pass without running out, 0.5 to 0.9999"),
        _number("service_factor", "the same as z of the standard normal distribution"),
        CheckConstraint("lead_time_days >= 0 AND lead_time_sd_days >= 0 AND cover_days >= 0", name="days_not_negative"),
        CheckConstraint("minimum_quantity > 0 AND pack_size > 0", name="quantities_positive"),
        CheckConstraint("service_level >= 0.5 AND service_level < 1 AND service_factor >= 0", name="service_possible"),
        comment="How each SKU is bought: lead time, minimum, packs, service level",
    )


def _rates(metadata: MetaData) -> None:
    Table(
        "exchange_rates",
        metadata,
        _words("base_currency", "the currency that amounts are turned into"),
        _words("currency", "the currency of the amounts"),
        Column("rate_date", Date, nullable=False, comment="the day that the rate is of"),
        _number("rate", "units of base_currency for one unit of currency"),
        PrimaryKeyConstraint("base_currency", "currency", "rate_date"),
        CheckConstraint("rate > 0", name="rate_positive"),
        CheckConstraint("base_currency <> currency", name="two_currencies"),
        CheckConstraint("base_currency ~ '^[A-Z]{3}$' AND currency ~ '^[A-Z]{3}$'", name="currencies_iso"),
        comment="Exchange rates by day, for all merchants",
    )


def _channel_costs(metadata: MetaData) -> None:
    Table(
        "channel_costs",
        metadata,
        Column(
            "connection_id",
            Integer,
            ForeignKey("hub.connections.connection_id"),
            nullable=False,
            comment="the account that costs it",
        ),
        _words("currency", "currency of the two amounts; holds for sales in this currency"),
        Column("valid_from", Date, nullable=False, comment="first business day that it holds for"),
        _merchant(),
        _number("fee_percent", "the channel's commission, in percent of total sales"),
        _number("fee_per_order", "the channel's fixed fee per order, in currency"),
        _number("shipping_per_order", "what sending one order costs the merchant, in currency"),
        PrimaryKeyConstraint("connection_id", "currency", "valid_from"),
        CheckConstraint(
            "fee_percent >= 0 AND fee_percent <= 100 AND fee_per_order >= 0 AND shipping_per_order >= 0",
            name="costs_possible",
        ),
        comment="What selling on a connection costs, from a day on; each row holds until the next one",
    )


def _restatements(metadata: MetaData) -> None:
    Table(
        "restatements",
        metadata,
        Column("restatement_id", BigInteger, Identity(), primary_key=True, comment="its number"),
        _merchant(),
        Column(
            "connection_id",
            Integer,
            ForeignKey("hub.connections.connection_id"),
            nullable=False,
            comment="the account whose day it is",
        ),
        Column("business_date", Date, nullable=False, comment="the day that was restated"),
        _words("currency", "currency of the amounts"),
        _instant("restated_at", "when the refresh found it"),
        _words("cause", "what changed, in words"),
        Column("orders_before", BigInteger, nullable=False, comment="orders as they were shown"),
        Column("orders_after", BigInteger, nullable=False, comment="orders as they are"),
        _number("net_sales_before", "net sales as they were shown"),
        _number("net_sales_after", "net sales as they are"),
        _number("total_sales_before", "total sales as they were shown"),
        _number("total_sales_after", "total sales as they are"),
        Index("ix_restatements_day", "connection_id", "business_date", "currency", "restatement_id"),
        comment="Closed days whose sales figures changed after they were shown; kept for good",
    )


def define(metadata: MetaData) -> None:
    """Add the tables of this module to the store's metadata."""
    parts = (
        _marks, _receipts, _purchase_orders, _purchase_terms, _rates, _channel_costs, _restatements,
    )  # fmt: skip
    for part in parts:
        part(metadata)
