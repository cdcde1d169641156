"""How did a phase, a batch and a whole delivery end?"""

from __future__ import annotations

from typing import Literal

from .model_calls import Value
from .phases import Phase
from .stories import StoryOutcome

PhaseStatus = Literal["done", "already_done", "waiting", "failed"]


class PhaseReport(Value):
    """How a phase ended. `did` names what was done now, `found` what was there already."""

    phase: Phase
    status: PhaseStatus
    did: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    reason: str = ""
    stories: tuple[StoryOutcome, ...] = ()


class Delivery(Value):
    """How a delivery ended: one report per phase that was reached."""

    status: PhaseStatus
    phases: tuple[PhaseReport, ...] = ()
    published: str = ""
    tip: str = ""
    reason: str = ""


def phase_status(stories: tuple[StoryOutcome, ...]) -> PhaseStatus:
    """Where a batch leaves its phase: waiting beats failed, for waiting work can go on."""
    ends = {story.status for story in stories}
    if not ends - {"merged", "skipped"}:
        return "done"
    return "waiting" if ends & {"waiting", "reviewed"} else "failed"


def overall_status(phases: tuple[PhaseReport, ...]) -> PhaseStatus:
    """Where its phases leave a delivery."""
    ends = [report.status for report in phases]
    for status in ("failed", "waiting", "done"):
        if status in ends:
            return status
    return "already_done"
