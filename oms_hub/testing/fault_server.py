"""The server behind the fault proxy: forwards requests, and misbehaves where a rule strikes.

What belongs here: HTTP as the client sees it. Not here: which requests are struck (`fault_kinds`).
"""

from __future__ import annotations

import http.client
import socket
import struct
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from oms_hub.testing.fault_kinds import Answer, Fault, FaultKind, ProxyState, Rule, SeenRequest

_HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding"})
_HTML = b"<!DOCTYPE html><html><head><title>One moment</title></head><body>Please wait</body></html>"
_PRINTED_WARNING = b"<br />\n<b>Warning</b>:  Undefined array key 0 in <b>plugin.php</b> on line <b>7</b><br />\n"
_UPSTREAM_TIMEOUT_SECONDS = 30.0


class FaultServer(ThreadingHTTPServer):
    """Serves each connection in a thread that ends with the process."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: connections that clients and faults break are what this server is for."""


class FaultHandler(BaseHTTPRequestHandler):
    """Forwards one connection's requests; `upstream` (host:port) and `state` are set by a subclass per proxy."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits 40 ms for the client's delayed acknowledgement of the head
    upstream: str
    state: ProxyState

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Serve any method alike."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        matching, struck = self._rules_for(SeenRequest(self.command, path, query, body))
        cause = next((rule for rule in struck if rule.fault is not None), None)
        fault = None if cause is None else cause.fault
        for rule in struck:
            if rule.action is not None:
                rule.action()
        answer = self._forward(body) if fault is None or fault.reaches_channel else None
        if fault is not None and fault.kind is FaultKind.TWICE:
            answer = self._forward(body)
        given = answer
        if fault is not None and fault.kind is FaultKind.PREVIOUS_ANSWER and cause is not None:
            given = cause.last_answer or answer
        for rule in matching:
            rule.last_answer = answer or rule.last_answer
        self._reply(fault, given)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def _rules_for(self, request: SeenRequest) -> tuple[list[Rule], list[Rule]]:
        with self.state.lock:
            matching = [rule for rule in self.state.rules if rule.matches(request)]
            struck = [rule for rule in matching if rule.strikes()]
            kind = next((rule.fault.kind for rule in struck if rule.fault is not None), None)
            self.state.requests.append(replace(request, fault=kind))
        return matching, struck

    def _forward(self, body: bytes) -> Answer:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_HEADERS}
        upstream = http.client.HTTPConnection(self.upstream, timeout=_UPSTREAM_TIMEOUT_SECONDS)
        try:
            upstream.request(self.command, self.path, body=body or None, headers=headers)
            response = upstream.getresponse()
            kept = tuple((name, value) for name, value in response.getheaders() if name.lower() not in _HOP_HEADERS)
            return Answer(response.status, kept, response.read())
        finally:
            upstream.close()

    def _reply(self, fault: Fault | None, answer: Answer | None) -> None:
        kind = None if fault is None else fault.kind
        if fault is not None and kind is FaultKind.STATUS:
            extra = () if fault.retry_after is None else (("Retry-After", fault.retry_after),)
            self._send(Answer(fault.status, (("Content-Type", "application/json"), *extra), fault.body))
        elif kind is FaultKind.HTML:
            self._send(Answer(200, (("Content-Type", "text/html"),), _HTML))
        elif kind in {FaultKind.NO_ANSWER, FaultKind.LOST_ANSWER}:
            self._reset()
        elif kind in {FaultKind.STALL, FaultKind.LOST_IN_STALL}:
            self._stall()
        elif answer is not None:
            self._send_changed(kind, answer)

    def _send_changed(self, kind: FaultKind | None, answer: Answer) -> None:
        body = answer.body
        if kind is FaultKind.CUT_JSON:
            self._send(Answer(answer.status, answer.headers, body[: len(body) // 2]))
        elif kind is FaultKind.CUT_BODY:
            self._send(Answer(answer.status, answer.headers, body[: len(body) // 2]), stated_length=len(body))
            self.close_connection = True
        elif kind is FaultKind.PRINTED_WARNING:
            self._send(Answer(answer.status, answer.headers, _PRINTED_WARNING + body))
        else:
            self._send(answer)

    def _send(self, answer: Answer, *, stated_length: int | None = None) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if stated_length is None else stated_length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
            self.wfile.flush()

    def _stall(self) -> None:
        """Wait until the client hangs up or the proxy closes."""
        self.connection.settimeout(0.05)
        while not self.state.released.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.close_connection = True

    def _reset(self) -> None:
        """End the connection at once, without the ordinary goodbye."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
