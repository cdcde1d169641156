"""What is a story, and how can the work on it end?"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import Field

from .model_calls import Value


class Story(Value):
    """One story as planned. `key` is the board's key ("1-2-account-page"), `id` the number ("1.2"), `epic` "epic-1".

    `depends_on` holds keys of stories that must be merged first; `independent` says that there are none on purpose.
    `files` are the paths it is expected to change alone, `appends` those it only adds to (a change log, an index),
    `resources` named things that one story at a time may use. A higher `priority` goes first among equals.
    `kept_as` is set where this stands for a story whose text is too long for a flow's parameter.
    """

    key: str
    id: str
    epic: str
    title: str
    text: str = ""
    acceptance_criteria: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    appends: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    independent: bool = False
    priority: int = 0
    points: float | None = None
    spec_checkpoint: bool = False
    done_checkpoint: bool = False
    invoke_dev_with: str = ""
    kept_as: str = ""


class Lane(StrEnum):
    """Whose failure it was; only `code` uses up an attempt."""

    CODE = "code"
    PROVIDER = "provider"
    INFRASTRUCTURE = "infrastructure"
    BUDGET = "budget"
    PERSON = "person"


class TestReport(Value):
    """What our own run of the tests showed. `passed` None means that nothing could be established.

    `ran` counts tests (skipped ones included), `failures` those that failed or could not be run; None if unknown.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    command: str = ""
    passed: bool | None = None
    exit_code: int | None = None
    tail: str = ""
    wall_s: float = 0.0
    limit_hit: str = ""
    ran: int | None = None
    failures: int | None = None
    skipped: int = 0
    failing: tuple[str, ...] = ()


class Finding(Value):
    """One thing a reviewer holds against a change."""

    severity: Literal["high", "medium", "low"]
    title: str
    detail: str = ""
    file: str = ""
    line: int | None = None
    status: Literal["open", "fixed", "dismissed"] = "open"
    reason: str = ""


class CriterionVerdict(Value):
    """Whether one acceptance criterion is met, and what shows it."""

    criterion: str
    met: bool
    evidence: str = ""


class ReviewReport(Value):
    """A reviewer's verdict on one diff."""

    verdict: Literal["approve", "changes_requested", "blocked"]
    summary: str = ""
    criteria: tuple[CriterionVerdict, ...] = ()
    findings: tuple[Finding, ...] = ()


class StoryOutcome(Value):
    """How the work on a story ended. A value, not an exception: one story's end never fails the batch.

    `attempts` counts how often the code was judged, by our run of the tests or by a reviewer; `conflicts` names the
    files on which a change that cannot enter conflicts with the main line.
    """

    story: str
    status: Literal["merged", "reviewed", "blocked", "failed", "waiting", "skipped"]
    branch: str = ""
    commit: str = ""
    baseline: str = ""
    attempts: int = 0
    turns: int = 0
    cost: Decimal = Decimal(0)
    tests: TestReport = Field(default_factory=TestReport)
    review: ReviewReport | None = None
    lane: Lane | None = None
    reason: str = ""
    notes: str = ""
    files: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
