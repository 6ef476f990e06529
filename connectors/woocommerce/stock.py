"""Levels at the shop: reading them, and writing them in batches.

What belongs here: the stock functions of the channel. Not here: the reading itself (`levels`).

The shop takes absolute quantities only: no compare-and-swap, no key against sending twice. So nothing is sent again
blindly, and nothing is believed but a GET after the write:

- Only whole numbers are sent, and never `manage_stock`: the hub does not switch stock management on. The shop's batch
  does not check its input ("x" becomes 0) and answers 200 for levels that it ignores, with errors of rows inside.
- Variations are refused in the batch of products; they go to the batch of their parent.
- A batch without an answer leaves its rows UNKNOWN, with the level that a GET shows; later batches of the call are
  halved. A batch refused as too large (413) was not carried out; it is halved and sent again.
Source: fact sheet of a real shop (11.0.1), 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from connectors.woocommerce.api import WooApi, open_api
from connectors.woocommerce.levels import UNTRACKED, Level, Target, read_levels, target_of
from oms_hub.channel.contract import ChannelSession, ListingRef, ObservedLevel, PushOutcome, PushResult, StockWrite
from oms_hub.channel.http import HttpRefused
from oms_hub.errors import HubError, NeedsReconnect, OutcomeUnknown, RetryLater

BATCH_SIZE = 100
_TOO_LARGE = 413


def stock_source(session: ChannelSession, listings: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
    """Yield the present level of each listing."""
    with open_api(session) as api:
        targets = {listing.listing_key: target_of(listing.listing_key) for listing in listings}
        levels = read_levels(api, targets.values())
    for listing_key, target in targets.items():
        level = levels[target]
        yield ObservedLevel(listing_key, level.quantity, note=level.note)


def stock_sink(session: ChannelSession, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
    """Write levels and return one outcome for each, as a GET after the write shows it.

    Raises:
        RetryLater, NeedsReconnect: only where no row can have been applied.
    """
    with open_api(session) as api:
        return _Delivery(api).run(writes)


class _Delivery:
    """One call of the sink."""

    def __init__(self, api: WooApi) -> None:
        self._api = api
        self._outcomes: list[PushOutcome] = []
        self._to_verify: list[tuple[StockWrite, Target, str]] = []
        """Rows that the shop took, and with a reason rows of which nobody knows."""
        self._batch_size = BATCH_SIZE

    def run(self, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
        """Send, verify, and return the outcomes."""
        groups: dict[str, list[tuple[StockWrite, Target]]] = {}
        for write in writes:
            target = target_of(write.listing.listing_key)
            path = f"products/{target.product_id}/variations/batch" if target.variation_id else "products/batch"
            groups.setdefault(path, []).append((write, target))
        for path, rows in groups.items():
            start = 0
            while start < len(rows):
                some = rows[start : start + self._batch_size]
                start += len(some)
                self._send(path, some)
        self._verify()
        return self._outcomes

    def _send(self, path: str, rows: Sequence[tuple[StockWrite, Target]]) -> None:
        update = [{"id": target.own_id, "stock_quantity": int(write.quantity)} for write, target in rows]
        try:
            answer = self._api.http.post_json(path, {"update": update}, needs="Read/Write")
        except HttpRefused as error:
            self._refused(path, rows, error)
        except OutcomeUnknown as error:
            self._batch_size = max(1, len(rows) // 2)
            self._to_verify.extend((write, target, error.message) for write, target in rows)
        except (RetryLater, NeedsReconnect) as error:
            if not self._outcomes and not self._to_verify:
                raise
            after_seconds = error.after_seconds if isinstance(error, RetryLater) else 0.0
            self._conclude(rows, PushResult.RETRY, error, after_seconds)
        else:
            self._read_answer(rows, answer.parsed)

    def _refused(self, path: str, rows: Sequence[tuple[StockWrite, Target]], error: HttpRefused) -> None:
        if error.status == _TOO_LARGE and len(rows) > 1:
            half = len(rows) // 2
            self._batch_size = half
            self._send(path, rows[:half])
            self._send(path, rows[half:])
            return
        self._conclude(rows, PushResult.REJECTED, error, 0.0)

    def _conclude(
        self, rows: Sequence[tuple[StockWrite, Target]], result: PushResult, error: HubError, after_seconds: float
    ) -> None:
        self._outcomes.extend(
            PushOutcome(write.listing.listing_key, result, reason=error.message, after_seconds=after_seconds)
            for write, _ in rows
        )

    def _read_answer(self, rows: Sequence[tuple[StockWrite, Target]], parsed: Any) -> None:
        """Take the shop's word on each row, by id: an error inside the answer, a level it ignored, or done."""
        found = parsed.get("update") if isinstance(parsed, dict) else None
        told = {row.get("id"): row for row in found or () if isinstance(row, dict)}
        for write, target in rows:
            row = told.get(target.own_id)
            if row is None:
                self._to_verify.append((write, target, "the shop's answer does not name it"))
            elif "error" in row:
                self._reject(write, _row_error(row["error"]))
            elif row.get("manage_stock") is False:
                self._reject(write, UNTRACKED)
            else:
                self._to_verify.append((write, target, ""))

    def _reject(self, write: StockWrite, reason: str) -> None:
        self._outcomes.append(PushOutcome(write.listing.listing_key, PushResult.REJECTED, reason=reason))

    def _verify(self) -> None:
        """Read back by a real GET what was sent, and conclude."""
        if not self._to_verify:
            return
        try:
            levels = read_levels(self._api, [target for _, target, _ in self._to_verify])
        except HubError as error:
            reason = f"could not be read back: {error.message}"
            self._outcomes.extend(
                PushOutcome(write.listing.listing_key, PushResult.UNKNOWN, reason=reason)
                for write, _, _ in self._to_verify
            )
            return
        for write, target, trouble in self._to_verify:
            self._outcomes.append(_concluded(write, levels[target], trouble))


def _concluded(write: StockWrite, level: Level, trouble: str) -> PushOutcome:
    key = write.listing.listing_key
    if trouble:
        return PushOutcome(key, PushResult.UNKNOWN, level.quantity, trouble)
    if level.quantity is None:
        return PushOutcome(key, PushResult.REJECTED, reason=level.note)
    if level.is_of_parent:
        reason = "its level is kept by its parent product; write that one"
        return PushOutcome(key, PushResult.REJECTED, level.quantity, reason)
    if level.quantity != write.quantity and level.quantity == write.expected:
        reason = "the shop said yes and still shows the old level (a cache or another plugin)"
        return PushOutcome(key, PushResult.UNKNOWN, level.quantity, reason)
    return PushOutcome(key, PushResult.APPLIED, level.quantity)


def _row_error(error: Any) -> str:
    code = error.get("code") if isinstance(error, dict) else ""
    return f"the shop refuses the row ({code})" if isinstance(code, str) and code else "the shop refuses the row"
