"""Which phases does the method have, and which documents does each one owe?

A phase is done when the documents it owes are in the main line and its gate has been passed; running it again does what
is missing. Levels 0 to 4 follow the method's table: 0 and 1 need a tech-spec, 2 and above a brief, a PRD and an
architecture.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The six phases, in order."""

    ANALYSIS = "analysis"
    PLANNING = "planning"
    SOLUTIONING = "solutioning"
    IMPLEMENTATION = "implementation"
    QUALITY = "quality"
    DEPLOYMENT = "deployment"


ORDER = tuple(Phase)


@dataclass(frozen=True)
class Job:
    """A workflow that a phase runs, the document it owes (below the planning folder), and the levels that need it."""

    workflow: str
    document: str
    levels: range


ANY = range(5)
SMALL = range(2)
LARGE = range(2, 5)

JOBS: dict[Phase, tuple[Job, ...]] = {
    Phase.ANALYSIS: (Job("product-brief", "product-brief.md", LARGE),),
    Phase.PLANNING: (Job("prd", "prd.md", LARGE), Job("tech-spec", "tech-spec.md", SMALL)),
    Phase.SOLUTIONING: (
        Job("architecture", "architecture.md", LARGE),
        Job("epics-and-stories", "epics.md", ANY),
        Job("implementation-readiness", "implementation-readiness.md", LARGE),
    ),
    Phase.IMPLEMENTATION: (),
    Phase.QUALITY: (Job("quality-gate", "quality-gate.md", ANY),),
    Phase.DEPLOYMENT: (Job("release-notes", "release-notes.md", ANY),),
}

BOARD = "sprint-status.yaml"
BRIEF = "brief.md"


def jobs(phase: Phase, level: int) -> tuple[Job, ...]:
    """The workflows that a phase runs at a project level, in order."""
    return tuple(job for job in JOBS[phase] if level in job.levels)


def until(phase: Phase) -> tuple[Phase, ...]:
    """All phases up to and including `phase`."""
    return ORDER[: ORDER.index(phase) + 1]
