"""Raw pages: what counts as news, and reading them again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Store
from oms_hub.store.raw_payloads import (
    Landed,
    RecordRow,
    content_hash,
    land_page,
    land_unreadable,
    next_pages,
    read_pages,
    record_ids_of,
    record_places,
)

PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def shuffled(payload: Any, seed: random.Random) -> Any:
    if isinstance(payload, dict):
        keys = list(payload)
        seed.shuffle(keys)
        return {key: shuffled(payload[key], seed) for key in keys}
    if isinstance(payload, list):
        return [shuffled(each, seed) for each in payload]
    return payload


@given(payload=PAYLOADS, seed=st.randoms(use_true_random=False))
def test_the_fingerprint_does_not_see_the_order_of_keys(payload: Any, seed: random.Random) -> None:
    assert content_hash("orders", shuffled(payload, seed)) == content_hash("orders", payload)


def test_the_fingerprint_sees_everything_else() -> None:
    seen = [
        content_hash(kind, payload)
        for kind, payload in [
            ("orders", {"a": 1}), ("orders", {"a": 2}), ("orders", {"a": "1"}), ("orders", {"b": 1}),
            ("orders", [1, 2]), ("orders", [2, 1]), ("order_tombstones", {"a": 1}),
            ("orders", {"a": 2**70}), ("orders", {"a": 2**70 + 1}), ("orders", {"a": "\ud800"}),
            ("orders", {"a": Decimal("1.0")}),
        ]
    ]  # fmt: skip
    assert len(set(seen)) == len(seen)
    assert {len(each) for each in seen} == {16}


def row(position: int, record_id: str, content: bytes = b"a" * 16, updated_at: datetime | None = None) -> RecordRow:
    return RecordRow(position, record_id, content, updated_at)


def land(
    store: Store, connection: StoredConnection, body: bytes, *records: RecordRow, kind: str = "orders",
    keeps_repeats: bool = False,
) -> Landed:  # fmt: skip
    with store.begin() as tx:
        return land_page(
            tx, connection_id=connection.connection_id, merchant_id=connection.merchant_id, kind=kind, body=body,
            records=records, keeps_repeats=keeps_repeats,
        )  # fmt: skip


def test_a_page_comes_back_byte_for_byte_with_its_index(store: Store, connection: StoredConnection) -> None:
    body = bytes(range(256)) * 400
    at = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
    records = (row(0, "A-1", b"\x00\\\t\n" * 4, at), row(3, 'ñ "q" \\ back'))
    assert land(store, connection, body, *records) == Landed(1, 2)
    assert land(store, connection, b"") == Landed(None, 0)
    with store.read() as tx:
        (page,) = read_pages(tx, [1])
        assert (page.page_id, page.kind, page.body, page.records) == (1, "orders", body, records)
        assert tx.scalar(text("SELECT octet_length(body) < 2000 FROM hub.raw_pages")) is True
        assert record_ids_of(tx, [1]) == ("A-1", 'ñ "q" \\ back')


def test_an_empty_page_can_be_kept_as_evidence(store: Store, connection: StoredConnection) -> None:
    with store.begin() as tx:
        page_id = land_unreadable(
            tx, connection_id=connection.connection_id, merchant_id=connection.merchant_id, kind="orders", body=b""
        )
        assert [page.body for page in read_pages(tx, [page_id])] == [b""]


def test_news_of_one_connection_is_not_known_to_another(store: Store, connection: StoredConnection) -> None:
    from oms_hub.store.connections import add_connection
    from oms_hub.store.merchants import get_merchant

    with store.begin() as tx:
        other = add_connection(tx, "shop-2", merchant=get_merchant(tx, "norte"), channel="practice", settings={})
    assert land(store, connection, b"x", row(0, "1")).records_new == 1
    assert land(store, other, b"x", row(0, "1")).records_new == 1
    assert land(store, connection, b"x", row(0, "1")) == Landed(None, 0)
    assert land(store, connection, b"x", row(0, "1"), keeps_repeats=True).records_new == 1


def test_pages_are_read_in_landing_order_within_both_limits(store: Store, connection: StoredConnection) -> None:
    for number in range(5):
        land(store, connection, b"x" * 100, row(0, f"{number}a"), row(1, f"{number}b"))
    land(store, connection, b"x" * 100, row(0, "t"), kind="other")

    def pages(after: int, max_records: int, max_bytes: int) -> tuple[int, ...]:
        with store.read() as tx:
            return next_pages(
                tx, connection_id=connection.connection_id, after_page_id=after, kinds=["orders"],
                max_records=max_records, max_bytes=max_bytes,
            )  # fmt: skip

    assert pages(0, 1000, 10_000) == (1, 2, 3, 4, 5)
    assert pages(2, 1000, 10_000) == (3, 4, 5)
    assert pages(0, 4, 10_000) == (1, 2)
    assert pages(0, 5, 10_000) == (1, 2, 3)
    assert pages(0, 1000, 200) == (1, 2)
    assert pages(0, 1, 1) == (1,)
    assert pages(5, 1000, 10_000) == ()


def test_all_places_of_a_record_are_found_in_landing_order(store: Store, connection: StoredConnection) -> None:
    land(store, connection, b"x", row(0, "1"), row(1, "2"), row(2, "1", b"b" * 16))
    land(store, connection, b"x", row(0, "1"), kind="order_tombstones")
    with store.read() as tx:
        found = record_places(tx, connection.connection_id, ["1", "none"])
    assert [(place.record_id, place.landed, place.content_hash[:1], place.kind) for place in found] == [
        ("1", (1, 0), b"a", "orders"), ("1", (1, 2), b"b", "orders"), ("1", (2, 0), b"a", "order_tombstones"),
    ]  # fmt: skip


def test_a_page_of_many_records_lands_whole(store: Store, connection: StoredConnection) -> None:
    records = [row(position, f"id-{position}") for position in range(3000)]
    assert land(store, connection, b"x" * 1000, *records) == Landed(1, 3000)
    with store.read() as tx:
        assert len(read_pages(tx, [1])[0].records) == 3000


@pytest.mark.parametrize("count", [0, 1])
def test_reading_no_pages_gives_none(store: Store, connection: StoredConnection, count: int) -> None:
    with store.read() as tx:
        assert read_pages(tx, [99] * count) == ()
        assert record_places(tx, connection.connection_id, []) == ()
