"""In which order does a brief become deployed code?"""

from __future__ import annotations

from collections.abc import Callable

from prefect import flow

from ..domain.delivery import Delivery, PhaseReport, overall_status
from ..domain.phases import Phase
from ..domain.phases import until as phases_until
from ..domain.ports import ProjectRef
from ..tasks.delivery import mark_phase, prepare, publish, show_bill
from ..tasks.estimating import close_estimate, state_estimate
from ..tasks.ports import ports_for
from .deployment import deployment
from .implementation import implementation
from .phases import analysis, planning, solutioning
from .quality import quality
from .suspending import freeing_worker

FLOWS: dict[Phase, Callable[[ProjectRef], PhaseReport]] = {
    Phase.ANALYSIS: analysis,
    Phase.PLANNING: planning,
    Phase.SOLUTIONING: solutioning,
    Phase.IMPLEMENTATION: implementation,
    Phase.QUALITY: quality,
    Phase.DEPLOYMENT: deployment,
}


@flow(name="deliver-project", flow_run_name="deliver {project.repository}")
def deliver_project(
    project: ProjectRef,
    brief: str = "",
    until: Phase = Phase.DEPLOYMENT,
) -> Delivery:
    """Run the method's phases over a project: do what is missing, skip what exists, stop where a person must decide.

    Args:
        project: The project to work on.
        brief: The idea in a few paragraphs; empty: docs/brief.md of the project.
        until: The last phase to run; later ones are left for another day.
    """
    with ports_for(project).lease():
        return freeing_worker(project, lambda: _deliver(project, brief, until))


def _deliver(project: ProjectRef, brief: str, until: Phase) -> Delivery:
    prepare(project, brief)
    state_estimate(project, list(phases_until(until)))
    reports: list[PhaseReport] = []
    for phase in phases_until(until):
        mark_phase(project, phase, "started")
        report = FLOWS[phase](project)
        mark_phase(project, phase, report.status, report.reason)
        reports.append(report)
        if report.status in ("waiting", "failed"):
            break
    status = overall_status(tuple(reports))
    published = publish(project)
    show_bill(project)
    if status in ("done", "already_done"):
        close_estimate(project, phases_until(until))
    reason = reports[-1].reason if reports else ""
    return Delivery(status=status, phases=tuple(reports), published=published.note, tip=published.tip, reason=reason)
