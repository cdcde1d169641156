"""In which order does a night's work go: what is ready, within a budget and a deadline, and a report in the morning?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from prefect import flow
from pydantic import Field

from ..domain.delivery import PhaseReport
from ..domain.phases import Phase
from ..domain.ports import ProjectRef
from ..tasks.delivery import mark_phase, prepare, publish, show_bill
from ..tasks.estimating import close_estimate, state_estimate
from ..tasks.nightly import morning_report
from ..tasks.ports import ports_for
from .implementation import implementation


@flow(name="nightly-stories", flow_run_name="nightly stories")
def nightly_stories(
    project: ProjectRef,
    budget_usd: Annotated[float, Field(ge=0)] = 10.0,
    until_hour: Annotated[int, Field(ge=0, le=23)] = 6,
    at_once: Annotated[int, Field(ge=1, le=64)] = 3,
) -> PhaseReport:
    """Develop the stories that are ready; what waits for a person is set aside and does not hold the rest.

    Args:
        project: The project to work on.
        budget_usd: Most US dollars to spend tonight, at list price.
        until_hour: Hour of the day (UTC) after which no new story is started.
        at_once: How many stories at a time.
    """
    now = datetime.now(UTC)
    hours = (until_hour - now.hour) % 24 or 24
    night = project.model_copy(
        update={
            "settings": {
                **project.settings,
                "when_asked": "set_aside",
                "max_concurrent_agents": at_once,
                "run_budget_usd": budget_usd,
                "start_no_story_after": (now.timestamp() // 3600 + hours) * 3600,
            }
        }
    )
    with ports_for(night).lease():
        return _work(night)


def _work(night: ProjectRef) -> PhaseReport:
    prepare(night)
    state_estimate(night, [Phase.IMPLEMENTATION])
    report = implementation(night)
    mark_phase(night, report.phase, report.status, report.reason)
    publish(night)
    show_bill(night)
    if report.status in ("done", "already_done"):
        close_estimate(night, [Phase.IMPLEMENTATION])
    morning_report(night, report)
    return report
