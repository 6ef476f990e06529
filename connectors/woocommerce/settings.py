"""Settings and secrets of a WooCommerce connection, and the address they lead to.

What belongs here: pure checks of what a person typed. Not here: requests (`auth`, `api`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from oms_hub.channel.contract import Setting
from oms_hub.channel.hosts import check_base_url
from oms_hub.errors import Misconfigured

API_PATH = "/wp-json/wc/v3"
DEFAULT_CONCURRENCY = 4
MOST_CONCURRENCY = 8
MOST_PAGE_SIZE = 100

SETTINGS = (
    Setting("url", "Address of the shop, as https://shop.example", is_required=True),
    Setting("base_url", "Where requests really go, if not to `url` (a proxy or a practice shop)"),
    Setting(
        "concurrency",
        "Most pages that are read at once; the hub starts with less and slows down when the shop struggles",
        default=str(DEFAULT_CONCURRENCY),
        pattern="[1-8]",
    ),
    Setting("page_size", "Orders asked for at once, for shops that cannot build 100", default="100"),
    Setting("orders_from", "Leave out orders placed before this day (YYYY-MM-DD) when the history is read"),
    Setting("consumer_key", "Consumer key, ck_...", is_required=True, is_secret=True),
    Setting("consumer_secret", "Consumer secret, cs_...", is_required=True, is_secret=True),
)


def check_settings(settings: Mapping[str, str]) -> None:
    """Return where the settings can work.

    Raises:
        Misconfigured: an address that is none or is plain http, a number out of range, a day that is none.
    """
    shop_address(settings)
    concurrency(settings)
    page_size(settings)
    orders_from(settings)


def shop_address(settings: Mapping[str, str]) -> str:
    """Return the shop's address without the API's path and without a trailing slash.

    Raises:
        Misconfigured: it is missing or unusable.
    """
    url = (settings.get("url") or "").strip()
    if not url:
        raise Misconfigured("the setting url is missing", remedy="Set url to the shop's address, https://SHOP")
    address = check_base_url(url, setting="url")
    base_url = (settings.get("base_url") or "").strip()
    if base_url:
        address = check_base_url(base_url, setting="base_url")
    for tail in (API_PATH, "/wp-json"):
        address = address.removesuffix(tail)
    return address


def concurrency(settings: Mapping[str, str]) -> int:
    """Return how many pages may be read at once."""
    return _number(settings, "concurrency", DEFAULT_CONCURRENCY, least=1, most=MOST_CONCURRENCY)


def page_size(settings: Mapping[str, str]) -> int:
    """Return how many orders a page holds; neighbouring pages share one, so two is the least."""
    return _number(settings, "page_size", MOST_PAGE_SIZE, least=2, most=MOST_PAGE_SIZE)


def _number(settings: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    text = (settings.get(name) or str(default)).strip()
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        allowed = f"a number from {least} to {most}"
        raise Misconfigured(f"{name} is not {allowed}", remedy=f"Set {name} to {allowed}")
    return int(text)


def orders_from(settings: Mapping[str, str]) -> datetime | None:
    """Return the first day of history that is wanted, as an instant in UTC."""
    text = (settings.get("orders_from") or "").strip()
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Misconfigured("orders_from is not a day", remedy="Set orders_from to a day as YYYY-MM-DD") from None
