"""Reports: asking for one, waiting for it, fetching its file.

What belongs here: the life of one report. Not here: what is in the file (`report_file`).

A report is made in minutes. CANCELLED also means that there is nothing to report; FATAL is a failure of Amazon's. The
address of the file is a secret of its own, good for five minutes and for nobody's token: it is fetched without
credentials, and asked for again where it lapsed.
Source: amzn/selling-partner-api-models reports_2021-06-30, 2026-08-05.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from connectors.amazon.api import AmazonApi
from connectors.amazon.fields import mapping
from connectors.amazon.operations import CREATE_REPORT, GET_REPORT, GET_REPORT_DOCUMENT, Operation
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.hosts import origin_of
from oms_hub.channel.http import ChannelHttp, ChannelRules, HttpRefused, Refusal, open_client
from oms_hub.domain.pull_windows import to_text
from oms_hub.errors import BadPayload, HubError, RetryLater

BY_LAST_UPDATE = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
BY_ORDER_DATE = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_ORDER_DATE_GENERAL"
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS, _PATIENCE_SECONDS = 5.0, 30.0, 900.0
_UNDER_WAY = frozenset({"IN_QUEUE", "IN_PROGRESS"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was fetched: whether it is packed, and what its headers say about its encoding."""

    is_gzip: bool
    content_type: str


class AddressLapsed(HttpRefused):
    """The host of documents refuses an address: it is good for five minutes only."""


class ReportGone(Exception):
    """Amazon does not know the report any more, or failed to make it: ask for a new one."""


def create_report(api: AmazonApi, report_type: str, start: datetime, end: datetime) -> str:
    """Ask for a report over `[start, end)` and return its id."""
    payload = {
        "reportType": report_type,
        "marketplaceIds": list(api.marketplace_ids),
        "dataStartTime": to_text(start),
        "dataEndTime": to_text(end),
    }
    # a report that is asked for twice costs a turn and nothing else
    answer = api.call(CREATE_REPORT, payload=payload, is_idempotent=True)
    report_id = mapping(answer.parsed, "createReport").get("reportId")
    if not isinstance(report_id, str):
        raise BadPayload("the answer to createReport holds no reportId")
    return report_id


def wait_for_report(api: AmazonApi, report_id: str) -> str | None:
    """Return the id of a report's document once it is made, None where there was nothing to report.

    Raises:
        RetryLater: it is still being made; ask for the same report again later.
        ReportGone: it failed, or is too old.
    """
    wait, waited = _FIRST_WAIT_SECONDS, 0.0
    while True:
        try:
            report = mapping(api.call(GET_REPORT, place={"reportId": report_id}).parsed, "getReport")
        except HttpRefused as error:
            raise ReportGone from error
        status = report.get("processingStatus")
        if status == "DONE":
            return str(report["reportDocumentId"])
        if status == "CANCELLED":
            return None
        if status not in _UNDER_WAY:
            raise ReportGone
        if waited >= _PATIENCE_SECONDS:
            raise RetryLater("Amazon is still making the report", after_seconds=_LONGEST_WAIT_SECONDS)
        api.session.sleep(wait)
        waited += wait
        wait = min(_LONGEST_WAIT_SECONDS, wait * 2)


def fetch_report(api: AmazonApi, document_id: str, target: BinaryIO) -> Fetched:
    """Write a report's file to `target` and return how to read it."""
    return fetch_document(api, GET_REPORT_DOCUMENT, {"reportDocumentId": document_id}, target)


def fetch_document(api: AmazonApi, operation: Operation, place: dict[str, str], target: BinaryIO) -> Fetched:
    """Write a document to `target`, whatever it is of, asking for its address a second time where that lapsed."""
    try:
        return _fetch(api, operation, place, target)
    except AddressLapsed:
        return _fetch(api, operation, place, target)


def _fetch(api: AmazonApi, operation: Operation, place: dict[str, str], target: BinaryIO) -> Fetched:
    document = mapping(api.call(operation, place=place).parsed, operation.name)
    url = document.get("url")
    if not isinstance(url, str):
        raise BadPayload(f"the answer to {operation.name} holds no url")
    with document_client(api.session, url) as client:
        headers = client.download(url, target)
    return Fetched(document.get("compressionAlgorithm") == "GZIP", headers.get("content-type", ""))


def document_client(session: ChannelSession, url: str) -> ChannelHttp:
    """Return a client for the host of a document's address: without a token, which is not for that host."""
    return open_client(session, origin_of(url), rules=ChannelRules(explain=_lapsed))


def _lapsed(refusal: Refusal) -> HubError | None:
    return AddressLapsed(f"the address of a document is refused with {refusal.status}", status=refusal.status)
