"""The console in a real browser: connecting a practice shop, both languages, a phone, the keyboard alone, axe."""

from __future__ import annotations

import re
import secrets
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import text

from connectors.pos_feed import CHANNEL as POS_FEED
from connectors.shopify import CHANNEL as SHOPIFY
from connectors.shopify.sandbox import CLIENT_ID, CLIENT_SECRET, DOMAIN
from connectors.shopify.sandbox import start_sandbox as start_shopify
from connectors.woocommerce import CHANNEL as WOOCOMMERCE
from connectors.woocommerce.sandbox import start_sandbox as start_woocommerce
from oms_hub.channel.secrets import SecretBox
from oms_hub.store.engine import Store, open_store_at
from oms_hub.store.exceptions import OpenException, open_exceptions
from oms_hub.store.merchants import add_merchant
from oms_hub.store.users import add_user, set_role
from oms_hub.sync.hub import Hub
from oms_hub.web.app import create_app
from oms_hub.web.options import WebOptions
from tests.web.conftest import CHEAP, HASHED, PASSWORD

CHROMIUM = Path("/usr/bin/chromium")
EMAIL = "owner@acme.example"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no Chromium at /usr/bin/chromium"),
]


@dataclass
class Served:
    """A console that is being served, with two practice shops and a browser."""

    url: str
    store: Store
    shopify: Any
    woocommerce: Any
    browser: Any
    state: Any = None

    def page(self, **options: Any) -> Any:
        """Open a page with the owner signed in."""
        context = self.browser.new_context(storage_state=self.state, **{"locale": "en-GB", **options})
        context.set_default_timeout(15_000)
        return context.new_page()

    def run(self, statement: str) -> None:
        with self.store.begin() as tx:
            tx.execute(text(statement))


@pytest.fixture(scope="module")
def served(server_url: str, database_pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a console, and open a browser on it, once for all of these tests."""
    name = database_pool.take()
    base, _, query = server_url.partition("?")
    url = f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    store = open_store_at(url)
    with store.begin() as tx:
        merchant = add_merchant(tx, "acme", currency="MXN", time_zone="America/Mexico_City")
        user = add_user(tx, EMAIL, password_hash=HASHED)
        set_role(tx, user.user_id, merchant.merchant_id, "owner")
    channels = {each.name: each for each in (SHOPIFY, WOOCOMMERCE, POS_FEED)}
    hub = Hub(store, channels, SecretBox([secrets.token_bytes(32)]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    public = f"http://127.0.0.1:{port}"
    feeds = tmp_path_factory.mktemp("feeds")
    app = create_app(hub, WebOptions(public_url=public, hasher=CHEAP, allows_loopback=True, feeds=feeds))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        shops = start_shopify(orders=6), start_woocommerce(orders=6)
        made = Served(public, store, *shops, browser)
        context = browser.new_context()
        page = context.new_page()
        sign_in(page, public)
        made.state = context.storage_state()
        yield made
        browser.close()
    for shop in shops:
        shop.close()
    server.should_exit = True
    thread.join(10)
    store.close()
    database_pool.give_back(name)


def sign_in(page: Any, url: str) -> None:
    """Sign in with the mouse."""
    page.goto(f"{url}/sign-in")
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.click("form[action='/sign-in'] button")
    page.wait_for_url(f"{url}/")


def begin_approval(page: Any, served: Served, name: str) -> None:
    """Go as far as the practice shop's own page."""
    page.goto(f"{served.url}/connect/shopify")
    page.fill("#name", name)
    page.fill("[id='set.shop']", DOMAIN)
    page.fill("[id='set.client_id']", CLIENT_ID)
    page.fill("[id='set.client_secret']", CLIENT_SECRET)
    page.click("summary:has-text('More settings')")
    page.fill("[id='set.base_url']", served.shopify.base_url)
    page.click("button:has-text('Approve at Shopify')")
    page.click("a:has-text('Go on to Shopify')")
    page.wait_for_selector("#yes")


def test_a_shop_is_approved_read_looked_at_and_made_live(served: Served) -> None:
    page = served.page()
    begin_approval(page, served, "tienda")
    page.click("#yes")
    page.wait_for_url(re.compile("/connections/tienda/setup"))
    assert "shpat_" not in page.content()
    page.click("button:has-text('Read now')")
    page.wait_for_selector("button:has-text('Read again'):enabled")
    page.click("a:has-text('Muestra sin código')")
    page.fill("#sku", "MUESTRA")
    page.check("input[name=create]")
    page.click("button:has-text('Link')")
    page.wait_for_selector("text=The listing is linked.")
    page.click("button:has-text('Take over')")
    page.wait_for_selector("button:has-text('Make it live'):enabled")
    assert "It is a dry run" in page.inner_text("main")
    page.click("button:has-text('Make it live')")
    page.wait_for_selector("text=Pushing is live: levels are sent from now on.")
    assert page.inner_text(".head .pill.good >> nth=1") == "live"


def test_a_no_at_the_shop_and_a_way_back_that_took_too_long_store_nothing(served: Served) -> None:
    page = served.page()
    begin_approval(page, served, "second")
    page.click("#no")
    page.wait_for_selector("[role=alert]:has-text('did not approve')")
    begin_approval(page, served, "second")
    served.run("UPDATE hub.oauth_states SET expires_at = now() - interval '1 minute'")
    page.click("#yes")
    page.wait_for_selector("h1:has-text('Begin again')")
    with served.store.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM hub.connections WHERE name = 'second'")) == 0


def test_a_wrong_secret_says_what_to_do_and_the_shops_own_approval_works(served: Served) -> None:
    page = served.page()
    page.goto(f"{served.url}/connect/woocommerce")
    page.fill("[id='set.url']", served.woocommerce.base_url)
    page.fill("[id='set.consumer_key']", "ck_wrong")
    page.fill("[id='set.consumer_secret']", "cs_wrong")
    page.click("button:has-text('Test and store by hand')")
    page.wait_for_selector("[role=alert] .mark.bad")
    assert page.input_value("[id='set.url']") == served.woocommerce.base_url
    assert page.input_value("[id='set.consumer_secret']") == ""
    page.click("button:has-text('Approve at WooCommerce')")
    page.click("a:has-text('Go on to WooCommerce')")
    page.click("#yes")
    page.wait_for_url(re.compile("/connections/acme-woocommerce/setup"))
    page.goto(f"{served.url}/connections/acme-woocommerce/reconnect")
    page.click("button:has-text('Approve at WooCommerce')")
    page.click("a:has-text('Go on to WooCommerce')")
    page.click("#yes")
    page.wait_for_url(re.compile("/connections/acme-woocommerce/setup"))


def test_an_exception_is_dismissed_and_tables_change_in_place(served: Served) -> None:
    with served.store.begin() as tx:
        found = [OpenException("on_hold", f"order-{number}", "payment is reviewed") for number in range(3)]
        open_exceptions(tx, merchant_id=1, connection_id=None, found=found)
    page = served.page()
    page.goto(f"{served.url}/exceptions")
    page.evaluate("window.same = true")
    page.click("th a:has-text('About')")
    page.wait_for_selector("th[aria-sort]:has-text('About')")
    page.fill("#q", "order-1")
    page.press("#q", "Enter")
    page.wait_for_selector("tbody tr:nth-child(2)", state="detached")
    assert page.evaluate("window.same") is True
    assert "q=order-1" in page.url
    page.click("tbody a >> nth=0")
    page.fill("#reason", "talked to the buyer")
    page.click("button:has-text('Dismiss')")
    page.wait_for_selector("text=The exception is dismissed.")


def test_spanish_comes_by_the_browser_and_by_the_switch(served: Served) -> None:
    page = served.page(locale="es-MX")
    page.goto(f"{served.url}/orders")
    assert page.inner_text("h1") == "Pedidos"
    assert page.get_attribute("html", "lang") == "es"
    page.click("button:has-text('English')")
    page.wait_for_selector("h1:has-text('Orders')")
    assert page.url == f"{served.url}/orders"


def test_a_phone_shows_everything_without_scrolling_sideways(served: Served) -> None:
    page = served.page(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    for path in ("/", "/orders", "/stock", "/exceptions", "/connect/shopify", "/connections/tienda/setup", "/people"):
        page.goto(f"{served.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    page.tap("details.menu > summary")
    page.tap("nav a:has-text('Stock')")
    page.wait_for_url(f"{served.url}/stock")


def test_the_keyboard_alone_is_enough(served: Served) -> None:
    page = served.browser.new_context(locale="en-GB").new_page()
    page.goto(f"{served.url}/sign-in")
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{served.url}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.goto(f"{served.url}/orders")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.focus") == "total":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("th[aria-sort=descending]:has-text('Total')")
    assert page.evaluate("document.activeElement.dataset.focus") == "total"


def test_axe_finds_nothing_serious(served: Served) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from axe_playwright_python.sync_playwright import Axe
    page = served.page()
    found: list[str] = []
    for path in (
        "/", "/orders", "/stock", "/stock/view?sku=HUB-001", "/exceptions", "/exceptions/1", "/connect",
        "/connect/shopify", "/connections/tienda", "/connections/tienda/setup", "/people", "/audit", "/account",
    ):  # fmt: skip
        page.goto(f"{served.url}{path}")
        assert page.locator("h1").count() == 1, path
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in {"serious", "critical"}:
                found.append(f"{path}: {violation['id']}: {violation['nodes'][0]['html'][:150]}")
    outside = served.browser.new_context().new_page()
    outside.goto(f"{served.url}/sign-in")
    found += [
        each["id"] for each in Axe().run(outside).response["violations"] if each["impact"] in {"serious", "critical"}
    ]
    assert found == []
