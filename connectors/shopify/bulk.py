"""The backfill: a shop's whole history through one bulk export.

What belongs here: starting, waiting for, downloading and cutting up an export. Not here: completing its orders
(`records`), what comes after it (`orders`).

The export is a file of JSON lines in which the lines of one order need not stand together, so they are sorted on
disk by order (`LineSorter`); memory stays flat whatever the size. Orders leave in ascending order of their number,
which makes "done up to here" a cursor that survives a crash; the export itself is found again by its id.

Source: shopify.dev api/usage/bulk-operations/queries, seen 2026-11-22.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import IO, Any, BinaryIO

import orjson

from connectors.shopify.api import ShopifyApi
from connectors.shopify.cursor import BulkExport, Position
from connectors.shopify.documents import BULK_START, BULK_STATUS, bulk_orders
from connectors.shopify.records import Granted, RecordMaker, body_of
from oms_hub.channel.contract import ChannelSession, RawPage
from oms_hub.channel.hosts import origin_of
from oms_hub.channel.http import open_client
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import BadPayload, NeedsReconnect, Refused, RetryLater

BATCH = 50
"""Orders per raw page of a backfill."""

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS, _PATIENCE_SECONDS = 1.0, 30.0, 900.0
_UNDER_WAY = frozenset({"CREATED", "RUNNING", "CANCELING"})
_SORT_LINES = 20_000
_CHILDREN = {
    "LineItem": "lineItems",
    "ShippingLine": "shippingLines",
    "Return": "returns",
    "FulfillmentOrder": "fulfillmentOrders",
}


def export_pages(
    session: ChannelSession, maker: RecordMaker, position: Position, *, placed_from: datetime | None
) -> Iterator[tuple[RawPage, Position]]:
    """Yield pages of all orders with the position after each; the last position has no export any more.

    Its watermark lies before the export began, so that the walk after it sees what changed meanwhile.

    Raises:
        RetryLater: the export still runs (go on with the stored position), or failed (begin again).
        NeedsReconnect: the export was refused.
    """
    bulk = position.bulk
    if bulk is None:
        bulk = _start(maker, placed_from)
        position = Position(watermark=position.watermark, bulk=bulk)
        yield RawPage("orders", body_of([]), position.to_cursor()), position
    status = _wait(session, maker.api, bulk)
    if status["status"] != "COMPLETED":
        without = replace(position, bulk=None)
        yield RawPage("orders", body_of([]), without.to_cursor()), without
        raise _failure(maker.api, status)
    if status["url"]:
        with tempfile.TemporaryFile() as target:
            _download(session, status["url"], target)
            for batch in _batches(_orders(target, maker.rights), bulk.done_to):
                fetched = maker.complete(batch)
                bulk = replace(bulk, done_to=max(bulk.done_to, _number(batch[-1]["id"])))
                position = replace(position, bulk=bulk)
                if fetched.gone:
                    gone = body_of([{"id": identifier} for identifier in fetched.gone])
                    yield RawPage("order_tombstones", gone, position.to_cursor()), position
                notices = maker.api.notices(fetched.withheld)
                yield RawPage("orders", body_of(fetched.records), position.to_cursor(), notices=notices), position
    position = Position(watermark=to_text(from_text(bulk.began_at)))
    yield RawPage("orders", body_of([]), position.to_cursor()), position


def _start(maker: RecordMaker, placed_from: datetime | None) -> BulkExport:
    switches = maker.rights.switches()
    query = bulk_orders(
        query="" if placed_from is None else f"processed_at:>='{to_text(placed_from)}'",
        with_customer=switches["withCustomer"],
        with_returns=switches["withReturns"],
        with_tasks=switches["withTasks"],
    )
    answer = maker.api.run(BULK_START, {"query": query}, needs="read_orders")
    started = answer.data["bulkOperationRunQuery"]
    operation = started["bulkOperation"]
    if operation is not None and not started["userErrors"]:
        return BulkExport(operation["id"], operation["createdAt"])
    codes = {error.get("code") for error in started["userErrors"]}
    if codes & {"OPERATION_IN_PROGRESS", "LIMIT_REACHED"}:
        raise RetryLater(f"{maker.api.shop} runs too many exports at once", after_seconds=_PATIENCE_SECONDS)
    raise Refused(f"{maker.api.shop} refuses the export ({', '.join(sorted(str(code) for code in codes))})")


def _wait(session: ChannelSession, api: ShopifyApi, bulk: BulkExport) -> Mapping[str, Any]:
    """Return the operation once it has ended."""
    wait, waited = _FIRST_WAIT_SECONDS, 0.0
    while True:
        operation: Mapping[str, Any] | None = api.run(BULK_STATUS, {"id": bulk.bulk_id}).data["bulkOperation"]
        if operation is None:
            return {"status": "EXPIRED", "errorCode": None, "url": None}
        if operation["status"] not in _UNDER_WAY:
            return operation
        if waited >= _PATIENCE_SECONDS:
            raise RetryLater(f"the export of {api.shop} still runs", after_seconds=_LONGEST_WAIT_SECONDS)
        session.sleep(wait)
        waited += wait
        wait = min(_LONGEST_WAIT_SECONDS, wait * 2)


def _failure(api: ShopifyApi, status: Mapping[str, Any]) -> NeedsReconnect | RetryLater:
    """Return the error of an export that did not complete; what it left behind (`partialDataUrl`) is not used."""
    if status["errorCode"] == "ACCESS_DENIED":
        return NeedsReconnect(f"{api.shop} refuses the export; missing: read_orders")
    return RetryLater(
        f"the export of {api.shop} ended as {status['status']}", remedy="Run again: a new export is started"
    )


def _download(session: ChannelSession, url: str, target: BinaryIO) -> None:
    """Fetch the file, without credentials: its address, on a storage host, is the secret."""
    with open_client(session, origin_of(url)) as client:
        client.download(url, target)


def _batches(orders: Iterable[dict[str, Any]], done_to: int) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for order in orders:
        if _number(order["id"]) <= done_to:
            continue
        batch.append(order)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _number(identifier: Any) -> int:
    tail = str(identifier).rpartition("/")[2].partition("?")[0]
    return int(tail) if tail.isdigit() else 0


def _orders(source: IO[bytes], rights: Granted) -> Iterator[dict[str, Any]]:
    """Yield orders with their children put under them, in ascending order of their numbers.

    Raises:
        BadPayload: a line is no JSON object, or a child has no order: the file is not whole.
    """
    switches = rights.switches()
    connections = ["lineItems", "shippingLines"]
    connections += ["returns"] if switches["withReturns"] else []
    connections += ["fulfillmentOrders"] if switches["withTasks"] else []
    with LineSorter() as sorter:
        source.seek(0)
        for position, line in enumerate(source):
            if line.strip():
                row = _row(line, position)
                sorter.add(_number(row.get("__parentId", row.get("id"))), position, line)
        for number, lines in groupby(sorter.lines(), key=lambda found: found[0]):
            yield _assembled([_row(line, number) for _, line in lines], connections)


def _row(line: bytes, position: int) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadPayload("the export holds a line that is not JSON", where=f"line {position + 1}") from None
    if not isinstance(row, dict):
        raise BadPayload("the export holds a line that is not an object", where=f"line {position + 1}")
    return row


def _assembled(rows: Sequence[Mapping[str, Any]], connections: Sequence[str]) -> dict[str, Any]:
    heads = [row for row in rows if "__parentId" not in row]
    if len(heads) != 1:
        raise BadPayload("the export holds parts of an order without the order", where=str(rows[0].get("__parentId")))
    order = dict(heads[0])
    for name in connections:
        order[name] = {"nodes": []}
    for row in rows:
        name = _CHILDREN.get(str(row.get("__typename")), "")
        if "__parentId" in row and name in connections:
            order[name]["nodes"].append({key: value for key, value in row.items() if key != "__parentId"})
    return order


class LineSorter:
    """Sorts lines by a number, keeping the order in which equal ones came, on disk: memory does not grow with them."""

    def __init__(self, *, chunk: int = _SORT_LINES) -> None:
        self._chunk = chunk
        self._held: list[tuple[int, int, bytes]] = []
        self._runs: list[IO[bytes]] = []
        self._files = ExitStack()

    def __enter__(self) -> LineSorter:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, number: int, position: int, line: bytes) -> None:
        """Take one line."""
        self._held.append((number, position, line.rstrip(b"\r\n")))
        if len(self._held) >= self._chunk:
            self._spill()

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (number, line) in order."""
        self._spill()
        for number, _, line in heapq.merge(*(self._read(run) for run in self._runs)):
            yield number, line

    def _spill(self) -> None:
        if not self._held:
            return
        self._held.sort()
        run = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
        run.writelines(b"%d %d %b\n" % row for row in self._held)
        run.seek(0)
        self._runs.append(run)
        self._held = []

    @staticmethod
    def _read(run: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
        for stored in run:
            number, position, line = stored.rstrip(b"\n").split(b" ", 2)
            yield int(number), int(position), line
