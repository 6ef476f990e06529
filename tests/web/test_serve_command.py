"""`oms-hub users` and `oms-hub serve`, as a person runs them."""

from __future__ import annotations

from typing import Any

import pytest


def test_the_first_owner_is_added_on_the_command_line(acme: Any) -> None:
    added = acme(
        "users", "add", "Ana@shop.example", "--merchant", "acme", "--role", "owner", stdin="several words in a row\n"
    )
    assert (added.exit_code, added.stdout) == (0, "ana@shop.example is owner of acme. Sign in: oms-hub serve\n")
    assert acme("users", "list", "--json").json == [
        {"email": "ana@shop.example", "merchant": "acme", "role": "owner", "codes": False, "active": True}
    ]
    ((stored,),) = acme.rows("SELECT password_hash FROM hub.users")
    assert stored.startswith("$argon2id$")
    again = acme("users", "add", "ana@shop.example", "--merchant", "acme", "--role", "viewer")
    assert "Nobody would own the business" in again.complaint
    assert acme.rows("SELECT action, actor FROM hub.audit_log") == [("person.add", "command line")]
    changed = acme("users", "password", "ana@shop.example", stdin="other words in a row\n")
    assert changed.exit_code == 0
    assert acme.rows("SELECT password_hash FROM hub.users") != [(stored,)]


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("add", "no-address", "--merchant", "acme"), "", "no e-mail address"),
        (("add", "a@b.example", "--merchant", "nobody"), "", "no merchant"),
        (("add", "a@b.example", "--merchant", "acme"), "short\n", "12 to 200 characters"),
        (("password", "a@b.example"), "", "no user a@b.example"),
    ],
)
def test_what_cannot_be_added_is_told_in_one_line(acme: Any, words: tuple[str, ...], stdin: str, said: str) -> None:
    result = acme("users", *words, stdin=stdin)
    assert result.exit_code == 1
    assert said in result.complaint
    assert acme.rows("SELECT count(*) FROM hub.users") == [(0,)]


def test_serving_says_where_to_sign_in_and_how_to_add_somebody(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[dict[str, Any]] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **options: served.append({"app": app, **options}))
    result = acme("serve", "--port", "8760")
    assert result.exit_code == 0
    assert "The console is at http://127.0.0.1:8760" in result.stdout
    assert "oms-hub users add EMAIL --merchant NAME --role owner" in result.stdout
    assert (served[0]["host"], served[0]["port"]) == ("127.0.0.1", 8760)
    assert served[0]["app"].state.site.options.feeds == acme.home / "feeds"
    far = acme("serve", "--host", "0.0.0.0", "--public-url", "https://hub.shop.example/")
    assert "The console is at https://hub.shop.example." in far.stdout
    assert served[1]["app"].state.site.options.is_https


def test_plain_http_is_not_served_to_others(acme: Any) -> None:
    result = acme("serve", "--host", "0.0.0.0")
    assert (result.exit_code, "--public-url https://HOST" in result.complaint) == (1, True)


def test_nobody_to_list_is_said(acme: Any) -> None:
    assert acme("users", "list").stdout.startswith("No users yet")
