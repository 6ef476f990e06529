"""Writing levels: few by single patches, many by one feed; nothing is believed but a reading after it.

What belongs here: the sink. Not here: the feed itself (`feed`), reading levels (`levels`).

Amazon takes absolute quantities only, without compare-and-swap and without a key against sending twice. ACCEPTED means
accepted for processing, not live. So after each write the levels are read, for some seconds again and again:

- the new level, or any other than the one before: APPLIED, with what is there now (a buyer may have been faster);
- still the level before: UNKNOWN; it is read again in the next run, never sent again blindly.

A patch says `merge`, which changes the quantity and nothing else; `replace` would wipe handling time and restock date.
A feed that is still being processed when the run ends is remembered beside the secrets: until Amazon is done with it
nothing else is written, since the order of a patch and a waiting feed is not defined.

Source: amzn/selling-partner-api-models listingsItems_2021-08-01, 2026-08-05; developer-docs.amazon.com/sp-api, "Merge a
listing" and "Feeds API best practices", seen 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.amazon.api import AmazonApi, open_api
from connectors.amazon.feed import FeedDelivery
from connectors.amazon.fields import mapping, rows
from connectors.amazon.levels import GONE, Level, read_levels, sku_of
from connectors.amazon.operations import PATCH_LISTING
from connectors.amazon.writes import Sent, issues_in_words, product_type, quantity_patch
from oms_hub.channel.contract import ChannelSession, PushOutcome, PushResult, StockWrite
from oms_hub.channel.http import HttpRefused
from oms_hub.errors import HubError, NeedsReconnect, OutcomeUnknown, RetryLater

BATCH_SIZE = 5_000
"""Rows of one call: one feed. Five feeds may be sent in five minutes, of 25,000 messages at most."""
PATCHED_AT_MOST = 40
"""Up to so many rows go by single patches (five a second); more by a feed, which takes minutes."""
_VERIFY_WAITS = (1.0, 2.0, 4.0)


def stock_sink(session: ChannelSession, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
    """Write levels and return one outcome for each, as a reading after the write shows it.

    Raises:
        RetryLater, NeedsReconnect: only where no row can have been applied.
    """
    with open_api(session) as api:
        if len(writes) > PATCHED_AT_MOST:
            sent = FeedDelivery(api).run(writes)
        else:
            FeedDelivery(api).wait_for_open_feed()
            sent = _Patches(api).run(writes)
        return [*sent.outcomes, *_verified(api, sent.accepted)]


class _Patches:
    """One patch per row."""

    def __init__(self, api: AmazonApi) -> None:
        self._api = api
        self._sent = Sent()

    def run(self, writes: Sequence[StockWrite]) -> Sent:
        """Send the rows one after the other."""
        for place, write in enumerate(writes):
            try:
                self._patch(write)
            except (RetryLater, NeedsReconnect) as error:
                if place == 0:
                    raise
                after = error.after_seconds if isinstance(error, RetryLater) else 0.0
                for rest in writes[place:]:
                    self._sent.conclude(rest, PushResult.RETRY, error.message, after_seconds=after)
                break
        return self._sent

    def _patch(self, write: StockWrite) -> None:
        try:
            answer = self._api.call(
                PATCH_LISTING,
                place={"sellerId": self._api.seller_id, "sku": sku_of(write.listing)},
                query={"marketplaceIds": ",".join(self._api.marketplace_ids)},
                payload={"productType": product_type(write), "patches": [quantity_patch(write.quantity)]},
            )
        except HttpRefused as error:
            self._sent.conclude(write, PushResult.REJECTED, error.message)
        except OutcomeUnknown as error:
            self._sent.accepted.append((write, error.message))
        else:
            self._read(write, mapping(answer.parsed, "answer"))

    def _read(self, write: StockWrite, answer: Mapping[str, Any]) -> None:
        if answer.get("status") == "ACCEPTED":
            self._sent.accepted.append((write, ""))
        elif answer.get("status") == "INVALID":
            self._sent.conclude(write, PushResult.REJECTED, issues_in_words(rows(answer.get("issues"), "issues")))
        else:
            self._sent.accepted.append((write, "Amazon's answer does not say that it took the level"))


def _verified(api: AmazonApi, accepted: Sequence[tuple[StockWrite, str]]) -> list[PushOutcome]:
    """Read the levels of rows that were taken until all show something new, and conclude."""
    waiting = list(accepted)
    levels: dict[str, Level] = {}
    trouble = ""
    for wait in (0.0, *_VERIFY_WAITS):
        if not waiting:
            break
        if wait:
            api.session.sleep(wait)
        try:
            levels |= read_levels(api, [sku_of(write.listing) for write, _ in waiting])
        except HubError as error:
            trouble = f"could not be read back: {error.message}"
            break
        waiting = [(write, doubt) for write, doubt in waiting if not doubt and _is_as_before(write, levels)]
    return [_concluded(write, doubt or trouble, levels.get(sku_of(write.listing))) for write, doubt in accepted]


def _is_as_before(write: StockWrite, levels: Mapping[str, Level]) -> bool:
    level = levels.get(sku_of(write.listing))
    return level is not None and level.quantity not in (None, write.quantity) and level.quantity == write.expected


def _concluded(write: StockWrite, trouble: str, level: Level | None) -> PushOutcome:
    key = write.listing.listing_key
    if trouble:
        return PushOutcome(key, PushResult.UNKNOWN, None if level is None else level.quantity, trouble)
    if level is None or level.quantity is None:
        return PushOutcome(key, PushResult.REJECTED, reason=GONE if level is None else level.note)
    if level.quantity != write.quantity and level.quantity == write.expected:
        return PushOutcome(key, PushResult.UNKNOWN, level.quantity, "accepted, but the old level still shows")
    return PushOutcome(key, PushResult.APPLIED, level.quantity)
