"""What stands before every route, the JSON API, and the description that it keeps to."""

from __future__ import annotations

import asyncio
import socket
import warnings
from typing import Any

import httpx
import pytest

from oms_hub.channel.public_hosts import PublicTransport, public_address
from oms_hub.errors import Misconfigured, StoreUnavailable
from oms_hub.web.guard import Guard
from oms_hub.web.options import Site, WebOptions


def test_every_answer_carries_its_headers(console: Any) -> None:
    answer = console.open().get("/sign-in")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    static = console.open().get("/static/app.css")
    assert static.status_code == 200
    assert "no-store" not in static.headers.get("cache-control", "")
    assert console.open().get("/static/../app.py").status_code in {303, 404}


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9", "127.0.0.1:8750.evil.example"])
def test_other_hosts_are_not_served(console: Any, host: str) -> None:
    assert console.open().get("/health", headers={"host": host}).status_code == 421


def test_too_large_a_request_is_refused_before_it_is_read(console: Any) -> None:
    visit = console.open(body_bytes=1000)
    assert visit.post("/sign-in", content=b"x" * 1001).status_code == 413
    assert visit.post("/sign-in", content=iter([b"x" * 600, b"x" * 600])).status_code == 413
    assert visit.post("/sign-in", content=b"x", headers={"content-length": "x"}).status_code == 413


def test_too_many_and_too_long_fields_are_refused(console: Any) -> None:
    visit = console.signed_in()
    assert visit.post("/sign-out", data={"csrf": visit.token, "x": "y" * 20_001}).status_code == 400
    assert visit.post("/sign-out", data={"csrf": visit.token, "x": "\0"}).status_code == 400
    assert visit.post("/sign-out", data={"csrf": visit.token}, files={"x": b"1"}).status_code == 400
    many = {f"f{number}": "1" for number in range(501)}
    assert visit.post("/sign-out", data={"csrf": visit.token, **many}).status_code == 400


def _asked(messages: list[Any], *, scope_type: str = "http") -> list[int]:
    """Return the statuses that a guard gives for a request that arrives so."""
    statuses: list[int] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"ab"
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        message = messages.pop(0)
        if message is None:
            await asyncio.sleep(5)
        return message

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": scope_type, "path": "/", "headers": [(b"host", b"127.0.0.1:8750")]}
    asyncio.run(Guard(app, options=WebOptions(body_seconds=0.05))(scope, receive, send))
    return statuses


def test_a_body_that_drips_is_cut_off() -> None:
    part = {"type": "http.request", "body": b"a", "more_body": True}
    last = {"type": "http.request", "body": b"b", "more_body": False}
    gone = {"type": "http.disconnect"}
    assert _asked([part, None]) == [408]
    assert _asked([part, gone]) == [408]
    assert _asked([part, last, gone]) == [200]


def test_the_health_of_a_store_that_is_gone_names_no_secret(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_given: Any) -> Any:
        raise StoreUnavailable("The database db:5432/hub of user root went away")

    monkeypatch.setattr(type(console.store), "read", gone)
    answer = console.open().get("/health")
    assert answer.status_code == 503
    assert answer.json() == {"status": "down", "problems": ["StoreUnavailable: the database is not usable"]}


def test_an_unexpected_fault_shows_nothing_of_itself(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = console.signed_in()
    visit._transport.raise_server_exceptions = False
    monkeypatch.setattr("oms_hub.web.home.connection_cards", lambda *_given: 1 / 0)
    answer = visit.get("/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "ZeroDivision" not in answer.text
    monkeypatch.setattr("oms_hub.web.home.connection_cards", lambda *_given: _unavailable())
    assert visit.get("/").status_code == 503


def _unavailable() -> Any:
    raise StoreUnavailable("The database went away")


def test_work_that_outlasts_its_request_runs_in_threads(console: Any) -> None:
    site = Site(console.hub, WebOptions())
    done: list[int] = []
    site.run_later(1, lambda: done.append(1))
    site.run_later(1, _unavailable)
    site._pool.shutdown()  # type: ignore[union-attr]
    assert done == [1]
    assert not site.is_working(1)
    site.close()


# ------------------------------------------------------------------------------------------------------- the API


@pytest.fixture
def tokens(console: Any) -> dict[str, str]:
    """Give a token of each role."""
    visit = console.signed_in()
    found = {}
    for role in ("operator", "viewer"):
        page = visit.submit("/people/tokens", name=f"{role}-script", role=role, days="30", status=200).text
        found[role] = page.split("<code>omshub_")[1].split("</code>")[0]
    visit.submit("/people/tokens", name="", role="viewer", days="30", status=400)
    visit.submit("/people/tokens", name="x", role="viewer", days="soon", status=400)
    return {role: f"omshub_{token}" for role, token in found.items()}


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_tokens_open_one_business_for_a_time(console: Any, tokens: dict[str, str], frozen_clock: Any) -> None:
    shop = console.connect("shop")
    console.connect("theirs", console.other)
    console.add_sku("MUG")
    console.add_order(shop, "1", label="#1")
    script = console.open()
    assert script.get("/api/v1/orders").status_code == 401
    assert script.get("/api/v1/orders", headers=_bearer("omshub_wrong")).json()["message"] == "A token is needed"
    orders = script.get("/api/v1/orders?connection=shop", headers=_bearer(tokens["viewer"])).json()
    assert [(row["label"], row["total"], row["order_id"]) for row in orders["rows"]] == [("#1", "116.5", "1")]
    names = [row["name"] for row in script.get("/api/v1/connections", headers=_bearer(tokens["viewer"])).json()]
    assert names == ["shop"]
    for path in ("stock", "listings", "alerts"):
        assert script.get(f"/api/v1/{path}", headers=_bearer(tokens["viewer"])).status_code == 200
    assert tokens["viewer"].encode() not in str(console.rows("SELECT * FROM hub.api_tokens")).encode()
    console.run("UPDATE hub.users SET is_active = false WHERE email = 'owner@acme.example'")
    assert script.get("/api/v1/orders", headers=_bearer(tokens["viewer"])).status_code == 401
    console.run("UPDATE hub.users SET is_active = true")
    frozen_clock.advance(30 * 86_400)
    assert script.get("/api/v1/orders", headers=_bearer(tokens["viewer"])).status_code == 401


def test_a_revoked_token_opens_nothing(console: Any, tokens: dict[str, str]) -> None:
    visit = console.signed_in()
    number = console.rows("SELECT token_id FROM hub.api_tokens WHERE role = 'viewer'")[0][0]
    visit.submit(f"/people/tokens/{number}/revoke")
    assert console.open().get("/api/v1/orders", headers=_bearer(tokens["viewer"])).status_code == 401
    assert console.open().get("/api/v1/orders", headers=_bearer(tokens["operator"])).status_code == 200


def test_only_an_operators_token_dismisses(console: Any, tokens: dict[str, str]) -> None:
    number = console.add_exception(console.connect("shop"), "bad_payload", "1")
    theirs = console.add_exception(console.connect("theirs", console.other), "bad_payload", "1")
    script, reason = console.open(), {"reason": "seen"}
    path = f"/api/v1/exceptions/{number}/dismiss"
    assert script.post(path, json=reason, headers=_bearer(tokens["viewer"])).status_code == 403
    assert script.post(path, json={}, headers=_bearer(tokens["operator"])).status_code == 422
    other = script.post(f"/api/v1/exceptions/{theirs}/dismiss", json=reason, headers=_bearer(tokens["operator"]))
    assert other.status_code == 404
    done = script.post(path, json=reason, headers=_bearer(tokens["operator"]))
    assert (done.status_code, done.json()["state"], done.json()["closed_reason"]) == (200, "dismissed", "seen")
    assert script.post(path, json=reason, headers=_bearer(tokens["operator"])).status_code == 409
    assert console.rows("SELECT actor, subject FROM hub.audit_log WHERE action = 'exception.dismiss'") == [
        ("token operator-script", str(number))
    ]


def test_the_description_says_what_there_is(console: Any) -> None:
    described = console.open().get("/api/openapi.json").json()
    assert set(described["paths"]) == {
        "/health", "/api/v1/connections", "/api/v1/orders", "/api/v1/stock", "/api/v1/listings", "/api/v1/exceptions",
        "/api/v1/alerts", "/api/v1/exceptions/{exception_id}/dismiss",
    }  # fmt: skip
    assert console.open().get("/docs").status_code == 404


@pytest.mark.filterwarnings("ignore")
def test_the_api_keeps_to_its_description_whatever_is_asked(console: Any, tokens: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import schemathesis
        from hypothesis import HealthCheck, Phase, given, settings
        from schemathesis import checks

    shop = console.connect("shop")
    console.add_sku("MUG")
    console.add_order(shop, "1")
    console.add_exception(shop, "bad_payload", "1")
    visit = console.open()
    described = schemathesis.openapi.from_asgi("/api/openapi.json", visit.app, headers={"host": "127.0.0.1:8750"})
    headers = {**_bearer(tokens["operator"]), "host": "127.0.0.1:8750"}
    asked: list[int] = []
    wanted = [
        checks.not_a_server_error,
        *checks.CHECKS.get_by_names(
            ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
        ),
    ]
    quick = settings(
        max_examples=10, deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    for operation in [found.ok() for found in described.get_all_operations()]:
        modes = [schemathesis.GenerationMode.POSITIVE]
        if operation.label not in {"GET /health", "GET /api/v1/connections"}:
            modes.append(schemathesis.GenerationMode.NEGATIVE)
        for mode in modes:

            @given(case=operation.as_strategy(generation_mode=mode))
            @quick
            def ask(case: Any) -> None:
                answer = case.call(headers=headers)
                asked.append(answer.status_code)
                case.validate_response(answer, checks=wanted)

            ask()
    assert len(asked) > 100
    assert 200 in asked
    assert 422 in asked
    assert not [status for status in asked if status >= 500]


# ------------------------------------------------------------------------------------------- addresses of others


def test_a_public_address_is_called_where_it_was_found() -> None:
    seen: list[tuple[str, str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
        return httpx.Response(200)

    transport = PublicTransport(resolve=lambda _host: ["93.184.216.34"], inner=httpx.MockTransport(answer))
    with httpx.Client(transport=transport) as client:
        assert client.get("https://shop.example/x").status_code == 200
    assert seen == [("93.184.216.34", "shop.example", "shop.example")]


@pytest.mark.parametrize(
    "found",
    [
        ["93.184.216.34", "10.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%eth0"],
        [],
        ["64:ff9b::a00:1"],
    ],
)
def test_one_address_that_is_not_public_spoils_them_all(found: list[str]) -> None:
    with pytest.raises(Misconfigured):
        public_address("shop.example", resolve=lambda _host: found)


def test_a_name_that_is_nowhere_is_told() -> None:
    def nowhere(_host: str) -> list[str]:
        raise socket.gaierror

    with pytest.raises(Misconfigured, match="cannot be found"):
        public_address("shop.example", resolve=nowhere)
    assert public_address("127.0.0.1", allows_loopback=True) == "127.0.0.1"
