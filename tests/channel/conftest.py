"""A loopback server that answers as told, and sessions towards it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from oms_hub.channel.contract import ChannelSession, Connection
from oms_hub.channel.transports import ImpatientTransport


@dataclass
class Told:
    """What the server says to one request."""

    status: int = 200
    body: bytes = b'{"ok": true}'
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ScriptedServer:
    """Gives the told answers in order, the last one for ever."""

    url: str
    answers: list[Told] = field(default_factory=list)
    seen: list[tuple[str, str, bytes, dict[str, str]]] = field(default_factory=list)

    def tell(self, *answers: Told) -> None:
        self.answers = list(answers)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.seen.append((self.command, self.path, body, headers))
            told = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            self.send_response_only(told.status)
            for name, value in {"Content-Length": str(len(told.body)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)

        do_POST = do_PUT = do_HEAD = do_DELETE = do_GET

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http_server.daemon_threads = True
    script = ScriptedServer(f"http://127.0.0.1:{http_server.server_address[1]}", [Told()])
    thread = threading.Thread(target=http_server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield script
    http_server.shutdown()
    http_server.server_close()
    thread.join()


class GivenSecrets:
    """Secrets from a mapping."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        self.values.update(values)

    def lock(self) -> nullcontext[None]:
        return nullcontext()


@pytest.fixture
def sleeps() -> list[float]:
    """Give the waits that the session was asked for; none of them really happens."""
    return []


@pytest.fixture
def session(sleeps: list[float]) -> ChannelSession:
    connection = Connection(1, "shop", "fake", "merchant", "EUR", "Europe/Madrid", {})
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    return ChannelSession(connection, GivenSecrets({}), lambda: now, sleeps.append, ImpatientTransport(seconds=2.0))


@pytest.fixture
def told() -> Callable[..., Told]:
    return Told
