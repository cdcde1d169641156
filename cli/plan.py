"""What would a delivery run, and what would it cost at most?  Nothing is started and no model is called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from storyloom.domain.phases import BOARD, Phase, jobs
from storyloom.domain.phases import until as phases_until
from storyloom.domain.settings import ProjectConfig

from .init import first_of, uncommitted

if TYPE_CHECKING:
    from storyloom.domain.estimate import Estimate

    from .deliver import Job


@dataclass(frozen=True)
class Line:
    """One thing that would be done, or is done already. `most_calls` is 0 when no model would be asked."""

    phase: str
    what: str
    done: bool
    most_calls: int
    model: str


def lines_of(job: Job) -> list[Line]:
    """What a delivery would do, phase by phase."""
    from storyloom.deployments.composition import compose
    from storyloom.domain.board import read_board
    from storyloom.domain.epics import read_epics
    from storyloom.tasks.library import planned_calls

    ports = compose(job.project, job.environment)
    settings = job.config.settings
    folder = settings.planning_folder
    tip = ports.workspace.tip()
    lines: list[Line] = []
    for phase in phases_until(job.until):
        for owed in jobs(phase, job.config.project.level):
            path = f"{folder}/{owed.document}"
            calls = planned_calls(ports, owed.workflow)
            done = ports.workspace.read(tip, path) is not None
            lines.append(Line(phase.value, path, done, 0 if done else calls.most, calls.model))
        if phase is Phase.IMPLEMENTATION:
            epics = ports.workspace.read(tip, f"{folder}/epics.md")
            if epics is None:
                lines.append(Line(phase.value, "stories: known once the epics are written", False, 0, ""))
                continue
            board = ports.workspace.read(tip, f"{folder}/{BOARD}")
            ended = {e.key for e in read_board(board).entries if e.status == "done"} if board else set()
            most = settings.max_turns + settings.max_review_rounds
            for story in read_epics(epics).stories:
                done = story.key in ended
                model = _model(job.config, "amelia")
                lines.append(Line(phase.value, f"story {story.id} {story.title}", done, 0 if done else most, model))
    return lines


def _model(config: ProjectConfig, persona: str) -> str:
    choice = config.agents.get(persona, "standard")
    return choice if isinstance(choice, str) else ", ".join(choice)


def estimate_of(job: Job) -> Estimate:
    """What the delivery will probably cost, from history or the stated prior; nothing is recorded."""
    from storyloom.deployments.composition import compose
    from storyloom.tasks.estimating import work_ahead

    ports = compose(job.project, job.environment)
    return ports.foresee(work_ahead(ports, phases_until(job.until)))


def show_plan(job: Job, *, as_json: bool = False) -> None:
    """Print the plan, what it will probably cost, and the most: caps bind before each call, whatever the calls ask."""
    lines, stated = lines_of(job), estimate_of(job)
    cap = job.config.settings.llm_budget_usd
    changed = uncommitted(Path(job.project.repository))
    if as_json:
        told = {
            "lines": [line.__dict__ for line in lines],
            "estimate": stated.model_dump(mode="json"),
            "most_usd": str(cap),
            "uncommitted": changed,
        }
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    from .console import print_table

    rows = [
        (line.phase, line.what, "there already" if line.done else "to do", str(line.most_calls or ""), line.model)
        for line in lines
    ]
    print("What would run")
    print_table(("phase", "what", "state", "model calls at most", "model"), rows)
    if stated.parts or stated.unpriced:
        from storyloom.domain.stated_estimate import estimate_text

        from .console import print_markdown

        print("\nWhat it will probably cost")
        print_markdown(estimate_text(stated, cap=cap))
    print(f"It costs at most ${Decimal(cap):.2f} (settings.llm_budget_usd): no call is made that could pass this cap.")
    if changed:
        print(f"Uncommitted changes ({first_of(changed)}): commit or stash them before you deliver.")
    print("Nothing was started.")
