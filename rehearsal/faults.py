"""Which fault hits which call?

A fault hits the calls that match it, from the `nth` on, `times` times (0: for ever). With a `probability` it hits that
share of them, chosen by the request and the seed, so that the same requests meet the same faults in any order.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from ..domain.model_calls import Value
from .conversation import persona_matches, subject_matches
from .exchange import Exchange

Kind = Literal[
    "rate_limit",  # 429 with Retry-After
    "quota",  # 429 that waiting does not help
    "overloaded",  # 529
    "server_error",  # 500
    "unavailable",  # 503
    "unauthorised",  # 401
    "not_found",  # 404: no such model
    "too_long",  # 400: the context window is full
    "bad_request",  # 400
    "html",  # 502 and a page
    "html_ok",  # 200 and a page
    "empty",  # 200 and nothing
    "malformed",  # 200 and half a JSON document, well framed
    "drop",  # the connection breaks before the first byte
    "cut",  # the connection breaks in the middle of the body
    "early_end",  # the body ends in the middle, by a closed connection, without an error
    "stream_error",  # an error event in the middle of a stream; 500 without one
    "slow",  # the whole answer after delay_s
    "stall",  # half, then nothing for delay_s
    "drip",  # a few bytes every delay_s
    "no_content",  # a valid answer that says nothing
    "refusal",  # the model declines
    "truncated",  # half the text and the stop reason of a full answer
    "no_usage",
    "negative_usage",
    "wrong_types",  # fields of a type that the format does not have
]


class Fault(Value):
    """A fault and the calls it hits. `provider` is openai or anthropic, `path` a glob; times and delays in seconds."""

    kind: Kind
    provider: str = ""
    path: str = "*"
    persona: str = "*"
    subject: str = "*"
    turn: int | None = None
    model: str = "*"
    nth: int = Field(default=1, ge=1)
    times: int = Field(default=1, ge=0)
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0
    retry_after: float = Field(default=1, ge=0)
    delay_s: float = Field(default=3.0, ge=0)

    def fits(self, exchange: Exchange) -> bool:
        """Whether a request is one of those that this fault counts."""
        asked = exchange.asked
        return (
            asked is not None
            and self.provider in ("", exchange.provider)
            and self.turn in (None, asked.turn)
            and fnmatchcase(exchange.path, self.path)
            and fnmatchcase(asked.model, self.model)
            and persona_matches(self.persona, asked.persona_line)
            and subject_matches(self.subject, asked.subject)
        )


FAULTS = TypeAdapter(list[Fault])


@dataclass
class _Armed:
    fault: Fault
    seen: int = 0
    hit: int = 0
    by_digest: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


class FaultScript:
    """The faults that are armed, and the providers that are down. Safe for many threads."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._down: dict[str, Fault] = {}
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Arm faults, after those that are armed already."""
        with self._lock:
            self._armed.extend(_Armed(fault) for fault in faults)

    def clear(self) -> None:
        """Disarm all faults and bring all providers up."""
        with self._lock:
            self._armed.clear()
            self._down.clear()

    def down(self, *providers: str, kind: Kind = "unavailable") -> None:
        """Take exactly these providers (openai, anthropic) down; none brings all up."""
        with self._lock:
            self._down = {name: Fault(kind=kind, provider=name, times=0) for name in providers}

    def take(self, exchange: Exchange) -> Fault | None:
        """The fault that hits this call, counted as spent; the first that is due."""
        if exchange.asked is None:
            return None
        with self._lock:
            chosen = self._down.get(exchange.provider)
            for armed in self._armed:
                if armed.fault.fits(exchange):
                    armed.seen += 1
                    if chosen is None and _due(armed, exchange.asked.digest):
                        armed.hit += 1
                        chosen = armed.fault
            return chosen

    def state(self) -> dict[str, Any]:
        """What is armed and how often it has hit, as JSON values."""
        with self._lock:
            armed = [{**a.fault.model_dump(mode="json"), "seen": a.seen, "hit": a.hit} for a in self._armed]
            return {"faults": armed, "down": sorted(self._down)}


def _due(armed: _Armed, digest: str) -> bool:
    fault = armed.fault
    if armed.seen < fault.nth or (fault.times and armed.hit >= fault.times):
        return False
    if fault.probability >= 1:
        return True
    again = armed.by_digest[digest]
    armed.by_digest[digest] += 1
    draw = hashlib.sha256(f"{fault.seed}|{fault.kind}|{digest}|{again}".encode()).digest()
    return int.from_bytes(draw[:8], "big") / (1 << 64) < fault.probability
