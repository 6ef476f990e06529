"""The console on a real database: two merchants, their people, a browser without a screen."""

from __future__ import annotations

import html
import re
import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from connectors.pos_feed import CHANNEL as POS_FEED
from connectors.shopify import CHANNEL as SHOPIFY
from connectors.woocommerce import CHANNEL as WOOCOMMERCE
from oms_hub.channel.secrets import SecretBox
from oms_hub.store.connections import StoredConnection, add_connection
from oms_hub.store.engine import Store, open_store_at
from oms_hub.store.goods import add_skus
from oms_hub.store.merchants import Merchant, add_merchant
from oms_hub.store.users import Role, User, add_user, set_role
from oms_hub.sync.hub import Hub
from oms_hub.web.app import create_app
from oms_hub.web.options import WebOptions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have a newer httpx, which the hub does not use
    from starlette.testclient import TestClient

PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HASHED = CHEAP.hash(PASSWORD)
SCRIPT = "<script>alert(1)</script>"


class Visit(TestClient):
    """A browser: keeps cookies, fills in forms with the token of the page before."""

    token = ""

    def see(self, path: str, status: int = 200) -> str:
        """Open a page and return its text."""
        answer = self.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text[:400])
        self._remember(answer.text)
        return str(answer.text)

    def submit(self, path: str, status: int = 303, **fields: str) -> Any:
        """Send a form with the token of the last page."""
        return self.submit_form(path, fields, status)

    def submit_form(self, path: str, fields: Mapping[str, str], status: int = 303) -> Any:
        """Send a form whose fields have any names."""
        answer = self.post(path, data={"csrf": self.token, **fields})
        assert answer.status_code == status, (path, answer.status_code, answer.text[:800])
        self._remember(answer.text)
        return answer

    def sign_in(self, email: str, password: str = PASSWORD, **fields: str) -> Any:
        """Sign in."""
        self.see("/sign-in")
        answer = self.post("/sign-in", data={"csrf": self.token, "email": email, "password": password, **fields})
        if answer.status_code == 303:
            self.see("/account")
        return answer

    def _remember(self, page: str) -> None:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
        if found:
            self.token = found[1]


def words_of(page: str) -> str:
    """Return a page's text without its markup."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


@dataclass
class Console:
    """The console and what stands behind it."""

    store: Store
    hub: Hub
    options: WebOptions
    acme: Merchant
    other: Merchant
    users: dict[str, User] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)

    def open(self, **changes: Any) -> Visit:
        """Open a browser on a console of these options."""
        options = replace(self.options, **changes)
        visit = Visit(create_app(self.hub, options), base_url=options.public_url, follow_redirects=False)
        self.visits.append(visit)
        return visit

    def signed_in(self, who: str = "owner", **changes: Any) -> Visit:
        """Open a browser with somebody signed in."""
        visit = self.open(**changes)
        assert visit.sign_in(f"{who}@acme.example").status_code == 303
        return visit

    def connect(self, name: str, merchant: Merchant | None = None, channel: str = "woocommerce") -> StoredConnection:
        """Store a connection without asking its channel."""
        with self.store.begin() as tx:
            return add_connection(
                tx, name, merchant=merchant or self.acme, channel=channel, settings={"url": "https://shop.example"}
            )

    def add_sku(self, sku: str, merchant: Merchant | None = None) -> None:
        with self.store.begin() as tx:
            add_skus(tx, (merchant or self.acme).merchant_id, [sku])

    def run(self, statement: str, **values: Any) -> None:
        with self.store.begin() as tx:
            tx.execute(text(statement), values)

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.store.read() as tx:
            return [tuple(row) for row in tx.execute(text(statement), values)]

    def add_order(self, stored: StoredConnection, order_id: str, *, label: str = "", placed: str = "now()") -> None:
        """Store an order with one line."""
        self.run(
            "INSERT INTO hub.orders (connection_id, channel_order_id, merchant_id, label, kind, placed_at,"
            " channel_updated_at, channel_version, content_hash, raw_page_id, raw_position, state, payment_state,"
            " fulfilment_state, channel_state, channel_payment_state, channel_fulfilment_state, is_sale, is_test,"
            f" is_draft, taxes_included, currency, total, adjustment_amount) VALUES (:c, :o, :m, :l, 'web', {placed},"
            " now(), 0, '', 1, 0, 'open', 'paid', 'unfulfilled', 'open', 'paid', '', true, false, false, false, 'MXN',"
            " 116.5, 0)",
            c=stored.connection_id, o=order_id, m=stored.merchant_id, l=label or order_id,
        )  # fmt: skip
        self.run(
            "INSERT INTO hub.order_lines (connection_id, channel_order_id, merchant_id, line_id, position, channel_sku,"
            " title, quantity, unit_price, gross_amount, discount_amount, order_discount_amount, tax_amount,"
            " cancelled_quantity, needs_stock, sku_id) VALUES (:c, :o, :m, '1', 0, :sku, :title, 2, 50, 100, 0, 0,"
            " 16.5, 0, true, (SELECT min(sku_id) FROM hub.skus WHERE merchant_id = :m))",
            c=stored.connection_id, o=order_id, m=stored.merchant_id, sku=SCRIPT, title=f"Mug {SCRIPT}",
        )  # fmt: skip

    def add_exception(self, stored: StoredConnection, kind: str, reference: str) -> int:
        """Open an exception and return its number."""
        with self.store.begin() as tx:
            found: int = tx.execute(
                text(
                    "INSERT INTO hub.exceptions (merchant_id, connection_id, kind, reference, message, remedy)"
                    " VALUES (:m, :c, :k, :r, :t, '') RETURNING exception_id"
                ),
                {"m": stored.merchant_id, "c": stored.connection_id, "k": kind, "r": reference, "t": f"about {SCRIPT}"},
            ).scalar_one()
        return found


def run_now(work: Callable[[], object]) -> None:
    """Do later work at once."""
    work()


@pytest.fixture
def console(database_url: str, tmp_path: Path, frozen_clock: Any) -> Iterator[Console]:
    """Give a console with the merchants acme (owner, operator, viewer) and other (stranger)."""
    store = open_store_at(database_url)
    channels = {each.name: each for each in (SHOPIFY, WOOCOMMERCE, POS_FEED)}
    hub = Hub(store, channels, SecretBox([secrets.token_bytes(32)]), frozen_clock, lambda _seconds: None)
    options = WebOptions(
        feeds=tmp_path / "feeds", hasher=CHEAP, allows_loopback=True, run_later=run_now, body_seconds=0.5
    )
    with store.begin() as tx:
        acme = add_merchant(tx, "acme", currency="MXN", time_zone="America/Mexico_City")
        other = add_merchant(tx, "other", currency="EUR", time_zone="Europe/Madrid")
        users = {}
        roles: tuple[tuple[str, Merchant, Role], ...] = (
            ("owner", acme, "owner"), ("operator", acme, "operator"), ("viewer", acme, "viewer"),
            ("stranger", other, "owner"),
        )  # fmt: skip
        for name, merchant, role in roles:
            users[name] = add_user(tx, f"{name}@acme.example", password_hash=HASHED)
            set_role(tx, users[name].user_id, merchant.merchant_id, role)
    made = Console(store, hub, options, acme, other, users)
    yield made
    for visit in made.visits:
        visit.close()
    store.close()
