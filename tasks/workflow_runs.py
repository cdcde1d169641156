"""Does a run of a workflow begin, go on, or repeat one that has ended?

The shelf keeps, for each workflow and its inputs, which documents its run began from and which ones it wrote. An
interrupted run goes on from the same beginning. An ended one is repeated (its results are found again) unless a
document that it read or wrote has changed since, in which case it begins anew from what is there now.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from ..domain.discovery import discover
from ..domain.ports import ProjectRef
from ..domain.program import Program
from ..domain.run_state import Outcome
from .library import persona_of
from .ports import Ports, ports_for
from .workflow_machine import OWN, Machine, RunOptions
from .workflow_steps import initial_state


@dataclass(frozen=True)
class OpenRun:
    """A run under way: its name on the shelf, and the digest of the documents that it began from."""

    name: str
    world: str


def open_run(
    project: ProjectRef, program: Program, content: str, inputs: dict[str, str], *, fresh: bool = False
) -> OpenRun:
    """The run to go on with, or a new one."""
    ports = ports_for(project)
    name = f"workflow-{_digest(content, json.dumps(inputs, sort_keys=True))[:24]}"
    kept = json.loads((ports.shelf.get(name) if ports.shelf else None) or "{}")
    now = _world(ports, program, inputs, set(kept.get("written", {})))
    if kept and not kept["done"] and not fresh:
        return OpenRun(name, kept["world"])
    generation = int(kept.get("generation", 0))
    if kept and (fresh or _changed(ports, kept.get("written", {}))):
        generation += 1
    world = f"{generation} {now}"
    if kept and kept["world"] == world:
        return OpenRun(name, world)
    if ports.shelf:
        ports.shelf.put(name, json.dumps({"world": world, "done": False, "generation": generation, "written": {}}))
    return OpenRun(name, world)


def close_run(project: ProjectRef, run: OpenRun, outcome: Outcome) -> None:
    """Note that the run has ended, and what it wrote; one that waits for a person stays open."""
    ports = ports_for(project)
    if not ports.shelf or outcome.question:
        return
    kept = json.loads(ports.shelf.get(run.name) or "{}")
    written = {path: _digest(ports.documents.read(path) or "") for path in outcome.artefacts}
    ports.shelf.put(run.name, json.dumps({**kept, "world": run.world, "done": True, "written": written}))


def _world(ports: Ports, program: Program, inputs: dict[str, str], own: set[str]) -> str:
    """The digest of all documents that the workflow's input patterns find, its own left out."""
    state = initial_state(ports, program, inputs, "")
    machine = Machine(ports, program, persona_of(ports, program.workflow), RunOptions())
    own = own | {machine.path_of(state, OWN)}
    found = discover(program.workflow.input_patterns, state.known(), ports.documents.glob, ports.documents.read)
    paths = sorted({path for group in found.values() for path in group} - own)
    return _digest(*(f"{path}\0{ports.documents.read(path)}" for path in paths))


def _changed(ports: Ports, written: dict[str, str]) -> bool:
    return any(_digest(ports.documents.read(path) or "") != digest for path, digest in written.items())


def _digest(*texts: str) -> str:
    return hashlib.sha256("\1".join(texts).encode()).hexdigest()
