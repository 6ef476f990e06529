"""The practice shop's page of approval: yes posts a key pair to the callback, then leads back; no only leads back."""

from __future__ import annotations

import html
from collections.abc import Mapping
from urllib.parse import urlencode

import httpx

from oms_hub.channel.hosts import is_loopback


def approval_page(query: Mapping[str, str]) -> str:
    """Return the page that asks the owner."""
    yes = f"/wc-auth/v1/approve?{urlencode(dict(query))}"
    no = f"{query.get('return_url', '')}?{urlencode({'success': '0', 'user_id': query.get('user_id', '')})}"
    return (
        '<!doctype html><html lang="en"><title>Practice shop</title><h1>Approve the app?</h1>'
        f"<p>{html.escape(query.get('app_name', ''))} asks for: {html.escape(query.get('scope', ''))}</p>"
        f'<p><a id="yes" href="{html.escape(yes)}">Approve</a> <a id="no" href="{html.escape(no)}">Deny</a></p>'
    )


def deliver(query: Mapping[str, str], consumer_key: str, consumer_secret: str) -> str:
    """Post the key pair to the callback on this machine and return where the owner goes on to."""
    callback, state = query.get("callback_url", ""), query.get("user_id", "")
    body = {
        "key_id": 1, "user_id": state, "consumer_key": consumer_key, "consumer_secret": consumer_secret,
        "key_permissions": query.get("scope", ""),
    }  # fmt: skip
    taken = False
    if is_loopback(httpx.URL(callback).host):
        with httpx.Client(trust_env=False, timeout=5.0) as client:
            taken = client.post(callback, json=body).status_code == 200
    return f"{query.get('return_url', '')}?{urlencode({'success': '1' if taken else '0', 'user_id': state})}"
