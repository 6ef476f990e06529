"""What single patches and feeds have in common: the patch of a level, and what became of rows.

What belongs here: pure pieces of both ways to write. Not here: sending (`stock`, `feed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.amazon.fields import words
from connectors.amazon.listings import OWN_STOCK
from oms_hub.channel.contract import PushOutcome, PushResult, StockWrite


class Sent:
    """What became of rows so far: final outcomes, and rows that Amazon took or may have taken, with the doubt."""

    def __init__(self) -> None:
        self.outcomes: list[PushOutcome] = []
        self.accepted: list[tuple[StockWrite, str]] = []

    def conclude(self, write: StockWrite, result: PushResult, reason: str, *, after_seconds: float = 0.0) -> None:
        """Give a row its outcome."""
        self.outcomes.append(PushOutcome(write.listing.listing_key, result, reason=reason, after_seconds=after_seconds))


def quantity_patch(quantity: int) -> dict[str, Any]:
    """Return the patch that sets the merchant's own quantity and leaves everything else as it is."""
    value = {"fulfillment_channel_code": OWN_STOCK, "quantity": quantity}
    return {"op": "merge", "path": "/attributes/fulfillment_availability", "value": [value]}


def product_type(write: StockWrite) -> str:
    """Return the product type that a patch must name."""
    return write.listing.attributes.get("product_type") or "PRODUCT"


def issues_in_words(issues: Sequence[Mapping[str, Any]]) -> str:
    """Return why Amazon refuses a row: codes and attributes, and the first message."""
    errors = [issue for issue in issues if issue.get("severity") == "ERROR"] or list(issues)
    codes = ", ".join(dict.fromkeys(words(issue.get("code")) for issue in errors if issue.get("code")))
    message = next((words(issue.get("message")) for issue in errors if issue.get("message")), "")
    return " ".join(f"Amazon refuses the level ({codes or 'no code'}): {message}".split())[:300]
