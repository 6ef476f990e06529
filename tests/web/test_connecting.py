"""Connecting accounts: by approval and by hand, on real practice shops; and everything that must not work."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from connectors.pos_feed.sandbox import COLUMNS, PracticeTill
from connectors.shopify.sandbox import CLIENT_ID, CLIENT_SECRET, DOMAIN, FIRST_TOKEN
from connectors.shopify.sandbox import start_sandbox as start_shopify
from connectors.woocommerce.sandbox import start_sandbox as start_woocommerce
from oms_hub.errors import BadPayload, Misconfigured
from oms_hub.sync.hub import Hub
from oms_hub.web.given_settings import feed_path
from tests.web.conftest import words_of


@pytest.fixture(scope="module")
def shopify() -> Iterator[Any]:
    shop = start_shopify(orders=6)
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def woocommerce() -> Iterator[Any]:
    shop = start_woocommerce(orders=6)
    yield shop
    shop.close()


def app_settings(shop: Any, **changes: str) -> dict[str, str]:
    """Return the form that begins an approval at the practice shop."""
    given = {"set.shop": DOMAIN, "set.base_url": shop.base_url, "set.client_id": CLIENT_ID,
             "set.client_secret": CLIENT_SECRET, "name": "tienda"}  # fmt: skip
    return {**given, **changes}


def begin(visit: Any, path: str, form: dict[str, str]) -> dict[str, str]:
    """Begin an approval and return what the channel is told."""
    page = visit.submit_form(path, form, status=200).text
    target = html.unescape(re.search(r'class="button" href="([^"]+)"', page)[1])  # type: ignore[index]
    return {"page": page, "target": target, **dict(parse_qsl(urlsplit(target).query))}


def way_back(shop: Any, asked: dict[str, str]) -> str:
    """Approve at the practice shop and return the path that the browser comes back to."""
    parts = urlsplit(shop.approvals.approved(asked["redirect_uri"], asked["state"]))
    return f"{parts.path}?{parts.query}"


def test_an_approval_stores_expiring_tokens_that_no_page_shows(console: Any, shopify: Any, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    visit = console.signed_in()
    guide = words_of(visit.see("/connect/shopify"))
    assert "Open the Shopify Dev Dashboard" in guide
    assert "It writes stock levels, and only once" in guide
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify))
    assert asked["target"].startswith(f"{shopify.base_url}/admin/oauth/authorize?")
    assert asked["client_id"] == CLIENT_ID
    assert "write_inventory" in asked["scope"]
    answer = visit.get(way_back(shopify, asked))
    assert answer.headers["location"].startswith("/connections/tienda/setup")
    page = visit.see("/connections/tienda")
    stored = console.hub.connection("tienda")
    secrets = console.hub.session(stored).secrets
    token, refresh = secrets.get("access_token"), secrets.get("refresh_token")
    assert token.startswith("shpat_practice_")
    assert refresh.startswith("shprt_practice_")
    assert secrets.get("access_token_expires_at").startswith("2026-11-22T13:")
    assert stored.settings == {"shop": DOMAIN, "base_url": shopify.base_url}
    assert not stored.is_push_enabled
    for secret in (token, refresh, CLIENT_SECRET):
        assert secret not in page + answer.text + asked["page"] + caplog.text + visit.see(
            "/connections/tienda/reconnect"
        )
        dump = console.rows("SELECT array_agg(s::text) || array_agg(a::text) FROM hub.secrets s, hub.audit_log a")
        assert secret not in str(dump)
    assert console.rows("SELECT count(*) FROM hub.oauth_states") == [(0,)]


def test_a_state_works_once_in_its_own_session_and_in_time(console: Any, shopify: Any, frozen_clock: Any) -> None:
    visit, other = console.signed_in(), console.signed_in()
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify))
    back = way_back(shopify, asked)
    assert "Begin again" in other.see(back, status=400)
    assert visit.get(back).status_code == 303
    assert "was used already" in visit.see(back, status=400)
    forged = back.replace(asked["state"], "x" * 43)
    assert "Begin again" in visit.see(forged, status=400)
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify, name="second"))
    frozen_clock.advance(601)
    assert "Begin again" in visit.see(way_back(shopify, asked), status=400)
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify, name="second"))
    assert "Begin again" in visit.see(
        way_back(shopify, asked).replace("/shopify/", "/woocommerce/").replace("state=", "user_id="), status=400
    )
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify, name="second"))
    visit.submit("/sign-out")
    visit.sign_in("owner@acme.example")
    assert "Begin again" in visit.see(way_back(shopify, asked), status=400)
    assert console.rows("SELECT name FROM hub.connections") == [("tienda",)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": "access_denied"}, "did not approve"),
        ({"hmac": "0" * 64}, "was not signed"),
        ({"shop": "evil.myshopify.com"}, "was not signed"),
        ({"code": "0" * 32}, "was not signed"),
        ({"timestamp": "1"}, "was not signed"),
    ],
)
def test_what_comes_back_wrong_stores_nothing(console: Any, shopify: Any, change: dict[str, str], said: str) -> None:
    visit = console.signed_in()
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify))
    path, _, query = way_back(shopify, asked).partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()}
    assert said in visit.see(f"{path}?{urlencode({**given, **change})}", status=409)
    assert console.rows("SELECT count(*) FROM hub.connections") == [(0,)]


def test_a_wrong_app_secret_and_a_used_code_are_told(console: Any, shopify: Any) -> None:
    visit = console.signed_in()
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify, **{"set.client_secret": "wrong"}))
    assert "Check client_secret" in visit.see(way_back(shopify, asked), status=409)
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify))
    back = way_back(shopify, asked)
    shopify.approvals.codes.clear()
    assert "refuses the app" in visit.see(back, status=409)
    missing = visit.submit_form("/connect/shopify/approve", app_settings(shopify, **{"set.client_id": ""}), status=409)
    assert "needs client_id first" in words_of(missing.text)


def test_an_approval_at_the_shop_itself_brings_keys_on_their_own_way(console: Any, woocommerce: Any) -> None:
    visit = console.signed_in()
    asked = begin(visit, "/connect/woocommerce/approve", {"set.url": woocommerce.base_url, "name": "woo"})
    assert asked["callback_url"].endswith("/connect/woocommerce/delivery")
    assert asked["scope"] == "read_write"
    keys = woocommerce.account.secrets
    body = {"user_id": asked["user_id"], "key_id": 1, "key_permissions": "read_write", **keys}
    shop = console.open()
    assert shop.post("/connect/woocommerce/delivery", json={**body, "user_id": "x" * 43}).status_code == 404
    assert shop.post("/connect/woocommerce/delivery", content=b"nonsense").status_code == 400
    assert shop.post("/connect/shopify/delivery", json=body).status_code == 404
    assert shop.post("/connect/nonsense/delivery", json=body).status_code == 404
    assert shop.post("/connect/woocommerce/delivery", json=body).status_code == 200
    assert shop.post("/connect/woocommerce/delivery", json={**body, "consumer_key": "ck_evil"}).status_code == 404
    assert keys["consumer_secret"].encode() not in console.rows("SELECT granted FROM hub.oauth_states")[0][0]
    assert visit.get(f"/connect/woocommerce/return?success=1&user_id={asked['user_id']}").status_code == 303
    secrets = console.hub.session(console.hub.connection("woo")).secrets
    assert secrets.get("consumer_key") == keys["consumer_key"]


@pytest.mark.parametrize(("success", "said"), [("0", "did not approve"), ("1", "could not post its keys")])
def test_an_approval_without_keys_stores_nothing(console: Any, woocommerce: Any, success: str, said: str) -> None:
    visit = console.signed_in()
    asked = begin(visit, "/connect/woocommerce/approve", {"set.url": woocommerce.base_url, "name": "woo"})
    page = visit.see(f"/connect/woocommerce/return?success={success}&user_id={asked['user_id']}", status=409)
    assert said in page
    assert console.rows("SELECT count(*) FROM hub.connections") == [(0,)]


def test_a_key_by_hand_is_tried_step_by_step_before_it_is_stored(console: Any, woocommerce: Any) -> None:
    visit = console.signed_in()
    account = woocommerce.account
    form = {"name": "woo", "set.url": woocommerce.base_url, "set.consumer_key": account.secrets["consumer_key"],
            "set.consumer_secret": "cs_wrong"}  # fmt: skip
    page = visit.submit_form("/connect/woocommerce/try", form, status=409).text
    assert "It does not work yet: nothing was stored" in page
    assert "shop answers" in page
    assert "→" in page
    assert "cs_wrong" not in page
    assert woocommerce.base_url in page
    missing = {**form, "set.consumer_secret": ""}
    assert "needs consumer_secret" in words_of(visit.submit_form("/connect/woocommerce/try", missing, status=409).text)
    good = {**form, "set.consumer_secret": account.secrets["consumer_secret"], "role": "counts"}
    assert visit.submit_form("/connect/woocommerce/try", good).headers["location"].startswith("/connections/woo/setup")
    assert console.hub.connection("woo").role == "counts"
    taken = visit.submit_form("/connect/woocommerce/try", good, status=409)
    assert "There is a connection" in words_of(taken.text)
    results = visit.submit("/connections/woo/test", status=200).text
    assert "an order can be read" in results
    assert console.rows("SELECT count(*) FROM hub.connections") == [(1,)]


PRIVATE = ["https://10.0.0.8", "https://192.168.1.1", "https://169.254.169.254", "https://[::1]", "https://127.0.0.1",
           "https://[::ffff:10.0.0.1]", "https://[fd00::1]", "https://0.0.0.0", "https://2130706433", "https://[64:ff9b::7f00:1]",
           "https://[2002:7f00:1::]", "https://100.64.0.1", "https://224.0.0.1", "https://localhost", "http://127.1", "https://"]  # fmt: skip


def test_addresses_beside_the_hub_are_never_called(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: Any) -> Any:
        raise AssertionError("called")

    monkeypatch.setattr("httpx.HTTPTransport.handle_request", refuse)
    visit = console.signed_in(allows_loopback=False)
    for address in PRIVATE:
        form = {"name": "w", "set.url": address, "set.consumer_key": "k", "set.consumer_secret": "s"}
        page = visit.submit_form("/connect/woocommerce/try", form, status=409).text
        assert 'role="alert"' in page, address
        visit.submit_form("/connect/woocommerce/approve", {"name": "w", "set.url": address}, status=409)
    shop = app_settings(type("Shop", (), {"base_url": "https://10.0.0.1"}))
    refused = visit.submit_form("/connect/shopify/try", shop, status=409).text
    assert "has no setting base_url" in refused
    assert 'id="set.base_url"' not in visit.see("/connect/shopify")
    assert console.rows("SELECT count(*) FROM hub.connections") == [(0,)]


BAD_PATHS = ["/etc/passwd", "../2/till.csv", "a/../../b", "file:///etc/passwd", "local:///etc/passwd", "~/x", "a//b",
             "simplecache::file:///etc/passwd", "memory://x", "http://10.0.0.1/x", "sftp://10.0.0.1/x", "sftp://127.0.0.1/x",
             ".", "..", "a/./b", "", "x\ny", "zip://*::file:///etc/x.zip"]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_no_feed_leaves_its_merchants_folder(console: Any, path: str) -> None:
    visit = console.signed_in(allows_loopback=False)
    for action in ("preview", "try"):
        answer = visit.submit_form(f"/connect/pos_feed/{action}", {"name": "till", "set.path": path}, status=409)
        assert "root:" not in answer.text


def test_links_that_lead_out_of_the_folder_are_refused(console: Any, tmp_path: Path) -> None:
    folder = console.options.feeds / str(console.acme.merchant_id)
    folder.mkdir(parents=True)
    (folder / "out").symlink_to(tmp_path)
    whose = {"options": console.options, "merchant_id": console.acme.merchant_id}
    with pytest.raises(Misconfigured):
        feed_path("out/secret.csv", **whose)
    assert feed_path("day-*.csv", **whose) == str(folder / "day-*.csv")
    assert feed_path(str(folder / "a" / "b.csv"), **whose) == str(folder / "a" / "b.csv")
    assert feed_path("s3://bucket/key", **whose) == "s3://bucket/key"


@pytest.mark.parametrize(
    "options",
    [{"client_kwargs": {"endpoint_url": "http://169.254.169.254"}}, {"host": "10.0.0.1"}, {"fo": "file:///etc/passwd"},
     {"target_protocol": "file"}, {"a": [{"endpoint": "127.0.0.1:80"}]}],
)  # fmt: skip
def test_options_of_a_file_system_reach_no_farther(console: Any, options: dict[str, Any]) -> None:
    visit = console.signed_in(allows_loopback=False)
    form = {"name": "till", "set.path": "s3://bucket/x", "set.storage_options": json.dumps(options)}
    page = visit.submit_form("/connect/pos_feed/try", form, status=409).text
    assert "not on the public internet" in page or "must not name" in page


def test_a_feed_shows_its_first_rows_and_is_mapped_by_hand(console: Any) -> None:
    folder = console.options.feeds / str(console.acme.merchant_id)
    folder.mkdir(parents=True)
    till = PracticeTill(folder=folder, orders=4)
    visit = console.signed_in()
    form = {"name": "till", "set.path": "till-1.csv", "set.delimiter": ";", "set.decimal": ",", "set.format": "csv",
            "set.datetime_format": "%d/%m/%Y %H:%M:%S.%f"}  # fmt: skip
    page = visit.submit_form("/connect/pos_feed/preview", form, status=200).text
    assert "The first rows of till-1.csv" in page
    assert "articulo" in page
    assert 'name="map.order_id"' in page
    assert "lacks the column" in page
    mapped = {**form, **{f"map.{name}": column for name, column in COLUMNS.items()}}
    again = visit.submit_form("/connect/pos_feed/preview", mapped, status=200).text
    assert re.search(r"These rows make \d+ orders", words_of(again))
    assert "<option selected>articulo" in again
    assert visit.submit_form("/connect/pos_feed/try", mapped).status_code == 303
    stored = console.hub.connection("till")
    assert json.loads(stored.settings["columns"]) == COLUMNS
    assert stored.settings["path"] == str(folder / "till-1.csv")
    visit.see("/connections/till/setup")
    visit.submit("/connections/till/run/read")
    setup = words_of(visit.see("/connections/till/setup"))
    assert "4 orders were read" in setup
    assert "First count" not in setup
    visit.submit_form("/connect/shopify/preview", form, status=404)
    till.close()


def test_a_feed_without_files_and_one_of_json_are_told_apart(console: Any) -> None:
    folder = console.options.feeds / str(console.acme.merchant_id)
    folder.mkdir(parents=True)
    visit = console.signed_in()
    form = {"name": "till", "set.path": "sales.jsonl", "set.format": "jsonl"}
    assert "there is no file yet" in visit.submit_form("/connect/pos_feed/preview", form, status=409).text
    (folder / "sales.jsonl").write_text('{"order_id": "1", "Articulo": "MUG"}\n[1]\n')
    page = visit.submit_form("/connect/pos_feed/preview", form, status=200).text
    assert "Articulo" in page
    assert "MUG" in page
    (folder / "sales.jsonl").write_text("no json\n")
    assert "is not jsonl" in visit.submit_form("/connect/pos_feed/preview", form, status=409).text


def test_from_a_stored_account_to_a_live_one(console: Any, shopify: Any) -> None:
    visit = console.signed_in()
    form = {"name": "tienda", "set.shop": DOMAIN, "set.base_url": shopify.base_url, "set.access_token": FIRST_TOKEN}
    visit.submit_form("/connect/shopify/try", form)
    assert "Read now" in visit.see("/connections/tienda/setup")
    visit.submit("/connections/tienda/run/nonsense", status=404)
    visit.submit("/connections/tienda/run/read")
    setup = visit.see("/connections/tienda/setup")
    text = words_of(setup)
    assert "25 of 28 listings are linked" in text
    assert "Bodega Centro" in text
    assert "SHP-DUP" in text
    assert "Nothing can be computed before the first count" in text
    place = html.unescape(re.search(r'name="(place\.gid[^"]+)"', setup)[1])  # type: ignore[index]
    visit.submit_form("/connections/tienda/places", {place: "new"})
    assert console.rows("SELECT code FROM hub.locations WHERE merchant_id = :m ORDER BY 1", m=console.acme.merchant_id) == [
        ("Bodega Centro",), ("main",)
    ]  # fmt: skip
    visit.submit_form("/connections/tienda/places", {place: ""})
    loose = html.unescape(re.search(r'href="(/listings/link\?[^"]+)"', setup)[1])  # type: ignore[index]
    key = dict(parse_qsl(urlsplit(loose).query))["listing"]
    visit.see(loose)
    where = {"connection": "tienda", "listing": key}
    visit.submit_form("/listings/link", {**where, "sku": "NEW-1"}, status=409)
    visit.submit_form("/listings/link", {**where, "sku": ""}, status=409)
    visit.submit_form("/listings/link", {**where, "sku": "NEW-1", "pack_size": "0"}, status=409)
    visit.submit_form("/listings/link", {**where, "sku": "NEW-1", "create": "yes", "pack_size": "2"})
    assert "It is linked to NEW-1, 2 to a unit" in words_of(visit.see(loose))
    visit.submit_form("/listings/link", {**where, "action": "ignore"})
    visit.submit_form("/listings/link", {"connection": "tienda", "listing": "none", "sku": "X"}, status=404)
    visit.submit("/connections/tienda/run/adopt")
    console.run(
        "UPDATE hub.balances SET on_hand = on_hand - 1 WHERE sku_id = (SELECT sku_id FROM hub.skus WHERE sku = 'HUB-004')"
    )
    console.run("INSERT INTO hub.stock_dirty (sku_id, merchant_id) SELECT sku_id, merchant_id FROM hub.skus WHERE sku = 'HUB-004' ON CONFLICT DO NOTHING")  # fmt: skip
    visit.submit("/connections/tienda/run/plan")
    before = shopify.level("HUB-004")
    dry = words_of(visit.see("/connections/tienda/setup"))
    assert "Nothing is sent before you make it live" in dry
    assert "HUB-004" in dry
    assert shopify.level("HUB-004") == before
    visit.submit("/connections/tienda/push", push="on")
    assert shopify.level("HUB-004") == before - 1
    assert "Pushing is live" in visit.see("/connections/tienda/setup")
    story = words_of(visit.see("/stock/view?sku=HUB-004"))
    assert f"Confirmed: {before - 1}" in story
    visit.submit("/connections/tienda/push", push="off")
    assert not console.hub.connection("tienda").is_push_enabled
    shopify.set_level("HUB-004", before)


def test_reconnecting_keeps_the_history_and_disconnecting_takes_the_access_back(console: Any, shopify: Any) -> None:
    visit = console.signed_in()
    asked = begin(visit, "/connect/shopify/approve", app_settings(shopify))
    visit.get(way_back(shopify, asked))
    stored = console.hub.connection("tienda")
    console.add_sku("MUG")
    console.add_order(stored, "1")
    console.run("UPDATE hub.connections SET state = 'needs_reconnect', state_reason = 'refused'")
    old = console.hub.session(stored).secrets.get("access_token")
    assert f'value="{DOMAIN}"' in visit.see("/connections/tienda/reconnect")
    asked = begin(visit, "/connections/tienda/approve", app_settings(shopify, name="ignored"))
    visit.get(way_back(shopify, asked))
    again = console.hub.connection("tienda")
    token = console.hub.session(again).secrets.get("access_token")
    assert (again.connection_id, again.state) == (stored.connection_id, "active")
    assert token != old
    form = app_settings(shopify, **{"set.access_token": "shpat_wrong", "set.client_id": "", "set.client_secret": ""})
    assert "nothing was stored" in visit.submit_form("/connections/tienda/reconnect", form, status=409).text
    assert console.hub.session(again).secrets.get("access_token") == token
    form["set.access_token"] = FIRST_TOKEN
    visit.submit_form("/connections/tienda/reconnect", form)
    form["set.access_token"] = token
    visit.submit_form("/connections/tienda/reconnect", form)
    answer = visit.submit("/connections/tienda/disconnect")
    assert "access+was+revoked" in answer.headers["location"]
    assert token not in shopify.tokens
    assert console.rows("SELECT count(*) FROM hub.secrets") == [(0,)]
    assert console.rows("SELECT count(*) FROM hub.orders") == [(1,)]
    assert [row[0] for row in console.rows("SELECT action FROM hub.audit_log WHERE action LIKE 'connection.re%' ORDER BY 1")] == [
        "connection.reconnect", "connection.reconnect", "connection.reconnect", "connection.remove",
    ]  # fmt: skip


def test_what_cannot_be_revoked_is_said(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    console.connect("woo")
    console.connect("gone", channel="nonsense")
    console.connect("dead", channel="shopify")
    visit = console.signed_in()
    assert "nonsense" in visit.see("/connections/gone")
    assert "not installed" in visit.submit("/connections/gone/test", status=409).text
    for name in ("woo", "gone", "dead"):
        assert "Take+the+access+back" in visit.submit(f"/connections/{name}/disconnect").headers["location"]
    assert visit.get("/connect/nonsense").status_code == 404
    assert visit.submit("/connect/pos_feed/approve", status=404)


def test_a_channel_without_a_guide_is_connected_by_its_settings(console: Any) -> None:
    plain = {name: replace(each, guide=None, oauth=None) for name, each in console.hub.channels.items()}
    console.hub = Hub(console.store, plain, console.hub.box, console.hub.clock, console.hub.sleep)
    visit = console.signed_in()
    assert "Connect Shopify" in visit.see("/connect")
    page = visit.see("/connect/woocommerce")
    assert page.index('id="set.url"') < page.index("More settings") < page.index('id="set.page_size"')
    wrong = {"name": "w", "set.url": "https://shop.example", "set.concurrency": "99"}
    assert "has not the right form" in visit.submit_form("/connect/woocommerce/try", wrong, status=409).text
    assert (
        "has no setting nonsense"
        in visit.submit_form("/connect/woocommerce/try", {"set.nonsense": "1"}, status=409).text
    )
    choice = {"set.path": "x", "set.format": "pdf"}
    assert "is one of: csv, jsonl" in visit.submit_form("/connect/pos_feed/try", choice, status=409).text


def test_keys_posted_by_a_far_shop_need_https(console: Any) -> None:
    from connectors.woocommerce.oauth import FLOW, read_delivery
    from oms_hub.channel.connecting import OAuthStart

    start = OAuthStart({"url": "https://shop.example"}, {}, "http://h/r", "http://h/d", "s", "c")
    with pytest.raises(Misconfigured, match="https addresses only"):
        FLOW.authorize_url(start)
    assert "callback_url=https%3A%2F%2Fh%2Fd" in FLOW.authorize_url(replace(start, delivery_url="https://h/d"))
    with pytest.raises(BadPayload):
        read_delivery(b'{"user_id": 1}')
