"""Do the tests pass?  We run them; nobody's word is taken for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import task
from prefect.context import TaskRunContext

from ..domain.events import GateJudged
from ..domain.ports import Limits, ProjectRef
from ..domain.stories import TestReport
from ..domain.test_reports import report_tests
from .ports import ports_for
from .recording import event_key, record, tags_for
from .retries import may_pass

VERSION = "1"


def _key(context: TaskRunContext, parameters: dict[str, Any]) -> str:  # noqa: ARG001 - Prefect's signature
    project: ProjectRef = parameters["project"]
    command = ports_for(project).config.commands.test
    return f"tests-{event_key(VERSION, project.repository, parameters['commit'], command)}"


@task(
    name="run-tests",
    task_run_name="tests · {what}",
    cache_key_fn=_key,
    cache_expiration=timedelta(days=30),
    persist_result=True,
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=may_pass,
)
def run_tests(
    project: ProjectRef,
    worktree: str,
    commit: str,
    what: str,  # noqa: ARG001 - for the run's name
    story: str = "",
) -> TestReport:
    """The report of the project's tests at a commit that is checked out in a worktree."""
    ports = ports_for(project)
    command = ports.config.commands.test
    ports.workspace.reset(worktree, commit)
    result = ports.sandbox.run(command, worktree, Limits(wall_s=ports.config.settings.command_wall_s))
    report = report_tests(result, command, worktree)
    ports.workspace.reset(worktree, commit)
    verdict = {True: "pass", False: "fail", None: "inconclusive"}[report.passed]
    record(
        ports,
        GateJudged.model_validate(
            {
                "event_id": event_key("tests", project.repository, commit, command),
                "tags": tags_for(ports, story=story),
                "gate": "tests",
                "verdict": verdict,
                "detail": report.limit_hit or f"exit code {report.exit_code}",
            }
        ),
    )
    return report
