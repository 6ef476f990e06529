"""Queues of what needs a person."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Store
from oms_hub.store.exceptions import (
    OpenException,
    dismiss_exception,
    list_exceptions,
    open_exceptions,
    resolve_exceptions,
    settle_exceptions,
)

GAP = OpenException("total_mismatch", "1001", "differs by 1 MXN", "compare")


def own(connection: StoredConnection) -> dict[str, int]:
    return {"merchant_id": connection.merchant_id, "connection_id": connection.connection_id}


def test_the_same_thing_seen_twice_is_one_row_that_counts(store: Store, connection: StoredConnection) -> None:
    for message in ("differs by 1 MXN", "differs by 2 MXN"):
        with store.begin() as tx:
            open_exceptions(
                tx,
                merchant_id=connection.merchant_id,
                connection_id=connection.connection_id,
                found=[OpenException("total_mismatch", "1001", message), OpenException("on_hold", "1001", "waits")],
            )
    with store.read() as tx:
        found = {each.kind: each for each in list_exceptions(tx)}
    assert len(found) == 2
    assert found["total_mismatch"].occurrences == 2
    assert found["total_mismatch"].message == "differs by 2 MXN"
    assert (found["on_hold"].merchant, found["on_hold"].connection) == ("norte", "shop-1")


def test_looking_again_counts_nothing_unless_it_says_something_else(store: Store, connection: StoredConnection) -> None:
    with store.begin() as tx:
        for message in ("a", "a", "b"):
            open_exceptions(
                tx,
                merchant_id=connection.merchant_id,
                connection_id=connection.connection_id,
                found=[OpenException("on_hold", "1", message)],
                counts_again=False,
            )
        (found,) = list_exceptions(tx)
    assert (found.message, found.occurrences) == ("b", 2)


def test_what_was_resolved_opens_anew(store: Store, connection: StoredConnection) -> None:
    with store.begin() as tx:
        ids = own(connection)
        open_exceptions(tx, merchant_id=ids["merchant_id"], connection_id=ids["connection_id"], found=[GAP])
        assert resolve_exceptions(tx, **ids, kind="total_mismatch", references=["1001", "1002"], reason="gone") == 1
        assert resolve_exceptions(tx, **ids, kind="total_mismatch", references=[], reason="gone") == 0
        open_exceptions(tx, merchant_id=ids["merchant_id"], connection_id=ids["connection_id"], found=[GAP])
        assert [each.state for each in list_exceptions(tx, state=None)] == ["open", "resolved"]
        (closed,) = list_exceptions(tx, state="resolved")
        assert (closed.closed_reason, closed.closed_at is None) == ("gone", False)


def test_all_of_a_kind_are_resolved_for_their_connection_only(store: Store, connection: StoredConnection) -> None:
    with store.begin() as tx:
        ids = own(connection)
        several = [OpenException("on_hold", "1", "m"), OpenException("on_hold", "2", "m"), GAP]
        open_exceptions(tx, merchant_id=ids["merchant_id"], connection_id=ids["connection_id"], found=several)
        open_exceptions(tx, merchant_id=ids["merchant_id"], connection_id=None, found=several)
        assert resolve_exceptions(tx, **ids, kind="on_hold", reason="released") == 2
        left = {(each.connection, each.kind, each.reference) for each in list_exceptions(tx)}
    assert left == {
        ("shop-1", "total_mismatch", "1001"),
        (None, "on_hold", "1"),
        (None, "on_hold", "2"),
        (None, "total_mismatch", "1001"),
    }


def test_what_a_person_dismissed_stays_so_as_long_as_it_says_the_same(
    store: Store, connection: StoredConnection
) -> None:
    ids = own(connection)

    def open_again(message: str, *, respects_dismissal: bool = True) -> int:
        with store.begin() as tx:
            found = [OpenException("total_mismatch", "1001", message)]
            open_exceptions(
                tx,
                merchant_id=ids["merchant_id"],
                connection_id=ids["connection_id"],
                found=found,
                respects_dismissal=respects_dismissal,
            )
            return len(list_exceptions(tx))

    assert open_again("a") == 1
    with store.begin() as tx:
        (found,) = list_exceptions(tx)
        dismiss_exception(tx, found.exception_id, "a rounding of theirs")
    assert open_again("a") == 0
    assert open_again("b") == 1
    with store.begin() as tx:
        resolve_exceptions(tx, **ids, kind="total_mismatch", reason="gone")
    assert open_again("a", respects_dismissal=False) == 1


def test_settling_keeps_what_still_holds(store: Store, connection: StoredConnection) -> None:
    with store.begin() as tx:
        ids = own(connection)
        found = [OpenException(kind, ref, "m") for kind in ("on_hold", "awaiting_payment") for ref in ("1", "2", "3")]
        open_exceptions(tx, merchant_id=ids["merchant_id"], connection_id=ids["connection_id"], found=found)
        settle_exceptions(
            tx,
            **ids,
            kinds=["on_hold", "awaiting_payment"],
            references=["1", "2"],
            still_open={("on_hold", "2")},
            reason="moved on",
        )
        left = {(each.kind, each.reference) for each in list_exceptions(tx)}
    assert left == {("on_hold", "2"), ("on_hold", "3"), ("awaiting_payment", "3")}


def test_an_unknown_kind_is_a_fault_of_ours(store: Store, connection: StoredConnection) -> None:
    with pytest.raises(ValueError, match="unknown kind"), store.begin() as tx:
        open_exceptions(tx, merchant_id=1, connection_id=None, found=[OpenException("odd", "1", "m")])


def test_dismissing_what_is_not_open_is_refused(store: Store) -> None:
    with pytest.raises(Misconfigured, match="There is no open exception 7"), store.begin() as tx:
        dismiss_exception(tx, 7, "because")


def test_exceptions_are_listed_by_what_is_asked_for(store: Store, connection: StoredConnection) -> None:
    with store.begin() as tx:
        ids = own(connection)
        found = [GAP, OpenException("on_hold", "1", "m")]
        open_exceptions(tx, merchant_id=ids["merchant_id"], connection_id=ids["connection_id"], found=found)
        assert len(list_exceptions(tx, merchant="norte", connection="shop-1")) == 2
        assert [each.reference for each in list_exceptions(tx, kind="on_hold")] == ["1"]
        assert list_exceptions(tx, merchant="sur") == []
        assert len(list_exceptions(tx, limit=1)) == 1


def test_opening_nothing_writes_nothing(store: Store) -> None:
    with store.read() as tx:
        open_exceptions(tx, merchant_id=1, connection_id=None, found=[])
        assert tx.scalar(text("SELECT count(*) FROM hub.exceptions")) == 0
