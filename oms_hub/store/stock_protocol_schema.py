"""Tables of pushing without selling twice: policies, bundles, the in-flight ledger, demand, drift.

What belongs here: definitions only, in the metadata of `schema`. Not here: the levels themselves (`listing_levels`) and
the outbox, which stand in `schema`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
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

_SKUS = "hub.skus.sku_id"


def _merchant() -> Column[Any]:
    return Column(
        "merchant_id", Integer, ForeignKey("hub.merchants.merchant_id"), nullable=False, comment="Whose it is"
    )


def _connection(*, null: bool = False, comment: str) -> Column[Any]:
    reference = ForeignKey("hub.connections.connection_id")
    return Column("connection_id", Integer, reference, nullable=null, comment=comment)


def _sku(name: str, comment: str, *, null: bool = False, key_name: str | None = None) -> Column[Any]:
    return Column(name, BigInteger, ForeignKey(_SKUS, name=key_name), nullable=null, comment=comment)


def _location() -> Column[Any]:
    reference = ForeignKey("hub.locations.location_id")
    return Column("location_id", Integer, reference, nullable=False, comment="The place")


def _plain(name: str, kind: Any, comment: str, *, default: str | None = None) -> Column[Any]:
    """Return a column without a reference: mandatory, with or without a default."""
    return Column(
        name, kind, nullable=False, server_default=None if default is None else text(default), comment=comment
    )


def _said(name: str, kind: Any, comment: str) -> Column[Any]:
    return Column(name, kind, nullable=True, comment=comment)


def _at(name: str, comment: str, *, null: bool = False, now: bool = False) -> Column[Any]:
    default = func.now() if now else None
    return Column(name, DateTime(timezone=True), nullable=null, server_default=default, comment=comment)


def _policies(metadata: MetaData) -> None:
    Table(
        "policies",
        metadata,
        Column("policy_id", Integer, Identity(), primary_key=True, comment="Its number"),
        _merchant(),
        _plain("scope", Text, "What it speaks for: merchant, channel, connection, sku or sku_on_connection"),
        _said("channel", Text, "The kind of channel; only in the scope channel"),
        _connection(null=True, comment="The connection; only in the scopes connection and sku_on_connection"),
        _sku("sku_id", "The SKU; only in the scopes sku and sku_on_connection", null=True),
        _said("safety_stock", Integer, "Units kept at each place that states none of its own"),
        _said("threshold", Integer, "Units of the pool that are never offered"),
        _said("share", Numeric, "Fraction of the pool that is offered, 0 to 1"),
        _said("cap", Integer, "Most units offered"),
        _said("end_when", Integer, "A pool of this size or smaller is not offered at all"),
        _said("floor", Integer, "Fewest units offered, whatever is there: oversells on purpose"),
        _said("scarce", Text, "hold_back keeps back what the others may sell; shared shows the whole pool everywhere"),
        _said("risk", Double, "Standard deviations of the others' sales that are held back"),
        _said("news_seconds", Double, "News delay, where it is not to be measured"),
        _said("is_paused", Boolean, "True shows nothing"),
        _said("has_places", Boolean, "True where policy_places names the places that feed the connection"),
        _at("updated_at", "When it was last said", now=True),
        CheckConstraint(
            "CASE scope WHEN 'merchant' THEN num_nonnulls(channel, connection_id, sku_id) = 0"
            " WHEN 'channel' THEN channel IS NOT NULL AND num_nonnulls(connection_id, sku_id) = 0"
            " WHEN 'connection' THEN connection_id IS NOT NULL AND num_nonnulls(channel, sku_id) = 0"
            " WHEN 'sku' THEN sku_id IS NOT NULL AND num_nonnulls(channel, connection_id) = 0"
            " WHEN 'sku_on_connection' THEN num_nonnulls(connection_id, sku_id) = 2 AND channel IS NULL"
            " ELSE false END",
            name="scope_fits",
        ),
        CheckConstraint(
            "safety_stock >= 0 AND threshold >= 0 AND cap >= 0 AND end_when >= 0 AND floor >= 0"
            " AND risk >= 0 AND news_seconds >= 0",
            name="not_negative",
        ),
        CheckConstraint("share >= 0 AND share <= 1", name="share_fraction"),
        CheckConstraint("cap >= floor", name="cap_above_floor"),
        CheckConstraint("scarce IN ('hold_back', 'shared')", name="scarce_known"),
        Index(
            "uq_policies_target",
            "merchant_id",
            "scope",
            text("coalesce(channel, '')"),
            text("coalesce(connection_id, 0)"),
            text("coalesce(sku_id, 0)"),
            unique=True,
        ),
        Index("ix_policies_sku", "sku_id", postgresql_where=text("sku_id IS NOT NULL")),
        comment="Stock policies by scope; null says nothing there; the nearest word wins, field by field",
    )
    Table(
        "policy_places",
        metadata,
        Column(
            "policy_id",
            Integer,
            ForeignKey("hub.policies.policy_id", ondelete="CASCADE"),
            nullable=False,
            comment="The policy",
        ),
        _location(),
        _merchant(),
        PrimaryKeyConstraint("policy_id", "location_id"),
        comment="Places that feed the connections of a policy",
    )
    Table(
        "safety_stocks",
        metadata,
        Column("safety_stock_id", Integer, Identity(), primary_key=True, comment="Its number"),
        _merchant(),
        _location(),
        _sku("sku_id", "Only for this SKU; null for all", null=True),
        _plain("units", Integer, "Units of each SKU that are kept there"),
        CheckConstraint("units >= 0", name="not_negative"),
        Index("uq_safety_stocks_place", "location_id", text("coalesce(sku_id, 0)"), unique=True),
        comment="Safety stock that a place states of its own; it goes before the policies' figure",
    )


def _bundles(metadata: MetaData) -> None:
    Table(
        "bundle_components",
        metadata,
        _sku(
            "bundle_sku_id",
            "The SKU that is sold as a bundle; it has no stock of its own",
            key_name="fk_bundle_components_bundle",
        ),
        _sku(
            "component_sku_id",
            "A SKU that it is made of; never a bundle (a trigger refuses it)",
            key_name="fk_bundle_components_component",
        ),
        _merchant(),
        _plain("units", Integer, "Units of the component in one bundle"),
        PrimaryKeyConstraint("bundle_sku_id", "component_sku_id"),
        CheckConstraint("units > 0", name="units_positive"),
        CheckConstraint("bundle_sku_id <> component_sku_id", name="not_itself"),
        Index("ix_bundle_components_component", "component_sku_id"),
        Index("ix_bundle_components_merchant", "merchant_id"),
        comment="What bundles are made of; no bundle is a component (a trigger refuses nesting)",
    )


def _in_flight(metadata: MetaData) -> None:
    Table(
        "level_shifts",
        metadata,
        Column("shift_id", BigInteger, Identity(), primary_key=True, comment="Its number, in the order of reading"),
        _plain("connection_id", Integer, "The listing's connection"),
        _plain("listing_key", Text, "The listing"),
        _plain("merchant_id", Integer, "Whose it is"),
        _plain("kind", Text, "fall or rise"),
        _plain("units", Integer, "Units of the listing that nothing explains yet"),
        _at("seen_at", "When the level was read"),
        CheckConstraint("kind IN ('fall', 'rise')", name="kind_known"),
        CheckConstraint("units > 0", name="units_positive"),
        Index("ix_level_shifts_listing", "connection_id", "listing_key", "kind", "shift_id"),
        Index("ix_level_shifts_age", "merchant_id", "seen_at"),
        comment="Levels that changed without a push of ours, as far as no order explains it yet",
    )
    Table(
        "heard_lines",
        metadata,
        _plain("connection_id", Integer, "The order's connection"),
        _plain("channel_order_id", Text, "The order"),
        _plain("line_id", Text, "The line"),
        _plain("merchant_id", Integer, "Whose it is"),
        _plain("units", Integer, "Units as placed that the in-flight ledger has heard of"),
        _plain("restocked", Integer, "Cancelled units that it has heard of"),
        _at("placed_at", "When the order was placed"),
        PrimaryKeyConstraint("connection_id", "channel_order_id", "line_id"),
        comment="Order lines that the in-flight ledger and the demand have heard of, so that each counts once",
    )
    Table(
        "drifts",
        metadata,
        Column("drift_id", BigInteger, Identity(), primary_key=True, comment="Its number"),
        _plain("merchant_id", Integer, "Whose it is"),
        _plain("connection_id", Integer, "The listing's connection"),
        _plain("listing_key", Text, "The listing"),
        Column("sku_id", BigInteger, nullable=True, comment="Its SKU; null while it is not linked"),
        _plain("kind", Text, "manual_edit, failed_push, unmapped or not_stocked"),
        _plain("handling", Text, "overwritten, adopted or alerted"),
        Column("expected", Integer, nullable=True, comment="Level that was expected; null where none was"),
        Column("observed", Integer, nullable=True, comment="Level that was read; null where the channel keeps none"),
        _plain("fallen", Integer, "Units that went without an order", default="0"),
        _plain("risen", Integer, "Units that came without a push", default="0"),
        _at("seen_at", "When the level was read"),
        _at("recorded_at", "When it was taken for drift", now=True),
        CheckConstraint("kind IN ('manual_edit', 'failed_push', 'unmapped', 'not_stocked')", name="kind_known"),
        CheckConstraint("handling IN ('overwritten', 'adopted', 'alerted')", name="handling_known"),
        CheckConstraint("fallen >= 0 AND risen >= 0", name="not_negative"),
        Index("ix_drifts_listing", "connection_id", "listing_key", "drift_id"),
        Index("ix_drifts_merchant", "merchant_id", "recorded_at"),
        comment="Levels that were not what they should be, what that was taken for, and what was done",
    )


def _demand(metadata: MetaData) -> None:
    Table(
        "till_demand",
        metadata,
        _connection(comment="A connection that sells without listings: a till"),
        _sku("sku_id", "What it sold"),
        _merchant(),
        _plain("demand_units", Double, "Smoothed units sold", default="0"),
        _plain("demand_seconds", Double, "Smoothed seconds in which they could be sold", default="0"),
        _plain("burst_units", Double, "The same units over a short memory", default="0"),
        _plain("burst_seconds", Double, "The same seconds over a short memory", default="0"),
        _at("demand_at", "Up to when sales are counted in"),
        PrimaryKeyConstraint("connection_id", "sku_id"),
        Index("ix_till_demand_sku", "sku_id"),
        comment="Demand at tills, which no level stops; listings keep theirs in listing_levels",
    )
    Table(
        "connection_pace",
        metadata,
        Column(
            "connection_id",
            Integer,
            ForeignKey("hub.connections.connection_id"),
            primary_key=True,
            comment="The connection",
        ),
        _merchant(),
        _at("looked_at", "When its orders were last pulled well"),
        _plain("news_seconds", Double, "Smoothed time between two looks plus delivery"),
        comment="How long news of a connection take to be acted on, as measured",
    )


def define(metadata: MetaData) -> None:
    """Add the tables of this module to the store's metadata."""
    for part in (_policies, _bundles, _in_flight, _demand):
        part(metadata)
