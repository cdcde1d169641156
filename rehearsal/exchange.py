"""What goes over the wire between a client and the rehearsal server, before and after anybody has looked at it?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from ..domain.model_calls import Usage
from . import anthropic_wire, openai_wire, responses_wire
from .talk import Answer, Asked

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream", "cache-control": "no-cache"}
PROVIDERS = {"openai": "openai", "responses": "openai", "anthropic": "anthropic"}  # wire: provider
Chunk = tuple[float, bytes]  # seconds to wait before sending, and what to send


class Wire(Protocol):
    """A wire format: one module each."""

    NAME: str

    def read(self, body: dict[str, Any]) -> Asked:
        """The request that a body holds."""
        ...

    def write(self, asked: Asked, answer: Answer) -> dict[str, Any]:
        """The body of a reply that is not streamed."""
        ...

    def stream(self, asked: Asked, answer: Answer) -> Iterator[str]:
        """The frames of a streamed reply."""
        ...

    def read_usage(self, stated: dict[str, Any]) -> Usage:
        """Usage in disjoint classes from what a reply states."""
        ...

    def error(self, kind: str, message: str, code: str | None = None) -> dict[str, Any]:
        """The body of an error."""
        ...

    def stream_error(self, message: str) -> str:
        """An error that arrives in the middle of a stream."""
        ...


WIRES: dict[str, Wire] = {  # how the path ends: its format
    "/chat/completions": openai_wire,
    "/responses": responses_wire,
    "/messages": anthropic_wire,
    "/messages/count_tokens": anthropic_wire,
}


def wire_of(path: str) -> Wire | None:
    """The format that a path is asked in, None for paths of no model."""
    return next((wire for end, wire in WIRES.items() if path.endswith(end)), None)


@dataclass(frozen=True)
class Exchange:
    """A request as it came. `headers` have lower-case names."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""
    wire: Wire = openai_wire
    asked: Asked | None = None

    @property
    def provider(self) -> str:
        """Whose format it is: openai or anthropic."""
        return PROVIDERS[self.wire.NAME]

    @property
    def is_count(self) -> bool:
        """Whether it only asks how many tokens a prompt has."""
        return self.path.endswith("/count_tokens")


@dataclass(frozen=True)
class Response:
    """What to send. `length` is the announced length of a body; without one the body goes in chunks.

    `end`: "whole" as HTTP wants it, "drop" breaks the connection, "close" ends the body by closing the connection.
    `missed` says why nothing answers the request.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterable[Chunk]
    length: int | None = None
    end: Literal["whole", "drop", "close"] = "whole"
    answer: Answer | None = None
    usage: Usage | None = None
    note: str = ""
    missed: str = ""

    def pieces(self) -> list[Chunk]:
        """All chunks at hand."""
        return list(self.chunks)

    def with_chunks(self, chunks: list[Chunk], **changes: Any) -> Response:
        """The same with another body, announced in the same way."""
        length = None if self.length is None else sum(len(data) for _, data in chunks)
        return replace(self, **{"chunks": chunks, "length": length, **changes})


Alter = Callable[[Answer], Answer]


class Source(Protocol):
    """Where replies come from: a script, a recording, or a provider that is being recorded."""

    def respond(self, exchange: Exchange, alter: Alter | None) -> Response:
        """The response to a request; `alter` changes the answer first, where there is one to change."""
        ...


def body_response(status: int, body: object, headers: Mapping[str, str] | None = None, note: str = "") -> Response:
    """A JSON response."""
    data = json.dumps(body, ensure_ascii=False).encode()
    return Response(status, {**JSON, **(headers or {})}, [(0.0, data)], length=len(data), note=note)


def miss(wire: Wire, message: str) -> Response:
    """The response to a request that nothing answers: clients must not retry it."""
    body = wire.error("invalid_request_error", message, "rehearsal_miss")
    response = body_response(400, body, {"x-should-retry": "false"}, note="rehearsal_miss")
    return replace(response, missed=message)


def answer_response(wire: Wire, asked: Asked, answer: Answer) -> Response:
    """An answer in its format, streamed if it was asked for so; the answer's latency comes before the first byte."""
    if not asked.stream:
        response = body_response(200, wire.write(asked, answer))
        data = response.pieces()[0][1]
        return replace(response, chunks=[(answer.latency_s, data)], answer=answer, usage=answer.usage)
    frames = [(0.0, frame.encode()) for frame in wire.stream(asked, answer)]
    frames[0] = (answer.latency_s, frames[0][1])
    return Response(200, EVENTS, frames, answer=answer, usage=answer.usage)


def usage_of(wire: Wire, body: bytes) -> Usage | None:
    """The usage that a recorded body states, whole or in events; None when it states none."""
    stated: dict[str, Any] = {}
    for line in body.decode("utf-8", "replace").split("\n"):
        text = line.removeprefix("data:").strip()
        if not text.startswith("{"):
            continue
        try:
            document = json.loads(text)
        except ValueError:
            continue
        for place in (document, document.get("message"), document.get("response")):
            if isinstance(place, dict) and isinstance(place.get("usage"), dict):
                stated |= place["usage"]
    try:
        return wire.read_usage(stated) if stated else None
    except (ValueError, TypeError, AttributeError):  # a provider's nonsense is played back, not understood
        return None


@dataclass
class Ledger:
    """What the server itself counted, one record a request."""

    calls: list[dict[str, Any]] = field(default_factory=list)

    def totals(self) -> dict[str, int]:
        """Tokens by class over all calls, and how many calls there were."""
        classes = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
        sums = {name: sum(call["usage"][name] for call in self.calls) for name in classes}
        return {"calls": len(self.calls), **sums}
