"""Where does a run of a workflow stand, and what has it gathered so far?

Everything is a JSON-able value: a step takes a state and returns the next one, so that the state alone, kept as the
step's result, is enough to go on after a crash.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, JsonValue

from .model_calls import Value

Status = Literal["running", "waiting", "calling", "complete", "partial", "blocked"]
ENDED = frozenset({"complete", "partial", "blocked"})


class Assumption(Value):
    """An answer that no person gave."""

    question: str
    answer: str
    step: str = ""
    reason: str = ""


class DecidedCondition(Value):
    """A condition, whether it held, and who said so."""

    condition: str
    held: bool
    by: Literal["code", "model"]
    reason: str = ""
    step: str = ""


class Told(Value):
    """Something that the next prompt has to hold: an action to do, a rule, a remark, a question with its answer."""

    kind: Literal["action", "rule", "guidance", "answer", "shown"]
    text: str
    answer: str = ""


class InputFile(Value):
    """A document that was read, with the digest of what it said then."""

    path: str
    sha256: str
    whole: bool = True


class Draft(Value):
    """A document in the making: its template and the sections written so far, in the order of their first writing.

    `base` is a text that was there before and stays as it is; sections are added to it.
    """

    template: str = ""
    base: str = ""
    sections: dict[str, str] = Field(default_factory=dict)


class Loop(Value):
    """A for-each in progress."""

    at: int
    name: str
    items: tuple[JsonValue, ...]
    index: int = 0


class Asked(Value):
    """A question that waits for a person."""

    question: str
    response: str = ""
    step: str = ""
    recommendation: str = ""
    reasoning: str = ""
    confidence: float = 0.0
    asked_by: str = ""


class Called(Value):
    """Another workflow that has to run before this one goes on."""

    workflow: str
    inputs: dict[str, str] = Field(default_factory=dict)
    halt: bool = False


class RunState(Value):
    """A run between two nodes. `at` is the position in the program; `visits` counts how often each one was reached."""

    workflow: str
    at: int = 0
    status: Status = "running"
    reason: str = ""
    variables: dict[str, JsonValue] = Field(default_factory=dict)
    fixed: tuple[str, ...] = ()  # names whose values no model may change
    folders: tuple[str, ...] = ()  # below these a model may ask for files to be written
    given: dict[str, JsonValue] = Field(default_factory=dict)  # the inputs of the run
    today: str = ""
    sample: int = 0  # tells deliberate repetitions apart, so that a model answers anew
    world: str = ""  # the digest of the documents that it began from
    answer: str | None = None
    told: tuple[Told, ...] = ()  # of the step in progress
    history: tuple[Told, ...] = ()  # answers and notes of finished steps
    drafts: dict[str, Draft] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)  # other files written, path to text
    inputs: dict[str, tuple[InputFile, ...]] = Field(default_factory=dict)
    visits: dict[str, int] = Field(default_factory=dict)
    loops: tuple[Loop, ...] = ()
    repeats: dict[str, int] = Field(default_factory=dict)
    taken: dict[str, bool] = Field(default_factory=dict)
    probe: tuple[str, bool] | None = None
    probed: dict[str, bool] = Field(default_factory=dict)
    last_shown: str = ""
    assumptions: tuple[Assumption, ...] = ()
    open_questions: tuple[str, ...] = ()
    decisions: tuple[DecidedCondition, ...] = ()
    skipped: tuple[str, ...] = ()
    steps_done: tuple[str, ...] = ()
    completed: tuple[str, ...] = ()  # step files, by name
    question: Asked | None = None
    call: Called | None = None
    checks: dict[str, str] = Field(default_factory=dict)  # checklist item to verdict
    model_calls: int = 0

    def digest(self) -> str:
        """The sha256 hex digest of the whole state."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def tell(self, *told: Told) -> RunState:
        """The state with more for the next prompt."""
        return self.model_copy(update={"told": (*self.told, *told)})

    def known(self) -> dict[str, JsonValue]:
        """All names with a value: variables, and sections under their names."""
        sections: dict[str, JsonValue] = {}
        for draft in self.drafts.values():
            sections.update(draft.sections)
        return {**sections, **self.variables}

    def end(self, status: Status, reason: str = "") -> RunState:
        """The state of a run that has ended."""
        return self.model_copy(update={"status": status, "reason": reason})


class Outcome(Value):
    """How a run ended: upstream's headless result. `artefacts` are paths relative to the project."""

    workflow: str
    status: Literal["complete", "partial", "blocked"]
    reason: str = ""
    artefacts: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    open_questions: tuple[str, ...] = ()
    decisions: tuple[DecidedCondition, ...] = ()
    checks: dict[str, str] = Field(default_factory=dict)
    steps_done: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    variables: dict[str, JsonValue] = Field(default_factory=dict)
    model_calls: int = 0
    question: Asked | None = None  # what waits for a person
    interrupted: bool = False  # something outside stopped it; the same run goes on from there
