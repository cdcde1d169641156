"""What is known of each request that was sent to a provider, and who keeps it?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Literal, Protocol

from .budget import Alert
from .model_calls import CallTags, ModelReply, Usage, Value


class Attempt(Value):
    """One request. "open": no outcome is known yet; "unknown": its sender died, or the answer was lost on the way.

    `at` is Unix time. An unknown attempt counts at its worst case. `raw` is the provider's answer to a failed attempt,
    secrets taken out.
    """

    logical_call_id: str
    attempt_no: int
    reservation: str = ""
    at: float
    tags: CallTags
    purpose: str = "work"
    provider: str = ""
    model_requested: str = ""
    model: str = ""
    worst_cost: Decimal | None = None
    worst_usage: Usage = Usage(source="estimated")
    status: Literal["open", "ok", "error", "unknown"] = "open"
    cost: Decimal | None = None
    cost_if_uncached: Decimal | None = None
    cost_status: Literal["priced", "unpriced", "free"] = "priced"
    usage: Usage = Usage(source="none")
    latency_s: float = 0.0
    ttft_s: float | None = None
    http_status: int | None = None
    stop_reason: str = ""
    fallback_reason: str = ""
    prompt_sha256: str = ""
    error_class: str = ""
    error: str = ""
    raw: str = ""
    reply: ModelReply | None = None

    @property
    def event_id(self) -> str:
        """The name of this attempt's event: the same however often it is recorded."""
        return hashlib.sha256(f"{self.tags.run}|{self.logical_call_id}|{self.attempt_no}".encode()).hexdigest()[:32]

    def lost(self) -> Attempt:
        """This attempt once it is clear that its outcome will never be known."""
        return self.model_copy(update={"status": "unknown", "cost": self.worst_cost, "usage": self.worst_usage})


def logical_call_id(project: str, content_key: str, models: Sequence[str] = ()) -> str:
    """The name of a question within a project: sha256 of both, and of the models that a class or persona stands for.

    So other models behind "standard" are asked anew, while a fallback among the same ones is not another question.
    """
    return hashlib.sha256("|".join((project, content_key, *sorted(models))).encode()).hexdigest()


class Journal(Protocol):
    """Keeps attempts; what it has taken survives a crash."""

    def alone(self, key: str, *, wait_s: float) -> AbstractContextManager[None]:
        """Hold one question for one caller."""
        ...

    def attempts(self, key: str) -> list[Attempt]:
        """All attempts at a question, oldest first."""
        ...

    def begin(self, attempt: Attempt) -> None:
        """Keep an intent."""
        ...

    def end(self, attempt: Attempt) -> None:
        """Keep an outcome."""
        ...


class Book(Protocol):
    """Keeps budgets: reserves, settles and refuses over all processes."""

    def reserve(
        self, reservation: str, tags: CallTags, *, usd: Decimal | None, tokens: int, provider: str, deadline_s: float
    ) -> None:
        """Hold an attempt's worst case in all its scopes, or raise BudgetExceeded."""
        ...

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> list[Alert]:
        """Replace what is held by what it was."""
        ...

    def restore(self, reservation: str, tags: CallTags, *, at: float, usd: Decimal | None, tokens: int) -> bool:
        """Enter an attempt from the journal; False if the book knows it."""
        ...

    def release(self, reservation: str) -> None:
        """Give back what was held for an attempt that was never sent."""
        ...

    def token_capped(self, tags: CallTags) -> bool:
        """Whether some scope has a cap in tokens."""
        ...

    def in_flight(self) -> dict[str, int]:
        """Open reservations by provider."""
        ...
