"""What does a person read in the morning?"""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from ..domain.delivery import PhaseReport
from ..domain.escalations import inert
from ..domain.ports import ProjectRef
from .ports import ports_for

TITLES = {
    "merged": "Merged",
    "waiting": "Waits for you",
    "reviewed": "Ready to be merged",
    "blocked": "Blocked",
    "failed": "Given back",
    "skipped": "Not started",
}


def report_text(report: PhaseReport, bill: str) -> str:
    """The morning report as Markdown: what was merged, what waits for whom and why, and the bill."""
    lines = ["# Good morning", ""]
    for status, title in TITLES.items():
        stories = [s for s in report.stories if s.status == status]
        if stories:
            lines += [f"## {title} ({len(stories)})", ""]
            lines += [f"- **{s.story}**{': ' + inert(s.reason) if s.reason else ''}" for s in stories] + [""]
    if not report.stories:
        lines += [inert(report.reason) or "Every story was done before: nothing was started.", ""]
    return "\n".join([*lines, bill]).rstrip() + "\n"


@task(name="morning-report", task_run_name="morning report", cache_policy=NO_CACHE)
def morning_report(project: ProjectRef, report: PhaseReport) -> str:
    """Publish the morning report as an artifact and return its Markdown."""
    text = report_text(report, ports_for(project).bill())
    create_markdown_artifact(key="morning-report", markdown=text, description="What the night brought")
    return text
