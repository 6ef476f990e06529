"""The practice shop's page of approval: the owner says yes or no, and goes back signed as Shopify signs.

What belongs here: codes and signatures of the authorization code grant. Not here: tokens (`sandbox`).
"""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlencode


class Approvals:
    """Codes that the practice shop gave out and that were not exchanged yet."""

    def __init__(self, domain: str, client_id: str, client_secret: str) -> None:
        self._domain = domain
        self._client_id = client_id
        self._secret = client_secret
        self.codes: set[str] = set()

    def page(self, query: Mapping[str, str]) -> str:
        """Return the page that asks the owner."""
        if query.get("client_id") != self._client_id:
            return "<!doctype html><title>Practice shop</title><p>Unknown app.</p>"
        back = query.get("redirect_uri", "")
        state = query.get("state", "")
        yes, no = self.approved(back, state), f"{back}?{urlencode({'state': state, 'error': 'access_denied'})}"
        scopes = html.escape(query.get("scope", "").replace(",", ", "))
        return (
            '<!doctype html><html lang="en"><title>Practice shop</title><h1>Install the app?</h1>'
            f"<p>It asks for: {scopes}</p>"
            f'<p><a id="yes" href="{html.escape(yes)}">Install</a> <a id="no" href="{html.escape(no)}">Cancel</a></p>'
        )

    def approved(self, back: str, state: str) -> str:
        """Return the address that the owner goes back to after approving: with a new code, and signed."""
        code = secrets.token_hex(16)
        self.codes.add(code)
        given = {
            "code": code, "shop": self._domain, "state": state, "timestamp": str(int(time.time())),
        }  # fmt: skip
        message = "&".join(f"{name}={given[name]}" for name in sorted(given))
        given["hmac"] = hmac.new(self._secret.encode(), message.encode(), hashlib.sha256).hexdigest()
        return f"{back}?{urlencode(given)}"

    def take(self, code: str) -> bool:
        """Use a code up; False where it was never given out, or was used."""
        if code not in self.codes:
            return False
        self.codes.discard(code)
        return True
