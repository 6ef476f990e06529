"""Settings of a POS feed: what may be set, and the checked form that the rest of the connector reads.

What belongs here: names, defaults, choices and their errors. Not here: secrets (`auth`), anything that opens a file.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from oms_hub.channel.contract import Setting
from oms_hub.errors import Misconfigured

REQUIRED_FIELDS = ("order_id", "sold_at", "sku", "quantity", "unit_price")
FIELDS = (
    "order_id", "line_id", "sold_at", "sku", "description", "quantity", "unit_price", "discount", "tax", "currency",
    "location", "customer", "country", "payment", "reference",
)  # fmt: skip
NOT_GOODS_KINDS = ("shipping", "discount", "fee", "adjustment")
ISO_8601 = "iso8601"
YES_NO = ("yes", "no")

SETTINGS = (
    Setting(
        "path",
        "Where the files are: one file, a folder (all its files but hidden and unfinished ones) or a glob; local or "
        "with the protocol of any fsspec file system (sftp://, s3://, ...)",
        is_required=True,
    ),
    Setting("format", "What the files are: csv, or jsonl (one JSON object a line)", default="csv",
            choices=("csv", "jsonl")),
    Setting("delimiter", "What stands between the cells of a csv row: one character, or the word tab", default=","),
    Setting("decimal", "The decimal mark of numbers written as text", default=".", choices=(".", ",")),
    Setting("thousands", "What groups the thousands of numbers written as text (one character, or the word space); "
            "empty where nothing does", default=""),
    Setting("encoding", "How text is stored: utf-8 (with or without byte order mark), cp1252, utf-16, ...",
            default="utf-8-sig"),
    Setting("time_zone", "IANA zone of the dates in the files; the merchant's zone where not given"),
    Setting("datetime_format", "How dates are written, in the signs of strptime (%d/%m/%Y %H:%M), or iso8601",
            default="%Y-%m-%d %H:%M:%S"),
    Setting("currency", "ISO 4217 code of the amounts where no column names it; the merchant's where not given",
            pattern="[A-Z]{3}"),
    Setting("columns", "JSON object, our field -> the files' column. Fields: " + ", ".join(FIELDS) + "; needed: "
            + ", ".join(REQUIRED_FIELDS) + ". Not given: the columns are called as our fields are"),
    Setting("not_goods", "JSON object, code in the sku column -> what it is: " + ", ".join(NOT_GOODS_KINDS),
            default="{}"),
    Setting("credit_note_prefix", "How the order ids of credit notes begin (C); empty where there are none",
            default=""),
    Setting("restock_returns", "yes: goods that come back go back on the shelf at once; no: a person counts them in",
            default="no", choices=YES_NO),
    Setting("price_includes_tax", "yes: unit_price and discount contain the tax of the tax column; no: it comes on top",
            default="no", choices=YES_NO),
    Setting("zero_price_moves_stock", "yes: goods sold at price zero (give-aways) leave stock; no: such rows are kept "
            "and move nothing, as stock corrections often look the same", default="no", choices=YES_NO),
)  # fmt: skip
DEFAULTS = {setting.name: setting.default or "" for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """The settings of one feed, checked. Empty `time_zone` and `currency` mean the merchant's own."""

    path: str
    format: str
    delimiter: str
    decimal: str
    thousands: str
    encoding: str
    time_zone: str
    datetime_format: str
    currency: str
    columns: Mapping[str, str]
    not_goods: Mapping[str, str]
    credit_note_prefix: str
    restocks_returns: bool
    includes_tax: bool
    zero_price_moves_stock: bool

    def form(self) -> str:
        """Return what decides how files are cut into rows and receipts; all other settings act when these are read."""
        return " ".join((self.format, self.encoding, repr(self.delimiter), repr(self.columns["order_id"])))


def read_settings(settings: Mapping[str, str]) -> FeedSettings:
    """Return the settings in their checked form.

    Raises:
        Misconfigured: names the setting and what it should be; nothing was opened.
    """
    return _read(tuple(sorted(settings.items())))


def check_settings(settings: Mapping[str, str]) -> None:
    """Raise Misconfigured for settings that cannot work; opens nothing."""
    read_settings(settings)


@lru_cache(maxsize=64)
def _read(pairs: tuple[tuple[str, str], ...]) -> FeedSettings:
    given = dict(pairs)
    unknown = sorted(given.keys() - DEFAULTS.keys())
    if unknown:
        raise _wrong(unknown[0], "is not a setting of pos_feed", "Settings are: " + ", ".join(DEFAULTS))
    values = {name: given.get(name) or default for name, default in DEFAULTS.items()}
    for setting in SETTINGS:
        value = values[setting.name]
        if setting.is_required and not value.strip():
            raise _wrong(setting.name, "is missing", f"Give --set {setting.name}=...")
        if setting.choices and value not in setting.choices:
            raise _wrong(setting.name, f"is {value!r}", "It is one of: " + ", ".join(setting.choices))
        if setting.pattern and value and not re.fullmatch(setting.pattern, value):
            raise _wrong(setting.name, f"is {value!r}", "Give a three-letter code such as MXN")
    decimal, thousands = values["decimal"], _one_sign("thousands", values["thousands"], {"space": " "})
    if thousands == decimal:
        raise _wrong("thousands", "is the same sign as the decimal mark", "Give two different signs")
    return FeedSettings(
        path=values["path"].strip(),
        format=values["format"],
        delimiter=_delimiter(values["delimiter"]),
        decimal=decimal,
        thousands=thousands,
        encoding=_encoding(values["encoding"]),
        time_zone=_zone(values["time_zone"]),
        datetime_format=_datetime_format(values["datetime_format"]),
        currency=values["currency"],
        columns=_columns(values["columns"]),
        not_goods=_not_goods(values["not_goods"]),
        credit_note_prefix=values["credit_note_prefix"].strip(),
        restocks_returns=values["restock_returns"] == "yes",
        includes_tax=values["price_includes_tax"] == "yes",
        zero_price_moves_stock=values["zero_price_moves_stock"] == "yes",
    )


def _wrong(name: str, what: str, remedy: str) -> Misconfigured:
    return Misconfigured(f"setting {name} {what}", remedy=remedy)


def _one_sign(name: str, value: str, words: Mapping[str, str]) -> str:
    sign = words.get(value, value)
    if len(sign) > 1 or sign.isalnum() or sign in {"-", "+", '"', "\n", "\r"}:
        raise _wrong(name, f"is {value!r}", "Give one sign that is no letter, digit, quote, plus or minus")
    return sign


def _delimiter(value: str) -> str:
    return _one_sign("delimiter", value, {"tab": "\t", "\\t": "\t", "space": " "})


def _encoding(value: str) -> str:
    try:
        name = codecs.lookup(value.strip()).name
        "a".encode(name)
    except (LookupError, ValueError, TypeError) as error:
        raise _wrong("encoding", f"is {value!r}, which is not known", "Give utf-8, cp1252, utf-16, ...") from error
    return name


def _zone(value: str) -> str:
    if not value:
        return ""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _wrong("time_zone", f"is {value!r}", "Give an IANA name such as America/Mexico_City") from error
    return value


def _datetime_format(value: str) -> str:
    if value == ISO_8601:
        return value
    sample = datetime(2001, 12, 31, 13, 14, 15, tzinfo=UTC)
    try:
        read = datetime.strptime(sample.strftime(value), value)  # noqa: DTZ007
    except (ValueError, re.error) as error:
        raise _wrong("datetime_format", f"is {value!r}", "Give signs of strptime, such as %d/%m/%Y %H:%M") from error
    if read.date() != sample.date():
        raise _wrong("datetime_format", f"is {value!r}, which has no whole date", "Give year, month and day in it")
    return value


def _json_object(name: str, text: str) -> dict[str, str]:
    try:
        read: Any = json.loads(text)
    except ValueError as error:
        raise _wrong(name, "is not JSON", 'Give an object such as {"order_id": "Receipt"}') from error
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        raise _wrong(name, "is not a JSON object of texts", 'Give an object such as {"order_id": "Receipt"}')
    return {key.strip(): value.strip() for key, value in read.items()}


def _columns(text: str) -> dict[str, str]:
    if not text:
        return {field: field for field in FIELDS}
    columns = _json_object("columns", text)
    unknown = [field for field in columns if field not in FIELDS]
    if unknown:
        raise _wrong("columns", f"names the unknown field {unknown[0]!r}", "Fields are: " + ", ".join(FIELDS))
    missing = [field for field in REQUIRED_FIELDS if not columns.get(field)]
    if missing:
        raise _wrong("columns", f"lacks {', '.join(missing)}", "Say which column of the files each of these is")
    empty = [field for field, column in columns.items() if not column]
    if empty:
        raise _wrong("columns", f"gives no column for {empty[0]}", "Name the column, or leave the field out")
    return columns


def _not_goods(text: str) -> dict[str, str]:
    codes = _json_object("not_goods", text)
    for code, kind in codes.items():
        if kind not in NOT_GOODS_KINDS:
            raise _wrong("not_goods", f"says {kind!r} for {code!r}", "It is one of: " + ", ".join(NOT_GOODS_KINDS))
    return codes
