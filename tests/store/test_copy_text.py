"""COPY's text format: what goes in comes out of PostgreSQL as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from oms_hub.errors import BadPayload
from oms_hub.store import copy_text as fields
from oms_hub.store.engine import Store

HARD_TEXTS = [
    "", " ", "plain", "\\", "\\N", "\\\\N", "\\.", "\\t", "a\tb", "a\nb", "a\r\nb", "\t", "\n", "\\\n", '"', "'",
    "{}", '{"a","b"}', "ñandú", "日本語", "🧉", "\u2028", "\x01", "\x7f", "\ufeffbom", "e\u0301", "a" * 5000,
]  # fmt: skip
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


def test_texts_come_back_as_they_were(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(text("CREATE TEMPORARY TABLE kept (nth integer, value text)"))
        rows = [fields.encoded(f"{nth}\t{fields.text_field(value)}\n") for nth, value in enumerate(HARD_TEXTS)]
        fields.copy_rows(tx, "pg_temp.kept", "nth, value", rows)
        assert list(tx.execute(text("SELECT value FROM kept ORDER BY nth")).scalars()) == HARD_TEXTS


@given(value=TEXTS)
def test_a_field_never_breaks_its_row(value: str) -> None:
    field = fields.text_field(value)
    assert "\t" not in field
    assert "\n" not in field
    assert "\r" not in field
    assert field != fields.NULL
    unescaped = (
        field.replace("\\\\", "\0").replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r").replace("\0", "\\")
    )
    assert unescaped == value


def test_null_is_not_the_text_of_null(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(text("CREATE TEMPORARY TABLE kept (a text, b text, c numeric, d timestamptz, e text)"))
        row = "\t".join(
            (
                fields.optional_text_field(None),
                fields.optional_text_field("\\N"),
                fields.optional_amount_field(None, "x"),
                fields.optional_instant_field(None, "x"),
                fields.optional_key_field(None, "x"),
            )
        )
        fields.copy_rows(tx, "pg_temp.kept", "a, b, c, d, e", [fields.encoded(f"{row}\n")])
        assert tx.execute(text("SELECT * FROM kept")).one() == (None, "\\N", None, None, None)


@pytest.mark.parametrize(
    "amount", ["0", "-0.00", "19.90", "0.000001", "1E+3", "1E-7", "123456789012345678901234567890.123456789"]
)
def test_amounts_keep_every_digit(store: Store, amount: str) -> None:
    with store.begin() as tx:
        tx.execute(text("CREATE TEMPORARY TABLE kept (value numeric)"))
        row = fields.encoded(f"{fields.amount_field(Decimal(amount), 'total')}\n")
        fields.copy_rows(tx, "pg_temp.kept", "value", [row])
        assert tx.scalar(text("SELECT value FROM kept")) == Decimal(amount)


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused_at_its_place(amount: str) -> None:
    with pytest.raises(BadPayload, match=r"not a finite number \(at total\)"):
        fields.amount_field(Decimal(amount), "total")


def test_instants_of_any_zone_are_the_same_instants(store: Store) -> None:
    instants = [
        datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
        datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=-6))),
        datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC),
    ]
    with store.begin() as tx:
        tx.execute(text("CREATE TEMPORARY TABLE kept (nth integer, value timestamptz)"))
        rows = [f"{nth}\t{fields.instant_field(value, 'at')}\n".encode() for nth, value in enumerate(instants)]
        fields.copy_rows(tx, "pg_temp.kept", "nth, value", rows)
        assert list(tx.execute(text("SELECT value FROM kept ORDER BY nth")).scalars()) == instants


def test_a_time_without_zone_is_no_instant() -> None:
    with pytest.raises(BadPayload, match=r"no time zone \(at placed_at\)"):
        fields.instant_field(datetime(2026, 11, 22), "placed_at")  # noqa: DTZ001


def test_bytes_and_flags_and_numbers_come_back(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(text("CREATE TEMPORARY TABLE kept (a bytea, b boolean, c boolean, d integer, e bigint)"))
        row = "\t".join(
            (
                fields.bytes_field(b"\x00\\x\n\xff"), fields.flag_field(True), fields.flag_field(False),
                fields.units_field(-(2**31), "q"), fields.big_field(2**63 - 1, "v"),
            )
        )  # fmt: skip
        fields.copy_rows(tx, "pg_temp.kept", "a, b, c, d, e", [f"{row}\n".encode()])
        found = tx.execute(text("SELECT * FROM kept")).one()
        assert (bytes(found.a), *found[1:]) == (b"\x00\\x\n\xff", True, False, -(2**31), 2**63 - 1)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_quantities_that_do_not_fit_are_refused(value: int) -> None:
    with pytest.raises(BadPayload, match="a quantity is out of range"):
        fields.units_field(value, "lines[0]")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_numbers_that_do_not_fit_are_refused(value: int) -> None:
    with pytest.raises(BadPayload, match="a number is out of range"):
        fields.big_field(value, "version")


def test_keys_fit_into_an_index_or_are_refused(store: Store) -> None:
    longest = "🧉" * 600
    with store.begin() as tx:
        tx.execute(text("CREATE TEMPORARY TABLE kept (value text PRIMARY KEY)"))
        fields.copy_rows(tx, "pg_temp.kept", "value", [f"{fields.key_field(longest, 'id')}\n".encode()])
        assert tx.scalar(text("SELECT value FROM kept")) == longest
    with pytest.raises(BadPayload, match="more than 600 characters"):
        fields.key_field("a" * 601, "id")
    with pytest.raises(BadPayload, match="more than 600 characters"):
        fields.optional_key_field("a" * 601, "id")


@pytest.mark.parametrize(("value", "words"), [("a\0b", "NUL"), ("a\ud800b", "half of a surrogate pair")])
def test_what_postgresql_cannot_keep_is_a_bad_payload(value: str, words: str) -> None:
    with pytest.raises(BadPayload, match=words):
        fields.encoded(fields.text_field(value))


def test_arrays_come_back_as_they_were(store: Store) -> None:
    query = text("SELECT CAST(:values AS text[])")
    with store.read() as tx:
        assert tx.scalar(query, {"values": fields.text_array(HARD_TEXTS)}) == HARD_TEXTS
        assert tx.scalar(query, {"values": fields.text_array(["a", "NULL", "1,2"])}) == ["a", "NULL", "1,2"]
        assert tx.scalar(query, {"values": fields.text_array(["a", None, "", None])}) == ["a", None, "", None]
        assert tx.scalar(query, {"values": fields.text_array([])}) == []


def test_no_rows_send_nothing(store: Store) -> None:
    with store.read() as tx:
        fields.copy_rows(tx, "hub.no_such_table", "a", [])
