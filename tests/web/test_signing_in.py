"""Coming in: passwords, codes, limits, sessions, and what must not open the door."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest

from oms_hub.web.pages import own_address
from tests.web.conftest import CHEAP, PASSWORD

OWNER = "owner@acme.example"


def test_who_is_not_signed_in_is_sent_to_the_door_and_back(console: Any) -> None:
    visit = console.open()
    answer = visit.get("/orders?state=open")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Forders%3Fstate%3Dopen")
    visit.see(answer.headers["location"])
    answer = visit.submit("/sign-in", email=OWNER, password=PASSWORD, next="/orders?state=open")
    assert answer.headers["location"] == "/orders?state=open"
    assert "Orders" in visit.see("/orders")


@pytest.mark.parametrize(("email", "password"), [(OWNER, "wrong"), ("nobody@acme.example", PASSWORD), ("", "")])
def test_every_refusal_says_the_same(console: Any, email: str, password: str) -> None:
    visit = console.open()
    answer = visit.sign_in(email, password)
    assert answer.status_code == 401
    assert "do not belong together" in answer.text
    assert visit.get("/").status_code == 303
    assert console.rows("SELECT action, actor FROM hub.audit_log") == [("session.refused", email)]


def test_an_unknown_address_costs_as_much_as_a_known_one(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    verify = type(CHEAP).verify

    def counted(hasher: Any, stored: str, given: str) -> bool:
        asked.append(given)
        return verify(hasher, stored, given)

    monkeypatch.setattr(type(CHEAP), "verify", counted)
    console.open().sign_in("nobody@acme.example", "guess one")
    console.open().sign_in(OWNER, "guess two")
    assert asked == ["guess one", "guess two"]


def test_five_wrong_tries_close_the_door_for_a_quarter_of_an_hour(console: Any, frozen_clock: Any) -> None:
    visit = console.open()
    for _ in range(5):
        assert visit.sign_in(OWNER, "wrong").status_code == 401
    answer = visit.sign_in(OWNER)
    assert (answer.status_code, "Too many tries" in answer.text) == (429, True)
    assert visit.sign_in("viewer@acme.example").status_code == 303
    frozen_clock.advance(15 * 60 + 1)
    assert console.open().sign_in(OWNER).status_code == 303


def test_the_limit_is_the_same_for_addresses_that_nobody_has(console: Any) -> None:
    visit = console.open()
    statuses = [visit.sign_in("nobody@acme.example", "wrong").status_code for _ in range(6)]
    assert statuses == [401, 401, 401, 401, 401, 429]


def test_a_one_time_code_is_needed_and_works_once(console: Any, frozen_clock: Any) -> None:
    visit = console.signed_in()
    page = visit.submit("/account/codes", present=PASSWORD, status=200).text
    secret = page.split('name="secret" value="')[1][:32]
    code = pyotp.TOTP(secret).at(frozen_clock())
    assert visit.submit("/account/codes/on", secret=secret, code="000000", status=400)
    visit.submit("/account/codes/on", secret=secret, code=code)
    assert secret.encode() not in console.rows("SELECT totp_secret FROM hub.users WHERE totp_secret IS NOT NULL")[0][0]
    assert console.open().sign_in(OWNER).status_code == 401
    assert console.open().sign_in(OWNER, code=code).status_code == 401
    frozen_clock.advance(30)
    fresh = pyotp.TOTP(secret).at(frozen_clock())
    assert console.open().sign_in(OWNER, code=f"{fresh[:3]} {fresh[3:]}").status_code == 303
    assert console.open().sign_in(OWNER, code=fresh).status_code == 401
    visit.submit("/account/codes", present="wrong", status=400)
    visit.submit("/account/codes/off", present="wrong", status=400)
    visit.submit("/account/codes/on", secret="short", code="1", status=400)
    visit.submit("/account/codes/off", present=PASSWORD)
    assert console.open().sign_in(OWNER).status_code == 303


def test_signing_in_makes_a_new_session_whatever_the_browser_had(console: Any) -> None:
    visit = console.open()
    planted = "p" * 43
    visit.cookies.set("oms_hub_session", planted, domain="127.0.0.1", path="/")
    visit.sign_in(OWNER)
    tokens = [cookie.value for cookie in visit.cookies.jar if cookie.name == "oms_hub_session"]
    assert planted not in tokens or len(tokens) > 1
    stranger = console.open()
    stranger.cookies.set("oms_hub_session", planted)
    assert stranger.get("/").status_code == 303


def test_a_session_ends_when_it_is_idle_or_old(console: Any, frozen_clock: Any) -> None:
    visit = console.signed_in()
    for _ in range(3):
        frozen_clock.advance(7 * 3600)
        assert visit.get("/").status_code == 200
    frozen_clock.advance(8 * 3600 + 1)
    assert visit.get("/").status_code == 303
    again = console.signed_in()
    for _ in range(24):
        frozen_clock.advance(7 * 3600)
        again.get("/")
    assert again.get("/").status_code == 303


def test_signing_out_ends_the_session_in_the_store(console: Any) -> None:
    visit = console.signed_in()
    token = visit.cookies["oms_hub_session"]
    visit.submit("/sign-out")
    thief = console.open()
    thief.cookies.set("oms_hub_session", token)
    assert thief.get("/").status_code == 303
    assert console.rows("SELECT count(*) FROM hub.web_sessions") == [(0,)]


def test_another_password_ends_every_session(console: Any) -> None:
    visit, elsewhere = console.signed_in(), console.signed_in()
    visit.submit("/account/password", present="wrong", new="another long password", status=400)
    visit.submit("/account/password", present=PASSWORD, new="short", status=400)
    visit.submit("/account/password", present=PASSWORD, new="password1234", status=400)
    visit.submit("/account/password", present=PASSWORD, new="another long password")
    assert elsewhere.get("/").status_code == 303
    assert console.open().sign_in(OWNER).status_code == 401
    assert console.open().sign_in(OWNER, "another long password").status_code == 303


def test_cookies_are_out_of_reach_of_scripts_and_secure_over_https(console: Any) -> None:
    near = console.open().sign_in(OWNER).headers.get_list("set-cookie")
    assert any(each.startswith("oms_hub_session=") and "HttpOnly" in each and "SameSite=lax" in each for each in near)
    far = console.open(public_url="https://hub.shop.example").sign_in(OWNER)
    cookies = far.headers.get_list("set-cookie")
    assert any(each.startswith("__Host-oms_hub_session=") and "Secure" in each for each in cookies)
    assert far.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "evil", "",
     "javascript:alert(1)", "/%0d\n//evil.example"],
)  # fmt: skip
def test_nobody_is_led_to_another_site(console: Any, elsewhere: str) -> None:
    assert own_address(elsewhere) == "/"
    visit = console.open()
    visit.see("/sign-in")
    answer = visit.submit("/sign-in", email=OWNER, password=PASSWORD, next=elsewhere)
    assert answer.headers["location"] == "/"
    visit.see("/account")
    assert visit.submit("/language", language="es", next=elsewhere).headers["location"] == "/"


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        ({}, {"csrf": "0" * 64}),
        ({}, {"csrf": "é"}),
        ({"origin": "https://evil.example"}, None),
        ({"origin": "null"}, None),
        ({"sec-fetch-site": "cross-site"}, None),
    ],
)
def test_a_form_of_another_site_changes_nothing(console: Any, headers: dict[str, str], fields: Any) -> None:
    visit = console.signed_in()
    given = {"csrf": visit.token} if fields is None else fields
    answer = visit.post("/sign-out", data=given, headers=headers)
    assert answer.status_code == 403
    assert "too old" in answer.text
    assert visit.get("/").status_code == 200


def test_the_token_of_one_session_is_worth_nothing_in_another(console: Any) -> None:
    visit, other = console.signed_in(), console.signed_in("viewer")
    assert visit.post("/sign-out", data={"csrf": other.token}).status_code == 403
    assert visit.post("/sign-out", headers={"x-csrf-token": visit.token}).status_code == 303


def test_who_is_in_already_needs_no_door(console: Any) -> None:
    visit = console.signed_in()
    assert visit.get("/sign-in").headers["location"] == "/"


def test_the_door_says_how_to_add_the_first_owner(console: Any) -> None:
    console.run("DELETE FROM hub.users")
    assert "oms-hub users add EMAIL" in console.open().see("/sign-in")


def test_texts_in_a_link_are_shown_only_if_they_are_ours(console: Any) -> None:
    visit = console.signed_in()
    assert "The role is changed." in visit.see("/?said=The+role+is+changed.")
    assert "call this number" not in visit.see("/?said=call+this+number")
