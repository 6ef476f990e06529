"""The tables of stock beyond the ledger: transfers on their way, units set aside, alerts.

What belongs here: definitions only, in the metadata of `schema`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)


def _merchant() -> Column[Any]:
    target = ForeignKey("hub.merchants.merchant_id")
    return Column("merchant_id", Integer, target, nullable=False, comment="whose it is")


def _sku(comment: str, *, null: bool = False) -> Column[Any]:
    return Column("sku_id", BigInteger, ForeignKey("hub.skus.sku_id"), nullable=null, comment=comment)


def _connection(comment: str) -> Column[Any]:
    return Column("connection_id", Integer, ForeignKey("hub.connections.connection_id"), nullable=True, comment=comment)


def _place(name: str, comment: str, *, key: str | None = None) -> Column[Any]:
    target = ForeignKey("hub.locations.location_id", name=key)
    return Column(name, Integer, target, nullable=False, comment=comment)


def _instant(name: str, comment: str, *, null: bool = True, now: bool = False) -> Column[Any]:
    default = func.now() if now else None
    return Column(name, DateTime(timezone=True), nullable=null, server_default=default, comment=comment)


def _units(name: str, comment: str, *, default: str | None = None) -> Column[Any]:
    given = None if default is None else text(default)
    return Column(name, Integer, nullable=False, server_default=given, comment=comment)


def _transfers(metadata: MetaData) -> None:
    Table(
        "transfers",
        metadata,
        Column("transfer_id", BigInteger, Identity(), primary_key=True, comment="its number"),
        _merchant(),
        Column(
            "reference", Text, nullable=False, comment="what people call it; the same one twice is the same transfer"
        ),
        _place("from_location_id", "the place that the units left", key="fk_transfers_from_location"),
        _place("to_location_id", "the place that they go to", key="fk_transfers_to_location"),
        Column("state", Text, nullable=False, server_default="in_transit", comment="in_transit, received, cancelled"),
        _instant("started_at", "when the units left", null=False, now=True),
        _instant("closed_at", "when nothing of it was on its way any more"),
        UniqueConstraint("merchant_id", "reference"),
        CheckConstraint("state IN ('in_transit', 'received', 'cancelled')", name="state_known"),
        CheckConstraint("from_location_id <> to_location_id", name="two_places"),
        CheckConstraint("(state = 'in_transit') = (closed_at IS NULL)", name="closed_has_time"),
        comment="Units on their way from one place to another, in two steps",
    )


def _transfer_lines(metadata: MetaData) -> None:
    Table(
        "transfer_lines",
        metadata,
        Column(
            "transfer_id",
            BigInteger,
            ForeignKey("hub.transfers.transfer_id"),
            nullable=False,
            comment="the transfer",
        ),
        _sku("the goods"),
        _merchant(),
        _units("units", "units that left"),
        _units("received_units", "units that arrived so far", default="0"),
        _units("returned_units", "units that went back to where they came from", default="0"),
        PrimaryKeyConstraint("transfer_id", "sku_id"),
        CheckConstraint("units > 0", name="units_positive"),
        CheckConstraint("received_units >= 0 AND returned_units >= 0", name="not_negative"),
        CheckConstraint("received_units + returned_units <= units", name="no_more_than_left"),
        comment="Goods of a transfer; what neither arrived nor went back is in transit, or lost once it is closed",
    )


def _unavailable(metadata: MetaData) -> None:
    Table(
        "unavailable_moves",
        metadata,
        Column("move_id", BigInteger, Identity(), primary_key=True, comment="its number"),
        _merchant(),
        _sku("the goods"),
        _place("location_id", "the place"),
        _units("quantity", "units set aside (positive) or given free again (negative)"),
        _units("balance_before", "units set aside before it"),
        _units("balance_after", "units set aside after it"),
        _instant("recorded_at", "when it was written", null=False, now=True),
        Column("source", Text, nullable=False, comment="where it comes from"),
        Column("natural_key", Text, nullable=False, comment="what makes it the same when it is told twice"),
        Column("cause", Text, nullable=False, comment="why, in words"),
        UniqueConstraint("merchant_id", "natural_key"),
        CheckConstraint("balance_after = balance_before + quantity AND balance_after >= 0", name="adds_up"),
        Index("ix_unavailable_moves_balance", "sku_id", "location_id"),
        comment="Units set aside (damaged, in inspection): append-only; `balances.unavailable` is the newest balance",
    )


def _alerts(metadata: MetaData) -> None:
    Table(
        "alerts",
        metadata,
        Column("alert_id", BigInteger, Identity(), primary_key=True, comment="its number"),
        _merchant(),
        _connection("the connection that it is about; null for the merchant as a whole"),
        Column("kind", Text, nullable=False, comment="what was crossed"),
        Column("reference", Text, nullable=False, comment="what it is about: a SKU, an order, a connection"),
        _sku("the goods that it is about, if any", null=True),
        _units("units", "how many units, pushes or seconds"),
        Column("message", Text, nullable=False, comment="what is so, in words"),
        Column(
            "state", Text, nullable=False, server_default="open", comment="open, or cleared once it was no longer so"
        ),
        _instant("fired_at", "when the line was crossed", null=False),
        _instant("cleared_at", "when it was no longer so"),
        _instant("told_at", "when the notifier took it"),
        CheckConstraint(
            "kind IN ('low_stock', 'oversold', 'backordered', 'drift', 'push_rejected', 'stale_pull')",
            name="kind_known",
        ),
        CheckConstraint("state IN ('open', 'cleared')", name="state_known"),
        CheckConstraint("(state = 'open') = (cleared_at IS NULL)", name="cleared_has_time"),
        Index(
            "uq_alerts_open",
            "merchant_id",
            text("coalesce(connection_id, 0)"),
            "kind",
            "reference",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_alerts_sku", "sku_id", "kind", postgresql_where=text("state = 'open'")),
        Index("ix_alerts_untold", "alert_id", postgresql_where=text("state = 'open' AND told_at IS NULL")),
        comment="What crossed a line: one open row per kind and reference, cleared on recovery",
    )


def _thresholds(metadata: MetaData) -> None:
    Table(
        "alert_thresholds",
        metadata,
        Column("threshold_id", Integer, Identity(), primary_key=True, comment="its number"),
        _merchant(),
        _sku("for one SKU; null for all of the merchant", null=True),
        _units("low_stock", "an alert fires once this many units or fewer are available"),
        CheckConstraint("low_stock >= 0", name="not_negative"),
        Index("uq_alert_thresholds_scope", "merchant_id", text("coalesce(sku_id, 0)"), unique=True),
        comment="From how many available units on a SKU counts as low",
    )


def define(metadata: MetaData) -> None:
    """Add the tables of this module to the store's metadata."""
    for part in (_transfers, _transfer_lines, _unavailable, _alerts, _thresholds):
        part(metadata)
