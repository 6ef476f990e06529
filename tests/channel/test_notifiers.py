"""Notices reach a real webhook and a real mail server on loopback; refusals are told without the address."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from oms_hub.channel.notifiers import Notification, SmtpNotifier, log_notifier, notifier_from
from oms_hub.errors import Misconfigured, RetryLater

FAILED = Notification("oms-hub: sync failed", "my-shop: the token was refused\nRun 1")


class Hook(BaseHTTPRequestHandler):
    """Keeps what was posted, answers what it is told to."""

    received: list[dict[str, str]] = []  # noqa: RUF012
    status = 200

    def do_POST(self) -> None:
        Hook.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(Hook.status)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class Mail(socketserver.StreamRequestHandler):
    """As much SMTP as one message needs."""

    received: list[str] = []  # noqa: RUF012

    def handle(self) -> None:
        self.wfile.write(b"220 practice\r\n")
        while line := self.rfile.readline():
            word = line.strip().upper()
            if word.startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                text = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    text += part
                Mail.received.append(text.decode())
            if word.startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 practice\r\n")


@pytest.fixture
def hook_url() -> Iterator[str]:
    Hook.received.clear()
    Hook.status = 200
    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/secret-path"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mail_port() -> Iterator[int]:
    Mail.received.clear()
    server = socketserver.TCPServer(("127.0.0.1", 0), Mail)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_without_an_address_notices_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert notifier_from(None) is log_notifier
    assert notifier_from("log") is log_notifier
    with caplog.at_level(logging.WARNING):
        log_notifier(FAILED)
    assert caplog.messages == ["oms-hub: sync failed: my-shop: the token was refused Run 1"]


def test_a_webhook_gets_subject_and_text(hook_url: str) -> None:
    notifier_from(hook_url)(FAILED)
    assert Hook.received == [{"text": "*oms-hub: sync failed*\nmy-shop: the token was refused\nRun 1"}]


def test_a_refusing_webhook_is_told_by_status_and_not_by_address(hook_url: str) -> None:
    Hook.status = 403
    with pytest.raises(RetryLater, match="answered 403") as caught:
        notifier_from(hook_url)(FAILED)
    assert "secret-path" not in caught.value.one_line()


def test_an_unreachable_webhook_is_told_without_its_address() -> None:
    with pytest.raises(RetryLater, match="could not be reached") as caught:
        notifier_from("http://127.0.0.1:9/secret-path")(FAILED)
    assert "secret-path" not in caught.value.one_line()


def test_a_mail_server_gets_the_message(mail_port: int) -> None:
    notifier_from(f"smtp://127.0.0.1:{mail_port}?from=hub@example.org&to=ops@example.org")(FAILED)
    (message,) = Mail.received
    assert "Subject: oms-hub: sync failed" in message
    assert "my-shop: the token was refused" in message


def test_a_mail_server_that_is_not_there_is_told_without_the_password() -> None:
    notify = notifier_from("smtp://hub:pass-word@127.0.0.1:9?from=hub@example.org&to=ops@example.org")
    with pytest.raises(RetryLater, match="mail server refused") as caught:
        notify(FAILED)
    assert "pass-word" not in caught.value.one_line()


def test_mail_addresses_take_the_usual_ports() -> None:
    plain = notifier_from("smtp://mail.example?from=a@example.org&to=b@example.org")
    secure = notifier_from("smtps://me:p%40ss@mail.example?from=a@example.org&to=b@example.org")
    assert isinstance(plain, SmtpNotifier)
    assert isinstance(secure, SmtpNotifier)
    assert (plain.port, plain.is_implicit_tls) == (587, False)
    assert (secure.port, secure.is_implicit_tls, secure.username, secure.password) == (465, True, "me", "p@ss")


@pytest.mark.parametrize(
    "address", ["http://hooks.example/x", "smtp://mail.example", "ftp://x", "smtp://?from=a@b.c&to=d@e.f"]
)
def test_unusable_addresses_are_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(Misconfigured, match="OMS_HUB_NOTIFY") as caught:
        notifier_from(address)
    assert address not in caught.value.one_line()
