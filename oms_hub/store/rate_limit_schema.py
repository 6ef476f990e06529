"""The table of rate limits that processes share.

What belongs here: definitions only, in the metadata of `schema`.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)


def define(metadata: MetaData) -> None:
    """Add the table."""
    whose = ForeignKey("hub.merchants.merchant_id")
    Table(
        "rate_buckets",
        metadata,
        Column("merchant_id", Integer, whose, nullable=False, comment="whose it is"),
        Column("name", Text, nullable=False, comment="the account at the channel and the operation"),
        Column(
            "tokens", Double, nullable=False, comment="requests left at read_at; below zero where some wait their turn"
        ),
        Column("per_second", Double, nullable=False, comment="refill, as published or as the channel told since"),
        Column(
            "read_at", DateTime(timezone=True), nullable=False, comment="when tokens was true, on this server's clock"
        ),
        Column("wait_seconds", Double, nullable=False, comment="what the last one who asked was told to wait"),
        PrimaryKeyConstraint("merchant_id", "name"),
        CheckConstraint("per_second > 0", name="per_second_positive"),
        CheckConstraint("wait_seconds >= 0", name="wait_not_negative"),
        comment="Token buckets of channels' rate limits, shared by all processes",
    )
