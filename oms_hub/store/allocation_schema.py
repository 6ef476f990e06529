"""The tables of allocation: units bound to order lines, what is missing, the rules of the queue.

What belongs here: definitions only, in the metadata of `schema`. Keys of orders are plain columns, as everywhere below
an order (docs/adr/0008): a newer version of an order writes its lines anew, and allocation follows in its own step.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

_LINE_KEY = ("connection_id", "channel_order_id", "line_id")


def _line_columns() -> tuple[Column[Any], ...]:
    return (
        Column("connection_id", Integer, nullable=False, comment="the order's connection"),
        Column("channel_order_id", Text, nullable=False, comment="the channel's own id of the order"),
        Column("line_id", Text, nullable=False, comment="the line within the order"),
    )


def _merchant(*, refers: bool = False) -> Column[Any]:
    target = (ForeignKey("hub.merchants.merchant_id"),) if refers else ()
    return Column("merchant_id", Integer, *target, nullable=False, comment="whose it is")


def _now(name: str, comment: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now(), comment=comment)


def _sku() -> Column[Any]:
    return Column("sku_id", BigInteger, nullable=False, comment="the goods; a component where a bundle was sold")


def _queue(metadata: MetaData) -> None:
    Table(
        "allocation_dirty",
        metadata,
        Column("sku_id", BigInteger, primary_key=True, autoincrement=False, comment="the goods"),
        _merchant(),
        _now("marked_at", "when the change was written"),
        Index("ix_allocation_dirty_merchant", "merchant_id", "sku_id"),
        comment="SKUs whose units must be handed out again; written with the change, deleted with the allocation",
    )


def _bound_units(metadata: MetaData) -> None:
    Table(
        "allocations",
        metadata,
        *_line_columns(),
        _sku(),
        Column("location_id", Integer, nullable=False, comment="the place whose units they are"),
        _merchant(),
        Column("units", Integer, nullable=False, comment="units of the SKU"),
        Column("is_reserved", Boolean, nullable=False, comment="true while nothing was paid: a hold that may expire"),
        _now("allocated_at", "since when it is this many"),
        PrimaryKeyConstraint(*_LINE_KEY, "sku_id", "location_id"),
        CheckConstraint("units > 0", name="units_positive"),
        Index("ix_allocations_sku", "sku_id"),
        comment="Units that are there and bound to an open order line, by place",
    )


def _missing_units(metadata: MetaData) -> None:
    Table(
        "backorders",
        metadata,
        *_line_columns(),
        _sku(),
        _merchant(),
        Column("units", Integer, nullable=False, comment="units of the SKU"),
        Column("is_reserved", Boolean, nullable=False, comment="true while nothing was paid"),
        _now("since", "since when the line waits for any"),
        PrimaryKeyConstraint(*_LINE_KEY, "sku_id"),
        CheckConstraint("units > 0", name="units_positive"),
        Index("ix_backorders_sku", "sku_id"),
        Index("ix_backorders_merchant", "merchant_id"),
        comment="Units of open order lines that were sold and are not there; only of SKUs that have a level",
    )
    Table(
        "expired_holds",
        metadata,
        *_line_columns(),
        _merchant(),
        Column("units", Integer, nullable=False, comment="units of the line that it held"),
        Column("expired_at", DateTime(timezone=True), nullable=False, comment="when its time was up"),
        PrimaryKeyConstraint(*_LINE_KEY),
        CheckConstraint("units > 0", name="units_positive"),
        comment="Unpaid order lines whose time was up: they hold no stock until they are paid",
    )


def _rules(metadata: MetaData) -> None:
    Table(
        "allocation_rules",
        metadata,
        Column("rule_id", Integer, Identity(), primary_key=True, comment="its number"),
        _merchant(refers=True),
        Column("name", Text, nullable=False, comment="what people call it"),
        Column(
            "connection_id",
            Integer,
            ForeignKey("hub.connections.connection_id"),
            nullable=True,
            comment="only orders of this connection; null for all",
        ),
        Column("channel", Text, nullable=True, comment="only orders of this kind of channel; null for all"),
        Column("order_kind", Text, nullable=True, comment="only orders of this kind; null for all"),
        Column(
            "shipping", Text, nullable=True, comment="only orders with a shipping charge whose title or code has this"
        ),
        Column("tag", Text, nullable=True, comment="only orders that bear this tag; null for all"),
        Column(
            "priority", SmallInteger, nullable=True, comment="rank of such orders, lower first; 100 without any rule"
        ),
        Column("is_expedited", Boolean, nullable=False, comment="true: before the others of the same priority"),
        UniqueConstraint("merchant_id", "name"),
        CheckConstraint("num_nonnulls(connection_id, channel, order_kind, shipping, tag) > 0", name="says_which"),
        CheckConstraint("priority IS NOT NULL OR is_expedited", name="says_what"),
        comment="Which orders go before others when there is not enough for all",
    )


def _settings(metadata: MetaData) -> None:
    Table(
        "allocation_settings",
        metadata,
        Column("setting_id", Integer, Identity(), primary_key=True, comment="its number"),
        _merchant(refers=True),
        Column("channel", Text, nullable=True, comment="for one kind of channel; null for all"),
        Column(
            "connection_id",
            Integer,
            ForeignKey("hub.connections.connection_id"),
            nullable=True,
            comment="for one connection; null for all",
        ),
        Column("takes_part", Boolean, nullable=True, comment="may a part of a line be allocated; null: not said here"),
        Column(
            "hold_minutes", Integer, nullable=True, comment="how long unpaid orders hold stock; null: not said here"
        ),
        CheckConstraint("hold_minutes >= 0", name="hold_not_negative"),
        CheckConstraint("channel IS NULL OR connection_id IS NULL", name="one_scope"),
        Index(
            "uq_allocation_settings_scope",
            "merchant_id",
            text("coalesce(channel, '')"),
            text("coalesce(connection_id, 0)"),
            unique=True,
        ),
        comment="How allocation treats orders, per merchant, channel or connection; the nearest word holds",
    )
    Table(
        "order_tags",
        metadata,
        Column("connection_id", Integer, nullable=False, comment="the order's connection"),
        Column("channel_order_id", Text, nullable=False, comment="the channel's own id of the order"),
        Column("tag", Text, nullable=False, comment="the word"),
        _merchant(),
        PrimaryKeyConstraint("connection_id", "channel_order_id", "tag"),
        CheckConstraint("tag <> ''", name="tag_given"),
        comment="Words that a person put on an order; allocation rules may ask for them",
    )


def define(metadata: MetaData) -> None:
    """Add the tables of this module to the store's metadata."""
    for part in (_queue, _bound_units, _missing_units, _rules, _settings):
        part(metadata)
