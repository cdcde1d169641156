"""What does a phase need to know before it starts, and what is there already?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from ..domain.events import GateJudged
from ..domain.gates import Verdict, read_verdict
from ..domain.model_calls import Value
from ..domain.ports import ProjectRef
from .ports import ports_for
from .recording import event_key, record, tags_for


class PhaseFacts(Value):
    """What the project's settings say to every workflow."""

    level: int
    planning_folder: str
    inputs: Mapping[str, str]


def phase_facts(project: ProjectRef) -> PhaseFacts:
    """The facts that hold for all workflows of a project."""
    config = ports_for(project).config
    folder = config.settings.planning_folder
    return PhaseFacts(
        level=config.project.level,
        planning_folder=folder,
        inputs={
            "project_name": config.project.name,
            "project_level": str(config.project.level),
            "planning_folder": folder,
            "output_folder": folder,
            "stories_folder": config.settings.stories_folder,
        },
    )


def in_main_line(project: ProjectRef, path: str) -> bool:
    """Whether the document has entered the main line."""
    workspace = ports_for(project).workspace
    return workspace.read(workspace.tip(), path) is not None


def digest_of(project: ProjectRef, paths: Sequence[str]) -> str:
    """A digest of what these documents say in the main line; without any, the main line's commit."""
    workspace = ports_for(project).workspace
    tip = workspace.tip()
    return event_key(*(f"{path} {workspace.read(tip, path)}" for path in paths)) if paths else tip


@task(name="judge-document", task_run_name="verdict of {path}", cache_policy=NO_CACHE)
def judge_document(project: ProjectRef, path: str) -> Verdict:
    """The verdict that a gate's document states, recorded."""
    ports = ports_for(project)
    text = ports.workspace.read(ports.workspace.tip(), path) or ""
    verdict = read_verdict(text)
    record(
        ports,
        GateJudged(
            event_id=event_key("gate", path, text),
            tags=tags_for(ports),
            gate=path.rsplit("/", 1)[-1].removesuffix(".md"),
            verdict=verdict,
        ),
    )
    return verdict
