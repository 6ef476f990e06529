"""Where a pull of Amazon's orders stands, as plain JSON.

What belongs here: the places inside a history, a search and a walk over transactions, to JSON and back. Pure.
Instants are texts of Amazon's own clock, but for `asked_at` and `got_at`, which only measure how old something is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from oms_hub.channel.contract import Cursor
from oms_hub.domain.pull_windows import from_text
from oms_hub.errors import BadPayload


@dataclass(frozen=True, slots=True)
class ReportPlace:
    """A history read from flat files: windows from `next_from` up to `until` are still to be read.

    Attributes:
        next_from: start of the present window.
        until: end of the last one.
        report_id: of the present window's report, once it was asked for.
        done_to: last order of that report that landed.
    """

    next_from: str
    until: str
    report_id: str | None = None
    done_to: str = ""


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """A walk of searchOrders over what changed since `after`.

    Attributes:
        after: lower bound, the same on every page.
        token: of the next page, None before the first.
        until: upper bound as Amazon told it: the next watermark.
        got_at: when the token came; it is good for a day.
    """

    after: str
    token: str | None = None
    until: str | None = None
    got_at: str | None = None


@dataclass(frozen=True, slots=True)
class MoneyPlace:
    """A walk of listTransactions.

    Attributes:
        until: everything posted before was read.
        asked_at: when a walk last ended.
        after: lower bound of the present window, None between two walks.
        token: of the next page, None before the first of a window.
        bound: what `until` becomes at the end of the walk.
    """

    until: str | None = None
    asked_at: str | None = None
    after: str | None = None
    token: str | None = None
    bound: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a pull stands. Without watermark and search it is at the very beginning."""

    watermark: str | None = None
    report: ReportPlace | None = None
    search: SearchPlace | None = None
    money: MoneyPlace = MoneyPlace()

    def to_cursor(self) -> Cursor:
        """Return it as plain JSON, without what is not set."""
        return {name: _kept(value) for name, value in asdict(self).items() if value not in (None, {}) and _kept(value)}

    @classmethod
    def from_cursor(cls, cursor: Cursor) -> Position:
        """Return the position in a stored cursor.

        Raises:
            BadPayload: it cannot be read.
        """
        try:
            report, search, money = cursor.get("report"), cursor.get("search"), cursor.get("money")
            position = cls(
                watermark=cursor.get("watermark"),
                report=None if report is None else ReportPlace(**report),
                search=None if search is None else SearchPlace(**search),
                money=MoneyPlace(**(money or {})),
            )
            for text in position._instants():
                from_text(text)
        except (TypeError, ValueError) as error:
            raise BadPayload("the stored cursor cannot be read", remedy="Run: oms-hub sync --full") from error
        return position

    def _instants(self) -> list[str]:
        report = [] if self.report is None else [self.report.next_from, self.report.until]
        search = [] if self.search is None else [self.search.after, self.search.until, self.search.got_at]
        money = [self.money.until, self.money.asked_at, self.money.after, self.money.bound]
        return [text for text in (self.watermark, *report, *search, *money) if text is not None]


T = TypeVar("T")


def _kept(value: T | Mapping[str, Any]) -> T | Mapping[str, Any]:
    if isinstance(value, Mapping):
        return {key: inner for key, inner in value.items() if inner not in (None, "")}
    return value
