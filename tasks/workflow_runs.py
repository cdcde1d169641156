"""Does a run of a workflow begin, go on, or repeat one that has ended, and how did it end?

The shelf keeps, for each workflow and its inputs, which documents its run began from and which ones it wrote. An
interrupted run goes on from the same beginning. A complete one is repeated (its results are found again) unless a
document that it read or wrote has changed since, in which case it begins anew from what is there now, as does one that
ended blocked or partial.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, JsonValue

from ..domain.discovery import discover
from ..domain.model_calls import Value
from ..domain.run_state import ENDED, Outcome, RunState
from .ports import Ports, ports_for
from .workflow_begin import initial_state
from .workflow_desk import OWN
from .workflow_steps import RunRef, found, machine_of


class KeptRun(Value):
    """What the shelf keeps of a run. `samples` counts how often it was begun afresh, for other answers."""

    world: str
    status: Literal["running", "complete", "partial", "blocked"] = "running"
    generation: int = 0
    samples: int = 0
    written: dict[str, str] = Field(default_factory=dict)  # path to digest


@dataclass(frozen=True)
class OpenRun:
    """A run under way: its name on the shelf, the digest of the documents that it began from, and its sample."""

    name: str
    world: str
    sample: int


def open_run(run: RunRef, inputs: dict[str, str], *, fresh: bool = False) -> OpenRun:
    """The run to go on with, or a new one.

    A run that ended complete is repeated as long as nothing changed; one that ended otherwise is tried again.
    """
    ports = ports_for(run.project)
    name = f"workflow-{_digest(run.digest, json.dumps(inputs, sort_keys=True))[:24]}"
    text = ports.shelf.get(name) if ports.shelf else None
    kept = KeptRun.model_validate_json(text) if text else None
    if kept and kept.status == "running" and not fresh:
        return OpenRun(name, kept.world, kept.samples)
    now = _world(ports, run, inputs, set(kept.written) if kept else set())
    again = kept is not None and (fresh or kept.status != "complete" or _changed(ports, kept.written))
    generation = (kept.generation if kept else 0) + again
    samples = (kept.samples if kept else 0) + (fresh and kept is not None)
    world = f"{generation} {now}"
    if ports.shelf and not (kept and kept.world == world):
        fresh_run = KeptRun(world=world, generation=generation, samples=samples)
        ports.shelf.put(name, fresh_run.model_dump_json())
    return OpenRun(name, world, samples)


def close_run(run: RunRef, opened: OpenRun, outcome: Outcome) -> None:
    """Note how the run has ended, and what it wrote; one that waits for a person stays open."""
    ports = ports_for(run.project)
    if not ports.shelf or outcome.question:
        return
    text = ports.shelf.get(opened.name)
    kept = KeptRun.model_validate_json(text) if text else KeptRun(world=opened.world)
    written = {path: _digest(ports.documents.read(path) or "") for path in outcome.artefacts}
    kept = kept.model_copy(update={"world": opened.world, "status": outcome.status, "written": written})
    ports.shelf.put(opened.name, kept.model_dump_json())


def outcome_of(run: RunRef, state: RunState) -> Outcome:
    """The headless result of a run."""
    desk = machine_of(run).desk
    paths = [desk.path_of(state, key) for key in state.drafts]
    failed = [item for item, verdict in state.checks.items() if verdict == "FAIL"]
    status, reason = (state.status, state.reason) if state.status in ENDED else ("blocked", state.reason)
    if state.status == "waiting" and state.question:
        reason = f"waits for an answer: {state.question.question}"
    if status == "complete" and failed:
        status, reason = "partial", f"the checklist failed: {'; '.join(failed)[:300]}"
    return Outcome(
        workflow=state.workflow,
        status=status,
        reason=reason,
        artefacts=tuple(dict.fromkeys(path for path in (*paths, *state.files) if path)),
        assumptions=state.assumptions,
        open_questions=state.open_questions,
        decisions=state.decisions,
        checks=state.checks,
        steps_done=state.steps_done,
        skipped=state.skipped,
        variables=_results(state),
        model_calls=state.model_calls,
        question=state.question if state.status == "waiting" else None,
    )


def _results(state: RunState) -> dict[str, JsonValue]:
    """What a workflow that called this one may use: its results, without the documents' whole text."""
    sections = {name: text for key, draft in state.drafts.items() if not key for name, text in draft.sections.items()}
    known = {**sections, **state.variables}
    return {name: value for name, value in known.items() if not isinstance(value, str) or len(value) < 2_000}


def _world(ports: Ports, run: RunRef, inputs: dict[str, str], own: set[str]) -> str:
    """The digest of all documents that the workflow's input patterns find, its own left out."""
    it = found(run)
    state = initial_state(ports, it, inputs, "")
    own = own | {machine_of(run).desk.path_of(state, OWN)}
    groups = discover(it.workflow.input_patterns, state.known(), ports.documents.glob, ports.documents.read)
    paths = sorted({path for group in groups.values() for path in group} - own)
    return _digest(*(f"{path}\0{ports.documents.read(path)}" for path in paths))


def _changed(ports: Ports, written: dict[str, str]) -> bool:
    return any(_digest(ports.documents.read(path) or "") != digest for path, digest in written.items())


def _digest(*texts: str) -> str:
    return hashlib.sha256("\1".join(texts).encode()).hexdigest()
