"""Writing levels to Square: counts, stamped with the moment at which the level that they replace was read.

What belongs here: writing. Not here: reading (`stock`).

Square applies counts and sales in the order of their own time stamps, whenever they arrive. A count stamped with the
moment of the read that it was computed from therefore keeps every sale that happened after that read: it is applied
again on top. So no sale of the channel is lost between read and write, although there is no compare-and-swap. A stamp
must not be older than 24 hours, nor in the future. See docs/adr/0012.

`ignore_unchanged_counts` must be false: by default Square passes over a count that equals the last count, even where
sales have changed the level since.

Source: published description 2025-08-20, BatchChangeInventory, InventoryPhysicalCount. A hundred changes a call is
Square's limit by common knowledge; the description does not name it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid5

import orjson

from connectors.square.api import SquareApi, SquareError, SquareRefused, errors_of, open_api
from connectors.square.stock import IN_STOCK, Places, quantity_of, read_levels
from oms_hub.channel.contract import ChannelSession, PushOutcome, PushResult, StockWrite
from oms_hub.errors import BadPayload, HubError, OutcomeUnknown, RetryLater

PATH = "/v2/inventory/changes/batch-create"
NEEDS = "INVENTORY_WRITE"
BATCH_SIZE = 100
_NAMESPACE = UUID("2b8f2a0e-6a5c-5c1e-8f57-3c9f0d4e7a12")
_ROW = re.compile(r"changes\[(\d+)\]")
_PASSING = frozenset({"API_ERROR", "RATE_LIMIT_ERROR"})


def stock_sink(session: ChannelSession, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
    """Write at most 100 levels and return one outcome for each.

    Raises:
        NeedsReconnect: nothing was written: the token is refused or lacks INVENTORY_WRITE.
        RetryLater: nothing was written: Square does not answer, or throttles.
    """
    with open_api(session) as api:
        return _Delivery(api, Places(api, session)).deliver(writes)


class _Delivery:
    """One call's worth of writes."""

    def __init__(self, api: SquareApi, places: Places) -> None:
        self._api = api
        self._places = places
        self._true_at: dict[str, str] = {}
        self._outcomes: list[PushOutcome] = []

    def deliver(self, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
        """Send, take refused rows out, send the rest again, and return the outcomes."""
        rows: dict[tuple[str, str], StockWrite] = {}
        for write in writes:
            pair = (write.listing.listing_key, self._places.of(write.listing))
            if pair in rows:
                self._say(write, PushResult.REJECTED, "named twice in one delivery")
            else:
                rows[pair] = write
        self._stamp([write for write in rows.values() if write.version is None])
        self._send(list(rows.items()))
        return self._outcomes

    def _stamp(self, writes: Sequence[StockWrite]) -> None:
        """Ask when it is for levels that come without the moment of their read: they are true as of now."""
        for level in read_levels(self._api, self._places, [write.listing for write in writes]):
            self._true_at[level.listing_key] = level.version or ""

    def _send(self, rows: Sequence[tuple[tuple[str, str], StockWrite]]) -> None:
        if not rows:
            return
        try:
            # the key makes a repetition harmless; after the last try without an answer nobody knows
            answer = self._api.http.post_json(
                PATH, self._request(rows), is_idempotent=True, is_write=True, needs=NEEDS
            ).parsed
        except SquareRefused as error:
            self._refused(rows, error)
        except OutcomeUnknown as error:
            self._say_all(rows, PushResult.UNKNOWN, error)
        except HubError as error:
            if not self._outcomes:
                raise
            self._say_all(rows, PushResult.RETRY, error)
        else:
            self._take(rows, answer if isinstance(answer, dict) else {})

    def _request(self, rows: Sequence[tuple[tuple[str, str], StockWrite]]) -> dict[str, object]:
        changes = [
            {
                "type": "PHYSICAL_COUNT",
                "physical_count": {
                    "catalog_object_id": key,
                    "location_id": place,
                    "state": IN_STOCK,
                    "quantity": str(write.quantity),
                    "occurred_at": write.version or self._true_at.get(key) or None,
                    "reference_id": write.idempotency_key,
                },
            }
            for (key, place), write in rows
        ]
        key = uuid5(_NAMESPACE, orjson.dumps(changes).decode())
        return {"idempotency_key": str(key), "changes": changes, "ignore_unchanged_counts": False}

    def _take(self, rows: Sequence[tuple[tuple[str, str], StockWrite]], answer: Mapping[str, object]) -> None:
        """Take Square's word on each row: its count, its error, or neither."""
        errors = errors_of(answer)
        wrong = _by_row(errors, len(rows))
        counts = _counts(answer)
        for index, (pair, write) in enumerate(rows):
            if index in wrong:
                self._conclude(write, wrong[index])
            elif pair in counts:
                self._say(write, PushResult.APPLIED, observed=counts[pair])
            else:
                said = f" ({errors[0].code})" if errors else ""
                self._say(write, PushResult.UNKNOWN, f"Square's answer does not name it{said}")

    def _refused(self, rows: Sequence[tuple[tuple[str, str], StockWrite]], error: SquareRefused) -> None:
        """Take out the rows that are wrong and send the rest: a refused batch was not applied at all.

        Where Square does not say which row it is, halves are sent until it stands alone.
        """
        wrong = _by_row(error.errors, len(rows))
        if not wrong and len(rows) > 1:
            half = len(rows) // 2
            self._send(rows[:half])
            self._send(rows[half:])
            return
        for index, (_, write) in enumerate(rows):
            if index in wrong or not wrong:
                self._conclude(write, wrong.get(index, error.errors[0]))
        if wrong:
            self._send([row for index, row in enumerate(rows) if index not in wrong])

    def _conclude(self, write: StockWrite, error: SquareError) -> None:
        is_passing = error.category in _PASSING
        self._say(write, PushResult.RETRY if is_passing else PushResult.REJECTED, f"Square refuses it ({error.code})")

    def _say_all(self, rows: Sequence[tuple[tuple[str, str], StockWrite]], result: PushResult, error: HubError) -> None:
        after_seconds = error.after_seconds if isinstance(error, RetryLater) else 0.0
        for _, write in rows:
            self._say(write, result, error.message, after_seconds=after_seconds)

    def _say(
        self,
        write: StockWrite,
        result: PushResult,
        reason: str = "",
        *,
        observed: int | None = None,
        after_seconds: float = 0.0,
    ) -> None:
        self._outcomes.append(PushOutcome(write.listing.listing_key, result, observed, reason, after_seconds))


def _by_row(errors: Sequence[SquareError], count: int) -> dict[int, SquareError]:
    """Return the errors that name a row, by its place in the batch."""
    found: dict[int, SquareError] = {}
    for error in errors:
        named = _ROW.search(error.field)
        if named is not None and int(named[1]) < count:
            found.setdefault(int(named[1]), error)
    return found


def _counts(answer: Mapping[str, object]) -> dict[tuple[str, str], int]:
    """Return the levels after the write by variation and location; rows that cannot be read are left out."""
    found: dict[tuple[str, str], int] = {}
    listed = answer.get("counts")
    for row in listed if isinstance(listed, list) else ():
        try:
            if row["state"] == IN_STOCK:
                units = quantity_of(row).to_integral_value("ROUND_FLOOR")
                found[row["catalog_object_id"], row["location_id"]] = int(units)
        except (KeyError, TypeError, AttributeError, BadPayload):
            continue
    return found
