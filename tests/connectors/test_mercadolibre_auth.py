"""Getting in: refresh tokens that work once, one renewal for many workers, lost answers, consent, settings, the check."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors.mercadolibre import CHANNEL
from connectors.mercadolibre.api import open_api
from connectors.mercadolibre.auth import EARLY, Tokens, challenge_of, consent_url, redeem_code
from connectors.mercadolibre.sandbox import CLIENT_ID, SELLER_ID, MeliSandbox, start_sandbox
from connectors.mercadolibre.sandbox_account import AccountTraits
from connectors.mercadolibre.settings import API_URL, base_url, check_settings, country, orders_from
from connectors.mercadolibre.webhooks import CLAIM, LISTING, ORDER, OTHER, SHIPMENT, STOCK, Pointer, read_notification
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.secrets import SecretBox
from oms_hub.channel.transports import ImpatientTransport
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect, Refused, RetryLater
from oms_hub.store.engine import open_store_at
from oms_hub.store.merchants import add_merchant
from oms_hub.sync.connect import NewConnection, check_connection, store_new
from oms_hub.sync.hub import Hub
from oms_hub.testing.factories import a_connection, a_session
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy, SeenRequest

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GOOD = {"site": "MLM", "seller_id": str(SELLER_ID)}


class SharedSecrets:
    """Secrets of one connection that several workers share, with the order of what happened to them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.events: list[str] = []
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        self.events.append(f"stored {' '.join(sorted(values))}")
        self.values.update(values)

    @contextmanager
    def lock(self) -> Iterator[None]:
        with self._lock:
            self.events.append("locked")
            yield


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def shop() -> Iterator[MeliSandbox]:
    running = start_sandbox(orders=2)
    yield running
    running.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def session(shop: MeliSandbox, clock: SetClock) -> ChannelSession:
    account = shop.account
    return replace(a_session(account.settings), secrets=SharedSecrets(account.secrets), clock=clock)


def is_token_request(request: SeenRequest) -> bool:
    return request.path == "/oauth/token"


@contextmanager
def behind_proxy(session: ChannelSession, shop: MeliSandbox) -> Iterator[tuple[ChannelSession, FaultProxy]]:
    with FaultProxy(shop.base_url) as proxy:
        settings = {**session.connection.settings, "base_url": proxy.base_url}
        yield replace(session, connection=replace(session.connection, settings=settings)), proxy


def secrets_of(session: ChannelSession) -> SharedSecrets:
    assert isinstance(session.secrets, SharedSecrets)
    return session.secrets


def test_the_first_request_renews_and_stores_both_tokens_before_they_are_used(
    session: ChannelSession, shop: MeliSandbox
) -> None:
    first = shop.grants.refresh_token
    used: list[tuple[str, bool]] = []

    class Watching(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            used.append((request.url.path, token == secrets_of(session).values.get("access_token")))
            return super().handle_request(request)

    with open_api(replace(session, transport=Watching())) as api:
        api.get("users/me")
    assert used == [("/oauth/token", False), ("/users/me", True)]
    assert shop.grants.renewals == 1
    values = secrets_of(session).values
    assert values["refresh_token"] == shop.grants.refresh_token != first
    assert values["access_token_expires_at"] == "2026-11-22T18:00:00Z"
    assert values["refresh_token_sent"] == ""
    assert secrets_of(session).events == [
        "locked",
        "stored refresh_token_sent",
        "stored access_token access_token_expires_at refresh_token refresh_token_sent",
    ]


def test_a_stored_token_serves_until_it_ends(session: ChannelSession, shop: MeliSandbox, clock: SetClock) -> None:
    token = Tokens(session).current()
    assert Tokens(session).current() == token
    clock.now += timedelta(hours=6) - EARLY - timedelta(seconds=1)
    assert Tokens(session).current() == token
    clock.now += timedelta(seconds=1)
    assert Tokens(session).current() != token
    assert shop.grants.renewals == 2


def test_sixteen_workers_in_four_processes_renew_once(session: ChannelSession, shop: MeliSandbox) -> None:
    processes = [Tokens(session) for _ in range(4)]
    stale = [tokens.current() for tokens in processes]
    assert set(stale) == {stale[0]}
    shop.grants.expire()
    with ThreadPoolExecutor(16) as pool:
        renewed = list(pool.map(lambda number: processes[number % 4].renew(stale=stale[0]), range(16)))
    assert len(set(renewed)) == 1
    assert renewed[0] == secrets_of(session).values["access_token"] != stale[0]
    assert shop.grants.renewals == 2


def test_a_token_that_ends_under_way_is_renewed_once_for_all_requests(
    session: ChannelSession, shop: MeliSandbox
) -> None:
    with open_api(session) as api:
        api.get("users/me")
        shop.grants.expire()
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: api.get("users/me").parsed["id"], range(12)))
    assert answers == [SELLER_ID] * 12
    assert shop.grants.renewals == 2


def test_a_renewal_that_never_arrived_is_sent_again_with_the_same_token(
    session: ChannelSession, shop: MeliSandbox
) -> None:
    with behind_proxy(session, shop) as (through, proxy):
        proxy.inject(Fault(FaultKind.NO_ANSWER), matches=is_token_request)
        assert Tokens(through).current() == secrets_of(session).values["access_token"]
        assert len(proxy.requests(is_token_request)) == 2
    assert shop.grants.renewals == 1


def test_a_renewal_without_any_answer_is_tried_again_in_the_next_run(
    session: ChannelSession, shop: MeliSandbox
) -> None:
    first = shop.grants.refresh_token
    with behind_proxy(session, shop) as (through, proxy):
        proxy.inject(Fault(FaultKind.NO_ANSWER), matches=is_token_request, times=FOREVER)
        with pytest.raises(RetryLater) as caught:
            Tokens(through).current()
        assert "the same refresh token is sent again" in caught.value.message
        assert len(proxy.requests(is_token_request)) == 2
        assert secrets_of(session).values["refresh_token"] == first
        proxy.clear()
        Tokens(through).current()
    assert shop.grants.renewals == 1


@pytest.mark.parametrize("is_next_run", [False, True])
def test_a_lost_answer_to_a_renewal_that_arrived_says_what_happened_and_what_to_do(
    session: ChannelSession, shop: MeliSandbox, is_next_run: bool
) -> None:
    with behind_proxy(session, shop) as (through, proxy):
        times = 1
        if is_next_run:  # the process was killed between sending and storing
            proxy.inject(Fault(FaultKind.LOST_ANSWER), matches=is_token_request)
            proxy.inject(Fault(FaultKind.NO_ANSWER), matches=is_token_request, times=FOREVER)
            with pytest.raises(RetryLater):
                Tokens(through).current()
            proxy.clear()
        else:
            proxy.inject(Fault(FaultKind.LOST_ANSWER), matches=is_token_request, times=times)
        with pytest.raises(NeedsReconnect) as caught:
            Tokens(through).current()
    assert "an earlier answer to this renewal was lost on the way" in caught.value.message
    assert "give consent again" in caught.value.remedy
    assert shop.grants.renewals == 1
    assert [value for value in secrets_of(session).values.values() if value and value in caught.value.one_line()] == []


def test_an_early_renewal_that_fails_leaves_the_old_token_at_work(
    session: ChannelSession, shop: MeliSandbox, clock: SetClock
) -> None:
    with behind_proxy(session, shop) as (through, proxy):
        tokens = Tokens(through)
        token = tokens.current()
        clock.now += timedelta(hours=6) - EARLY
        proxy.inject(Fault(FaultKind.STATUS, status=429), matches=is_token_request, times=FOREVER)
        assert tokens.current() == token
        asked = len(proxy.requests(is_token_request))
        assert tokens.current() == token
        assert len(proxy.requests(is_token_request)) == asked, "one failed try is enough until the token ends"
        clock.now += EARLY
        with pytest.raises(RetryLater):
            tokens.current()


def test_consent_taken_back_needs_the_owner(session: ChannelSession, shop: MeliSandbox) -> None:
    with open_api(session) as api:
        api.get("users/me")
        shop.grants.revoke()
        with pytest.raises(NeedsReconnect) as caught:
            api.get("users/me")
    assert caught.value.message == (
        "Mercado Libre refuses the credentials with 400 (invalid_grant): the refresh token was used, has ended, "
        "or the owner took the consent back"
    )


def test_a_missing_refresh_token_needs_the_owner(session: ChannelSession) -> None:
    secrets_of(session).values.pop("refresh_token")
    with pytest.raises(NeedsReconnect, match="has no refresh token"):
        Tokens(session).current()


def test_a_wrong_application_is_told_apart(session: ChannelSession) -> None:
    secrets_of(session).values["client_secret"] = "wrong"
    with pytest.raises(NeedsReconnect, match="invalid_client") as caught:
        Tokens(session).current()
    assert "client_secret" in caught.value.remedy


def test_tokens_of_another_account_are_not_used(session: ChannelSession) -> None:
    settings = {**session.connection.settings, "seller_id": "42"}
    other = replace(session, connection=replace(session.connection, settings=settings))
    with pytest.raises(NeedsReconnect, match=f"belong to the account {SELLER_ID}, not to seller_id 42"):
        Tokens(other).current()


@pytest.mark.parametrize(
    ("status", "answer", "error", "said"),
    [
        (200, {"access_token": "a", "user_id": SELLER_ID}, BadPayload, "lacks a token"),
        (403, {"error": "forbidden", "status": 403}, NeedsReconnect, "403 (forbidden)"),
        (400, ["odd"], NeedsReconnect, "refuses the credentials with 400"),
        (404, {"error": "not_found"}, Refused, "answered 404"),
    ],
)
def test_odd_answers_to_a_token_request_are_errors(status: int, answer: Any, error: type[Exception], said: str) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=answer))
    session = a_session(GOOD, {"refresh_token": "TG-1", "client_id": "1", "client_secret": "s"}, transport=transport)
    with pytest.raises(error, match=said.replace("(", r"\(").replace(")", r"\)")):
        Tokens(session).current()


def test_a_token_without_an_end_is_used_until_it_is_refused() -> None:
    grants = iter([{"access_token": "a", "refresh_token": "r1"}, {"access_token": "b", "refresh_token": "r2"}])
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json=next(grants))
        sent.append(request.headers["authorization"])
        return httpx.Response(200 if sent[-1] == "Bearer b" else 401, json={})

    session = a_session(GOOD, {"refresh_token": "r0"}, transport=httpx.MockTransport(answer))
    with open_api(session) as api:
        api.get("users/me")
    assert sent == ["Bearer a", "Bearer b"]


def test_consent_is_given_on_the_host_of_the_site() -> None:
    url = consent_url({"site": "MLB"}, client_id="1", redirect_uri="https://hub.example/cb", state="s", verifier="v")
    parts = urlsplit(url)
    assert (parts.hostname, parts.path) == ("auth.mercadolivre.com.br", "/authorization")
    assert parse_qs(parts.query) == {
        "response_type": ["code"],
        "client_id": ["1"],
        "redirect_uri": ["https://hub.example/cb"],
        "state": ["s"],
        "code_challenge": [challenge_of("v")],
        "code_challenge_method": ["S256"],
    }
    assert "challenge" not in consent_url({"site": "MLM"}, client_id="1", redirect_uri="https://h.example", state="s")


@pytest.mark.parametrize("verifier", [None, "v"])
def test_a_code_becomes_stored_tokens(session: ChannelSession, shop: MeliSandbox, verifier: str | None) -> None:
    redeem_code(session, code=shop.grants.refresh_token, redirect_uri="https://hub.example/cb", verifier=verifier)
    assert secrets_of(session).values["refresh_token"] == shop.grants.refresh_token
    assert Tokens(session).current() == secrets_of(session).values["access_token"]
    assert shop.grants.renewals == 1


# ------------------------------------------------------------------------------------------------------ the check


def test_the_check_goes_step_by_step(session: ChannelSession) -> None:
    results = CHANNEL.check(session)
    assert [(each.step, each.is_ok) for each in results] == [
        ("credentials", True), ("account", True), ("site", True), ("clock", True), ("read orders", True),
        ("read claims", True), ("read listings", True), ("write levels", True), ("missed notifications", True),
    ]  # fmt: skip


def test_the_check_names_the_missing_permission_and_the_used_token(session: ChannelSession, shop: MeliSandbox) -> None:
    shop.grants.lacks_permission = True
    (result,) = CHANNEL.check(replace(session, connection=replace(session.connection, connection_id=0)))
    assert not result.is_ok
    assert "PA_UNAUTHORIZED_RESULT_FROM_POLICIES" in result.detail
    assert "functional" in result.detail
    assert result.remedy.endswith(
        "This test used the refresh token up: let the owner give consent again before the next try"
    )


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("/orders/search", "read orders"),
        ("/post-purchase/v1/claims/search", "read claims"),
        (f"/users/{SELLER_ID}/items/search", "read listings"),
        ("/missed_feeds", "missed notifications"),
    ],
)
def test_the_check_tells_which_step_fails(session: ChannelSession, shop: MeliSandbox, path: str, step: str) -> None:
    with behind_proxy(session, shop) as (through, proxy):
        fault = Fault(FaultKind.STATUS, status=404)
        proxy.inject(fault, matches=lambda request: request.path == path, times=FOREVER)
        results = CHANNEL.check(through)
    assert [each.step for each in results if not each.is_ok] == [step]
    assert "This test used" not in results[-1].remedy


@pytest.mark.parametrize(("connection_id", "is_ok"), [(0, True), (1, False)])
def test_the_check_compares_site_and_depots_and_fails_only_what_is_stored(connection_id: int, is_ok: bool) -> None:
    shop = start_sandbox(orders=1, traits=AccountTraits(has_depots=True))
    account = shop.account
    settings = {**account.settings, "site": "MLA", "store_id": "1"}
    session = replace(
        a_session(settings, account.secrets), connection=a_connection(settings=settings, connection_id=connection_id)
    )
    found = {each.step: each for each in CHANNEL.check(session)}
    assert (found["site"].is_ok, found["site"].remedy) == (is_ok, "Set site to MLM")
    assert (found["write levels"].is_ok, found["write levels"].remedy) == (
        is_ok,
        "Set store_id to the depot to read and write",
    )
    assert "9876543 (Bodega)" in found["write levels"].detail
    fitting = {**account.settings, "store_id": "9876543"}
    secrets = {**account.secrets, "refresh_token": shop.grants.refresh_token}
    found = {each.step: each for each in CHANNEL.check(a_session(fitting, secrets))}
    assert (found["write levels"].is_ok, found["write levels"].detail) == (True, "the stock of the depot Bodega")
    shop.close()


def test_a_refresh_token_that_was_used_by_the_test_is_stored_in_place_of_its_reference(
    shop: MeliSandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = shop.account
    monkeypatch.setenv("MELI_REFRESH_TOKEN", account.secrets["refresh_token"])
    monkeypatch.setenv("MELI_SECRET", account.secrets["client_secret"])
    store = open_store_at(database_url)
    hub = Hub(store, {"mercadolibre": CHANNEL}, SecretBox([b"k" * 32]), sleep=lambda _seconds: None)
    with store.begin() as tx:
        merchant = add_merchant(tx, "merchant", currency="MXN", time_zone="America/Mexico_City")
    new = NewConnection(
        "mercadolibre", "meli", merchant, account.settings, {"client_id": CLIENT_ID},
        {"client_secret": "env:MELI_SECRET", "refresh_token": "env:MELI_REFRESH_TOKEN"},
    )  # fmt: skip
    results, tried = check_connection(hub, new)
    assert all(each.is_ok for each in results)
    assert tried.references == {"client_secret": "env:MELI_SECRET"}
    stored = store_new(hub, tried)
    secrets = hub.session(stored).secrets
    assert secrets.get("refresh_token") == shop.grants.refresh_token
    shop.grants.expire()
    with open_api(hub.session(stored)) as api:
        assert api.get("users/me").parsed["id"] == SELLER_ID
    assert secrets.get("refresh_token") == shop.grants.refresh_token
    store.close()


# ------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"site": "XXX"}, "site names no site"),
        ({"seller_id": "me"}, "seller_id is not a number"),
        ({"store_id": "north"}, "store_id is not a number"),
        ({"page_size": "51"}, "page_size is no number from 2 to 50"),
        ({"slice_size": "1"}, "slice_size is no number"),
        ({"recheck_minutes": "often"}, "recheck_minutes is no number"),
        ({"orders_from": "last year"}, "orders_from is not a day"),
        ({"base_url": "http://elsewhere.example"}, "plain http"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: Mapping[str, str], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        check_settings({**GOOD, **changes})


def test_good_settings_pass() -> None:
    check_settings({**GOOD, "orders_from": "2026-01-31", "store_id": "12"})
    assert base_url(GOOD) == API_URL
    assert country({"site": "mlb"}) == "BR"
    assert orders_from({"orders_from": "2026-01-31"}) == datetime(2026, 1, 31, tzinfo=UTC)


# -------------------------------------------------------------------------------------------------- notifications


def a_notification(resource: str, topic: str = "orders_v2", **changes: Any) -> bytes:
    payload = {"_id": "n", "resource": resource, "user_id": SELLER_ID, "topic": topic, "application_id": 41, **changes}
    return httpx.Request("POST", "http://x", json=payload).read()


@pytest.mark.parametrize(
    ("resource", "topic", "kind", "resource_id"),
    [
        ("/orders/2000003508419013", "orders_v2", ORDER, "2000003508419013"),
        ("/marketplace/orders/77", "marketplace_orders", ORDER, "77"),
        ("/shipments/43", "shipments", SHIPMENT, "43"),
        ("/post-purchase/v1/claims/5108684499", "post_purchase", CLAIM, "5108684499"),
        ("/items/MLM123", "items", LISTING, "MLM123"),
        ("/user-products/MLMU123/stock", "stock-location", STOCK, "MLMU123"),
        ("/orders/77/../../users/me", "orders_v2", OTHER, ""),
        ("/questions/9", "questions", OTHER, ""),
    ],
)
def test_a_notification_is_a_pointer(resource: str, topic: str, kind: str, resource_id: str) -> None:
    found = read_notification(a_notification(resource, topic), seller_id=str(SELLER_ID), client_id="41")
    key = f"{topic}:{kind}:{resource_id}" if resource_id else f"{topic}:{resource}"
    assert found == Pointer(kind, resource_id, topic, key)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (a_notification("/orders/1", user_id=42), Refused),
        (a_notification("/orders/1", application_id=None), Refused),
        (a_notification(""), BadPayload),
        (a_notification("/orders/1", topic=None), BadPayload),
        (b"[]", BadPayload),
        (b"{", BadPayload),
    ],
)
def test_what_is_no_notification_of_this_account_is_refused(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_notification(body, seller_id=str(SELLER_ID), client_id="41")


def test_a_stalled_token_request_ends_by_itself(session: ChannelSession, shop: MeliSandbox) -> None:
    with behind_proxy(session, shop) as (through, proxy):
        proxy.inject(Fault(FaultKind.STALL), matches=is_token_request)
        impatient = replace(through, transport=ImpatientTransport(seconds=0.3))
        assert Tokens(impatient).current() == secrets_of(session).values["access_token"]
    assert shop.grants.renewals == 1
