"""How does a conversation with a real provider become a cassette?

The recorder stands between a client and the provider: it passes everything on unchanged, key included, and keeps what
was said, key excluded.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from ..domain.errors import InputError
from .cassette import Cassette
from .exchange import Alter, Chunk, Exchange, Response, body_response

UPSTREAMS = {"openai": "https://api.openai.com", "anthropic": "https://api.anthropic.com"}
KEPT_HEADERS = frozenset({"content-type", "retry-after", "retry-after-ms", "request-id", "x-request-id"})
HOP_HEADERS = frozenset({"host", "connection", "accept-encoding", "content-length", "transfer-encoding"})
KEY_HEADERS = ("authorization", "x-api-key", "api-key", "cookie")
TIMEOUT_S = 900


class Recorder:
    """A source that asks the real provider and writes each exchange to a cassette.

    `upstreams` maps openai and anthropic to base URLs without `/v1`.

    Raises:
        InputError: when an upstream is no http or https URL, or the cassette cannot be written.
    """

    def __init__(self, cassette: Cassette, upstreams: Mapping[str, str] = UPSTREAMS) -> None:
        self.cassette = cassette
        cassette.require_writable()
        self.upstreams = dict(upstreams)
        for url in self.upstreams.values():
            if urlsplit(url).scheme not in ("http", "https"):
                raise InputError(f"{url!r} is no address of a provider", remedy="Give one like https://host.")

    def respond(self, exchange: Exchange, alter: Alter | None) -> Response:  # noqa: ARG002 - a recording is not altered
        """The provider's own response, passed on as it comes and recorded when it is whole."""
        upstream = self.upstreams.get(exchange.provider)
        if upstream is None:
            error = exchange.wire.error("not_found_error", f"no upstream is given for {exchange.provider}")
            return body_response(404, error)
        self._learn_secrets(exchange)
        started = time.monotonic()
        try:
            connection, reply = _ask(upstream, exchange)
        except OSError as mistake:
            message = f"the provider at {urlsplit(upstream).netloc} cannot be reached: {mistake}"
            return body_response(502, exchange.wire.error("api_error", message))
        headers = {name.lower(): value for name, value in reply.getheaders()}
        kept = {name: value for name, value in headers.items() if name in KEPT_HEADERS}
        return Response(reply.status, kept, self._pass_on(exchange, connection, reply, kept, started))

    def _learn_secrets(self, exchange: Exchange) -> None:
        """Whatever key the client uses is a secret from now on, even when a text repeats it."""
        sent = [exchange.headers[name] for name in KEY_HEADERS if name in exchange.headers]
        words = {word for value in sent for word in (value, value.rpartition(" ")[2])}
        self.cassette.scrubber.learn(words)

    def _pass_on(
        self,
        exchange: Exchange,
        connection: http.client.HTTPConnection,
        reply: http.client.HTTPResponse,
        kept: dict[str, str],
        started: float,
    ) -> Iterator[Chunk]:
        streamed = "event-stream" in kept.get("content-type", "")
        said: list[tuple[float, bytes]] = []
        try:
            for data in _events(reply) if streamed else [reply.read()]:
                said.append((time.monotonic() - started, data))
                yield 0.0, data
        finally:
            connection.close()
        texts = [(at, data.decode("utf-8", "replace")) for at, data in said]
        self.cassette.add(exchange, reply.status, kept, texts)


def _ask(upstream: str, exchange: Exchange) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    where = urlsplit(upstream)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.netloc, timeout=TIMEOUT_S)
    headers = {name: value for name, value in exchange.headers.items() if name not in HOP_HEADERS}
    headers["accept-encoding"] = "identity"
    path = where.path.rstrip("/") + exchange.path + (f"?{exchange.query}" if exchange.query else "")
    connection.request(exchange.method, path, exchange.body, headers)
    return connection, connection.getresponse()


def _events(reply: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body in pieces that end where an event ends, as they come.

    Raises:
        http.client.IncompleteRead: when the provider breaks off.
    """
    held = b""
    while data := reply.read1(1 << 16):
        whole, end, rest = (held + data).rpartition(b"\n\n")
        held = rest
        if end:
            yield whole + end
    if reply.length:  # read1 does not say that a body of announced length is short
        raise http.client.IncompleteRead(held, reply.length)
    if held:
        yield held
