"""A small project's events, written through the real spool."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from storyloom.analytics.ingest import ingest
from storyloom.blocks.spool import Spool
from storyloom.domain.events import (
    CallRecorded,
    Decided,
    Deployed,
    Event,
    GateJudged,
    Merged,
    RunMarked,
    StoryMoved,
)


def at(hour: float, day: int = 4) -> str:
    """A moment on a Monday in May, by the hour."""
    return f"2026-05-{day:02d}T{int(hour):02d}:{int(hour % 1 * 60):02d}:00+00:00"


def call(name: str, hour: float = 1, **more: Any) -> CallRecorded:
    tags = {"project": "shelf", "run": "r1", "phase": "implementation", "agent": "amelia", **more.pop("tags", {})}
    usage = {"input": 100, "cache_read": 300, "cache_write": 0, "output": 10, **more.pop("usage", {})}
    base = {
        "event_id": name,
        "ts": at(hour),
        "logical_call_id": name,
        "tags": tags,
        "usage": usage,
        "provider": "anthropic",
        "model_requested": "standard",
        "model": "claude-a",
        "cost": Decimal("0.001"),
        "cost_if_uncached": Decimal("0.003"),
        "latency_s": 1.0,
        "http_status": 200,
    }
    return CallRecorded.model_validate({**base, **more})


def story(name: str, status: str, hour: float, points: float | None = 3, day: int = 4) -> StoryMoved:
    tags = {"project": "shelf", "run": "r1", "epic": "1", "story": name}
    values = {"event_id": f"{name}-{status}-{day}-{hour}", "ts": at(hour, day), "tags": tags, "title": f"Title {name}"}
    return StoryMoved.model_validate({**values, "to_status": status, "points": points})


A, B = {"story": "1-1-a"}, {"story": "1-2-b"}
TINY = Decimal("0.000000000123")
EVENTS: tuple[Event, ...] = (
    call("plan", 1, tags={"phase": "planning", "agent": "john"}, cost=Decimal("0.5"), cost_if_uncached=Decimal("0.5")),
    call("a1", 2, tags=A, cost=Decimal("0.100000000001"), cost_if_uncached=Decimal("0.3"), latency_s=2.0),
    call("a2", 2.5, tags={**A, "attempt": 2}, cost=TINY, cost_if_uncached=TINY, latency_s=4.0),
    call("a3", 3, tags=A, purpose="repair", cost=Decimal("0.02"), cost_if_uncached=Decimal("0.02")),
    call("b1", 4, tags=B, cost=Decimal("0.25"), cost_if_uncached=None, status="unknown", http_status=None),
    call(
        "b2",
        4.5,
        tags=B,
        cost=Decimal(0),
        cost_if_uncached=None,
        status="error",
        http_status=529,
        attempt_no=2,
        usage={"output": 0},
    ),
    call("b3", 5, tags=B, cost=None, cost_if_uncached=None, cost_status="unpriced", model="home", provider="local"),
    call("b4", 5.5, tags=B, cost=Decimal(0), cost_if_uncached=Decimal("0.04"), status="cache_hit", usage={"output": 0}),
    call("b5", 6, tags=B, model="gpt-a", provider="openai", fallback_reason="instead of claude-a: it is busy"),
    call("other", 6, tags={"project": "else", "run": "r9"}, cost=Decimal("7")),
    story("1-1-a", "in-progress", 2),
    story("1-1-a", "done", 4),
    story("1-2-b", "in-progress", 3, 5),
    RunMarked.model_validate(
        {
            "event_id": "run",
            "ts": at(0),
            "tags": {"project": "else", "run": "r9"},
            "name": "planning",
            "state": "started",
            "mode": "rehearsal",
        }
    ),
    *(
        GateJudged.model_validate(
            {
                "event_id": f"gate{number}",
                "ts": at(3 + number / 10),
                "tags": {"project": "shelf", **tags},
                "gate": gate,
                "verdict": verdict,
            }
        )
        for number, (gate, tags, verdict) in enumerate(
            [("tests", A, "pass"), ("review", A, "fail"), ("review", A, "pass"), ("tests", B, "inconclusive")]
        )
    ),
    Merged.model_validate(
        {
            "event_id": "merge",
            "ts": at(4),
            "tags": {"project": "shelf", **A},
            "commit": "abc",
            "first_commit_ts": at(3),
        }
    ),
    *(
        Deployed.model_validate(
            {
                "event_id": f"deploy{hour}",
                "ts": at(hour),
                "tags": {"project": "shelf"},
                "target": "local",
                "release": str(hour),
                "outcome": outcome,
            }
        )
        for hour, outcome in ((5, "rolled_back"), (7, "healthy"))
    ),
    *(
        Decided.model_validate(
            {
                "event_id": source,
                "ts": at(2),
                "tags": {"project": "shelf"},
                "question": "Which database?",
                "answer": "SQLite",
                "confidence": sure,
                "source": source,
            }
        )
        for source, sure in (("model", 0.8), ("person", 1.0), ("policy", 0.4))
    ),
)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    writer = Spool(tmp_path / "spool")
    for event in EVENTS:
        writer.record(event)
    return tmp_path / "spool"


@pytest.fixture
def warehouse(spool: Path, tmp_path: Path) -> Path:
    ingest(spool, tmp_path / "warehouse.duckdb")
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def make_call() -> Callable[..., CallRecorded]:
    return call
