"""Settings and secrets of a Shopify connection, and the addresses they lead to.

What belongs here: reading and refusing settings, before any request. Not here: tokens (`auth`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

from connectors.shopify.documents import API_VERSION
from oms_hub.channel.contract import Setting
from oms_hub.channel.hosts import check_base_url
from oms_hub.errors import Misconfigured

_VERSION = re.compile(r"20\d{2}-(?:01|04|07|10)")
_LOCATION = re.compile(r"(?:gid://shopify/Location/)?(\d{1,20})")

SETTINGS = (
    Setting("shop", "The shop's address: NAME.myshopify.com", is_required=True),
    Setting("api_version", "The Admin API version to ask for", default=API_VERSION, pattern=_VERSION.pattern),
    Setting(
        "location",
        "The location whose stock is read and written: its number, or its gid://shopify/Location/...; "
        "without it the shop's only active location, or the first one that ships online orders",
        pattern=_LOCATION.pattern,
    ),
    Setting("base_url", "Another address to talk to (a sandbox or proxy); http only towards this machine"),
    Setting("access_token", "An Admin API access token (shpat_...)", is_secret=True),
    Setting("client_id", "The app's client id", is_secret=True),
    Setting("client_secret", "The app's client secret", is_secret=True),
    Setting("refresh_token", "The refresh token of an expiring offline token", is_secret=True),
)


def shop_domain(settings: Mapping[str, str]) -> str:
    """Return the shop's `NAME.myshopify.com`, and nothing but that: credentials never go to another host.

    Raises:
        Misconfigured: `shop` is missing or no shop of myshopify.com.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from shopify.utils.shop_url import sanitize_shop_domain  # noqa: PLC0415 (slow to import, and rarely needed)
    given = settings.get("shop", "").strip()
    domain = sanitize_shop_domain(given) if given else None
    if not domain:
        said = "is missing" if not given else "is not a myshopify.com address"
        raise Misconfigured(f"the setting shop {said}", remedy="Set shop to NAME.myshopify.com")
    return str(domain)


def base_url(settings: Mapping[str, str]) -> str:
    """Return the address that requests go to, without a trailing slash.

    Raises:
        Misconfigured: no shop, or a `base_url` that credentials must not be sent to.
    """
    domain = shop_domain(settings)
    given = settings.get("base_url", "").strip()
    return check_base_url(given) if given else f"https://{domain}"


def api_version(settings: Mapping[str, str]) -> str:
    """Return the Admin API version to ask for.

    Raises:
        Misconfigured: not a quarterly version.
    """
    version = settings.get("api_version", "").strip() or API_VERSION
    if not _VERSION.fullmatch(version):
        raise Misconfigured("api_version is not a quarterly version", remedy=f"Set api_version to {API_VERSION}")
    return version


def location_id(settings: Mapping[str, str]) -> str | None:
    """Return the chosen location's gid, None where none is chosen.

    Raises:
        Misconfigured: neither a number nor a location's gid.
    """
    given = settings.get("location", "").strip()
    if not given:
        return None
    found = _LOCATION.fullmatch(given)
    if found is None:
        raise Misconfigured(
            "the setting location is not a location's number",
            remedy="Set location to the number at the end of the location's address in the Shopify admin",
        )
    return f"gid://shopify/Location/{found[1]}"


def check_settings(settings: Mapping[str, str]) -> None:
    """Refuse settings that cannot work, before any request.

    Raises:
        Misconfigured: names the setting and what to set it to.
    """
    base_url(settings)
    api_version(settings)
    location_id(settings)
