"""What lapses by itself: the app's client secret after 180 days, the seller's consent after a year.

What belongs here: since when each is in use, and the notices before and after its last day. Pure but for the secrets
that it is handed. Not here: renewing anything: both need a person.

The day counts from the setting where there is one; else from the day on which this very secret or token was first used
here, which is kept (with a fingerprint, so that a new one starts a new count) beside the tokens.

Source: developer-docs.amazon.com/sp-api, "Rotating your application's LWA credentials" (180 days; calls fail after it),
seen 2026-11-22; the yearly consent is the sellers' own documentation ("authorizations expire after one year").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from connectors.amazon.settings import day_of
from oms_hub.channel.contract import Notice

WARNED_BEFORE = timedelta(days=30)
_FINGERPRINT_LENGTH = 12


class ReadsSecrets(Protocol):
    """Secrets as far as they are read here."""

    def get(self, name: str) -> str | None:
        """Return a secret's value."""


@dataclass(frozen=True, slots=True)
class _Lapse:
    setting: str
    secret: str
    kept_as: str
    lifetime: timedelta
    title: str
    remedy: str


_LAPSES = (
    _Lapse(
        "secret_rotated_on", "client_secret", "client_secret_used_since", timedelta(days=180),
        "the app's client secret",
        "rotate it in the Developer Console, connect with the new one and set secret_rotated_on",
    ),
    _Lapse(
        "consented_on", "refresh_token", "refresh_token_used_since", timedelta(days=365),
        "the seller's consent",
        "authorise the app again in Seller Central, connect with the new refresh token and set consented_on",
    ),
)  # fmt: skip


def noted_days(secrets: ReadsSecrets, given: Mapping[str, str], *, today: date) -> dict[str, str]:
    """Return what is to be kept about credentials that are used for the first time today."""
    noted = {}
    for lapse in _LAPSES:
        fingerprint = _fingerprint(given[lapse.secret])
        if not (secrets.get(lapse.kept_as) or "").startswith(f"{fingerprint} "):
            noted[lapse.kept_as] = f"{fingerprint} {today.isoformat()}"
    return noted


def lapses(settings: Mapping[str, str], secrets: ReadsSecrets, *, today: date) -> Iterator[tuple[str, date, int, str]]:
    """Yield (title, last day, days left, remedy) of what lapses, as far as its beginning is known.

    Args:
        settings: of the connection.
        secrets: of the connection.
        today: in UTC.
    """
    for lapse in _LAPSES:
        since = day_of(settings, lapse.setting) or _noted(secrets, lapse.kept_as)
        if since is not None:
            last_day = since + lapse.lifetime
            yield lapse.title, last_day, (last_day - today).days, lapse.remedy


def lapse_notices(settings: Mapping[str, str], secrets: ReadsSecrets, *, today: date) -> tuple[Notice, ...]:
    """Return a notice for each credential whose last day is near or over."""
    return tuple(
        Notice(
            "source_changed",
            title,
            f"{title} {'lapses on' if days_left >= 0 else 'was good until'} {last_day.isoformat()}: {remedy}",
        )
        for title, last_day, days_left, remedy in lapses(settings, secrets, today=today)
        if days_left <= WARNED_BEFORE.days
    )


def _noted(secrets: ReadsSecrets, name: str) -> date | None:
    text = secrets.get(name)
    return date.fromisoformat(text.partition(" ")[2]) if text else None


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(b"oms-hub amazon " + secret.encode()).hexdigest()[:_FINGERPRINT_LENGTH]
