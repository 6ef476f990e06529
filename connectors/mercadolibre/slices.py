"""Stretches of time that the order search is asked for, whole hours wide. Pure.

What belongs here: what a slice asks for, and how it is cut in halves. Not here: requests (`api`), the walk (`walk`).

The search pages by offset, and how far an offset may go is not documented: others stop near 10,000. So a slice that
holds many orders is cut by time instead. Its filters are precise to the hour only (developers.mercadolibre, orders), so
slices begin on full hours and reach an hour into the next one: what lies on the border is read twice, never missed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from oms_hub.domain.pull_windows import floor_to, from_text, to_text
from oms_hub.errors import BadPayload

HOUR = timedelta(hours=1)
HISTORY = timedelta(days=366)
"""Orders are kept for 12 months. Source: developers.mercadolibre, orders, 2026-09-21."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch from a full hour on; without an end it reaches to the present and beyond."""

    start: datetime
    end: datetime | None = None

    def halves(self, now: datetime) -> tuple[Span, Span] | None:
        """Return two spans that cover this one, None where it is an hour or less."""
        end = floor_to(now, HOUR) + HOUR if self.end is None else self.end
        middle = floor_to(self.start + (end - self.start) / 2, HOUR)
        if middle <= self.start:
            return None
        return Span(self.start, middle), Span(middle, self.end)


@dataclass(frozen=True, slots=True)
class Slice:
    """What one walk asks for: orders that changed, or were created, within a span (or both)."""

    updated: Span | None = None
    created: Span | None = None

    def query(self) -> dict[str, str]:
        """Return the search's filters; both bounds are precise to the hour, and the end reaches an hour further."""
        found: dict[str, str] = {}
        for name, span in (("date_last_updated", self.updated), ("date_created", self.created)):
            if span is not None:
                found[f"order.{name}.from"] = search_time(span.start)
                if span.end is not None:
                    found[f"order.{name}.to"] = search_time(span.end + HOUR)
        return found

    def halves(self, now: datetime) -> tuple[Slice, Slice] | None:
        """Return two slices that cover this one: cut by change, then, within one hour of changes, by creation."""
        if self.updated is not None and (cut := self.updated.halves(now)):
            return replace(self, updated=cut[0]), replace(self, updated=cut[1])
        created = self.created or Span(floor_to(now - HISTORY, HOUR))
        if cut := created.halves(now):
            return replace(self, created=cut[0]), replace(self, created=cut[1])
        return None

    def as_cursor(self) -> list[str | None]:
        """Return it as plain JSON."""
        found: list[str | None] = []
        for span in (self.updated, self.created):
            found += [None, None] if span is None else [_text(span.start), _text(span.end)]
        return found


def changed_since(moment: datetime) -> Slice:
    """Return the slice of all changes from an instant on."""
    return Slice(updated=Span(floor_to(moment, HOUR)))


def created_between(start: datetime, end: datetime | None = None) -> Slice:
    """Return the slice of all orders created from one instant to another, or to the present."""
    return Slice(created=Span(floor_to(start, HOUR), None if end is None else floor_to(end, HOUR) + HOUR))


def search_time(moment: datetime) -> str:
    """Return an instant as the order search reads it, cut to the full hour."""
    return floor_to(moment, HOUR).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000-00:00")


def slice_of(stored: Any) -> Slice:
    """Return the slice that a cursor holds.

    Raises:
        BadPayload: it cannot be read.
    """
    try:
        first, second, third, fourth = (None if text is None else from_text(text) for text in stored)
    except (TypeError, ValueError) as error:
        raise BadPayload("the stored cursor cannot be read", where="todo", remedy="Run: oms-hub sync --full") from error
    return Slice(None if first is None else Span(first, second), None if third is None else Span(third, fourth))


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)
