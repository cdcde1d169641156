"""In which order are stories developed?  Each when what it depends on is merged, several at a time, one lane in."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.transactions import CommitMode, transaction

from ..domain.delivery import PhaseReport, phase_status
from ..domain.errors import StoryloomError
from ..domain.pace import Pace
from ..domain.phases import Phase
from ..domain.ports import ProjectRef
from ..domain.schedule import build_dag, decide
from ..domain.stories import Lane, Story, StoryOutcome
from ..tasks.board import keep_end
from ..tasks.closing import close_left_over
from ..tasks.estimating import state_stories
from ..tasks.parameters import as_parameter
from ..tasks.ports import ports_for
from ..tasks.recording import below_one_root
from ..tasks.sprint import Sprint, plan_sprint, read_sprint, show_board, story_ends
from ..tasks.verification import count_merges, merged_since_all_tests, run_tests
from .at_a_conflict import GoOn, settle_conflict
from .beside import beside
from .develop_story import develop_story
from .entrance import at_the_entrance
from .integrate import integrate
from .orchestrating import orchestrating
from .phases import approved, report
from .suspending import freeing_worker

NO_STORIES = "The epics document names no story; write each as `### Story 1.1: title` below `## Epic 1: title`."


@flow(name="implementation", flow_run_name="implementation")
@orchestrating
def implementation(project: ProjectRef) -> PhaseReport:
    """Develop, review and merge all stories that are not done."""
    return freeing_worker(project, lambda: _implementation(project))


def _implementation(project: ProjectRef) -> PhaseReport:
    sprint = plan_sprint(project)
    if not sprint.stories:
        return report(Phase.IMPLEMENTATION, [], [], "failed", NO_STORIES)
    done = story_ends(project, sprint)
    close_left_over(project, [story for story in sprint.stories if story.key in done])
    if len(done) == len(sprint.stories):
        broken = prove_main_line(project)
        return report(Phase.IMPLEMENTATION, [], sorted(done), "failed" if broken else "already_done", broken)
    state_stories(project, [story for story in sprint.stories if story.key not in done])
    width = ports_for(project).config.settings.max_concurrent_agents
    runner: Any = ThreadPoolTaskRunner(max_workers=width)
    with below_one_root():
        ends = batch.with_options(task_runner=runner)(project, sorted(done), width)
    show_board(project, sprint, ends)
    outcomes = tuple(ends[story.key] for story in sprint.stories if story.key in ends)
    status = phase_status(outcomes)
    broken = prove_main_line(project)
    status = "failed" if broken else status
    reason = "; ".join([*filter(None, [broken]), *(f"{o.story}: {o.reason}" for o in outcomes if o.reason)])
    if status == "done" and Phase.IMPLEMENTATION in ports_for(project).config.gates.phases:
        status = "done" if approved(project, Phase.IMPLEMENTATION, "This phase needs approval.") else "waiting"
    return PhaseReport(
        phase=Phase.IMPLEMENTATION,
        status=status,
        did=tuple(o.story for o in outcomes if o.status == "merged"),
        found=tuple(sorted(done)),
        reason=reason,
        stories=outcomes,
    )


def prove_main_line(project: ProjectRef) -> str:
    """Run all tests on the main line if the last merges were proven by fewer; what is wrong with it, "" if nothing."""
    merges = merged_since_all_tests(project)
    if not merges:
        return ""
    ports = ports_for(project)
    with ports.integrating(), ports.lane():  # in this order, as a story that enters
        tip = ports.workspace.tip()
        tests = run_tests(project, ports.workspace.integration(), tip, "all, on the main line")
        if tests.passed:
            count_merges(project, 0, whole=True)
            return ""
    told = "fail" if tests.passed is False else "showed nothing"
    return (
        f"All tests {told} on the main line at {tip[:12]}; the last {merges} merges passed the tests of their changes."
    )


@task(name="story", task_run_name="story {story.id} · {story.title}", cache_policy=NO_CACHE)
def take_story(project: ProjectRef, story: Story) -> StoryOutcome:
    """Take one story to its end and return that end; nothing that goes wrong here fails the batch.

    The transaction commits inner results at once: otherwise finished, paid turns run again after a crash
    (PrefectHQ/prefect#17301).
    """
    with transaction(commit_mode=CommitMode.EAGER):
        try:
            with at_the_entrance():
                return develop_and_integrate(project, story)
        except Exception as error:  # noqa: BLE001 - a bug in one story must not end the others; it is reported as its end
            passes = isinstance(error, StoryloomError) and error.may_pass
            return StoryOutcome(
                story=story.key,
                status="waiting" if passes else "failed",
                lane=Lane.INFRASTRUCTURE,
                reason=str(error) if passes else f"{type(error).__name__}: {error}",
            )


def develop_and_integrate(project: ProjectRef, story: Story) -> StoryOutcome:
    """Develop a story and merge it; a conflict or failing tests on the tip send it back once, onto the new tip.

    How it goes on when it conflicts even then is a person's decision.
    """
    story = as_parameter(ports_for(project), story)
    outcome, attempt = develop_story(project, story), 1
    while outcome.status == "reviewed":
        outcome = integrate(project, story, outcome)
        if outcome.status != "blocked" or outcome.lane is not Lane.CODE:
            break
        go_on = GoOn(outcome=outcome, again=attempt == 1)
        if attempt > 1 and outcome.conflicts:
            go_on = settle_conflict(project, story, outcome, attempt)
        outcome = go_on.outcome
        if go_on.again:
            attempt += 1
            outcome = develop_story(project, story, attempt, outcome.reason, go_on.hint)
    if outcome.status != "merged":
        keep_end(project, story, outcome)
    return outcome


@flow(name="batch", flow_run_name="batch of stories")
def batch(project: ProjectRef, done: list[str], width: int) -> dict[str, StoryOutcome]:
    """Run stories as their prerequisites are merged; a story that fails blocks only those that depend on it.

    The plan is read here instead of being passed: Prefect refuses parameters of more than 512 KiB, some 600 stories.
    """
    sprint, pace = read_sprint(project), Pace()
    stories = {story.key: story for story in sprint.stories}
    dag = build_dag(sprint.stories)
    merged, ends = {*done, *sprint.gone}, dict[str, StoryOutcome]()
    dag.require_acyclic(merged)
    running: dict[str, PrefectFuture[StoryOutcome]] = {}
    with beside("board") as do:  # a lane that became free does not wait for what is shown
        while True:
            failed = {key for key, end in ends.items() if end.status != "merged"}
            decision = decide(dag, done=merged, running=set(running), failed=failed, width=width)
            for key, reason in decision.blocked.items():
                if key not in ends:
                    ends[key] = StoryOutcome(story=key, status="blocked", reason=reason)
            for key in () if tonight_is_over(project) else decision.start:
                running[key] = take_story.submit(project, stories[key])
            if not running:
                break
            if pace.due(len(ends), time.monotonic()):
                held = {**decision.waiting, **decision.held}
                do(partial(_show, pace, project, sprint, dict(ends), sorted(running), held))
            for key in _ended(running, pace.pause(len(ends), time.monotonic())):
                ends[key] = _end(key, running.pop(key))
                if ends[key].status == "merged":
                    merged.add(key)
    for key in stories.keys() - merged - ends.keys():
        ends[key] = StoryOutcome(story=key, status="skipped", reason="No new story is started any more tonight.")
    return ends


def _show(
    pace: Pace,
    project: ProjectRef,
    sprint: Sprint,
    ends: Mapping[str, StoryOutcome],
    running: Sequence[str],
    held: Mapping[str, str],
) -> None:
    with pace.measured(time.monotonic):
        show_board(project, sprint, ends, running, held)


def _ended(running: Mapping[str, PrefectFuture[StoryOutcome]], limit_s: float | None) -> list[str]:
    """The story that has ended, waited for up to `limit_s`. The server is not asked: it learns of it later."""
    with suppress(TimeoutError):
        ended = next(as_completed(list(running.values()), timeout=limit_s))
        return [key for key, future in running.items() if future is ended]
    return []


def tonight_is_over(project: ProjectRef) -> bool:
    """Whether the settings say that no new story is started any more."""
    limit = ports_for(project).config.settings.start_no_story_after
    return limit is not None and time.time() >= limit


def _end(key: str, future: PrefectFuture[StoryOutcome]) -> StoryOutcome:
    result = future.result(raise_on_failure=False)
    if isinstance(result, StoryOutcome):
        return result
    return StoryOutcome(story=key, status="failed", lane=Lane.INFRASTRUCTURE, reason=f"{future.state.name}: {result}")
