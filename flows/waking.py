"""How does a run learn that its question is closed, when the answer came another way than by its form?

A paused run looks at the shelf itself, and is only woken sooner. A suspended run has no process: whoever takes the
answer must resume it, and that is not the run that asked but the top run above it (see `suspending`).
"""

from __future__ import annotations

import json
from typing import Literal
from uuid import UUID

import httpx
from prefect import get_client, resume_flow_run
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import NotPausedError, ObjectNotFound

from ..domain.escalations import Escalation
from ..tasks.ports import Ports
from ..tasks.questions import mirrored
from .forms import wake_up

NOTES = "suspended/"
"""Where a suspended run says on the shelf, by its id, which question its form shows."""

Woken = Literal["goes on", "kept", "unreached"]


def wake(run_id: UUID, escalation: Escalation) -> bool:
    """Resume a run that shows this question's form; whether it is paused no longer. False: try again later."""
    try:
        resume_flow_run(run_id, run_input=wake_up(escalation))
    except NotPausedError:
        return True
    except Exception:  # noqa: BLE001 - the server may be away, or its database locked, for a moment: try again
        return False
    return True


def wake_for(ports: Ports, escalation: Escalation) -> Woken:
    """What becomes of the run that asked: it goes on, it has ended and only a new start reads the answer, or who knows.

    Resumed is the nearest run, from the one that asked upwards, that is paused or suspended.
    """
    if not escalation.flow_run:
        return "kept"
    try:
        chain = runs_above(UUID(escalation.flow_run))
    except httpx.HTTPError:
        return "unreached"
    for run in chain:
        if run.state is not None and run.state.is_paused():
            return "goes on" if wake(run.id, _shown(ports, run.id) or escalation) else "unreached"
    if not chain or chain[-1].state is None or chain[-1].state.is_final():
        return "kept"
    asked = chain[0].state
    resumed = chain[-1].state.is_scheduled() or chain[-1].state.is_pending()
    return "goes on" if resumed or (asked is not None and not asked.is_final()) else "kept"


def wake_overslept(ports: Ports) -> list[str]:
    """Resume the project's suspended runs of whose questions one is closed by now; the ids of those runs.

    Whoever took the answer could not reach the server then.
    """
    woken = []
    for name in ports.shelf.names(NOTES):
        note = json.loads(ports.shelf.get(name) or "{}")
        shown = mirrored(ports, note["id"]) if note.get("id") else None
        if shown is None:
            continue
        asked = [mirrored(ports, one) for one in note.get("open") or [note["id"]]]
        if all(one is not None and one.status == "pending" for one in asked):
            continue
        run_id = name.removeprefix(NOTES)
        try:
            chain = runs_above(UUID(run_id))
        except httpx.HTTPError:
            continue
        state = chain[0].state if chain else None
        if state is None or state.is_final():
            ports.shelf.put(name, "{}")
        elif state.is_paused() and wake(UUID(run_id), shown):
            woken.append(run_id)
    return woken


def runs_above(run_id: UUID) -> list[FlowRun]:
    """The run and those above it, the top run last; those that the server does not know any more are left out."""
    found: list[FlowRun] = []
    with get_client(sync_client=True) as client:
        try:
            while True:
                found.append(client.read_flow_run(run_id))
                if (task_run_id := found[-1].parent_task_run_id) is None:
                    return found
                above = client.read_task_run(task_run_id).flow_run_id
                if above is None:
                    return found
                run_id = above
        except ObjectNotFound:
            return found


def _shown(ports: Ports, run_id: UUID) -> Escalation | None:
    """The question whose form a suspended run shows; a grave one, not always the one that was answered."""
    note = json.loads(ports.shelf.get(f"{NOTES}{run_id}") or "{}")
    return mirrored(ports, note["id"]) if note.get("id") else None
