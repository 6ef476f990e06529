"""Alerts of connections, and telling people of alerts that are new.

What belongs here: when alerts are looked at, and what a message says. Not here: what is compared with what
(`oms_hub.store.allocation_news`, `alerts_of_connections`), sending (`oms_hub.channel.notifiers`).

An alert is told after it stands in the store and marked as told after the notifier took it: a crash in between tells it
twice, and never not at all. What was cleared before it could be told is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from oms_hub.channel.notifiers import Notification
from oms_hub.store.alerts import StoredAlert, has_untold_alerts, mark_told, untold_alerts
from oms_hub.store.alerts_of_connections import alert_on_connections, connections_differ
from oms_hub.store.merchants import list_merchants
from oms_hub.sync.hub import Hub

STALE_AFTER = timedelta(hours=1)
"""How old the last good pull of a connection may be before it is told."""

DRIFT_FOR = timedelta(days=1)
"""How long after a drift its connection stays on alert."""

_TOLD_AT_ONCE = 200
_LINES = 20


@dataclass(frozen=True, slots=True)
class AlertsReport:
    """What looking at the alerts did: those of connections that fired and cleared, and how many were told."""

    fired: int = 0
    cleared: int = 0
    told: int = 0


def alerts_are_due(hub: Hub) -> bool:
    """Return whether `tell_alerts` would write or tell anything."""
    with hub.store.read() as tx:
        return has_untold_alerts(tx) or any(
            connections_differ(tx, merchant.merchant_id, now=hub.clock(), stale_after=STALE_AFTER, drift_for=DRIFT_FOR)
            for merchant in list_merchants(tx)
        )


def tell_alerts(hub: Hub, notify: Callable[[Notification], None]) -> AlertsReport:
    """Look at the connections of all merchants, then tell the notifier of every alert that nobody was told of.

    Raises:
        RetryLater: the notifier could not hand a message over; what was told stays told, the rest is told next time.
    """
    fired = cleared = 0
    with hub.store.begin() as tx:
        for merchant in list_merchants(tx):
            news = alert_on_connections(
                tx, merchant.merchant_id, now=hub.clock(), stale_after=STALE_AFTER, drift_for=DRIFT_FOR
            )
            fired, cleared = fired + news[0], cleared + news[1]
    told = 0
    while True:
        with hub.store.read() as tx:
            waiting = untold_alerts(tx, limit=_TOLD_AT_ONCE)
        if not waiting:
            return AlertsReport(fired, cleared, told)
        for merchant_name, alerts in groupby(waiting, key=lambda alert: alert.merchant):
            own = list(alerts)
            notify(_message(merchant_name, own))
            with hub.store.begin() as tx:
                mark_told(tx, [alert.alert_id for alert in own], at=hub.clock())
            told += len(own)


def _message(merchant: str, alerts: Sequence[StoredAlert]) -> Notification:
    noun = "alert" if len(alerts) == 1 else "alerts"
    lines = [f"{alert.kind}: {alert.message}" for alert in alerts[:_LINES]]
    if len(alerts) > _LINES:
        lines.append(f"and {len(alerts) - _LINES} more: oms-hub alerts list")
    return Notification(f"oms-hub: {len(alerts)} {noun} for {merchant}", "\n".join(lines))
