"""Do the tests pass?  We run them; nobody's word is taken for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import task
from prefect.context import TaskRunContext

from ..domain.events import GateJudged
from ..domain.merge_stack import bookkeeping
from ..domain.ports import Limits, ProjectRef
from ..domain.stories import TestReport
from ..domain.test_choice import suite_command, whole_is_due
from ..domain.test_reports import report_tests
from .ports import Ports, ports_for
from .recording import event_key, record, tags_for
from .retries import may_pass

VERSION = "3"
COUNT = "merged-since-all-tests"


def changed_paths(ports: Ports, worktree: str, since: str) -> list[str]:
    """What a worktree has changed since a commit; nothing where the project has no use for it."""
    asked = since and ports.config.commands.test_changed.strip()
    return ports.workspace.changed(worktree, since) if asked else []


def merged_since_all_tests(project: ProjectRef) -> int:
    """How many merges have entered the main line since all tests passed on it."""
    return int(ports_for(project).shelf.get(COUNT) or 0)


def whole_suite_is_due(project: ProjectRef, merging: int = 1) -> bool:
    """Whether the next merges, so many, must be proven by all tests."""
    config = ports_for(project).config
    return whole_is_due(config.commands, config.settings.whole_suite_every, merged_since_all_tests(project), merging)


def count_merges(project: ProjectRef, merges: int, *, whole: bool) -> None:
    """Keep how many merges have entered the main line since all tests passed on it."""
    ports = ports_for(project)
    count = 0 if whole else merged_since_all_tests(project) + merges
    if count or ports.shelf.get(COUNT) not in (None, "0"):
        ports.shelf.put(COUNT, str(count))


def _key(context: TaskRunContext, parameters: dict[str, Any]) -> str:  # noqa: ARG001 - Prefect's signature
    """What is tested, for how long at most: the commit's files but the board and stories' files, and since which."""
    project: ProjectRef = parameters["project"]
    ports = ports_for(project)
    commands, settings = ports.config.commands, ports.config.settings
    ours = bookkeeping(settings.planning_folder, settings.stories_folder)
    content = ports.workspace.content(parameters["commit"], without=ours)
    since = parameters["since"] if commands.test_changed.strip() else ""
    part = (commands.test_changed, ports.workspace.content(since, without=ours)) if since else ()
    setup = (commands.setup, *commands.setup_folders) if commands.setup.strip() else ()
    limit = str(settings.command_wall_s)
    return f"tests-{event_key(VERSION, project.repository, content, commands.test, limit, *part, *setup)}"


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
    since: str = "",
) -> TestReport:
    """The report of the project's tests at a commit that is checked out in a worktree.

    With `since`, a commit whose tests pass, the project may have a command that tests what has changed.
    """
    ports = ports_for(project)
    ports.workspace.reset(worktree, commit)
    command = suite_command(ports.config.commands, changed_paths(ports, worktree, since))
    result = ports.sandbox.run(command, worktree, Limits(wall_s=ports.config.settings.command_wall_s))
    report = report_tests(result, command, worktree)
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


def run_tests_again(
    project: ProjectRef, worktree: str, commit: str, what: str, story: str, since: str = ""
) -> TestReport:
    """The report of the tests at a commit; an earlier run of the same files that showed nothing does not count."""
    state = run_tests(project, worktree, commit, what, story, since, return_state=True)
    report: TestReport = state.result()
    if report.passed is None and state.name == "Cached":
        report = run_tests.with_options(refresh_cache=True)(project, worktree, commit, what, story, since)
    return report
