"""Every row that is due is accounted for, whatever the channel says, and nothing is written twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from oms_hub.channel.contract import Capabilities, PushOutcome, PushResult, StockWriteMode
from oms_hub.errors import Misconfigured, NeedsReconnect, OutcomeUnknown, RetryLater
from oms_hub.store.dead_letters import dismiss_dead, list_dead, retry_dead
from oms_hub.sync.deliver_push import DeliverReport, deliver_push
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.push_outcomes import wait_seconds


@pytest.fixture
def pushing(world, kit):
    """Give a shop that shows 5 of A, B and C, and a plan to make that 9, 2 and 5."""
    stored, shop = world.connect("shop")
    for key, sku in (("a", "A"), ("b", "B"), ("c", "C")):
        world.listing(stored, key, sku, level=5)
    for sku, quantity in (("A", 9), ("B", 2), ("C", 5)):
        world.count(sku, quantity, kit.at(-60))
    plan_push(world.hub, "acme")
    return stored, shop


def deliver(world, **options):
    return deliver_push(world.hub, "shop", **options)


def figures(report: DeliverReport):
    names = ("applied", "in_step", "stale", "retry", "rejected", "unknown", "raise_waits")
    names += ("held_back_because_push_is_off",)
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def results(report):
    return [(row.listing_key, row.from_level, row.to_level, row.result) for row in report.rows]


def test_what_differs_is_written_lowering_first_and_what_stands_is_not(world, pushing):
    _, shop = pushing

    report = deliver(world)

    assert figures(report) == {"applied": 2, "in_step": 1}
    assert results(report) == [("a", 5, 9, "applied"), ("b", 5, 2, "applied"), ("c", 5, 5, "in_step")]
    assert shop.written == [("a", 5, 9), ("b", 5, 2)]
    assert shop.levels == {"a": 9, "b": 2, "c": 5}
    assert world.outbox() == []
    level = world.level("a")
    assert (level["acknowledged"], level["observed"], level["last_error"]) == (9, 9, "")
    assert level["last_pushed_at"] == world.clock()
    assert world.level("c")["last_pushed_at"] is None
    assert world.level("c")["acknowledged"] == 5


def test_known_levels_are_lowered_before_others_are_raised(world, kit):
    stored, shop = world.connect("shop", capabilities=Capabilities(stock_batch_size=1))
    for key, sku, quantity in (("up", "A", 9), ("down", "B", 1)):
        world.listing(stored, key, sku, level=5)
        world.run(
            "INSERT INTO hub.listing_levels (connection_id, listing_key, merchant_id, acknowledged) "
            "VALUES (:c, :key, :m, 5)",
            c=stored.connection_id,
            key=key,
            m=world.merchant_id,
        )
        world.count(sku, quantity, kit.at(-60))
    plan_push(world.hub, "acme")

    deliver(world)

    assert shop.written == [("down", 5, 1), ("up", 5, 9)]
    assert shop.calls == 2


def test_a_second_delivery_without_news_asks_and_writes_nothing(world, pushing):
    _, shop = pushing
    deliver(world)
    shop.writes.clear()
    shop.reads.clear()

    plan_push(world.hub, "acme")
    report = deliver(world)

    assert figures(report) == {}
    assert (shop.writes, shop.reads) == ([], [])


def test_a_dry_run_shows_everything_and_touches_nothing(world, pushing):
    _, shop = pushing
    before = world.rows("SELECT * FROM hub.outbox"), world.rows("SELECT count(*) FROM hub.sync_runs")

    report = deliver(world, is_dry_run=True)

    assert figures(report) == {"held_back_because_push_is_off": 3}
    assert results(report)[0] == ("a", None, 9, "would_push")
    assert (shop.reads, shop.writes) == ([], [])
    assert (world.rows("SELECT * FROM hub.outbox"), world.rows("SELECT count(*) FROM hub.sync_runs")) == before


def test_nothing_is_sent_while_pushing_is_off(world, pushing):
    _, shop = pushing
    world.run("UPDATE hub.connections SET is_push_enabled = false")

    assert figures(deliver(world)) == {"held_back_because_push_is_off": 3}
    assert shop.reads == []


def test_one_refused_row_goes_to_the_dead_letters_and_the_others_through(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.REJECTED, reason="listing is archived"), kit.accept]

    report = deliver(world)

    assert figures(report) == {"applied": 1, "in_step": 1, "rejected": 1}
    assert shop.levels == {"a": 5, "b": 2, "c": 5}
    assert world.outbox("dead") == [("a", None, 9)]
    assert world.exceptions() == [("push_rejected", "a")]
    assert world.level("a")["last_error"] == "listing is archived"
    message = world.rows("SELECT message FROM hub.exceptions")[0][0]
    assert message == "shop does not take 9 for A: listing is archived"
    assert figures(deliver(world)) == {}


def test_a_dead_letter_tried_again_is_planned_anew_and_closes_its_exception(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.REJECTED)]
    deliver(world)
    with world.store.begin() as tx:
        letters = list_dead(tx, world.merchant_id)
        assert [(each.listing_key, each.sku, each.to_level, each.reason) for each in letters] == [
            ("a", "A", 9, "refused without a reason")
        ]
        retry_dead(tx, letters[0].outbox_id)
    assert world.exceptions() == []

    plan_push(world.hub, "acme")

    assert figures(deliver(world)) == {"applied": 1}
    assert shop.levels["a"] == 9


def test_a_dead_letter_can_be_let_go(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.REJECTED, reason="no")]
    deliver(world)
    with world.store.begin() as tx:
        outbox_id = list_dead(tx, world.merchant_id)[0].outbox_id
        dismiss_dead(tx, outbox_id, "not sold there any more")

    assert world.dirty() == set()
    assert world.outbox("dismissed") == [("a", None, 9)]
    with pytest.raises(Misconfigured, match="no dead letter"), world.store.begin() as tx:
        dismiss_dead(tx, outbox_id, "again")


def test_a_dead_letter_of_an_unlinked_listing_plans_nothing(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.REJECTED, reason="no")]
    deliver(world)
    world.run("UPDATE hub.listings SET sku_id = NULL, link_state = 'ignored' WHERE listing_key = 'a'")
    with world.store.begin() as tx:
        retry_dead(tx, list_dead(tx, world.merchant_id)[0].outbox_id)

    assert world.dirty() == set()


def test_a_success_closes_the_exception_of_an_earlier_refusal(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.REJECTED, reason="no")]
    deliver(world)
    world.count("A", 8, kit.at(-10))
    plan_push(world.hub, "acme")

    deliver(world)

    assert world.exceptions() == []
    assert world.level("a")["last_error"] == ""


def test_a_throttled_row_waits_as_long_as_the_channel_says(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.RETRY, reason="throttled", after_seconds=600), kit.accept]

    assert figures(deliver(world)) == {"applied": 1, "in_step": 1, "retry": 1}
    assert world.outbox() == [("a", None, 9)]
    row = world.rows("SELECT next_try_at, attempts, sent_at, last_error FROM hub.outbox WHERE state = 'open'")[0]
    assert tuple(row) == (world.clock() + timedelta(seconds=600), 1, None, "throttled")

    world.clock.advance(599)
    assert figures(deliver(world)) == {}
    world.clock.advance(1)
    assert figures(deliver(world)) == {"applied": 1}
    keys = [write.idempotency_key for write in shop.writes if write.listing.listing_key == "a"]
    assert len(set(keys)) == 2


def test_a_row_that_is_always_put_off_is_given_up_after_eight_attempts(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.RETRY, reason="locked"), kit.accept]
    deliver(world)
    waits = []
    for _ in range(7):
        due = world.rows("SELECT next_try_at FROM hub.outbox WHERE state = 'open'")[0][0]
        waits.append((due - world.clock()).total_seconds())
        world.clock.advance(waits[-1])
        shop.answers = [kit.answer(PushResult.RETRY, reason="locked")]
        last = deliver(world)

    assert waits == [30, 60, 120, 240, 480, 960, 1920]
    assert figures(last) == {"rejected": 1}
    assert world.outbox("dead") == [("a", None, 9)]
    assert last.rows[0].reason == "given up after 8 attempts: locked"
    assert wait_seconds(30) == 3600.0


def test_a_lost_answer_is_read_back_and_never_resent(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.UNKNOWN, reason="timed out", is_applied=True), kit.accept]

    assert figures(deliver(world)) == {"applied": 2, "in_step": 1}
    assert shop.written == [("a", 5, 9), ("b", 5, 2)]
    assert world.level("a")["acknowledged"] == 9


def test_a_lost_answer_that_was_not_applied_stays_open_for_the_next_delivery(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.UNKNOWN, reason="timed out"), kit.accept]

    assert figures(deliver(world)) == {"applied": 1, "in_step": 1, "unknown": 1}
    assert world.outbox() == [("a", None, 9)]
    assert world.level("a")["last_error"] == "timed out"

    assert figures(deliver(world)) == {"applied": 1}
    assert [write[0] for write in shop.written] == ["a", "b", "a"]


def test_answers_that_are_always_lost_end_in_the_dead_letters(world, pushing, kit):
    _, shop = pushing
    for _ in range(8):
        shop.answers = [kit.answer(PushResult.UNKNOWN, reason="timed out")]
        last = deliver(world)

    assert figures(last) == {"rejected": 1}
    assert last.rows[0].reason == "no answer in 8 attempts: timed out"


def test_a_row_without_any_word_counts_as_unknown(world, pushing):
    _, shop = pushing
    world.channels["shop"] = replace(
        world.channels["shop"],
        stock_sink=lambda _session, writes: [
            PushOutcome("b", PushResult.APPLIED),
            PushOutcome("zz", PushResult.APPLIED),
        ],
    )

    report = deliver(world)

    assert figures(report) == {"applied": 1, "in_step": 1, "unknown": 1}
    assert [row.reason for row in report.rows if row.result == "unknown"] == ["the channel said nothing about it"]
    assert shop.levels["a"] == 5


def test_a_sink_that_cannot_tell_at_all_makes_its_rows_unknown(world, pushing):
    _, shop = pushing
    shop.fail_writes = OutcomeUnknown("no answer")

    assert figures(deliver(world)) == {"in_step": 1, "unknown": 2}


def test_a_crash_after_sending_is_followed_by_reading_not_by_sending(world, pushing):
    _, shop = pushing

    class Killed(BaseException):
        pass

    def dies_after_applying(session, writes):
        shop.stock_sink(session, writes)
        raise Killed

    world.channels["shop"] = replace(world.channels["shop"], stock_sink=dies_after_applying)
    with pytest.raises(Killed):
        deliver(world)
    assert world.rows("SELECT count(*) FROM hub.outbox WHERE state = 'open' AND sent_at IS NOT NULL") == [(2,)]
    world.channels["shop"] = replace(world.channels["shop"], stock_sink=shop.stock_sink)

    report = deliver(world)

    assert figures(report) == {"in_step": 3}
    assert shop.written == [("a", 5, 9), ("b", 5, 2)]


def test_an_outage_leaves_rows_open_uses_up_no_attempt_and_is_raised(world, pushing):
    _, shop = pushing
    shop.fail_writes = RetryLater("the channel is down", after_seconds=45)

    with pytest.raises(RetryLater, match="the channel is down"):
        deliver(world)

    rows = world.rows("SELECT listing_key, attempts, sent_at, next_try_at FROM hub.outbox ORDER BY outbox_id")
    later = world.clock() + timedelta(seconds=45)
    assert [tuple(row)[:3] for row in rows] == [("a", 0, None), ("b", 0, None), ("c", 0, None)]
    assert rows[0].next_try_at == later
    assert world.level("a")["last_error"] == "the channel is down"
    assert world.rows("SELECT state FROM hub.sync_runs WHERE step = 'deliver_push'") == [("failed",)]

    shop.fail_writes = None
    world.clock.advance(45)
    assert figures(deliver(world)) == {"applied": 2, "in_step": 1}


def test_lost_credentials_stop_the_delivery_and_the_connection(world, pushing):
    _, shop = pushing
    shop.fail_writes = NeedsReconnect("the token was revoked")

    with pytest.raises(NeedsReconnect):
        deliver(world)

    assert world.rows("SELECT state FROM hub.connections") == [("needs_reconnect",)]
    assert world.rows("SELECT count(*) FROM hub.outbox WHERE state = 'open' AND sent_at IS NULL") == [(3,)]


def test_a_channel_that_cannot_be_read_is_not_written(world, pushing):
    _, shop = pushing
    shop.fail_reads = RetryLater("down")

    with pytest.raises(RetryLater):
        deliver(world)

    assert shop.writes == []


def test_a_listing_without_a_level_there_is_given_up_with_the_reason(world, pushing):
    _, shop = pushing
    shop.levels["a"] = None
    del shop.levels["b"]

    report = deliver(world)

    assert figures(report) == {"rejected": 2, "in_step": 1}
    reasons = {row.listing_key: row.reason for row in report.rows if row.result == "rejected"}
    assert reasons == {"a": "the channel keeps no level for it", "b": "the channel told no level for it"}
    assert shop.writes == []


def test_a_level_that_fell_meanwhile_is_computed_again_without_what_was_sold(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.sell_then_accept(1), kit.accept]

    report = deliver(world)

    assert shop.written == [("a", 5, 9), ("b", 5, 2), ("a", 4, 8)]
    assert figures(report) == {"applied": 2, "in_step": 1}
    assert shop.levels["a"] == 8
    assert world.outbox("superseded") == [("a", None, 9)]
    assert world.dirty() == {"A"}


def test_the_order_behind_a_stale_answer_settles_it_without_another_write(world, pushing, kit):
    stored, shop = pushing
    shop.answers = [kit.sell_then_accept(1), kit.accept]
    deliver(world)
    world.order(stored, "o1", kit.Line("A", 1), placed_at=kit.at(1))
    shop.writes.clear()

    plan_push(world.hub, "acme")

    assert figures(deliver(world)) == {}
    assert (shop.writes, shop.levels["a"]) == ([], 8)


def test_a_pack_that_sold_meanwhile_takes_its_units_off_the_pool(world, kit):
    stored, shop = world.connect("shop")
    world.listing(stored, "six", "A", level=1, pack_size=6)
    world.count("A", 30, kit.at(-60))
    plan_push(world.hub, "acme")
    shop.answers = [kit.sell_then_accept(1)]

    deliver(world)

    assert shop.written == [("six", 1, 5), ("six", 0, 4)]


def test_a_level_that_always_changes_is_computed_three_times_and_left_open(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.sell_then_accept(1), kit.accept, *[kit.sell_then_accept(1)] * 3]

    report = deliver(world)

    assert [write for write in shop.written if write[0] == "a"] == [("a", 5, 9), ("a", 4, 8), ("a", 3, 7), ("a", 2, 6)]
    assert figures(report) == {"applied": 1, "in_step": 1, "stale": 1}
    assert world.outbox() == [("a", 1, 5)]
    assert world.dirty() == {"A"}


def test_the_same_level_is_never_sent_again_after_a_stale_answer(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.sell_then_accept(-1), kit.accept]

    report = deliver(world)

    assert shop.written == [("a", 5, 9), ("b", 5, 2)]
    assert figures(report) == {"applied": 1, "in_step": 1, "stale": 1}
    assert world.outbox() == [("a", None, 9)]
    assert figures(deliver(world)) == {"applied": 1}
    assert shop.written[-1] == ("a", 6, 9)


def test_a_stale_row_that_is_not_wanted_any_more_is_not_sent_again(world, kit):
    stored, shop = world.connect("shop")
    world.listing(stored, "a", "A", level=5)
    world.count("A", 6, kit.at(-60))
    plan_push(world.hub, "acme")
    shop.answers = [kit.sell_then_accept(1)]

    report = deliver(world)

    assert shop.written == [("a", 5, 6), ("a", 4, 5)]
    assert figures(report) == {"applied": 1}


def test_a_stale_row_whose_listing_vanished_stays_stale(world, kit):
    stored, shop = world.connect("shop")
    world.listing(stored, "a", "A", level=5)
    world.count("A", 6, kit.at(-60))
    plan_push(world.hub, "acme")

    def vanishes(shop, write):
        del shop.levels["a"]
        return PushOutcome("a", PushResult.STALE)

    shop.answers = [vanishes]

    assert figures(deliver(world)) == {"stale": 1}


def test_a_raise_waits_while_another_connection_of_the_sku_cannot_be_pulled(world, kit, pushing):
    _, shop = pushing
    other, _ = world.connect("other")
    world.listing(other, "a9", "A", level=1)
    world.pulled(other, error="away")

    report = deliver(world)

    assert figures(report) == {"applied": 1, "in_step": 1, "raise_waits": 1}
    assert shop.written == [("b", 5, 2)]
    assert world.outbox() == [("a", None, 9)]


def test_a_raise_waits_for_a_till_that_cannot_be_pulled(world, pushing):
    _, shop = pushing
    till, _ = world.connect("till", listing_source=None, stock_sink=None)
    world.pulled(till, error="the file is gone")

    assert figures(deliver(world)) == {"applied": 1, "in_step": 1, "raise_waits": 1}
    assert shop.levels["a"] == 5


def test_a_channel_that_cannot_be_read_at_all_is_written_blindly(world, kit):
    stored, shop = world.connect("shop")
    world.channels["shop"] = replace(world.channels["shop"], stock_source=None)
    world.listing(stored, "a", "A", level=5)
    world.count("A", 9, kit.at(-60))
    plan_push(world.hub, "acme")

    report = deliver(world)

    assert shop.written == [("a", None, 9)]
    assert results(report) == [("a", None, 9, "applied")]


def test_a_row_that_a_plan_supersedes_under_way_is_not_sent(world, pushing, kit):
    _, shop = pushing
    read = shop.stock_source

    def replanned(session, references):
        yield from read(session, references)
        world.count("A", 7, kit.at(-1))
        plan_push(world.hub, "acme")

    world.channels["shop"] = replace(world.channels["shop"], stock_source=replanned)
    world.run("UPDATE hub.outbox SET state = 'superseded' WHERE listing_key <> 'a'")

    assert figures(deliver(world)) == {}
    assert shop.writes == []
    assert world.outbox() == [("a", None, 7)]


def test_rows_that_another_session_holds_are_left_alone(world, pushing):
    _, shop = pushing
    with world.store.begin() as tx:
        from sqlalchemy import text

        tx.execute(text("SELECT 1 FROM hub.outbox WHERE listing_key IN ('a', 'b') FOR UPDATE"))
        assert figures(deliver(world)) == {"in_step": 1}

    assert shop.writes == []


def test_a_good_delivery_makes_the_push_fresh_and_an_unfinished_one_does_not(world, pushing, kit):
    _, shop = pushing
    shop.answers = [kit.answer(PushResult.RETRY, reason="busy"), kit.accept]
    deliver(world)
    assert world.rows("SELECT last_good_push_at FROM hub.connection_health") == [(None,)]
    world.clock.advance(60)

    deliver(world)

    assert world.rows("SELECT last_good_push_at FROM hub.connection_health") == [(world.clock(),)]


def test_a_clock_that_is_set_back_holds_no_new_level_up(world, pushing):
    world.clock.advance(-86_400)

    assert figures(deliver(world)) == {"applied": 2, "in_step": 1}


@pytest.fixture
def changing(world, kit):
    """Give a shop that takes changes under keys, shows 5 of A, and a plan to make that 9."""
    able = Capabilities(stock_write=StockWriteMode.DELTA, stock_batch_size=5, has_idempotency_keys=True)
    stored, shop = world.connect("shop", capabilities=able)
    world.listing(stored, "a", "A", level=5)
    world.count("A", 9, kit.at(-60))
    plan_push(world.hub, "acme")
    return stored, shop


def test_a_change_without_an_answer_is_sent_again_under_its_own_key(world, changing, kit):
    _, shop = changing
    shop.answers = [kit.answer(PushResult.UNKNOWN, reason="timed out")]

    assert figures(deliver(world)) == {"unknown": 1}
    world.count("A", 20, kit.at(-30))
    plan_push(world.hub, "acme")
    assert world.outbox() == [("a", None, 9)]
    shop.levels["a"] = 4
    shop.answers = [lambda shop, write: PushOutcome("a", PushResult.APPLIED, observed=8)]
    assert figures(deliver(world)) == {"applied": 1}

    assert shop.written == [("a", 5, 9), ("a", 5, 9)]
    assert len({write.idempotency_key for write in shop.writes}) == 1
    level = world.level("a")
    assert (level["acknowledged"], level["known_level"], level["in_flight"], level["doubted_levels"]) == (9, 8, 1, None)


def test_a_change_that_was_done_the_first_time_is_not_counted_twice(world, changing, kit):
    _, shop = changing
    shop.answers = [kit.answer(PushResult.UNKNOWN, reason="timed out", is_applied=True)]
    deliver(world)
    shop.levels["a"] = 8
    shop.answers = [lambda shop, write: PushOutcome("a", PushResult.APPLIED)]

    assert figures(deliver(world)) == {"applied": 1}

    level = world.level("a")
    assert (level["known_level"], level["in_flight"], shop.levels["a"]) == (8, 1, 8)


def test_a_change_that_never_has_an_answer_ends_in_the_dead_letters(world, changing, kit):
    _, shop = changing
    for _ in range(8):
        shop.answers = [kit.answer(PushResult.UNKNOWN, reason="timed out")]
        last = deliver(world)

    assert figures(last) == {"rejected": 1}
    assert last.rows[0].reason == "no answer in 8 attempts: timed out"
    assert len({write.idempotency_key for write in shop.writes}) == 1
    assert world.outbox("dead") == [("a", None, 9)]
