"""Which operations is a workflow made of, in a row?

The tree of a workflow is compiled once into a flat list of operations with jump targets, so that a position in a run
is one number, a jump is an assignment, and a dry run is a listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .workflow_tree import Note, Workflow

Kind = Literal[
    "step", "when", "jump", "do", "context", "say", "ask", "write", "discover", "invoke", "task", "set", "halt", "exit",
    "return", "each", "next", "finish",
]  # fmt: skip


@dataclass(frozen=True)
class Op:
    """One operation. `target` is where `when` goes if false, `jump` and `next` always, `each` when it is done."""

    kind: Kind
    line: int
    step: int
    text: str = ""
    target: int = -1
    group: int = -1  # the first `when` of neighbouring checks: an `else` looks back to it
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A compiled workflow. `starts` holds the position at which each top-level step begins."""

    workflow: Workflow
    ops: tuple[Op, ...]
    starts: Mapping[int, int]
    notes: tuple[Note, ...] = ()

    def step_at(self, at: int) -> int:
        """The index of the top-level step that a position belongs to; -1 past the end."""
        return self.ops[at].step if 0 <= at < len(self.ops) else -1


def step_name(program: Program, index: int) -> str:
    """How a step is called in records: "step 2 functional requirements"."""
    if not 0 <= index < len(program.workflow.steps):
        return ""
    step = program.workflow.steps[index]
    number = step.number or str(index + 1)
    return f"step {number} {step.title}".strip()
