"""Many levels in one document: the JSON_LISTINGS_FEED.

What belongs here: making, sending, waiting for a feed, and its report row by row. Not here: when a feed is used
(`stock`).

A document's address is asked for, the feed is put there (without a token, with exactly the announced content type), the
feed is created, and Amazon works on it for minutes. DONE does not mean success: the processing report names the rows
that were refused; FATAL may have done some of them. Amazon takes five such feeds in five minutes.
Source: amzn/selling-partner-api-models feeds_2021-06-30 and schemas/feeds, 2026-08-05; developer-docs.amazon.com
changelog on JSON_LISTINGS_FEED, 2025-05.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from connectors.amazon.api import AmazonApi
from connectors.amazon.fields import mapping, rows
from connectors.amazon.levels import sku_of
from connectors.amazon.operations import CREATE_FEED, CREATE_FEED_DOCUMENT, GET_FEED, GET_FEED_DOCUMENT
from connectors.amazon.reports import document_client, fetch_document
from connectors.amazon.writes import Sent, issues_in_words, product_type, quantity_patch
from oms_hub.channel.contract import PushResult, StockWrite
from oms_hub.channel.http import HttpRefused
from oms_hub.channel.rate_limit import BucketLimit
from oms_hub.errors import BadPayload, HubError, OutcomeUnknown, RetryLater

FEED_TYPE = "JSON_LISTINGS_FEED"
FEEDS = BucketLimit(5, 5 / 300)
"""Five feeds of this type in five minutes, beside the limit of createFeed itself."""
CONTENT_TYPE = "application/json; charset=UTF-8"
OPEN_FEED = "open_feed"
"""Under this name the id of a feed that is not done yet stands beside the secrets."""

_UNDER_WAY = frozenset({"IN_QUEUE", "IN_PROGRESS"})
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS, _PATIENCE_SECONDS = 5.0, 30.0, 600.0
_BUSY_SECONDS = 60.0


class FeedDelivery:
    """Sends the rows of one call as one feed."""

    def __init__(self, api: AmazonApi) -> None:
        self._api = api
        self._sent = Sent()

    def wait_for_open_feed(self) -> None:
        """Return where no earlier feed of ours is under way.

        Raises:
            RetryLater: one still is: what it holds and what is written now would land in any order.
        """
        feed_id = self._api.session.secrets.get(OPEN_FEED)
        if not feed_id:
            return
        try:
            status = self._feed(feed_id).get("processingStatus")
        except HttpRefused:
            status = None  # Amazon does not know it any more
        if status in _UNDER_WAY:
            raise RetryLater(f"the feed {feed_id} is still being processed", after_seconds=_BUSY_SECONDS)
        self._api.session.secrets.replace({OPEN_FEED: ""})

    def run(self, writes: Sequence[StockWrite]) -> Sent:
        """Send the feed, wait for it, and say of each row what became of it.

        Raises:
            RetryLater, NeedsReconnect: before the feed was created.
        """
        self.wait_for_open_feed()
        self._api.wait_for(FEED_TYPE, FEEDS)
        try:
            document_id = self._upload(orjson.dumps(feed_of(self._api.seller_id, writes)))
        except OutcomeUnknown as error:  # a document that no feed names does nothing
            raise RetryLater(error.message) from None
        try:
            feed_id = self._create(document_id)
        except OutcomeUnknown as error:
            return self._all_in_doubt(writes, error.message)
        self._api.session.secrets.replace({OPEN_FEED: feed_id})
        self._conclude(writes, feed_id)
        return self._sent

    def _upload(self, body: bytes) -> str:
        given = mapping(self._api.call(CREATE_FEED_DOCUMENT, payload={"contentType": CONTENT_TYPE}).parsed, "answer")
        document_id, url = given.get("feedDocumentId"), given.get("url")
        if not isinstance(document_id, str) or not isinstance(url, str):
            raise BadPayload("the answer to createFeedDocument holds no document")
        with document_client(self._api.session, url) as client:
            client.request(
                "PUT", url, payload=body, headers={"content-type": CONTENT_TYPE}, is_idempotent=True, is_json=False
            )
        return document_id

    def _create(self, document_id: str) -> str:
        payload = {
            "feedType": FEED_TYPE,
            "marketplaceIds": list(self._api.marketplace_ids),
            "inputFeedDocumentId": document_id,
        }
        feed_id = mapping(self._api.call(CREATE_FEED, payload=payload).parsed, "answer").get("feedId")
        if not isinstance(feed_id, str):
            raise OutcomeUnknown("the answer to createFeed holds no feedId")
        return feed_id

    def _feed(self, feed_id: str) -> Mapping[str, Any]:
        return mapping(self._api.call(GET_FEED, place={"feedId": feed_id}).parsed, "feed")

    def _conclude(self, writes: Sequence[StockWrite], feed_id: str) -> None:
        """Wait for the feed and read its report; what cannot be learnt leaves its rows in doubt."""
        try:
            feed = self._wait(feed_id)
            status = feed.get("processingStatus")
            if status in _UNDER_WAY:
                self._all_in_doubt(writes, f"the feed {feed_id} is still being processed")
                return
            self._api.session.secrets.replace({OPEN_FEED: ""})
            if status == "CANCELLED":
                for write in writes:
                    self._sent.conclude(write, PushResult.RETRY, f"the feed {feed_id} was cancelled before it began")
            elif status == "DONE" and feed.get("resultFeedDocumentId"):
                self._read_report(writes, self._report(str(feed["resultFeedDocumentId"])))
            else:
                self._all_in_doubt(writes, f"the feed {feed_id} ended as {status}")
        except HubError as error:
            self._all_in_doubt(writes, f"the feed {feed_id} was sent; what became of it is not known: {error.message}")

    def _wait(self, feed_id: str) -> Mapping[str, Any]:
        wait, waited = _FIRST_WAIT_SECONDS, 0.0
        while True:
            feed = self._feed(feed_id)
            if feed.get("processingStatus") not in _UNDER_WAY or waited >= _PATIENCE_SECONDS:
                return feed
            self._api.session.sleep(wait)
            waited += wait
            wait = min(_LONGEST_WAIT_SECONDS, wait * 2)

    def _report(self, document_id: str) -> Mapping[str, Any]:
        with tempfile.TemporaryFile() as target:
            fetched = fetch_document(self._api, GET_FEED_DOCUMENT, {"feedDocumentId": document_id}, target)
            target.seek(0)
            body = target.read()
        try:
            return mapping(orjson.loads(gzip.decompress(body) if fetched.is_gzip else body), "report")
        except (orjson.JSONDecodeError, EOFError, OSError) as error:
            raise BadPayload("the processing report cannot be read") from error

    def _read_report(self, writes: Sequence[StockWrite], report: Mapping[str, Any]) -> None:
        """Take the report's word on each row, by its message number; an error without one is about the whole feed."""
        by_message: dict[int, list[Mapping[str, Any]]] = {}
        for issue in rows(report.get("issues"), "issues"):
            if issue.get("severity") == "ERROR":
                by_message.setdefault(int(issue.get("messageId") or 0), []).append(issue)
        for number, write in enumerate(writes, start=1):
            if number in by_message:
                self._sent.conclude(write, PushResult.REJECTED, issues_in_words(by_message[number]))
            else:
                self._sent.accepted.append((write, issues_in_words(by_message[0]) if 0 in by_message else ""))

    def _all_in_doubt(self, writes: Sequence[StockWrite], doubt: str) -> Sent:
        self._sent.accepted.extend((write, doubt) for write in writes)
        return self._sent


def feed_of(seller_id: str, writes: Sequence[StockWrite]) -> dict[str, Any]:
    """Return the document of a feed: one patch a row, numbered from 1."""
    return {
        "header": {"sellerId": seller_id, "version": "2.0"},
        "messages": [
            {
                "messageId": number,
                "sku": sku_of(write.listing),
                "operationType": "PATCH",
                "productType": product_type(write),
                "patches": [quantity_patch(write.quantity)],
            }
            for number, write in enumerate(writes, start=1)
        ],
    }
