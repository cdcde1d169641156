"""How does a run free its worker while a question waits?

Only the top run of a deployment can be suspended, never a subflow of it. So a question below leaves its work waiting,
the rest goes on to its end, and then the top run suspends itself with the form of the gravest open question. When that
is answered, or any other of its questions another way, a worker starts the run again from its beginning; it finds what
is done, and the answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect import get_client, suspend_flow_run, task
from prefect.cache_policies import NO_CACHE
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.transactions import CommitMode, transaction

from ..domain.escalations import Escalation
from ..domain.ports import ProjectRef
from ..domain.settings import Settings
from ..tasks.ports import Ports, ports_for
from ..tasks.questions import escalations, mirrored
from ..tasks.waiting import show_needs, tagged_as_waiting
from .forms import WOKEN, form
from .waking import NOTES

T = TypeVar("T")
GRAVEST = ("critical", "important", "normal")
TIMEOUT_SECONDS = 400 * 24 * 3600
"""Nobody's answer comes too late for Prefect: the question's own deadline is what counts."""

TakeIn = Callable[[Ports, Escalation, RunInput], str]


def frees_worker(settings: Settings) -> bool:
    """Whether a question leaves its work waiting: the project runs on a fleet, and a worker started this run."""
    root = flow_run.get_root_flow_run_id() or flow_run.get_id()
    return bool(settings.fleet and root and _deployed(str(root)))


@cache
def _deployed(run_id: str) -> bool:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(run_id)).deployment_id is not None


def freeing_worker(project: ProjectRef, work: Callable[[], T]) -> T:
    """The work's result; where the worker is to be freed, only once no question that this run asked is open."""
    from .asking import take_in

    ports = ports_for(project)
    settings = ports.config.settings
    if not settings.fleet or flow_run.get_parent_flow_run_id() or not frees_worker(settings):
        return work()
    while True:
        _take_up(ports, take_in)
        result = cast(T, begin(work))
        waiting = waiting_for(ports, run_ids())
        if not waiting:
            return result
        note = {**_note(ports), "id": waiting[0].id, "open": [one.id for one in waiting], "complaint": ""}
        ports.shelf.put(_name(), json.dumps(note))


@task(name="begin", task_run_name="work begins", cache_policy=NO_CACHE)
def begin(work: Callable[[], Any]) -> Any:
    """The work's result, from the beginning.

    A run that is started again takes the first end of each finished subflow for its end now, unless a task calls it
    (Prefect 3.8.8, `load_subflow_run`). What is done already is found by the work itself.
    """
    with transaction(commit_mode=CommitMode.EAGER):  # what is finished in it stays finished if it fails
        return work()


def first_time(project: ProjectRef) -> bool:
    """Whether this flow run has not begun its work before; one that frees its worker begins several times."""
    ports = ports_for(project)
    return not ports.config.settings.fleet or ports.shelf.put_new(f"begun/{flow_run.get_id()}", "")


def _take_up(ports: Ports, take_in: TakeIn) -> None:
    """Suspend for the question that this run waits for, or take in its answer when the run has been resumed."""
    note = _note(ports)
    while note["id"]:
        escalation = mirrored(ports, note["id"])
        if escalation is None or escalation.status != "pending":
            break
        key = f"{escalation.id}-{escalation.created[:19].replace(':', '-').lower()}-{note['try']}"
        with tagged_as_waiting(UUID(flow_run.get_id())):
            given = suspend_flow_run(
                wait_for_input=form(escalation, note["complaint"]), timeout=TIMEOUT_SECONDS, key=key
            )
        complaint = take_in(ports, escalation, given)
        show_needs(ports)
        note = {**note, "try": note["try"] + 1, "complaint": complaint}  # a key that came before shows no form
        after = mirrored(ports, escalation.id)
        if after is None or after.status != "pending" or getattr(given, "notes", "") == WOKEN:
            break  # answered, or woken for another question of this run: do what can be done now
        ports.shelf.put(_name(), json.dumps(note))
    ports.shelf.put(_name(), json.dumps({**note, "id": ""}))


def run_ids() -> set[str]:
    """This run and all runs below it."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

    found, todo = set[str](), [UUID(flow_run.get_id())]
    with get_client(sync_client=True) as client:
        while todo:
            found |= {str(one) for one in todo}
            below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=todo))
            todo = [run.id for run in client.read_flow_runs(flow_run_filter=below) if str(run.id) not in found]
    return found


def waiting_for(ports: Ports, runs: set[str]) -> list[Escalation]:
    """The open questions that these runs asked, the gravest and oldest first."""
    mine = [e for e in escalations(ports) if e.status == "pending" and e.flow_run in runs]
    return sorted(mine, key=lambda e: (GRAVEST.index(e.severity), e.created))


def _note(ports: Ports) -> dict[str, Any]:
    """The question whose form this run shows ("" for none), all that it waits for, how many forms there were, and
    what was wrong with the last answer.
    """
    return {"id": "", "open": [], "try": 0, "complaint": "", **json.loads(ports.shelf.get(_name()) or "{}")}


def _name() -> str:
    return f"{NOTES}{flow_run.get_id()}"
