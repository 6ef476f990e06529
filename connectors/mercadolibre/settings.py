"""Settings and secrets of a Mercado Libre connection, and the addresses they lead to.

What belongs here: pure checks of what a person typed. Not here: requests (`api`), tokens (`auth`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from oms_hub.channel.contract import Setting
from oms_hub.channel.hosts import check_base_url
from oms_hub.errors import Misconfigured

API_URL = "https://api.mercadolibre.com"
MOST_PAGE_SIZE = 50
"""The most orders a page of the search holds. Source: developers.mercadolibre, orders, 2026-09-21 (default 50)."""

SITES = {
    "MLA": ("AR", "auth.mercadolibre.com.ar"),
    "MLB": ("BR", "auth.mercadolivre.com.br"),
    "MLC": ("CL", "auth.mercadolibre.cl"),
    "MCO": ("CO", "auth.mercadolibre.com.co"),
    "MCR": ("CR", "auth.mercadolibre.co.cr"),
    "MEC": ("EC", "auth.mercadolibre.com.ec"),
    "MLM": ("MX", "auth.mercadolibre.com.mx"),
    "MPE": ("PE", "auth.mercadolibre.com.pe"),
    "MLU": ("UY", "auth.mercadolibre.com.uy"),
    "MLV": ("VE", "auth.mercadolibre.com.ve"),
}
"""Site -> country (ISO 3166) and the host where an owner gives consent."""

SETTINGS = (
    Setting("site", "The country's site: MLM, MLA, MLB, ...", is_required=True, choices=tuple(SITES)),
    Setting("seller_id", "The number of the seller's account (user_id)", is_required=True, pattern=r"\d{1,20}"),
    Setting("store_id", "The depot whose stock is read and written, where the seller has several", pattern=r"\d{1,20}"),
    Setting("page_size", "Orders asked for at once, 2 to 50", default=str(MOST_PAGE_SIZE)),
    Setting("slice_size", "Orders paged through at once before the time is cut in halves", default="1000"),
    Setting("recheck_minutes", "How often an order that is still open is read again", default="30"),
    Setting("orders_from", "Leave out orders placed before this day (YYYY-MM-DD) when the history is read"),
    Setting("base_url", "Another address to talk to (a sandbox or proxy); http only towards this machine"),
    Setting("client_id", "The application's id (App ID)", is_required=True, is_secret=True),
    Setting("client_secret", "The application's secret key", is_required=True, is_secret=True),
    Setting("refresh_token", "The newest refresh token (TG-...); each works once", is_required=True, is_secret=True),
)


def check_settings(settings: Mapping[str, str]) -> None:
    """Raise Misconfigured for settings that cannot work, before any request."""
    site(settings)
    seller_id(settings)
    page_size(settings)
    slice_size(settings)
    recheck_minutes(settings)
    orders_from(settings)
    base_url(settings)
    store = settings.get("store_id")
    if store is not None and not re.fullmatch(r"\d{1,20}", store):
        raise Misconfigured("the setting store_id is not a number", remedy="Set store_id to the depot's number")


def site(settings: Mapping[str, str]) -> str:
    """Return the site, such as MLM."""
    given = settings.get("site", "").strip().upper()
    if given not in SITES:
        raise Misconfigured("the setting site names no site", remedy=f"Set site to one of {', '.join(SITES)}")
    return given


def country(settings: Mapping[str, str]) -> str:
    """Return the country of the site, ISO 3166."""
    return SITES[site(settings)][0]


def seller_id(settings: Mapping[str, str]) -> str:
    """Return the seller's number."""
    given = settings.get("seller_id", "").strip()
    if not re.fullmatch(r"\d{1,20}", given):
        raise Misconfigured("the setting seller_id is not a number", remedy="Set seller_id to the account's user_id")
    return given


def base_url(settings: Mapping[str, str]) -> str:
    """Return the address that requests go to; raises Misconfigured where credentials must not be sent there."""
    return check_base_url(settings.get("base_url") or API_URL)


def page_size(settings: Mapping[str, str]) -> int:
    """Return how many orders are asked for at once; neighbouring pages share one, so at least two."""
    return _number(settings, "page_size", fewest=2, most=MOST_PAGE_SIZE)


def slice_size(settings: Mapping[str, str]) -> int:
    """Return from how many orders on a stretch of time is cut in halves."""
    return _number(settings, "slice_size", fewest=2, most=9_000)


def recheck_minutes(settings: Mapping[str, str]) -> int:
    """Return after how many minutes an open order is read again."""
    return _number(settings, "recheck_minutes", fewest=1, most=1_440)


def orders_from(settings: Mapping[str, str]) -> datetime | None:
    """Return the lower bound of the history, None where there is none."""
    given = settings.get("orders_from", "").strip()
    if not given:
        return None
    try:
        return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Misconfigured(
            "the setting orders_from is not a day", remedy="Set orders_from to a day such as 2026-01-31"
        ) from None


def _number(settings: Mapping[str, str], name: str, *, fewest: int, most: int) -> int:
    default = next(setting.default for setting in SETTINGS if setting.name == name)
    given = (settings.get(name) or default or "").strip()
    if not (given.isascii() and given.isdigit() and fewest <= int(given) <= most):
        raise Misconfigured(
            f"the setting {name} is no number from {fewest} to {most}", remedy=f"Set {name} to {default}"
        )
    return int(given)
