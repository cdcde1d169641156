"""How does a request get off the socket, and how does a response get onto it, cut or slow if need be?"""

from __future__ import annotations

import contextlib
import json
import threading
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from .exchange import Exchange, Response, Wire, body_response, wire_of
from .talk import Asked, BadRequest

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LARGEST_BODY = 64 << 20


class Rehearsal(Protocol):
    """What a listener asks when a request has come."""

    stopping: threading.Event

    def next_number(self) -> int:
        """The number of a request, from 1."""
        ...

    def respond(self, exchange: Exchange) -> Response:
        """The response to one request to a model."""
        ...

    def control(self, method: str, path: str, body: bytes) -> Response:
        """The response to a request about the rehearsal itself."""
        ...

    def list_models(self, path: str, *, anthropic: bool) -> Response:
        """The models' list, or one of them."""
        ...


def handler_for(rehearsal: Rehearsal) -> type[BaseHTTPRequestHandler]:
    """The handler class that asks this rehearsal."""
    return type("_BoundHandler", (_Handler,), {"rehearsal": rehearsal})


def _read(wire: Wire, body: bytes) -> Asked | None:
    """The request, None when only the source can tell what it means."""
    try:
        return wire.read(json.loads(body))
    except BadRequest:
        return None


class Listener(ThreadingHTTPServer):
    """One thread a connection."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # 44 ms a call otherwise
    rehearsal: Rehearsal

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the ledger says more."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        try:
            if self.rehearsal.stopping.is_set():  # a connection that was kept alive outlives the listener
                self._break()
                return
            self._send(self._response(method))
        except (OSError, HTTPException):  # the client went away, or a provider that is being recorded did
            self._break()

    def _response(self, method: str) -> Response:
        rehearsal = self.rehearsal
        path, query = urlsplit(self.path)[2:4]
        host = (self.headers.get("host") or "").rsplit(":", 1)[0].strip("[]")
        if host and host not in LOOPBACK:  # a page in a browser must not reach this by a name of its own
            return body_response(403, {"error": {"message": f"not served under the name {host!r}"}})
        body = self._body()
        if body is None:
            self.close_connection = True
            return body_response(413, {"error": {"message": "the request is too large", "type": "request_too_large"}})
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            if path.startswith("/_rehearsal/"):
                return rehearsal.control(method, path, body)
            if method == "GET" and "/models" in path:
                return rehearsal.list_models(path, anthropic="anthropic-version" in headers)
            wire = wire_of(path)
            if wire is None or method != "POST":
                return body_response(404, {"error": {"message": f"there is no {method} {path} here"}})
            asked = _read(wire, body)
            exchange = Exchange(rehearsal.next_number(), method, path, headers, body, query, wire, asked)
            return rehearsal.respond(exchange)
        except (KeyError, TypeError, ValueError, AttributeError) as mistake:
            return body_response(400, {"error": {"message": f"cannot read the request: {mistake!r}"}})

    def _body(self) -> bytes | None:
        """The request's body, of announced length or in chunks; None when it is too large."""
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            length = int(self.headers.get("content-length") or 0)
            return None if length > LARGEST_BODY else self.rfile.read(length)
        parts = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            if len(parts) + size > LARGEST_BODY:
                return None
            parts += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return bytes(parts)

    def _send(self, response: Response) -> None:
        wait = self.rehearsal.stopping.wait
        if response.end == "drop" and response.status == 0:
            self._break()
            return
        chunked = response.length is None and response.end != "close"
        head_sent = False
        for pause, data in response.chunks:
            if pause:
                wait(pause)
            if not head_sent:
                self._head(response, chunked)
                head_sent = True
            if data:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
                self.wfile.flush()
        if not head_sent:
            self._head(response, chunked)
        if response.end == "drop":
            self._break()
        elif response.end == "close":
            self.close_connection = True
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _head(self, response: Response, chunked: bool) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        elif response.length is not None:
            self.send_header("content-length", str(response.length))
        if response.end == "close":
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.flush()

    def _break(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)
