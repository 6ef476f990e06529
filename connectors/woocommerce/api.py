"""WooCommerce's REST API over the hub's HTTP client: pages of rows, and instants as the shop wants them.

What belongs here: opening a client, reading one page, the words of the shop's refusals. Not here: in which order pages
are read (`walk`, `changes`), what rows mean (`parse`).

Instants are sent as naive UTC together with `dates_are_gmt=true`. On a real shop (11.0.1, Europe/Madrid, 2026-11) a
trailing `Z` beside `dates_are_gmt=true` shifted the bound by the shop's offset, and a naive instant alone was read as
the shop's local time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from connectors.woocommerce.settings import API_PATH, concurrency, shop_address
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelHttp, ChannelRules, HttpAnswer, Refusal, open_client
from oms_hub.channel.rate_limit import AdaptiveConcurrency, ConcurrencyRule
from oms_hub.errors import BadPayload, HubError, NeedsReconnect, RetryLater

PAGE_SIZE = 100
"""The most rows a page can hold; 101 is refused with 400."""
SMALLEST_PAGE = 25
"""Pages are halved down to this where a weak shop cannot build a whole one."""
NO_ROUTE = "rest_no_route"
ORDER_FIELDS = ",".join(
    (
        "id", "number", "status", "currency", "date_created_gmt", "date_modified_gmt", "date_paid_gmt",
        "date_completed_gmt", "total", "customer_id", "payment_method", "transaction_id", "billing.country",
        "shipping.country", "line_items", "tax_lines", "shipping_lines", "fee_lines", "coupon_lines", "refunds",
    )
)  # fmt: skip
"""All that is asked of an order: no name, address, e-mail, phone or IP address ever leaves the shop."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer.

    Attributes:
        rows: parsed, in the shop's order.
        body: the answer verbatim.
        offset: of the first row in the whole list.
        size: how many rows were asked for.
        total: rows in the whole list as the shop counts them; None where a proxy dropped the header.
        answered_at: the shop's own time, None where it does not tell.
    """

    rows: Sequence[Any]
    body: bytes
    offset: int = 0
    size: int = PAGE_SIZE
    total: int | None = None
    answered_at: datetime | None = None

    @property
    def ids(self) -> tuple[int, ...]:
        """Return the ids of the rows that have one."""
        return tuple(row["id"] for row in self.rows if isinstance(row, dict) and isinstance(row.get("id"), int))

    @property
    def is_last(self) -> bool:
        """Return whether the list ended with this page. A short page alone says nothing: plugins hide rows."""
        if len(self.rows) >= self.size:
            return False
        return self.total is None or not self.rows or self.offset + self.size >= self.total


def shop_time(moment: datetime) -> str:
    """Return an instant as the shop reads it beside `dates_are_gmt=true`: UTC without a zone, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


class WooApi:
    """Reads and writes one shop; may be used from several threads."""

    def __init__(self, http: ChannelHttp) -> None:
        self.http = http

    def page(self, path: str, query: Mapping[str, str], *, offset: int = 0, size: int = PAGE_SIZE) -> Page:
        """Return one page of a list.

        Page caches in front of shops may give the answer to another question; one that holds none of the wanted
        fields is asked for once more.

        Raises:
            BadPayload: the answer is not a list.
            RetryLater: the answer is to another question.
        """
        page = self._page(path, query, offset, size)
        if _answers(page, query):
            return page
        page = self._page(path, {**query, "_": f"{offset}-{size}"}, offset, size)
        if not _answers(page, query):
            raise RetryLater(f"GET {path}: the answer lacks the wanted fields (a cache gives it for another question)")
        return page

    def _page(self, path: str, query: Mapping[str, str], offset: int, size: int) -> Page:
        wanted = {**query, "per_page": str(size)}
        if offset:
            wanted["offset"] = str(offset)
        answer = self.http.get_json(path, query=wanted, needs="read")
        if not isinstance(answer.parsed, list):
            raise BadPayload(f"GET {path}: the answer is not a list")
        total = answer.headers.get("x-wp-total", "")
        return Page(
            rows=answer.parsed,
            body=answer.body,
            offset=offset,
            size=size,
            total=int(total) if total.isascii() and total.isdigit() else None,
            answered_at=answered_at(answer.headers),
        )

    def pages_of_window(self, path: str, query: Mapping[str, str], offset: int, size: int) -> list[Page]:
        """Return a window of a list sorted by id, in halves that share a row where the shop cannot build it whole."""
        try:
            return [self.page(path, query, offset=offset, size=size)]
        except RetryLater as error:
            half = size // 2
            if half < SMALLEST_PAGE or error.after_seconds:
                raise
        first = self.pages_of_window(path, query, offset, half + 1)
        if first[-1].is_last:
            return first
        return [*first, *self.pages_of_window(path, query, offset + half, size - half)]

    def one(self, path: str, query: Mapping[str, str] | None = None) -> HttpAnswer:
        """Return the answer for a single thing."""
        return self.http.get_json(path, query=query, needs="read")


def _answers(page: Page, query: Mapping[str, str]) -> bool:
    """Return whether some row holds at least half of the wanted fields; old shops lack a few."""
    wanted = {name.partition(".")[0] for name in query.get("_fields", "").split(",")}
    if "_fields" not in query or not page.rows:
        return True
    return any(isinstance(row, dict) and 2 * len(wanted & row.keys()) >= len(wanted) for row in page.rows)


def explain(refusal: Refusal) -> HubError | None:
    """Return the error for a refusal in words that a shop's owner can act on; None for the usual reading.

    Source: answers of a real shop, 2026-11: an unknown key, no key and a key whose user may not manage the shop all
    answer `woocommerce_rest_cannot_view`; a wrong secret `woocommerce_rest_authentication_error`; writing with a
    read-only key also answers `woocommerce_rest_authentication_error` or a `..._cannot_...` code with 401.
    """
    if refusal.status not in {401, 403} or not refusal.code:
        return None
    said = f"the shop refuses with {refusal.status} ({refusal.code})"
    if refusal.code == "woocommerce_rest_authentication_error":
        return NeedsReconnect(
            f"{said}: the consumer secret is wrong, or the key may only read",
            remedy="Make a new Read/Write key under WooCommerce > Settings > Advanced > REST API and connect again",
        )
    if refusal.code.startswith("woocommerce_rest_cannot_view"):
        return NeedsReconnect(
            f"{said}: the consumer key is unknown, its user may not manage the shop, "
            "or the host drops the Authorization header",
            remedy="Check the key and its user; ask the host to pass the Authorization header on to PHP",
        )
    if refusal.code.startswith("woocommerce_rest_cannot_"):
        return NeedsReconnect(f"{said}: the key may only read", remedy="Give the key Read/Write permission")
    return None


@contextmanager
def open_api(session: ChannelSession) -> Iterator[WooApi]:
    """Open the shop of a session.

    Raises:
        Misconfigured: settings that cannot work.
        NeedsReconnect: a secret is missing.
    """
    settings = session.connection.settings
    address = shop_address(settings)
    key, secret = session.secrets.get("consumer_key"), session.secrets.get("consumer_secret")
    if not key or not secret:
        raise NeedsReconnect("the consumer key or secret is missing", remedy="Give both with --secret")
    most = concurrency(settings)
    gate = AdaptiveConcurrency(ConcurrencyRule(fewest=1, most=most, step_after=1))
    with open_client(
        session,
        address + API_PATH,
        auth=httpx.BasicAuth(key, secret),
        headers={"cache-control": "no-cache"},
        rules=ChannelRules(explain=explain),
        gate=gate,
    ) as http:
        yield WooApi(http)
