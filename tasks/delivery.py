"""What happens around the phases: the project made ready before, the person's branch and the bill after?"""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from ..domain.errors import InputError
from ..domain.events import RunMarked
from ..domain.model_calls import Value
from ..domain.phases import BRIEF, Phase
from ..domain.ports import ProjectRef
from .documents import commit_texts
from .ports import ports_for
from .recording import event_key, record, tags_for
from .waiting import show_needs

CONFIG = ".bmad/project-config.yaml"


class PhaseEnd(Value):
    """Where a phase was last seen: started, or how it ended and why."""

    phase: Phase
    state: str
    detail: str = ""


class Published(Value):
    """Where the main line stands, and why the person's branch does not stand there ("" if it does)."""

    tip: str
    note: str = ""


@task(name="prepare", task_run_name="prepare the project", cache_policy=NO_CACHE)
def prepare(project: ProjectRef, brief: str = "") -> str:
    """Clean up after a crash, and bring the brief into the main line; the tip.

    Raises:
        InputError: there is no brief, neither given nor in the project.
    """
    ports = ports_for(project)
    folder = ports.config.settings.planning_folder
    with ports.lane():
        ports.workspace.recover()
        ports.follow()
    path = f"{folder}/{BRIEF}"
    there = ports.workspace.read(ports.workspace.tip(), path)
    text = brief.strip() + "\n" if brief.strip() else ""
    if not text and not (there or "").strip():
        known = ports.workspace.read(ports.workspace.tip(), f"{folder}/epics.md")
        if known is None:
            raise InputError(f"There is no brief: {path} does not exist.", remedy="Give one with --brief FILE.")
        return ports.workspace.tip()
    if text and text != there:
        commit_texts(ports, {path: text}, "docs: brief", "docs-brief")
    return ports.workspace.tip()


def mark_phase(project: ProjectRef, phase: Phase, state: str, detail: str = "") -> None:
    """Record that a phase started or ended, and show people what needs them now."""
    ports = ports_for(project)
    end = PhaseEnd(phase=phase, state=state, detail=detail)
    ports.shelf.put(f"phases/{phase.value}.json", end.model_dump_json(indent=2))
    record(
        ports,
        RunMarked(
            event_id=event_key("phase", flow_run.get_root_flow_run_id() or flow_run.get_id(), phase, state),
            tags=tags_for(ports, phase=phase.value),
            name=phase.value,
            state=state,
            mode=ports.mode,
            detail=detail,
            prefect_run=str(flow_run.get_id() or ""),
        ),
    )
    if state != "started":
        show_needs(ports)


@task(name="publish", task_run_name="publish the main line", cache_policy=NO_CACHE)
def publish(project: ProjectRef) -> Published:
    """Move the person's branch to the main line's tip when the settings allow it."""
    ports = ports_for(project)
    with ports.lane():
        note = ports.publish()
        return Published(tip=ports.workspace.tip(), note=note)


@task(name="bill", task_run_name="bill", cache_policy=NO_CACHE)
def show_bill(project: ProjectRef) -> str:
    """Publish the bill as an artifact and return its Markdown."""
    text = ports_for(project).bill()
    if text:
        create_markdown_artifact(key="bill", markdown=text, description="What the models cost, at list price")
    return text
