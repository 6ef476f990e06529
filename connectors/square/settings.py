"""Settings and secrets of a Square connection, and the addresses they lead to.

What belongs here: pure checks of what a person typed. Not here: tokens (`auth`), which places there are (`locations`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from oms_hub.channel.contract import Setting
from oms_hub.channel.hosts import check_base_url
from oms_hub.errors import Misconfigured

API_VERSION = "2025-08-20"
"""The version of the published description that requests and answers are tested against."""
LIVE = "https://connect.squareup.com"
PAGE_SIZE = 500
MOST_PAGE_SIZE = 1000
_VERSION = re.compile(r"20\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
_LOCATION = re.compile(r"[A-Za-z0-9_-]{1,50}")

SETTINGS = (
    Setting(
        "location_ids",
        "Locations whose sales and levels are wanted, separated by commas; without it all of them. The first one is "
        "where levels are read and written, unless `location` names another",
    ),
    Setting("location", "The location whose levels are read and written: its id or its name"),
    Setting("api_version", "The Square API version to ask for", default=API_VERSION, pattern=_VERSION.pattern),
    Setting("page_size", "Orders asked for at once, 2 to 1000", default=str(PAGE_SIZE)),
    Setting("base_url", "Another address to talk to (a sandbox or proxy); http only towards this machine"),
    Setting("access_token", "An access token: a personal one does not expire", is_secret=True),
    Setting("client_id", "The application's id (sq0idp-...)", is_secret=True),
    Setting("client_secret", "The application's secret (sq0csp-...)", is_secret=True),
    Setting("refresh_token", "The refresh token that the seller's consent gave", is_secret=True),
)


def check_settings(settings: Mapping[str, str]) -> None:
    """Return where the settings can work.

    Raises:
        Misconfigured: names the setting and what to set it to.
    """
    base_url(settings)
    api_version(settings)
    location_ids(settings)
    page_size(settings)


def base_url(settings: Mapping[str, str]) -> str:
    """Return the address that requests go to, without a trailing slash.

    Raises:
        Misconfigured: an address that credentials must not be sent to.
    """
    given = settings.get("base_url", "").strip()
    return check_base_url(given) if given else LIVE


def api_version(settings: Mapping[str, str]) -> str:
    """Return the API version to ask for.

    Raises:
        Misconfigured: no date.
    """
    version = settings.get("api_version", "").strip() or API_VERSION
    if not _VERSION.fullmatch(version):
        raise Misconfigured("api_version is not a date", remedy=f"Set api_version to {API_VERSION}")
    return version


def location_ids(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the chosen locations in the order given, each once; empty means all of the seller's.

    Raises:
        Misconfigured: something that cannot be a location's id.
    """
    given = [part.strip() for part in settings.get("location_ids", "").split(",")]
    found = tuple(dict.fromkeys(part for part in given if part))
    if any(not _LOCATION.fullmatch(part) for part in found):
        raise Misconfigured(
            "location_ids is not a list of location ids",
            remedy="Set location_ids to ids as `connections test` lists them, separated by commas",
        )
    return found


def page_size(settings: Mapping[str, str]) -> int:
    """Return how many orders a page holds; neighbouring pages share one, so two is the least.

    Raises:
        Misconfigured: no number in range.
    """
    text = settings.get("page_size", "").strip() or str(PAGE_SIZE)
    if not text.isascii() or not text.isdigit() or not 2 <= int(text) <= MOST_PAGE_SIZE:
        raise Misconfigured(
            f"page_size is not a number from 2 to {MOST_PAGE_SIZE}", remedy=f"Set page_size to {PAGE_SIZE}"
        )
    return int(text)
