"""Does every workflow of a package run to its end without a person, and how does it end?

    python benchmarks/unattended.py UNPACKED_PACKAGE [UNPACKED_PACKAGE ...]

The model is a script that says no to everything, yes to everything, or either by the digest of the question. Documents
live in memory. Nothing may raise, and nothing may run without end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from storyloom.blocks.workflow_library import WorkflowLibrary
from storyloom.domain.errors import StoryloomError
from storyloom.domain.fakes import MemoryDocuments, MemoryShelf, ScriptedModels
from storyloom.domain.model_calls import ModelReply, ModelRequest
from storyloom.domain.outcomes import returned
from storyloom.domain.ports import ProjectRef
from storyloom.domain.run_state import ENDED, RunState
from storyloom.domain.workflow_plan import Plan, plan_workflow
from storyloom.tasks.library import open_workflow
from storyloom.tasks.ports import Ports
from storyloom.tasks.workflow_begin import initial_state
from storyloom.tasks.workflow_machine import Machine, RunOptions

TODAY = "2026-01-01"
BRIEF = {"docs/brief.md": "# A shelf\n\nA program that keeps a list of books.\n"}
MAX_STEPS = 500


@dataclass
class Ended:
    """How the workflows of one package ended, under one manner of answering."""

    manner: str
    by_status: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    calls: int = 0
    decided: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def manner_of(name: str) -> Callable[[ModelRequest], ModelReply]:
    """The scripted model that answers "no", "yes", or "mixed"."""

    def answer(request: ModelRequest) -> ModelReply:
        subject = request.messages[0].content.splitlines()[0]
        digest = int(hashlib.sha256(subject.encode()).hexdigest(), 16)
        holds = {"no": False, "yes": True}.get(name, digest % 2 == 0)
        said = {"no": "n", "yes": "y"}.get(name, str(digest % 4 + 1))
        report: dict[str, object] = {"report": "done", "document": "A paragraph.", "stop": ""}
        report |= {"variables": [], "files": [], "assumptions": [], "open_questions": []}
        forms: dict[str, object] = {
            "verdict": {"holds": holds, "reason": "scripted"},
            "answer": {"answer": said, "confidence": 0.5, "reason": "scripted", "quote": ""},
            "report": report,
            "headless": {**report, "status": "complete", "intent": "create"},
            "checks": {"items": [{"item": "it is there", "verdict": "PASS", "evidence": "line 1"}]},
        }
        wanted = (request.schema_ or {}).get("required")
        names = wanted if isinstance(wanted, list) else []
        form = forms.get(request.schema_name, {str(one): "A paragraph." for one in names})
        return ModelReply(content=json.dumps(form) if request.schema_name else "A paragraph.", model="scripted")

    return answer


def run_to_end(
    ports: Ports, name: str, inputs: dict[str, str] | None = None, callers: tuple[str, ...] = ()
) -> tuple[RunState, Machine]:
    """The state in which a run ends; as the flow does it, without task runs."""
    it = open_workflow(ports, name)
    machine = Machine(ports, it.program, it.persona, RunOptions())
    state = machine.desk.adopt(initial_state(ports, it, inputs or {}, TODAY))
    if it.workflow.path in callers:
        return state.end("blocked", "it is called by itself"), machine
    for _ in range(MAX_STEPS):
        if state.status in ENDED:
            break
        if state.status == "calling" and state.call:
            try:
                child, _ = run_to_end(ports, state.call.workflow, state.call.inputs, (*callers, it.workflow.path))
                state = returned(state, {}, f"{child.workflow} ended {child.status}")
            except StoryloomError as error:
                state = returned(state, {}, str(error))
        else:
            state = machine.run_step(state)
    else:
        state = state.end("partial", f"it did not end within {MAX_STEPS} steps")
    return machine.finish(state), machine


def run_package(library: WorkflowLibrary, manner: str) -> Ended:
    """Run every workflow of a package."""
    ended = Ended(manner)
    for found in library.found:
        if found.role == "task":
            continue
        models = ScriptedModels(manner_of(manner))
        ports = Ports(
            ProjectRef(repository="/project"),
            models=models,
            documents=MemoryDocuments(BRIEF),
            texts=library,
            shelf=MemoryShelf(),
        )
        try:
            state, _ = run_to_end(ports, found.path)
        except StoryloomError as error:
            ended.by_status["refused"] += 1
            ended.refused.append(f"{found.id}: {error}")
            continue
        ended.by_status[state.status] += 1
        ended.steps += len(state.steps_done)
        ended.calls += len(models.asked)
        ended.decided.update(decision.by for decision in state.decisions)
        ended.lines.append(f"{found.id}: {state.status} {state.reason}".strip())
    return ended


def plans(library: WorkflowLibrary) -> list[Plan]:
    """The plans of all workflows of a package that can be run."""
    made = []
    for found in library.found:
        if found.role == "task":
            continue
        try:
            ports = Ports(ProjectRef(repository="/project"), texts=library)
            made.append(plan_workflow(open_workflow(ports, found.path).program))
        except StoryloomError:
            continue
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("paths", nargs="+", type=Path, help="unpacked packages or installed projects")
    parser.add_argument("--list", action="store_true", help="show how each workflow ended")
    wanted = parser.parse_args()
    print("| package | answers | complete | partial | blocked | refused | steps | model calls | by code | by model |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for path in wanted.paths:
        library = WorkflowLibrary.open(path)
        for manner in ("no", "yes", "mixed"):
            e = run_package(library, manner)
            counts = " | ".join(str(e.by_status[s]) for s in ("complete", "partial", "blocked", "refused"))
            name = path.parent.name if path.name == "package" else path.name
            print(
                f"| {name} | {manner} | {counts} | {e.steps} | {e.calls} | {e.decided['code']} | {e.decided['model']} |"
            )
            if wanted.list:
                print("\n".join(f"- {line}" for line in [*e.lines, *e.refused]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
