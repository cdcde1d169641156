"""What will this delivery cost, said and recorded once before its work begins?

The estimate is kept on the shelf until the delivery is done, so that a run that goes on with it states no second one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from ..domain.board import read_board
from ..domain.epics import read_epics
from ..domain.errors import InputError, WorkflowError
from ..domain.estimate import ALL_STORIES, STORIES_BY_LEVEL, Planned
from ..domain.phases import BOARD, Phase, jobs
from ..domain.ports import ProjectRef
from ..domain.stated_estimate import Stated, estimate_text, with_stories
from ..domain.stories import Story
from .library import planned_calls
from .ports import Ports, ports_for
from .recording import record, root_run

SHELF = "estimate"
DEVELOPER = "amelia"


def work_ahead(ports: Ports, phases: Sequence[Phase]) -> list[Planned]:
    """The parts of these phases that are still to be paid for: a phase by its missing documents, story by story."""
    folder, level = ports.config.settings.planning_folder, ports.config.project.level
    tip, found = ports.workspace.tip(), list[Planned]()
    for phase in phases:
        owed = jobs(phase, level)
        missing = [job for job in owed if ports.workspace.read(tip, f"{folder}/{job.document}") is None]
        if missing:
            share = (Decimal(len(missing)) / len(owed)).quantize(Decimal("0.01"))
            model = _model(ports, missing[0].workflow)
            found.append(Planned(kind="phase", name=phase.value, model=model, times=(share, share, share)))
        if phase is Phase.IMPLEMENTATION:
            found += _stories_ahead(ports, tip)
    return found


def _model(ports: Ports, workflow: str) -> str:
    try:
        return planned_calls(ports, workflow).model
    except (InputError, WorkflowError):  # what is wrong with it is told when it is run
        return "standard"


def _stories_ahead(ports: Ports, tip: str) -> list[Planned]:
    folder = ports.config.settings.planning_folder
    text = ports.workspace.read(tip, f"{folder}/epics.md")
    if text is None:
        fewest, likely, most = (Decimal(n) for n in STORIES_BY_LEVEL[ports.config.project.level])
        model = _developers_model(ports)
        return [Planned(kind="story", name=ALL_STORIES, model=model, times=(fewest, likely, most))]
    board = ports.workspace.read(tip, f"{folder}/{BOARD}") or ""
    done = {entry.key for entry in read_board(board).entries if entry.status == "done"}
    return _planned(ports, (story for story in read_epics(text).stories if story.key not in done))


def _planned(ports: Ports, stories: Iterable[Story]) -> list[Planned]:
    model = _developers_model(ports)
    return [Planned(kind="story", name=s.key, model=model, points=s.points or None) for s in stories]


def _developers_model(ports: Ports) -> str:
    chosen = ports.config.agents.get(DEVELOPER, "standard")
    return chosen if isinstance(chosen, str) else chosen[0]


@task(name="estimate", task_run_name="estimate", cache_policy=NO_CACHE)
def state_estimate(project: ProjectRef, phases: Sequence[Phase]) -> str:
    """State what these phases will cost, or find what was stated for them before; as Markdown, "" for nothing ahead."""
    text = stated_for(ports_for(project), phases)
    if text:
        create_markdown_artifact(key="estimate", markdown=text, description="What this delivery will probably cost")
    return text


def stated_for(ports: Ports, phases: Sequence[Phase]) -> str:
    """The estimate that holds for these phases, recorded; as Markdown, "" if nothing lies ahead."""
    stated = _kept(ports)
    if stated is None or not stated.covers(phases):
        ahead = work_ahead(ports, phases)
        if not ahead:
            return ""
        now = datetime.now(UTC).isoformat()
        stated = Stated(run=root_run(), ts=now, phases=tuple(phases), estimate=ports.foresee(ahead))
        ports.shelf.put(SHELF, stated.model_dump_json())
    return _record(ports, stated)


def state_stories(project: ProjectRef, stories: Sequence[Story]) -> None:
    """State each story's own part as soon as the stories are known; the whole stays as it was stated."""
    ports = ports_for(project)
    stated = _kept(ports)
    if stated is None or not stories:
        return
    known = {part.name for part in stated.estimate.parts}
    fresh = [story for story in stories if story.key not in known]
    if fresh:
        stated = with_stories(stated, ports.foresee(_planned(ports, fresh)))
        ports.shelf.put(SHELF, stated.model_dump_json())
    _record(ports, stated)


def close_estimate(project: ProjectRef, phases: Sequence[Phase]) -> None:
    """These phases are done: if the estimate was for no others, the next delivery states one of its own."""
    ports = ports_for(project)
    stated = _kept(ports)
    if stated is not None and set(stated.phases) <= set(phases):
        ports.shelf.put(SHELF, "")


def _kept(ports: Ports) -> Stated | None:
    try:
        return Stated.model_validate_json(ports.shelf.get(SHELF) or "")
    except ValueError:  # none, or of another version
        return None


def _record(ports: Ports, stated: Stated) -> str:
    for event in stated.events(ports.config.project.name):
        record(ports, event)
    return estimate_text(stated.estimate, cap=ports.config.settings.llm_budget_usd)
