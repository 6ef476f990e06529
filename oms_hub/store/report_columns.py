"""How a report is described: its columns, their kinds, units and definitions.

What belongs here: the types of the description. The reports themselves are described beside their SQL
(`report_sales`, `report_stock`, ...). From one description come the table or view with its comments, the check of
a frame, the files' column types and the data dictionary, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class ColumnKind(StrEnum):
    """What a column holds; decides its type in PostgreSQL, in frames and in files."""

    WORDS = "text"
    DAY = "date"
    INSTANT = "timestamp with time zone"
    WHOLE = "bigint"
    AMOUNT = "numeric"
    RATIO = "numeric(18,6)"
    SECONDS = "double precision"
    FLAG = "boolean"


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """One column and the promise made to analysts about it.

    Attributes:
        comment: definition, with unit and currency where there is one; becomes the column's comment.
        is_key: part of the report's key.
        has_gaps: may be null, and the comment says when.
        has_sign: may be negative although it is a count.
    """

    name: str
    kind: ColumnKind
    comment: str
    is_key: bool = False
    has_gaps: bool = False
    has_sign: bool = False


@dataclass(frozen=True, slots=True)
class ReportDefinition:
    """One report as analysts see it.

    Attributes:
        title: what it is, a few words.
        comment: what one row is and how the figures are made; becomes the comment of the table or view.
        columns: in order of appearance.
        day_column: the business day that `--from` and `--to` select by; empty where the report shows the present.
        currency_column: the currency of its amounts; empty where it has none.
        view_sql: the body of the view; empty for a table that a refresh fills.
        has_as_of: it looks back from a day, which is today unless the reader says otherwise (`TODAY`).
    """

    name: str
    title: str
    comment: str
    columns: tuple[ReportColumn, ...]
    day_column: str = ""
    currency_column: str = ""
    view_sql: str = ""
    has_as_of: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Return the names of the key columns, in order."""
        return tuple(column.name for column in self.columns if column.is_key)

    @property
    def is_view(self) -> bool:
        """Return whether the report is computed when it is read."""
        return bool(self.view_sql)


def words(name: str, comment: str, *, key: bool = False, gaps: bool = False) -> ReportColumn:
    """Return a text column."""
    return ReportColumn(name, ColumnKind.WORDS, comment, is_key=key, has_gaps=gaps)


def day(name: str, comment: str, *, key: bool = False, gaps: bool = False) -> ReportColumn:
    """Return a column of days in the merchant's time zone."""
    return ReportColumn(name, ColumnKind.DAY, comment, is_key=key, has_gaps=gaps)


def whole(name: str, comment: str, *, key: bool = False, gaps: bool = False, signed: bool = False) -> ReportColumn:
    """Return a column of whole numbers: units or counts."""
    return ReportColumn(name, ColumnKind.WHOLE, comment, is_key=key, has_gaps=gaps, has_sign=signed)


def amount(name: str, comment: str, *, gaps: bool = False) -> ReportColumn:
    """Return a column of exact money; its comment names the currency."""
    return ReportColumn(name, ColumnKind.AMOUNT, comment, has_gaps=gaps)


def ratio(name: str, comment: str, *, gaps: bool = False) -> ReportColumn:
    """Return a column of exact numbers with six decimals: shares, rates per day, hours."""
    return ReportColumn(name, ColumnKind.RATIO, comment, has_gaps=gaps)


def instant(name: str, comment: str, *, key: bool = False, gaps: bool = False) -> ReportColumn:
    """Return a column of instants (UTC)."""
    return ReportColumn(name, ColumnKind.INSTANT, comment, is_key=key, has_gaps=gaps)


def seconds(name: str, comment: str, *, gaps: bool = False) -> ReportColumn:
    """Return a column of durations in seconds."""
    return ReportColumn(name, ColumnKind.SECONDS, comment, has_gaps=gaps)


def flag(name: str, comment: str) -> ReportColumn:
    """Return a column of yes or no."""
    return ReportColumn(name, ColumnKind.FLAG, comment)


AS_OF_SETTING = "oms_hub.today"
"""The session setting that moves "today" for reports that look back from it; empty or unset means the real one."""

TODAY = f"coalesce(nullif(current_setting('{AS_OF_SETTING}', true), '')::date, (now() AT TIME ZONE m.time_zone)::date)"
"""Today in the zone of the merchant `m`, in a view's SQL."""

MERCHANT_ID = whole("merchant_id", "The hub's number of the business")
MERCHANT = words("merchant", "Name of the business", key=True)
CONNECTION = words("connection", "Name of the merchant's account on a channel", key=True)
CHANNEL = words("channel", "Kind of system the connection belongs to, such as shopify or pos_feed")
BUSINESS_DATE = day("business_date", "Day in the merchant's time zone, midnight to midnight by its clocks", key=True)
CURRENCY = words("currency", "ISO 4217 code of every amount in the row; currencies are never added to each other")
KEY_CURRENCY = replace(CURRENCY, is_key=True)
