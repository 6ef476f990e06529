"""Settings and secrets of a Loyverse connection. Pure checks of what a person typed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from oms_hub.channel.contract import Setting
from oms_hub.channel.hosts import check_base_url
from oms_hub.errors import Misconfigured

LIVE = "https://api.loyverse.com/v1.0"
MOST_PAGE_SIZE = 250

SETTINGS = (
    Setting("location", "The store whose levels are read: its id or name; without it the oldest one"),
    Setting("orders_from", "Leave out receipts made before this day (YYYY-MM-DD), as a free plan does"),
    Setting(
        "restock_refunds",
        "Whether refunded goods are back on the shelf: Loyverse does not say it",
        default="no",
        choices=("yes", "no"),
    ),
    Setting("page_size", "Receipts asked for at once, 1 to 250", default=str(MOST_PAGE_SIZE)),
    Setting("base_url", "Another address to talk to (a sandbox or proxy); http only towards this machine"),
    Setting("access_token", "An access token made in the Back Office", is_required=True, is_secret=True),
)


def check_settings(settings: Mapping[str, str]) -> None:
    """Raise Misconfigured for settings that cannot work, before any request."""
    base_url(settings)
    orders_from(settings)
    page_size(settings)
    restocks_refunds(settings)


def base_url(settings: Mapping[str, str]) -> str:
    """Return the address that requests go to, without a trailing slash; raises Misconfigured for an unsafe one."""
    given = settings.get("base_url", "").strip()
    return check_base_url(given) if given else LIVE


def orders_from(settings: Mapping[str, str]) -> datetime | None:
    """Return the first day that is wanted, as an instant in UTC; raises Misconfigured for what is no day."""
    text = settings.get("orders_from", "").strip()
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Misconfigured("orders_from is not a day", remedy="Set orders_from to a day as YYYY-MM-DD") from None


def page_size(settings: Mapping[str, str]) -> int:
    """Return how many receipts a page holds; raises Misconfigured for no number in range."""
    text = settings.get("page_size", "").strip() or str(MOST_PAGE_SIZE)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_PAGE_SIZE:
        raise Misconfigured(f"page_size is not a number from 1 to {MOST_PAGE_SIZE}", remedy="Set page_size to 250")
    return int(text)


def restocks_refunds(settings: Mapping[str, str]) -> bool:
    """Return whether refunded goods count as back on the shelf; raises Misconfigured for anything but yes and no."""
    text = settings.get("restock_refunds", "").strip() or "no"
    if text not in {"yes", "no"}:
        raise Misconfigured("restock_refunds is neither yes nor no", remedy="Set restock_refunds to yes or no")
    return text == "yes"
