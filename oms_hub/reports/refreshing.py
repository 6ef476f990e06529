"""Keeping the report tables up to date: touched days, or everything anew; and asking whether they tie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from oms_hub.errors import RetryLater, StoreUnavailable
from oms_hub.reports.registry import REPORTS, known_report
from oms_hub.store.engine import Store
from oms_hub.store.report_refresh import (
    known_merchants,
    missing_explained,
    rebuild_rows,
    refresh_rows,
    restore_missing,
    stored_reports,
)
from oms_hub.store.report_ties import TIES, TieCount, count_tie

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class TieResult:
    """Whether two figures that must be equal are; `detail` says how many were compared and the first that differs."""

    name: str
    is_ok: bool
    detail: str


def refresh_touched(store: Store, *, merchant: str | None = None) -> Mapping[str, int]:
    """Make the report rows of the touched days and SKUs anew, all tables in one transaction.

    Args:
        store: where the report tables are.
        merchant: only this merchant's; None for all.

    Returns:
        Rows written per report; zero for the reports that are computed when they are read.

    Raises:
        Misconfigured: the merchant is unknown or a report table is missing; nothing was changed.
        RetryLater: orders of the same days were changed at the very same moment, several times over.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _refresh_once(store, merchant)
        except StoreUnavailable:
            raise
        except RetryLater:
            continue
    return _refresh_once(store, merchant)


def rebuild(store: Store, *, names: Sequence[str] | None = None, merchant: str | None = None) -> Mapping[str, int]:
    """Make reports anew from the store, and make again what somebody dropped of them.

    Args:
        store: where the report tables are.
        names: which reports; None for all.
        merchant: only this merchant's rows; None for all.

    Returns:
        Rows written per named report; zero for the reports that are computed when they are read.

    Raises:
        Misconfigured: a report or the merchant is unknown; nothing was changed.
    """
    wanted = [known_report(name).name for name in (REPORTS if names is None else names)]
    with store.begin() as transaction:
        known_merchants(transaction, merchant)
        restore_missing(transaction)
    stored = [name for name in stored_reports() if name in wanted]
    written: Mapping[str, int] = {}
    if stored:
        with store.begin() as transaction:
            written = rebuild_rows(transaction, stored, merchant=merchant)
    return {name: written.get(name, 0) for name in wanted}


def ties(store: Store, merchant: str | None = None, *, since: date | None = None) -> Sequence[TieResult]:
    """Compare the report tables with each other, with the orders and with the ledger.

    Days and SKUs that are touched and wait to be made again are left out.

    Args:
        store: where the report tables are.
        merchant: only this merchant's figures; None for all.
        since: only figures of this business day and later ones; None for all. Present levels are always compared.

    Raises:
        Misconfigured: the merchant is unknown or a report table is missing.
    """
    results = []
    with store.read() as transaction, missing_explained():
        known_merchants(transaction, merchant)
        for name in TIES:
            results.append(_result(name, count_tie(transaction, name, merchant=merchant, since=since)))
    return tuple(results)


def _result(name: str, found: TieCount) -> TieResult:
    if found.differing == 0:
        return TieResult(name, True, f"{found.compared} figures tie")
    return TieResult(name, False, f"{found.differing} of {found.compared} figures differ, first {found.first}")


def _refresh_once(store: Store, merchant: str | None) -> Mapping[str, int]:
    with store.begin() as transaction:
        written = refresh_rows(transaction, merchant=merchant)
    return {name: written.get(name, 0) for name in REPORTS}
