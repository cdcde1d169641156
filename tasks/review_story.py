"""What does somebody who did not write a change say of it?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import task
from prefect.context import TaskRunContext

from ..domain.change_checks import check_change
from ..domain.developer_prompts import review_request
from ..domain.events import GateJudged
from ..domain.ports import ProjectRef
from ..domain.review import merge_rounds
from ..domain.stories import Finding, ReviewReport, Story, TestReport
from .caps import model_for
from .develop_turn import model_of
from .personas import persona_of
from .ports import ports_for
from .recording import event_key, record, tags_for
from .retries import may_pass

VERSION = "1"


def _key(context: TaskRunContext, parameters: dict[str, Any]) -> str:  # noqa: ARG001 - Prefect's signature
    p = parameters
    earlier = [report.model_dump_json() for report in p["earlier"]]
    place = (p["project"].repository, p["story"].model_dump_json(), p["persona"], p["baseline"], p["commit"])
    return f"review-{event_key(VERSION, *place, p['round_number'], p['summary'], *earlier)}"


@task(
    name="review",
    task_run_name="{persona} · review of story {story.id} · round {round_number}",
    cache_key_fn=_key,
    cache_expiration=timedelta(days=90),
    persist_result=True,
    retries=4,
    retry_delay_seconds=[2, 10, 60, 300],
    retry_condition_fn=may_pass,
)
def review_story(
    project: ProjectRef,
    story: Story,
    persona: str,
    baseline: str,
    commit: str,
    tests: TestReport,
    earlier: tuple[ReviewReport, ...],
    round_number: int,
    summary: str = "",
) -> ReviewReport:
    """The reviewer's report on a story's change, in a conversation of its own."""
    ports = ports_for(project)
    settings = ports.config.settings
    request = review_request(
        story,
        ports.workspace.diff(baseline, commit),
        tests,
        persona_of(ports, persona),
        model=model_for(ports, story.key, model_of(ports, persona)),
        round_number=round_number,
        earlier=merge_rounds(earlier),
        summary=summary,
        story_document=ports.workspace.read(commit, f"{settings.stories_folder}/{story.key}.md") or "",
        tags=tags_for(
            ports,
            phase="implementation",
            epic=story.epic,
            story=story.key,
            agent=persona,
            step="review",
            attempt=round_number,
        ),
    )
    report = ReviewReport.model_validate(ports.models.complete(request).parsed)
    verdict = {"approve": "pass", "changes_requested": "fail", "blocked": "inconclusive"}[report.verdict]
    record(
        ports,
        GateJudged.model_validate(
            {
                "event_id": event_key("review", ports.project.repository, story.key, commit, round_number),
                "tags": tags_for(ports, phase="implementation", epic=story.epic, story=story.key, attempt=round_number),
                "gate": "review",
                "verdict": verdict,
                "detail": report.summary,
            }
        ),
    )
    return report


def own_findings(project: ProjectRef, story: Story, baseline: str, commit: str) -> tuple[Finding, ...]:
    """What our own look at a change finds: an empty diff, tests deleted or weakened."""
    ports = ports_for(project)
    diff = ports.workspace.diff(baseline, commit)
    return check_change(diff, stories_folder=ports.config.settings.stories_folder, planned=story.files)
