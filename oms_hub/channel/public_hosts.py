"""Addresses that a stranger may have the hub call: public ones only.

What belongs here: which network addresses are public, and a transport that calls no other. A merchant who types a
shop's address into the console must not reach the machines beside the hub, nor a cloud's metadata service.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias

import httpx

from oms_hub.errors import Misconfigured

Resolve: TypeAlias = Callable[[str], Sequence[str]]
"""Gives the network addresses of a host's name."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def resolve_host(host: str) -> Sequence[str]:
    """Return the network addresses of a name; raises OSError where it has none."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})


def public_address(host: str, *, allows_loopback: bool = False, resolve: Resolve = resolve_host) -> str:
    """Return a network address to call a host at.

    Args:
        host: a name or a network address.
        allows_loopback: this very machine is allowed too: practice shops and tests.
        resolve: gives the addresses of a name.

    Raises:
        Misconfigured: the name has no address, or one that is not public; one such address spoils them all.
    """
    try:
        found = [ipaddress.ip_address(each.partition("%")[0]) for each in resolve(host.strip("[]"))]
    except (OSError, UnicodeError, ValueError):
        found = []
    if not found:
        raise Misconfigured(f"the host {host} cannot be found", remedy="Check the address")
    for each in found:
        plain = _plain(each)
        if not (plain.is_global and not plain.is_multicast) and not (allows_loopback and plain.is_loopback):
            raise Misconfigured(
                f"the host {host} is not on the public internet", remedy="Give the shop's public address"
            )
    return str(found[0])


def _plain(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, itself where it stands for none."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class PublicTransport(httpx.BaseTransport):
    """Calls public hosts only, at the very address that was looked at: a name that changes meanwhile changes nothing.

    Args:
        allows_loopback: this very machine is allowed too.
        resolve: gives the addresses of a name.
        inner: what sends; a plain transport where not given.
    """

    def __init__(
        self,
        *,
        allows_loopback: bool = False,
        resolve: Resolve = resolve_host,
        inner: httpx.BaseTransport | None = None,
    ) -> None:
        self._allows_loopback = allows_loopback
        self._resolve = resolve
        self._inner = inner or httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the address that its host was found at; the certificate is still the name's."""
        host = request.url.host
        at = public_address(host, allows_loopback=self._allows_loopback, resolve=self._resolve)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=at)
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()
