"""Reports and feeds of the practice account, and the files behind addresses that lapse.

What belongs here: jobs that take a while, and their documents. Not here: orders and listings (`sandbox_routes`).
"""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import orjson

from connectors.amazon import operations
from connectors.amazon.sandbox_account import Account
from connectors.amazon.sandbox_query import ApiError, Reply, Request, invalid
from connectors.amazon.sandbox_records import MARKETPLACE_ID, Document, Job, OrderRecord
from connectors.amazon.sandbox_shown import flat_file
from oms_hub.domain.pull_windows import from_text, to_text

ADDRESS_LIFE = timedelta(minutes=5)
FILES = "/files/"
_REPORTS = {
    "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL": "updated_at",
    "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_ORDER_DATE_GENERAL": "placed_at",
}


class Documents:
    """Jobs and files of an account.

    Args:
        account: what reports are about and feeds change.
        apply: carries out one message of a feed and returns why it is refused, empty where it is not.
    """

    def __init__(self, account: Account, apply: Callable[[dict[str, Any]], str]) -> None:
        self.account = account
        self.base_url = ""
        self.encoding = "utf-8"
        self.names_encoding = True
        self._apply = apply
        self._addresses: dict[str, tuple[str, str]] = {}

    @property
    def answers(self) -> Mapping[str, Callable[[Request], Reply]]:
        """Return the operations of jobs and documents."""
        return {
            operations.CREATE_REPORT.name: self._create_report,
            operations.GET_REPORT.name: self._get_report,
            operations.GET_REPORT_DOCUMENT.name: self._report_document,
            operations.CREATE_FEED_DOCUMENT.name: self._create_document,
            operations.CREATE_FEED.name: self._create_feed,
            operations.GET_FEED.name: self._get_feed,
            operations.GET_FEED_DOCUMENT.name: self._feed_document,
        }

    # ------------------------------------------------------------------------------------------------- files

    def address(self, document: Document) -> str:
        """Return an address that gives (or takes) a document for five minutes."""
        key = secrets.token_urlsafe(12)
        until = to_text(self.account.now() + ADDRESS_LIFE)
        self._addresses[key] = (document.document_id, until)
        return f"{self.base_url}{FILES}{key}"

    def file_at(self, path: str) -> Document:
        """Return the document behind an address; refuses one that lapsed."""
        document_id, until = self._addresses.get(path.removeprefix(FILES), ("", ""))
        if not document_id or from_text(until) < self.account.now():
            raise ApiError(403, "AccessDenied", "Request has expired")
        return self.account.documents[document_id]

    def put(self, path: str, content_type: str, body: bytes) -> None:
        """Take the content of a document; the content type must be the announced one."""
        document = self.file_at(path)
        if content_type != document.content_type:
            raise ApiError(403, "SignatureDoesNotMatch", "The content type is not the announced one")
        document.body = body

    def _new_document(self, content_type: str, body: bytes = b"", *, is_gzip: bool = False) -> Document:
        document = Document(f"DOCUMENT-{self.account.next_number()}", content_type, body, is_gzip)
        self.account.documents[document.document_id] = document
        return document

    def _shown(self, document_id: str | None, name: str) -> Reply:
        document = self.account.documents.get(document_id or "")
        if document is None:
            raise ApiError(404, "NotFound", "The document is not there")
        shown = {name: document.document_id, "url": self.address(document)}
        return Reply(shown | ({"compressionAlgorithm": "GZIP"} if document.is_gzip else {}))

    # ----------------------------------------------------------------------------------------------- reports

    def _create_report(self, request: Request) -> Reply:
        request.check(())
        payload = request.payload
        if payload.get("reportType") not in _REPORTS or payload.get("marketplaceIds") != [MARKETPLACE_ID]:
            raise invalid("reportType or marketplaceIds")
        job = self._new_job("report", payload)
        job.status = self.account.job_end
        start, end = from_text(payload["dataStartTime"]), from_text(payload["dataEndTime"])
        if start > self.account.now() or end < start:
            raise invalid("dataStartTime")
        by = _REPORTS[payload["reportType"]]
        orders = [order for order in self.account.orders.values() if start <= getattr(order, by) < end]
        if job.status == "DONE":
            self._finish(job, orders)
        return Reply({"reportId": job.job_id}, status=202)

    def _finish(self, job: Job, orders: list[OrderRecord]) -> None:
        if not orders:
            job.status = "CANCELLED"
            return
        charset = f";charset={self.encoding}" if self.names_encoding else ""
        body = gzip.compress(flat_file(orders, self.encoding), compresslevel=1)
        job.document_id = self._new_document(f"text/plain{charset}", body, is_gzip=True).document_id

    def _get_report(self, request: Request) -> Reply:
        job = self._job(request.place["reportId"], "report")
        shown = {
            "reportId": job.job_id,
            "reportType": job.payload["reportType"],
            "createdTime": to_text(job.created_at),
            "processingStatus": self._status(job),
        }
        is_there = job.document_id is not None and shown["processingStatus"] == "DONE"
        return Reply(shown | ({"reportDocumentId": job.document_id} if is_there else {}))

    def _report_document(self, request: Request) -> Reply:
        return self._shown(request.place["reportDocumentId"], "reportDocumentId")

    # ------------------------------------------------------------------------------------------------- feeds

    def _create_document(self, request: Request) -> Reply:
        document = self._new_document(request.payload.get("contentType", ""))
        return Reply({"feedDocumentId": document.document_id, "url": self.address(document)}, status=201)

    def _create_feed(self, request: Request) -> Reply:
        payload = request.payload
        document = self.account.documents.get(payload.get("inputFeedDocumentId", ""))
        if payload.get("feedType") != "JSON_LISTINGS_FEED" or document is None or not document.body:
            raise invalid("feedType or inputFeedDocumentId")
        job = self._new_job("feed", payload)
        job.status = self.account.job_end
        if job.status != "CANCELLED":
            report = self._carry_out(job, orjson.loads(document.body))
            body = gzip.compress(orjson.dumps(report), compresslevel=1)
            if job.status == "DONE":
                job.document_id = self._new_document("application/json", body, is_gzip=True).document_id
        return Reply({"feedId": job.job_id}, status=202)

    def _carry_out(self, job: Job, feed: dict[str, Any]) -> dict[str, Any]:
        """Carry out the messages of a feed, of a failing one only the first half; return the processing report."""
        messages = feed["messages"]
        issues = []
        for message in messages if job.status == "DONE" else messages[: len(messages) // 2]:
            reason = self.account.refused_skus.get(message["sku"]) or self._apply(message)
            if reason:
                issues.append({
                    "messageId": message["messageId"], "sku": message["sku"], "code": "90220", "severity": "ERROR",
                    "message": reason,
                })  # fmt: skip
        refused = len(issues)
        return {
            "header": {"sellerId": self.account.seller_id, "version": "2.0", "feedId": job.job_id},
            "issues": issues,
            "summary": {
                "errors": refused, "warnings": 0, "messagesProcessed": len(messages),
                "messagesAccepted": len(messages) - refused, "messagesInvalid": refused,
            },
        }  # fmt: skip

    def _get_feed(self, request: Request) -> Reply:
        job = self._job(request.place["feedId"], "feed")
        shown = {
            "feedId": job.job_id,
            "feedType": "JSON_LISTINGS_FEED",
            "createdTime": to_text(job.created_at),
            "processingStatus": self._status(job),
        }
        is_there = job.document_id is not None and shown["processingStatus"] == "DONE"
        return Reply(shown | ({"resultFeedDocumentId": job.document_id} if is_there else {}))

    def _feed_document(self, request: Request) -> Reply:
        return self._shown(request.place["feedDocumentId"], "feedDocumentId")

    # -------------------------------------------------------------------------------------------------- jobs

    def _new_job(self, kind: str, payload: dict[str, Any]) -> Job:
        number = self.account.next_number()
        job = Job(f"{5000000000 + number}", kind, payload, self.account.now(), self.account.job_polls)
        self.account.jobs[job.job_id] = job
        return job

    def _job(self, job_id: str, kind: str) -> Job:
        job = self.account.jobs.get(job_id)
        if job is None or job.kind != kind:
            raise ApiError(404, "NotFound", f"The {kind} is not there")
        return job

    def _status(self, job: Job) -> str:
        if job.polls_left > 0:
            job.polls_left -= 1
            return "IN_PROGRESS"
        return job.status
