"""Turns that are seldom taken: what was removed meanwhile, answers that lack something, a channel that fails."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from connectors.shopify.oauth import FLOW, exchange
from oms_hub.channel.connecting import OAuthReturn
from oms_hub.channel.contract import ChannelSession, CheckResult, Connection
from oms_hub.errors import BadPayload, HubError, Misconfigured, NeedsReconnect, RetryLater
from oms_hub.store import row_security
from oms_hub.store.users import add_user, get_user, remove_member, set_role
from oms_hub.sync.connect import MemorySecrets
from oms_hub.sync.hub import Hub
from oms_hub.sync.retry_exception import RetryOutcome
from oms_hub.web.identity import NotAllowed, Visitor
from oms_hub.web.trials import Draft, store_draft
from tests.web.conftest import HASHED

SHOP = "one.myshopify.com"


def _signed(**given: str) -> dict[str, str]:
    full = {"code": "c", "shop": SHOP, "state": "s", "timestamp": str(int(time.time())), **given}
    message = "&".join(f"{name}={full[name]}" for name in sorted(full))
    return {**full, "hmac": hmac.new(b"secret", message.encode(), hashlib.sha256).hexdigest()}


def _session(answer: httpx.Response) -> ChannelSession:
    connection = Connection(0, "tienda", "shopify", "acme", "MXN", "UTC", {"shop": SHOP})
    secrets = MemorySecrets({"client_id": "id", "client_secret": "secret"})
    transport = httpx.MockTransport(lambda _request: answer)
    now = datetime(2026, 11, 22, tzinfo=UTC)
    return ChannelSession(connection, secrets, lambda: now, lambda _seconds: None, transport)


def test_a_token_without_an_end_is_taken_as_it_is() -> None:
    granted = exchange(_session(httpx.Response(200, json={"access_token": "t"})), OAuthReturn(_signed(), "u", "v"))
    assert granted.secrets == {"access_token": "t"}


@pytest.mark.parametrize(
    ("answer", "given", "error"),
    [
        (httpx.Response(200, json={"scope": "x"}), {}, BadPayload),
        (httpx.Response(200, json={"access_token": "t"}), {"shop": "two.myshopify.com"}, BadPayload),
        (httpx.Response(401, json={"error": "invalid_client"}), {}, NeedsReconnect),
        (httpx.Response(404, json={}), {}, HubError),
    ],
)
def test_no_token_comes_of_a_wrong_answer(
    answer: httpx.Response, given: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        FLOW.exchange(_session(answer), OAuthReturn(_signed(**given), "u", "v"))


def test_the_practice_shop_knows_its_own_app_only() -> None:
    from connectors.shopify.sandbox_oauth import Approvals

    assert "Unknown app" in Approvals("d", "id", "secret").page({"client_id": "other"})


def test_the_practice_shops_keys_go_to_this_machine_only() -> None:
    from connectors.woocommerce.sandbox_auth import deliver

    far = {"callback_url": "https://shop.example/x", "return_url": "http://h/r", "user_id": "s"}
    assert dict(parse_qsl(urlsplit(deliver(far, "ck", "cs")).query)) == {"success": "0", "user_id": "s"}


def test_a_person_is_added_once(console: Any) -> None:
    with pytest.raises(Misconfigured, match="already"), console.store.begin() as tx:
        add_user(tx, "owner@acme.example", password_hash=HASHED)
    with pytest.raises(Misconfigured, match="no user 999"), console.store.begin() as tx:
        get_user(tx, 999)


def test_a_session_looks_at_another_business_when_the_first_is_taken_away(console: Any) -> None:
    operator = console.users["operator"].user_id
    with console.store.begin() as tx:
        set_role(tx, operator, console.other.merchant_id, "viewer")
    visit = console.signed_in("operator")
    with console.store.begin() as tx:
        remove_member(tx, operator, console.acme.merchant_id)
    assert "<h1>other</h1>" in visit.see("/")
    nobody = Visitor(None, None, (), None, "", "", "")  # type: ignore[arg-type]
    with pytest.raises(NotAllowed):
        _ = nobody.merchant


def test_what_a_retry_brought_is_told(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    number = console.add_exception(console.connect("shop"), "bad_payload", "1")
    visit = console.signed_in()
    monkeypatch.setattr("oms_hub.web.exceptions.retry_exception", lambda *_given: RetryOutcome(False, "still so"))
    assert "still so" in visit.submit(f"/exceptions/{number}/retry", status=409).text
    monkeypatch.setattr("oms_hub.web.exceptions.retry_exception", lambda *_given: RetryOutcome(True, "gone"))
    assert "resolved" in visit.submit(f"/exceptions/{number}/retry").headers["location"]


def test_a_known_sku_is_not_added_again(console: Any) -> None:
    console.add_sku("MUG")
    number = console.add_exception(console.connect("shop"), "unmapped_sku", "MUG")
    console.signed_in().submit(f"/exceptions/{number}/map")
    assert console.rows("SELECT count(*) FROM hub.skus") == [(1,)]


def test_a_store_that_is_behind_is_not_healthy(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms_hub.web.health.read_state", lambda _tx: "behind")
    assert console.open().get("/health").json()["problems"] == ["the database is behind: run oms-hub migrate"]


def test_a_fault_in_making_the_wall_is_not_hidden(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_security, "_MAKE_ROLE", "SELECT nonsense")
    with pytest.raises(DBAPIError), console.store.begin() as tx:
        row_security.ensure_web_role(tx)


def _with_check(console: Any, check: Any) -> Any:
    channels = {**console.hub.channels, "woocommerce": replace(console.hub.channels["woocommerce"], check=check)}
    console.hub = Hub(console.store, channels, console.hub.box, console.hub.clock, console.hub.sleep)
    return console.signed_in()


def test_a_channel_that_fails_in_its_test_is_told_as_a_step(console: Any) -> None:
    def fails(_session: Any) -> Any:
        raise RetryLater("the shop sleeps")

    form = {"name": "w", "set.url": "http://127.0.0.1:9", "set.consumer_key": "k", "set.consumer_secret": "s"}
    visit = _with_check(console, fails)
    assert "the shop sleeps" in visit.submit_form("/connect/woocommerce/try", form, status=409).text
    odd = {**form, "set.url": "https://["}
    assert "is not an address" in visit.submit_form("/connect/woocommerce/try", odd, status=409).text


def test_an_approval_whose_keys_do_not_work_stores_nothing(console: Any) -> None:
    visit = _with_check(console, lambda _session: [CheckResult("orders", False, "may not be read", "Ask the owner")])
    page = visit.submit_form("/connect/woocommerce/approve", {"name": "w", "set.url": "http://127.0.0.1:9"}, status=200)
    state = page.text.split("user_id=")[1].split("&amp;")[0]
    body = {"user_id": state, "consumer_key": "ck", "consumer_secret": "cs"}
    assert console.open().post("/connect/woocommerce/delivery", json=body).status_code == 200
    shown = visit.see(f"/connect/woocommerce/return?success=1&user_id={state}", status=409)
    assert "Ask the owner" in shown
    assert console.rows("SELECT count(*) FROM hub.connections") == [(0,)]


def test_new_credentials_never_go_to_another_channel(console: Any) -> None:
    console.connect("shop")
    owner = console.users["owner"]
    site = console.open().app.state.site
    visitor = Visitor(site, owner, (), None, "", "", "")
    member = type("Member", (), {"merchant_id": console.acme.merchant_id, "merchant": "acme"})()
    draft = Draft(console.hub.channels["shopify"], "shop", "follows", {}, renews=True)
    with pytest.raises(Misconfigured, match="another channel"):
        store_draft(replace(visitor, membership=member), draft)
