"""Bulk exports of the practice shop: started, run for a while, leave a file of JSON lines.

What belongs here: the operations and their files. The lines of one order do not stand together in the file, which is
how Shopify gives them without `groupObjects`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.shopify.sandbox_goods import stamp
from connectors.shopify.sandbox_state import Shop
from connectors.shopify.sandbox_things import gid

AT_ONCE = 5


@dataclass(slots=True)
class Export:
    """One bulk operation. `looks_left` counts down: it is RUNNING until somebody has looked that often."""

    number: int
    created_at: datetime
    lines: list[str]
    looks_left: int
    outcome: str = "COMPLETED"


class BulkDesk:
    """Runs exports of one shop.

    Attributes:
        looks: how often the next exports are looked at before they are done.
        outcome: how the next exports end (COMPLETED, FAILED, CANCELED, EXPIRED); tests turn it.
        error_code: said with FAILED.
    """

    def __init__(
        self,
        shop: Shop,
        export: Callable[[str], tuple[dict[str, Any] | None, str]],
        *,
        file_url: Callable[[int], str],
    ) -> None:
        self._shop = shop
        self._export = export
        self._file_url = file_url
        self._exports: dict[int, Export] = {}
        self.looks = 1
        self.outcome = "COMPLETED"
        self.error_code: str | None = None

    def start(self, query: str) -> dict[str, Any]:
        """Carry out `bulkOperationRunQuery`."""
        if sum(export.looks_left > 0 for export in self._exports.values()) >= AT_ONCE:
            return _refused("LIMIT_REACHED", "too many exports at once")
        data, problem = self._export(query)
        if data is None:
            return _refused("INVALID", problem)
        lines = [json.dumps(row, ensure_ascii=False) for row in _rows(data)]
        export = Export(self._shop.new_number(), self._shop.now(), lines, self.looks, self.outcome)
        self._exports[export.number] = export
        return {"bulkOperation": self._shown(export, "CREATED"), "userErrors": []}

    def status(self, identifier: str) -> dict[str, Any] | None:
        """Return an operation; None for one that is not known (any more)."""
        tail = identifier.rpartition("/")[2]
        export = self._exports.get(int(tail) if tail.isdigit() else 0)
        if export is None:
            return None
        if export.looks_left > 0:
            export.looks_left -= 1
            return self._shown(export, "RUNNING")
        return self._shown(export, export.outcome)

    def file(self, number: int) -> bytes | None:
        """Return an export's file."""
        export = self._exports.get(number)
        return None if export is None else "".join(f"{line}\n" for line in export.lines).encode()

    def _shown(self, export: Export, status: str) -> dict[str, Any]:
        has_file = bool(export.lines)
        url = self._file_url(export.number)
        return {
            "id": gid("BulkOperation", export.number),
            "status": status,
            "errorCode": self.error_code if status == "FAILED" else None,
            "createdAt": stamp(export.created_at),
            "completedAt": stamp(self._shop.now()) if status == "COMPLETED" else None,
            "objectCount": str(len(export.lines)),
            "url": url if status == "COMPLETED" and has_file else None,
            "partialDataUrl": url if status == "FAILED" and has_file else None,
        }


def _refused(code: str, message: str) -> dict[str, Any]:
    return {"bulkOperation": None, "userErrors": [{"code": code, "field": ["query"], "message": message}]}


def _rows(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the lines of an export: all orders first, then their children one connection after the other."""
    roots = [edge["node"] for edge in data["orders"]["edges"]]
    children: dict[str, list[dict[str, Any]]] = {}
    for root in roots:
        for name, value in root.items():
            if isinstance(value, dict) and "edges" in value:
                rows = [{**edge["node"], "__parentId": root["id"]} for edge in value["edges"]]
                children.setdefault(name, []).extend(rows)
        yield {name: value for name, value in root.items() if not (isinstance(value, dict) and "edges" in value)}
    for rows in children.values():
        yield from rows
