"""Token buckets: the arithmetic in one process, and one bucket for all processes through the store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from oms_hub.channel.rate_limit import BucketLimit, Buckets, ProcessBuckets
from oms_hub.store.engine import Store, open_store_at
from oms_hub.store.merchants import Merchant, add_merchant
from oms_hub.store.rate_buckets import StoredBuckets

SLOW = BucketLimit(capacity=3, per_second=0.01)


class StillClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def taken(buckets: Buckets, count: int, *, patience_seconds: float = 1e9) -> list[float]:
    return [round(buckets.take("list", SLOW, patience_seconds=patience_seconds)) for _ in range(count)]


def test_a_full_bucket_gives_its_burst_and_then_makes_each_wait_its_turn() -> None:
    clock = StillClock()
    buckets = ProcessBuckets(monotonic=clock)
    assert taken(buckets, 5) == [0, 0, 0, 100, 200]
    clock.seconds += 1_000
    assert taken(buckets, 1) == [0]


def test_who_would_not_wait_that_long_takes_nothing() -> None:
    buckets = ProcessBuckets(monotonic=StillClock())
    assert taken(buckets, 5, patience_seconds=99) == [0, 0, 0, 100, 100]
    assert taken(buckets, 2, patience_seconds=150) == [100, 200]


def test_the_channels_own_word_corrects_a_bucket() -> None:
    buckets = ProcessBuckets(monotonic=StillClock())
    buckets.told("list", SLOW, is_empty=True)
    assert taken(buckets, 1) == [100]
    buckets.told("list", SLOW, per_second=1.0)
    assert taken(buckets, 1) == [2]


def test_buckets_of_different_names_do_not_touch() -> None:
    buckets = ProcessBuckets(monotonic=StillClock())
    buckets.told("list", SLOW, is_empty=True)
    assert buckets.take("get", SLOW, patience_seconds=0) == 0


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store_at(database_url)
    yield opened
    opened.close()


@pytest.fixture
def merchant_id(store: Store) -> int:
    with store.begin() as tx:
        merchant: Merchant = add_merchant(tx, "buckets", currency="USD", time_zone="UTC")
    return merchant.merchant_id


def test_the_stored_bucket_keeps_the_same_arithmetic(store: Store, merchant_id: int) -> None:
    buckets = StoredBuckets(store, merchant_id)
    assert taken(buckets, 5) == [0, 0, 0, 100, 200]
    assert taken(buckets, 2, patience_seconds=250) == [300, 300]
    assert taken(buckets, 1) == [300]
    with store.begin() as tx:
        tx.execute(text("UPDATE hub.rate_buckets SET read_at = read_at - interval '10000 seconds'"))
    assert taken(buckets, 4) == [0, 0, 0, 100]


def test_the_stored_bucket_hears_the_channel(store: Store, merchant_id: int) -> None:
    buckets = StoredBuckets(store, merchant_id)
    buckets.told("list", SLOW, is_empty=True)
    assert taken(buckets, 1) == [100]
    buckets.told("list", SLOW, per_second=0.5)
    assert taken(buckets, 1) == [4]
    buckets.told("get", SLOW, per_second=2.0)
    with store.read() as tx:
        told = tx.scalar(text("SELECT (tokens, per_second)::text FROM hub.rate_buckets WHERE name = 'get'"))
    assert told == "(3,2)"


def test_workers_of_several_processes_share_one_burst(database_url: str) -> None:
    stores = [open_store_at(database_url) for _ in range(4)]  # a pool of connections each, as a process has
    with stores[0].begin() as tx:
        merchant_id = add_merchant(tx, "shared", currency="USD", time_zone="UTC").merchant_id
    with ThreadPoolExecutor(4) as pool:
        waits = [
            wait
            for waits in pool.map(lambda store: taken(StoredBuckets(store, merchant_id), 3), stores)
            for wait in waits
        ]
    for store in stores:
        store.close()
    assert sorted(waits) == [0, 0, 0, *range(100, 1000, 100)]
