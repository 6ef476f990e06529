"""Where the hub says that something failed: the log, an e-mail over SMTP, or a Slack-style webhook.

What belongs here: sending one short text. Not here: when to send it. Texts carry names, counts and remedies only,
never payloads, secrets or buyers' data.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from oms_hub.errors import Misconfigured, RetryLater

_LOG = logging.getLogger("oms_hub.notify")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Notification:
    """One message: a subject line and a few lines of text."""

    subject: str
    text: str


class Notifier(Protocol):
    """Sends notices. Raises RetryLater where the message could not be handed over."""

    def __call__(self, notification: Notification) -> None:
        """Send one notice."""


def log_notifier(notification: Notification) -> None:
    """Write a notice to the log, as a warning."""
    _LOG.warning("%s: %s", notification.subject, " ".join(notification.text.split()))


@dataclass(frozen=True, slots=True)
class WebhookNotifier:
    """Posts `{"text": ...}` as Slack, Mattermost and others take it. The address itself is a secret."""

    url: str
    transport: httpx.BaseTransport | None = None

    def __call__(self, notification: Notification) -> None:
        """Post one notice; the answer must be a success."""
        try:
            with httpx.Client(timeout=10.0, follow_redirects=False, transport=self.transport) as client:
                answer = client.post(self.url, json={"text": f"*{notification.subject}*\n{notification.text}"})
        except httpx.HTTPError as error:
            raise RetryLater(f"The notification webhook could not be reached ({type(error).__name__})") from None
        if not answer.is_success:
            raise RetryLater(f"The notification webhook answered {answer.status_code}")


@dataclass(frozen=True, slots=True)
class SmtpNotifier:
    """Sends a plain-text e-mail; `smtps` speaks TLS at once, `smtp` upgrades with STARTTLS except on loopback."""

    host: str
    port: int
    sender: str
    recipient: str
    username: str = ""
    password: str = ""
    is_implicit_tls: bool = False

    def __call__(self, notification: Notification) -> None:
        """Send one notice."""
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = notification.subject, self.sender, self.recipient
        message.set_content(notification.text)
        try:
            with self._connect() as server:
                if self.username:
                    server.login(self.username, self.password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise RetryLater(f"The mail server refused a notification ({type(error).__name__})") from None

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.is_implicit_tls:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=15, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=15)
        if self.host not in _LOOPBACK:
            server.starttls(context=context)
        return server


def notifier_from(
    address: str | None, *, transport: httpx.BaseTransport | None = None
) -> Callable[[Notification], None]:
    """Return the notifier that an address names.

    Args:
        address: None, "" or "log"; `https://...` (a webhook); `smtp://` or `smtps://user:password@host:port` with
            `?from=...&to=...`.
        transport: only for tests.

    Raises:
        Misconfigured: for anything else; the message does not repeat the address, which may hold a secret.
    """
    if not address or address == "log":
        return log_notifier
    parts = urlsplit(address)
    is_loopback = parts.hostname in _LOOPBACK
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback):
        return WebhookNotifier(address, transport)
    if parts.scheme in ("smtp", "smtps") and parts.hostname:
        query = parse_qs(parts.query)
        sender, recipient = query.get("from", [""])[0], query.get("to", [""])[0]
        if sender and recipient:
            return SmtpNotifier(
                host=parts.hostname,
                port=parts.port or (465 if parts.scheme == "smtps" else 587),
                sender=sender,
                recipient=recipient,
                username=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                is_implicit_tls=parts.scheme == "smtps",
            )
    raise Misconfigured(
        "OMS_HUB_NOTIFY is neither `log` nor a usable address",
        remedy="Give https://... for a webhook, or smtp(s)://user:password@host:port?from=A&to=B",
    )
