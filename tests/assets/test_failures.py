"""What Dagster does with each of our errors, and how failures read."""

from types import SimpleNamespace

import dagster as dg
import pytest

from assets import failures
from assets.failure_lines import failure_lines, our_line
from assets.failures import ATTENDED_TAG, dagster_failures
from oms_hub.errors import (
    BadPayload,
    Conflict,
    HubError,
    Misconfigured,
    NeedsReconnect,
    OutcomeUnknown,
    Refused,
    RetryLater,
    StoreBehind,
    StoreNewer,
    StoreUnavailable,
)


def context(*, tries: int = 0, is_attended: bool = False):
    return SimpleNamespace(run=SimpleNamespace(tags={ATTENDED_TAG: "true"} if is_attended else {}), retry_number=tries)


def raised(error, **given):
    with pytest.raises((dg.Failure, dg.RetryRequested)) as caught, dagster_failures(context(**given)):
        raise error
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        Misconfigured("no url"), StoreBehind("old"), StoreNewer("new"), NeedsReconnect("refused"),
        OutcomeUnknown("no answer"), Refused("no"), BadPayload("cut", where="page 3"), HubError("odd"),
    ],
)  # fmt: skip
def test_what_trying_again_cannot_mend_fails_at_once_with_its_one_line(error):
    failure = raised(error)
    assert isinstance(failure, dg.Failure)
    assert failure.description == error.one_line()
    assert failure.allow_retries is False
    assert failure.metadata["error"].value == type(error).__name__
    assert failure.metadata["remedy"].value == (error.remedy or "none")


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RetryLater("busy", after_seconds=42.5), 42.5),
        (RetryLater("busy"), 5.0),
        (StoreUnavailable("gone", after_seconds=300), 300.0),
        (Conflict("another sync"), 5.0),
    ],
)
def test_what_may_pass_is_tried_again_after_the_delay_that_was_named(error, seconds):
    retry = raised(error)
    assert isinstance(retry, dg.RetryRequested)
    assert (retry.max_retries, retry.seconds_to_wait) == (2, seconds)


def test_a_delay_beyond_five_minutes_is_left_to_the_next_run():
    assert isinstance(raised(RetryLater("quota", after_seconds=301)), dg.Failure)


def test_after_two_retries_the_failure_says_why():
    failure = raised(RetryLater("busy", after_seconds=1), tries=2)
    assert failure.description == "busy. Nothing to do: the next sync tries again"


def test_a_person_waits_for_one_retry_of_half_a_minute_at_most():
    retry = raised(RetryLater("busy", after_seconds=30), is_attended=True)
    assert (retry.max_retries, retry.seconds_to_wait) == (1, 30)
    assert isinstance(raised(RetryLater("busy", after_seconds=30.1), is_attended=True), dg.Failure)
    assert isinstance(raised(RetryLater("busy"), is_attended=True, tries=1), dg.Failure)


def test_what_is_no_error_of_ours_passes_as_it_is():
    with pytest.raises(ZeroDivisionError), dagster_failures(context()):
        raise ZeroDivisionError


QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def result_of(assets, instance, **more):
    return dg.materialize(assets, instance=instance, raise_on_error=False, run_config=QUIET, **more)


def lines_of(result):
    return list(failure_lines(result.all_events))


def test_a_run_that_a_person_waits_for_tries_once_more_and_then_says_its_line(instance):
    tries = []

    @dg.asset
    def busy(context: dg.AssetExecutionContext) -> None:
        with dagster_failures(context):
            tries.append(context.retry_number)
            raise RetryLater("The shop is busy", after_seconds=0.01)

    busy_result = result_of([busy], instance, tags={ATTENDED_TAG: "true"})
    assert tries == [0, 1]
    assert lines_of(busy_result) == ["The shop is busy. Nothing to do: the next sync tries again"]


def test_what_passes_meanwhile_makes_the_run_green(instance, monkeypatch):
    monkeypatch.setattr(failures, "DEFAULT_WAIT_SECONDS", 0.01)

    @dg.asset
    def contested(context: dg.AssetExecutionContext) -> None:
        with dagster_failures(context):
            if context.retry_number == 0:
                raise Conflict("another sync")

    assert result_of([contested], instance).success


def test_a_connection_that_needs_its_owner_is_tried_once(instance):
    tries = []

    @dg.asset
    def closed(context: dg.AssetExecutionContext) -> None:
        with dagster_failures(context):
            tries.append(context.retry_number)
            raise NeedsReconnect("The shop refuses the token", remedy="Reconnect")

    assert lines_of(result_of([closed], instance)) == ["The shop refuses the token. Reconnect"]
    assert tries == [0]


def test_an_error_that_nobody_foresaw_is_named_by_its_type_alone(instance):
    @dg.asset
    def broken() -> None:
        raise ValueError("buyer 17 lives in the first street")

    assert lines_of(result_of([broken], instance)) == ["broken broke (ValueError); see the run in Dagster"]


def test_a_hub_that_cannot_be_opened_says_its_line(instance, monkeypatch):
    from assets import resources

    def refuse(_settings):
        raise StoreBehind("The store is behind")

    monkeypatch.setattr(resources, "open_hub", refuse)

    @dg.asset
    def anything(hub: dg.ResourceParam[object]) -> None:
        raise AssertionError

    result = result_of([anything], instance, resources={"hub": resources.hub_resource})
    assert lines_of(result) == ["The store is behind. Run: oms-hub migrate"]


def test_the_hub_is_opened_for_a_run_and_closed_with_it(instance, monkeypatch):
    from assets import resources

    said = []
    hub = SimpleNamespace(close=lambda: said.append("closed"))
    monkeypatch.setattr(resources, "open_hub", lambda _settings: hub)

    @dg.asset
    def used(hub: dg.ResourceParam[object]) -> None:
        said.append("used")

    assert result_of([used], instance, resources={"hub": resources.hub_resource}).success
    assert said == ["used", "closed"]


def test_a_run_that_breaks_outside_our_code_says_where_to_look(instance):
    @dg.resource
    def odd(_context):
        raise OSError("a path of this machine")

    @dg.asset
    def anything(odd: dg.ResourceParam[object]) -> None:
        raise AssertionError

    result = result_of([anything], instance, resources={"odd": odd})
    assert lines_of(result) == ["the run broke; see the run in Dagster"]


def test_a_blocking_check_is_told_by_what_it_found(instance):
    @dg.asset
    def orders() -> None:
        return None

    @dg.asset_check(asset=orders, blocking=True)
    def whole() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, metadata={"found": 7, "examples": ["shop 1", "shop 2"]})

    @dg.asset_check(asset=orders, blocking=True)
    def tied() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, metadata={"broken": ["sales: 2 of 3 differ"]})

    @dg.asset_check(asset=orders)
    def fresh() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    assert sorted(lines_of(result_of([orders, whole, tied, fresh], instance))) == [
        "tied: 1 found, such as sales: 2 of 3 differ. See: oms-hub exceptions list",
        "whole: 7 found, such as shop 1, shop 2. See: oms-hub exceptions list",
    ]


def test_no_error_has_no_line():
    assert our_line(None) == ""
