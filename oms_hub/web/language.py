"""English and Spanish: which one a visitor reads, and the texts.

What belongs here: choosing the language, looking texts up, showing numbers and times. English texts are their own keys;
`texts/es.json` holds the Spanish ones (a test sees that none is missing).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import Request

LANGUAGES = {"en": "English", "es": "Español"}
COOKIE = "oms_hub_language"
_CODE_WORD = re.compile("[a-z]+(_[a-z]+)+")


@cache
def spanish() -> Mapping[str, str]:
    """Return English -> Spanish."""
    text = (Path(__file__).parent / "texts" / "es.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def language_of(request: Request) -> str:
    """Return what a visitor reads: as chosen, else as the browser says, else English."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    best, best_weight = "en", 0.0
    for part in request.headers.get("accept-language", "").split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        name = tag.strip().lower().split("-")[0]
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            weight = 0.0
        if name in LANGUAGES and weight > best_weight:
            best, best_weight = name, weight
    return best


@dataclass(frozen=True, slots=True)
class Words:
    """Texts, numbers and times for one reader.

    Attributes:
        language: en or es.
        time_zone: the business's zone (IANA); times are shown in it.
        now: the present instant, for "3 min ago".
    """

    language: str
    time_zone: str
    now: datetime

    def __call__(self, text: str, **values: object) -> str:
        """Return a text in the reader's language, with its values put in."""
        found = spanish().get(text, text) if self.language == "es" else text
        if _CODE_WORD.fullmatch(found):
            found = found.replace("_", " ")
        return found.format(**values) if values else found

    def number(self, value: int | Decimal | None) -> str:
        """Return a number with its thousands apart; a dash for none."""
        return "–" if value is None else f"{value:,}"

    def money(self, value: Decimal | None, currency: str) -> str:
        """Return an amount with two decimals or as many as it has, and its currency."""
        if value is None:
            return "–"
        exponent = value.as_tuple().exponent
        digits = max(2, -exponent) if isinstance(exponent, int) else 2
        return f"{value:,.{min(digits, 4)}f} {currency}"

    def time(self, value: datetime | None) -> str:
        """Return an instant in the business's zone, to the minute."""
        return "–" if value is None else f"{value.astimezone(ZoneInfo(self.time_zone)):%Y-%m-%d %H:%M}"

    def day(self, value: date | None) -> str:
        """Return a day."""
        return "–" if value is None else value.isoformat()

    def ago(self, value: datetime | None) -> str:
        """Return how long ago an instant was, or how far ahead it is, in words."""
        if value is None:
            return self("never")
        gap = self.now - value
        text = "{time} ago" if gap >= timedelta() else "in {time}"
        seconds = int(abs(gap).total_seconds())
        for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
            if seconds >= size:
                return self(text, time=f"{seconds // size} {unit}")
        return self("just now")
