"""What is worth remembering about a run?  One flat record per thing that happened, appended to the spool.

A record is a JSON object with `schema_version`, `event`, `event_id` (idempotency key), `ts` (UTC, ISO 8601) and the
fields below; analytics ingests it, audit and reports read it. Money is a decimal string of US dollars.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from .model_calls import CallTags, Usage, Value

SCHEMA_VERSION = 1


class CallRecorded(Value):
    """One attempt at a model call, whatever came of it. `call_id` = sha256(run|logical_call|attempt)."""

    event: Literal["model_call"] = "model_call"
    event_id: str
    ts: str = ""
    logical_call_id: str
    attempt_no: int = 1
    tags: CallTags = Field(default_factory=CallTags)
    purpose: str = "work"
    provider: str = ""
    model_requested: str = ""
    model: str = ""
    usage: Usage = Field(default_factory=Usage)
    cost: Decimal | None = None
    cost_if_uncached: Decimal | None = None
    cost_status: Literal["priced", "unpriced", "free"] = "priced"
    latency_s: float = 0.0
    ttft_s: float | None = None
    status: Literal["ok", "error", "unknown", "cache_hit"] = "ok"
    http_status: int | None = None
    error_class: str = ""
    stop_reason: str = ""
    fallback_reason: str = ""
    prompt_sha256: str = ""


class StoryMoved(Value):
    """A story's status changed, or an attempt at it ended."""

    event: Literal["story"] = "story"
    event_id: str
    ts: str = ""
    tags: CallTags = Field(default_factory=CallTags)
    title: str = ""
    points: float | None = None
    from_status: str = ""
    to_status: str
    reason: str = ""
    lane: str = ""  # code, provider, infrastructure, budget, person


class GateJudged(Value):
    """A gate gave its verdict: tests, review, readiness, quality, health check."""

    event: Literal["gate"] = "gate"
    event_id: str
    ts: str = ""
    tags: CallTags = Field(default_factory=CallTags)
    gate: str
    verdict: Literal["pass", "concerns", "fail", "waived", "inconclusive"]
    detail: str = ""


class Merged(Value):
    """A story's branch entered the main line."""

    event: Literal["merge"] = "merge"
    event_id: str
    ts: str = ""
    tags: CallTags = Field(default_factory=CallTags)
    commit: str
    first_commit_ts: str = ""
    files: int = 0
    insertions: int = 0
    deletions: int = 0


class Decided(Value):
    """A question was answered, by documents, a model, a policy or a person."""

    event: Literal["decision"] = "decision"
    event_id: str
    ts: str = ""
    tags: CallTags = Field(default_factory=CallTags)
    question: str
    answer: str
    confidence: float
    source: Literal["onboarding", "fact", "model", "person", "policy"]
    reasoning: str = ""
    escalation: str = ""


class RunMarked(Value):
    """A run or a phase started or ended."""

    event: Literal["run"] = "run"
    event_id: str
    ts: str = ""
    tags: CallTags = Field(default_factory=CallTags)
    name: str
    state: str  # started, completed, failed, paused, skipped
    mode: Literal["live", "rehearsal"] = "live"
    detail: str = ""
    prefect_run: str = ""


class Deployed(Value):
    """A release was switched to, or back from."""

    event: Literal["deploy"] = "deploy"
    event_id: str
    ts: str = ""
    tags: CallTags = Field(default_factory=CallTags)
    target: str
    release: str
    outcome: Literal["healthy", "rolled_back", "failed"]
    detail: str = ""


class BudgetAlerted(Value):
    """A sum of calls has passed 50, 80 or 100 per cent of its cap. `unit` says what the amounts count."""

    event: Literal["budget"] = "budget"
    event_id: str
    ts: str = ""
    tags: CallTags = Field(default_factory=CallTags)
    scope: str
    level: int
    unit: Literal["dollars", "tokens"]
    spent: float
    cap: float


class Estimated(Value):
    """What a phase, a story or the whole ("total") of a run was expected to cost, said before its work began."""

    event: Literal["estimate"] = "estimate"
    event_id: str
    ts: str = ""
    tags: CallTags = Field(default_factory=CallTags)
    part: Literal["phase", "story", "total"]
    name: str
    low: Decimal
    likely: Decimal
    high: Decimal
    basis: str = ""


Event = CallRecorded | StoryMoved | GateJudged | Merged | Decided | RunMarked | Deployed | BudgetAlerted | Estimated
