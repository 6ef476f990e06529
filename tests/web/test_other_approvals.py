"""Approvals at channels whose practice shop has no page for it: what is asked, what comes of the answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from connectors.mercadolibre import CHANNEL as MERCADOLIBRE
from connectors.square import CHANNEL as SQUARE
from oms_hub.channel.connecting import OAuthReturn, OAuthStart
from oms_hub.channel.contract import Channel, ChannelSession, Connection
from oms_hub.errors import BadPayload, NeedsReconnect, Refused
from oms_hub.sync.connect import MemorySecrets

BACK = "https://hub.example/connect/x/return"
SETTINGS = {"site": "MLM", "seller_id": "7"}
APP = {"client_id": "id", "client_secret": "secret"}


def session(channel: Channel, answer: Any, asked: list[Any], **secrets: str) -> ChannelSession:
    """Return a session whose requests get this answer."""

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(*answer) if isinstance(answer, tuple) else httpx.Response(200, json=answer)

    settings = SETTINGS if channel is MERCADOLIBRE else {}
    connection = Connection(0, "shop", channel.name, "acme", "MXN", "UTC", settings)
    now = datetime(2026, 11, 22, tzinfo=UTC)
    transport = httpx.MockTransport(respond)
    return ChannelSession(connection, MemorySecrets({**APP, **secrets}), lambda: now, lambda _s: None, transport)


def asked_for(channel: Channel) -> tuple[str, dict[str, str]]:
    """Return where the owner is sent to, and with what."""
    start = OAuthStart(SETTINGS if channel is MERCADOLIBRE else {}, APP, BACK, BACK, "state", "challenge")
    assert channel.oauth is not None
    parts = urlsplit(channel.oauth.authorize_url(start))
    return f"{parts.scheme}://{parts.netloc}{parts.path}", dict(parse_qsl(parts.query))


def test_the_owner_is_sent_to_the_right_page() -> None:
    place, query = asked_for(SQUARE)
    assert place == "https://connect.squareup.com/oauth2/authorize"
    assert (query["state"], query["session"], "INVENTORY_WRITE" in query["scope"]) == ("state", "false", True)
    place, query = asked_for(MERCADOLIBRE)
    assert place == "https://auth.mercadolibre.com.mx/authorization"
    assert (query["code_challenge"], query["code_challenge_method"]) == ("challenge", "S256")
    assert "secret" not in query.values()


def test_a_code_becomes_tokens() -> None:
    asked: list[Any] = []
    given = OAuthReturn({"code": "c", "state": "state"}, BACK, "verifier")
    granted = {"access_token": "a", "refresh_token": "r", "expires_at": "2026-12-22T00:00:00Z"}
    assert SQUARE.oauth is not None
    assert MERCADOLIBRE.oauth is not None
    found = SQUARE.oauth.exchange(session(SQUARE, granted, asked), given).secrets
    assert (found["access_token"], found["refresh_token"]) == ("a", "r")
    assert json.loads(asked[0].content)["redirect_uri"] == BACK
    granted = {"access_token": "a", "refresh_token": "TG-r", "expires_in": 21600, "user_id": 7}
    found = MERCADOLIBRE.oauth.exchange(session(MERCADOLIBRE, granted, asked), given).secrets
    assert found == {"access_token": "a", "refresh_token": "TG-r", "access_token_expires_at": "2026-11-22T06:00:00Z"}
    assert dict(parse_qsl(asked[1].content.decode()))["code_verifier"] == "verifier"


@pytest.mark.parametrize("channel", [SQUARE, MERCADOLIBRE], ids=lambda channel: channel.name)
@pytest.mark.parametrize("parameters", [{"error": "access_denied"}, {}])
def test_without_consent_nothing_is_asked(channel: Channel, parameters: dict[str, str]) -> None:
    asked: list[Any] = []
    assert channel.oauth is not None
    with pytest.raises(Refused):
        channel.oauth.exchange(session(channel, {}, asked), OAuthReturn(parameters, BACK, "v"))
    assert asked == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [((401,), NeedsReconnect), ({"token_type": "bearer"}, BadPayload), ((409, {}, b"{}"), Exception)],
)
def test_a_refused_code_gives_no_tokens(answer: Any, error: type[Exception]) -> None:
    assert SQUARE.oauth is not None
    with pytest.raises(error):
        SQUARE.oauth.exchange(session(SQUARE, answer, []), OAuthReturn({"code": "c"}, BACK, "v"))


def test_access_is_taken_back_with_the_applications_secret() -> None:
    asked: list[Any] = []
    assert SQUARE.revoke is not None
    SQUARE.revoke(session(SQUARE, {"success": True}, asked, access_token="a"))
    assert (asked[0].url.path, asked[0].headers["authorization"]) == ("/oauth2/revoke", "Client secret")
    with pytest.raises(Refused):
        SQUARE.revoke(session(SQUARE, {}, asked))
    assert len(asked) == 1
