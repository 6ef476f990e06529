"""Addresses of channels: which may be talked to, and how they may be shown.

What belongs here: pure rules over URLs. Not here: requests (`http`).
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from oms_hub.errors import Misconfigured

_HARMLESS_PARAMETERS = frozenset(
    {"page", "per_page", "limit", "offset", "order", "orderby", "status", "dates_are_gmt", "modified_after", "after"}
)
_HIDDEN = "***"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this very machine (127.0.0.0/8, ::1, localhost)."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_base_url(url: str, *, setting: str = "base_url") -> str:
    """Return a channel's address without a trailing slash, safe to send credentials to.

    Args:
        url: `https://host[:port][/path]`; `http://` only towards this machine.
        setting: the name of the setting that the address came from, for the error.

    Raises:
        Misconfigured: the address is none, is plain http to another machine, or carries a password or a query.
    """
    parts = _split(url, setting)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        raise Misconfigured(f"{setting} is not a web address", remedy=f"Set {setting} to https://HOST")
    if parts.scheme == "http" and not is_loopback(host):
        raise Misconfigured(
            f"{setting} is plain http to {host}, which would show the credentials to the network",
            remedy=f"Set {setting} to https://{parts.hostname}",
        )
    if parts.username is not None or parts.password is not None:
        raise Misconfigured(
            f"{setting} carries a user or password", remedy="Give credentials with --secret, never inside an address"
        )
    if parts.query or parts.fragment:
        raise Misconfigured(f"{setting} carries a query", remedy=f"Set {setting} to https://{host} and a path only")
    return f"{origin_of(url)}{parts.path.rstrip('/')}"


def _split(url: str, setting: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 (reading it is the check)
    except ValueError:
        raise Misconfigured(f"{setting} is not a web address", remedy=f"Set {setting} to https://HOST") from None
    return parts


def origin_of(url: str) -> str:
    """Return `scheme://host[:port]` of an address in lower case, without user, path and query."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    default_port = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in {None, default_port} else f":{parts.port}"
    return f"{parts.scheme.lower()}://{shown}{port}"


def redact_url(url: str) -> str:
    """Return an address that may be logged: no user, no fragment, values only of parameters known to be harmless.

    Example:
        >>> redact_url("https://u:p@shop.example/orders?page=2&consumer_secret=cs_1")
        'https://shop.example/orders?page=2&consumer_secret=***'
    """
    parts = urlsplit(url)
    origin = origin_of(url) if parts.netloc else ""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    shown = "&".join(f"{name}={value if name in _HARMLESS_PARAMETERS else _HIDDEN}" for name, value in pairs)
    return f"{origin}{parts.path}" + (f"?{shown}" if shown else "")
