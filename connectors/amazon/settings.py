"""Settings and secrets of an Amazon connection, and the addresses they lead to.

What belongs here: pure checks of what a person typed. Not here: tokens (`auth`), requests (`api`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from connectors.amazon.marketplaces import ENDPOINTS, MARKETPLACES, TOKEN_HOST
from oms_hub.channel.contract import Setting
from oms_hub.channel.hosts import check_base_url
from oms_hub.errors import Misconfigured

HISTORY_DAYS = 90
MOST_PAGE_SIZE = 100
_MARKETPLACE_ID = re.compile(r"[A-Z0-9]{10,20}")
_SELLER_ID = re.compile(r"[A-Z0-9]{10,20}")
_MOST_MARKETPLACES = 50

SETTINGS = (
    Setting("region", "Where the account sells: na, eu or fe", is_required=True, choices=tuple(ENDPOINTS)),
    Setting(
        "marketplace_ids",
        "Marketplaces of the region, separated by commas, the main one first (ATVPDKIKX0DER is Amazon.com)",
        is_required=True,
    ),
    Setting("seller_id", "The merchant token of the account (A...)", is_required=True, pattern=_SELLER_ID.pattern),
    Setting("base_url", "Another address to talk to (a sandbox or proxy); http only towards this machine"),
    Setting("orders_from", f"First day of history that is read (YYYY-MM-DD); without it the last {HISTORY_DAYS} days"),
    Setting(
        "history",
        "How the history is read: report (flat files, fast) or search (all details, 100 orders in three minutes)",
        default="report",
        choices=("report", "search"),
    ),
    Setting("page_size", "Orders asked for at once", default=str(MOST_PAGE_SIZE), pattern=r"[1-9]\d?|100"),
    Setting("secret_rotated_on", "Day of the last rotation of the client secret (YYYY-MM-DD)"),
    Setting("consented_on", "Day on which the seller last authorised the app (YYYY-MM-DD)"),
    Setting("client_id", "The app's LWA client id", is_required=True, is_secret=True),
    Setting("client_secret", "The app's LWA client secret", is_required=True, is_secret=True),
    Setting("refresh_token", "The refresh token of the authorisation (Atzr|...)", is_required=True, is_secret=True),
)


def check_settings(settings: Mapping[str, str]) -> None:
    """Return where the settings can work.

    Raises:
        Misconfigured: names the setting and what to set it to.
    """
    api_address(settings)
    marketplace_ids(settings)
    seller_id(settings)
    orders_from(settings)
    page_size(settings)
    uses_reports(settings)
    for name in ("secret_rotated_on", "consented_on"):
        day_of(settings, name)


def region(settings: Mapping[str, str]) -> str:
    """Return the region, `na`, `eu` or `fe`."""
    given = settings.get("region", "").strip().lower()
    if given not in ENDPOINTS:
        raise Misconfigured(
            f"region is not one of {', '.join(ENDPOINTS)}",
            remedy="Set region to na (Americas), eu (Europe, Middle East, Africa, India) or fe (Japan, Australia, "
            "Singapore)",
        )
    return given


def api_address(settings: Mapping[str, str]) -> str:
    """Return the address that requests go to, without a trailing slash."""
    own = region(settings)
    given = settings.get("base_url", "").strip()
    return check_base_url(given) if given else ENDPOINTS[own]


def token_address(settings: Mapping[str, str]) -> str:
    """Return the address that gives tokens: Login with Amazon's, or with a `base_url` that one."""
    given = settings.get("base_url", "").strip()
    return check_base_url(given) if given else TOKEN_HOST


def marketplace_ids(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the marketplaces, the main one first; unknown ids are left to Amazon to refuse."""
    given = tuple(
        dict.fromkeys(part.strip() for part in settings.get("marketplace_ids", "").split(",") if part.strip())
    )
    own = region(settings)
    if not given or len(given) > _MOST_MARKETPLACES or not all(_MARKETPLACE_ID.fullmatch(each) for each in given):
        raise Misconfigured(
            f"marketplace_ids is not a list of 1 to {_MOST_MARKETPLACES} marketplace ids",
            remedy="Set marketplace_ids to ids separated by commas; docs/reference/channels/amazon.md lists them",
        )
    for each in given:
        known = MARKETPLACES.get(each)
        if known is not None and known.region != own:
            raise Misconfigured(
                f"the marketplace {each} ({known.country}) belongs to region {known.region}, not {own}",
                remedy="One connection serves one region: add another connection for the other one",
            )
    return given


def seller_id(settings: Mapping[str, str]) -> str:
    """Return the merchant token."""
    given = settings.get("seller_id", "").strip()
    if not _SELLER_ID.fullmatch(given):
        raise Misconfigured(
            "seller_id is not a merchant token",
            remedy="Set seller_id to the merchant token under Settings > Account Info in Seller Central",
        )
    return given


def orders_from(settings: Mapping[str, str]) -> datetime | None:
    """Return the first day of history that is wanted, as an instant in UTC."""
    day = day_of(settings, "orders_from")
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


def day_of(settings: Mapping[str, str], name: str) -> date | None:
    """Return the day in a setting, None where it is not set."""
    given = settings.get(name, "").strip()
    if not given:
        return None
    try:
        return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Misconfigured(f"{name} is not a day", remedy=f"Set {name} to a day as YYYY-MM-DD") from None


def page_size(settings: Mapping[str, str]) -> int:
    """Return how many orders are asked for at once."""
    given = settings.get("page_size", "").strip() or str(MOST_PAGE_SIZE)
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= MOST_PAGE_SIZE:
        raise Misconfigured(f"page_size is not a number from 1 to {MOST_PAGE_SIZE}", remedy="Set page_size to 100")
    return int(given)


def uses_reports(settings: Mapping[str, str]) -> bool:
    """Return whether history is read from reports."""
    given = settings.get("history", "").strip() or "report"
    if given not in {"report", "search"}:
        raise Misconfigured("history is neither report nor search", remedy="Set history to report or search")
    return given == "report"
