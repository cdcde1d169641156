"""In which order do reviewed stories enter the main line?  Those that wait are stacked, tested once, and merged.

A story enters from its own task, and what is done for it is seen in the batch's graph. While one is served, others line
up; whoever is served next takes them along: their commits are rebased one on the other, the project's tests run on the
top, and all are merged when they pass. When they fail, halving finds the first story that fails; those before it are
merged, it goes back, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from prefect.logging import get_run_logger

from ..domain.merge_stack import next_length, split
from ..domain.ports import ProjectRef
from ..domain.stories import Lane, Story, StoryOutcome, TestReport
from ..tasks.closing import close_story
from ..tasks.combining import Line, Waiting
from ..tasks.integration import Candidate, Placed, merge_stack, stack_stories
from ..tasks.lines import line_of
from ..tasks.ports import ports_for
from ..tasks.verification import count_merges, run_tests_again, whole_suite_is_due

Request = Waiting[Candidate, StoryOutcome]


def integrate(project: ProjectRef, story: Story, outcome: StoryOutcome) -> StoryOutcome:
    """Bring a reviewed story into the main line, or say why it cannot enter. Running it again changes nothing."""
    ports = ports_for(project)
    line: Line[Candidate, StoryOutcome] = line_of(project, "integration")
    end = line.ask(
        Candidate(story=story, outcome=outcome),
        partial(serve, project),
        most=ports.config.settings.merge_stack,
        hold=ports.integrating,
    )
    if end.status == "merged":
        close_story(project, story, outcome, end.commit)
    return end


def serve(project: ProjectRef, waiting: Sequence[Request]) -> None:
    """Answer all requests, stack by stack: each round settles at least the first of those that are left."""
    left, overtaken = list(waiting), False
    while left:
        with ports_for(project).lane() if overtaken else nullcontext():
            overtaken = not _round(project, left)
        left = [request for request in left if not request.done]


def _round(project: ProjectRef, waiting: Sequence[Request]) -> bool:
    """Stack, test and merge what can be, and answer those that are settled; False if the main line moved meanwhile."""
    by_key = {request.item.story.key: request for request in waiting}
    stack = stack_stories(project, [request.item for request in waiting], _names([r.item for r in waiting]))
    for key, merge in stack.merged.items():
        outcome = by_key[key].item.outcome
        by_key[key].answer(_merged(outcome, merge, outcome.tests))
    whole = whole_suite_is_due(project, len(stack.placed))
    since = "" if whole else stack.tip
    reports: dict[int, TestReport] = {}
    passed: dict[int, bool] = {}
    while (length := next_length(len(stack.placed), passed)) is not None:
        reports[length] = _test(project, stack.placed[:length], since)
        passed[length] = reports[length].passed is True
    found = split(len(stack.placed), passed)
    good = stack.placed[: found.good]
    if good and not whole:  # before the merge: a crash must leave none uncounted
        count_merges(project, len(good), whole=False)
    merges = merge_stack(project, stack.tip, good, _names([one.candidate for one in good])) if good else []
    if len(merges) < len(good):
        return False
    if good and whole:
        count_merges(project, len(good), whole=True)
    for placed, merge in zip(good, merges, strict=True):
        outcome = placed.candidate.outcome
        by_key[outcome.story].answer(_merged(outcome, merge, reports[found.good]))
    if found.bad:
        outcome, report = stack.placed[found.good].candidate.outcome, reports[found.good + 1]
        by_key[outcome.story].answer(sent_back(outcome, _why(report), report))
    for key, files in stack.conflicts.items():
        reason = f"The story conflicts with the main line in {', '.join(files)}."
        outcome = by_key[key].item.outcome.model_copy(update={"conflicts": files})
        by_key[key].answer(sent_back(outcome, reason))
    if len(waiting) > 1:
        said = (len(good), len(waiting), len(reports), _names([request.item for request in waiting]))
        get_run_logger().info("Merged %d of %d stories after %d runs of the tests: %s", *said)
    return True


def _test(project: ProjectRef, stack: Sequence[Placed], since: str) -> TestReport:
    """The tests' report on the stack's top, which stands in its own worktree; `since` a commit, only of the change."""
    top = stack[-1]
    key = top.candidate.story.key
    what = f"{_names([one.candidate for one in stack])} on the tip"
    return run_tests_again(project, ports_for(project).workspace.path(key), top.commit, what, key, since)


def sent_back(outcome: StoryOutcome, reason: str, tests: TestReport | None = None) -> StoryOutcome:
    """The end of a story that cannot enter for what is in it."""
    update = {"status": "blocked", "lane": Lane.CODE, "reason": reason, **({"tests": tests} if tests else {})}
    return outcome.model_copy(update=update)


def _merged(outcome: StoryOutcome, merge: str, tests: TestReport) -> StoryOutcome:
    return outcome.model_copy(update={"status": "merged", "commit": merge, "reason": "", "tests": tests})


def _why(report: TestReport) -> str:
    if report.passed is None:
        return "The tests came to no result once the story stands on the main line's tip."
    return "The tests fail once the story stands on the main line's tip."


def _names(candidates: Sequence[Candidate]) -> str:
    return ", ".join(candidate.story.id for candidate in candidates)
