"""What can a run need from outside, and what may code look at by itself?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_STEP_VISITS = 12


@dataclass(frozen=True)
class World:
    """What code may look at without asking anybody."""

    exists: Callable[[str], bool | None] = lambda _path: None
    ask_people: bool = False
    optional_steps: bool = True
    max_step_visits: int = MAX_STEP_VISITS


@dataclass(frozen=True)
class Judge:
    """A condition that needs judgement."""

    condition: str
    reason: str


@dataclass(frozen=True)
class Ask:
    """A question to answer; `response` is the variable that takes the answer ("" if none)."""

    question: str
    response: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Write:
    """A section to write. `file` is the document's path ("" for the workflow's own)."""

    section: str
    file: str = ""
    last: bool = True


@dataclass(frozen=True)
class Work:
    """Actions of a step that no section took up."""

    step: str


@dataclass(frozen=True)
class Discover:
    """Input documents to look for and read."""


@dataclass(frozen=True)
class Load:
    """A document that an action names, to be read by code."""

    path: str


@dataclass(frozen=True)
class Validate:
    """The checklist to go through."""


@dataclass(frozen=True)
class StepDone:
    """The step is over; the next state begins another one, or the run has ended."""


Need = Judge | Ask | Write | Work | Discover | Load | Validate | StepDone
