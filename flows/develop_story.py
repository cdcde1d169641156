"""In which order does a story become a reviewed branch?"""

from __future__ import annotations

from prefect import flow

from ..domain.agent_loop import (
    AgentState,
    ChangeTactics,
    Continue,
    Finished,
    GiveBack,
    after_turn,
    changed_tactics,
    limits_from,
    next_move,
    say,
    spent,
)
from ..domain.agent_tools import Ask
from ..domain.developer_prompts import repair_message, tests_failed_message
from ..domain.errors import BudgetExceeded, BudgetStopped, ModelError, SandboxMissing, StoryloomError
from ..domain.escalations import Question
from ..domain.masking import mask_old
from ..domain.model_calls import Message
from ..domain.ports import ProjectRef
from ..domain.review import DISMISS, REPAIR, Approve, GiveUp, ReviewAgain, Verdict, dismiss, verdict
from ..domain.stories import Lane, ReviewReport, Story, StoryOutcome, TestReport
from ..tasks.board import move_story
from ..tasks.develop_turn import develop_turn
from ..tasks.integration import branch_of
from ..tasks.parameters import listed, whole_story
from ..tasks.ports import ports_for
from ..tasks.review_story import own_findings, review_story
from ..tasks.story_start import Start, keep_outcome, start_story
from ..tasks.verification import run_tests
from ..tasks.waivers import waived
from .asking import settle
from .at_the_cap import past_the_cap
from .entrance import entered
from .gates import before_merge, before_story
from .review_conflict import settle_review

DEVELOPER, REVIEWER = "amelia", "quinn"
KEEP_LAST = 6
"""How many messages are never masked when a conversation grows past its budget."""


@flow(name="develop-story", flow_run_name="develop · {story.id} {story.title}")
def develop_story(
    project: ProjectRef, story: Story, attempt: int = 1, because: str = "", hint: str = ""
) -> StoryOutcome:
    """Take one story from ready-for-dev to a reviewed branch, or to the reason why not.

    A later attempt makes the change again on the main line's new tip; `hint` is what a person said of it.
    """

    entered()
    story = whole_story(ports_for(project), story)

    def work() -> StoryOutcome:
        if (stopped := before_story(project, story)) is not None:
            return stopped
        by = "dev-story" if attempt == 1 else "integrate"
        move_story(project, story, "in-progress", by)  # before the start, which stands on the tip
        start = start_story(project, story, DEVELOPER, attempt, because, hint)
        return before_merge(project, story, Work(project, story, start, attempt).run())

    try:
        outcome = past_the_cap(project, work, workflow="dev-story", story=story.key)
    except (StoryloomError, OSError) as error:
        outcome = _ended_by(error, story)
    return keep_outcome(project, outcome)


class Work:
    """One attempt at a story: the conversation so far, and what has come of it."""

    def __init__(self, project: ProjectRef, story: Story, start: Start, attempt: int) -> None:
        self.project, self.story, self.start, self.attempt = project, story, start, attempt
        self.ports = ports_for(project)
        self.settings = self.ports.config.settings
        self.state = AgentState(messages=start.messages)
        self.limits = limits_from(self.settings)
        self.reviews: tuple[ReviewReport, ...] = ()
        self.tests = TestReport()
        self.failures = 0

    @property
    def commit(self) -> str:
        """Where the worktree stands after the last turn."""
        return self.state.commits[-1] if self.state.commits else self.start.baseline

    def run(self) -> StoryOutcome:
        """Turns until the story is reviewed, waits, or is given back."""
        while True:
            match next_move(self.state, self.limits):
                case GiveBack(reason=reason, lane=lane):
                    return self.end("failed", reason, lane)
                case Finished(summary=summary, notes=notes):
                    ended = self.judge(summary, notes) or self.spent()
                    if ended is not None:
                        return ended
                case ChangeTactics() as move:
                    self.state = changed_tactics(self.state, move)
                case Continue(message=message) if message is not None:
                    self.state = say(self.state, message)
            waiting = self.turn()
            if waiting is not None:
                return waiting

    def turn(self) -> StoryOutcome | None:
        """One turn of the developer, from the cache when it was finished before; its end if a question waits."""
        messages = mask_old(self.state.messages, keep_last=KEEP_LAST, budget=self.settings.max_context_tokens)
        number = self.state.turn + 1
        system, since, attempt = self.start.system, self.start.baseline, self.attempt
        turn = develop_turn(self.project, self.story, DEVELOPER, system, messages, self.commit, number, since, attempt)
        outcomes = turn.outcomes
        if turn.question is not None:
            answer = settle(self.project, self.question(turn.question[1], number))
            if answer is None:
                reason = f"A question waits for an answer: {turn.question[1].question}"
                return self.end("waiting", reason, Lane.PERSON)
            outcomes = turn.answered(answer.answer, answer.source)
        self.state = after_turn(self.state, turn.reply, outcomes, commit=turn.commit, wall_s=turn.duration_s)
        return None

    def spent(self) -> StoryOutcome | None:
        """The end of a story that was sent back when nothing was left to mend it with, None if there is."""
        over = spent(self.state, self.limits)
        return None if over is None else self.end("failed", over.reason, over.lane)

    def question(self, asked: Ask, turn: int) -> Question:
        """What the developer asked, as a question to the project."""
        return Question(
            project=self.project.repository,
            workflow="dev-story",
            story=self.story.key,
            step=f"turn {turn}",
            asked_by=DEVELOPER,
            question=asked.question,
            options=asked.options,
            recommendation=asked.recommendation,
            reasoning=asked.reasoning,
            confidence=asked.confidence,
            cost_so_far=f"${self.state.cost:.4f}",
        )

    def judge(self, summary: str, notes: str) -> StoryOutcome | None:
        """Run the tests and the review on what the developer calls finished; None sends it back."""
        worktree = self.ports.workspace.path(self.story.key)
        what, since = f"story {self.story.id}", self.start.baseline
        self.tests = run_tests(self.project, worktree, self.commit, what, self.story.key, since)
        if self.tests.passed is not True:
            self.failures += 1
            if self.failures >= self.settings.max_attempts:
                return self.end("failed", f"The tests failed after {self.failures} attempts.", Lane.CODE)
            self.state = say(self.state, tests_failed_message(self.tests))
            return None
        round_number = 10_000 * (self.start.generation - 1) + 100 * self.attempt + len(self.reviews) + 1
        move_story(self.project, self.story, "review", "dev-story", round_number)
        decision = self.review(summary)
        while isinstance(decision, ReviewAgain):
            decision = self.review(summary)
        if isinstance(decision, Approve):
            return self.end("reviewed", "", None, notes)
        move_story(self.project, self.story, "in-progress", "code-review", round_number)
        if isinstance(decision, GiveUp):
            return self.conflict(decision, notes)
        self.state = say(self.state, repair_message(decision.findings))
        return None

    def conflict(self, decision: GiveUp, notes: str) -> StoryOutcome | None:
        """What a person makes of a review that does not settle; None sends the story back to be mended."""
        answer = settle_review(
            self.project, self.story, decision,
            commit=self.commit, at=(self.attempt, len(self.reviews)), cost=f"${self.state.cost:.4f}",
        )  # fmt: skip
        if answer is None:
            return self.end("waiting", f"A person must decide: {decision.reason}", Lane.PERSON)
        if answer.answer == DISMISS:
            for finding in decision.findings:
                self.reviews = dismiss(self.reviews, finding, answer.notes or f"dismissed by {answer.by}")
            return self.end("reviewed", "", None, notes)
        if answer.answer == REPAIR:
            told = (Message(role="user", content=f"A person says: {answer.notes}\n"),) if answer.notes else ()
            self.state = say(self.state, repair_message(decision.findings), *told)
            return None
        return self.end("failed", decision.reason, Lane.CODE)

    def review(self, summary: str) -> Verdict:
        """One round of review, and what follows from all rounds so far."""
        baseline, number = self.start.baseline, len(self.reviews) + 1
        report = review_story(
            self.project, self.story, REVIEWER, baseline, self.commit, self.tests, self.reviews, number, summary
        )
        self.reviews = (*self.reviews, report)
        return verdict(
            self.reviews,
            self.settings,
            criteria=self.story.acceptance_criteria,
            tests=self.tests,
            own=own_findings(self.project, self.story, baseline, self.commit),
            waived=waived(self.ports, self.story.key, before=(self.attempt, number)),
        )

    def end(self, status: str, reason: str, lane: Lane | None, notes: str = "") -> StoryOutcome:
        """How the attempt ended, with everything that was established; the branch shows it."""
        worktree = self.ports.workspace.path(self.story.key)
        if self.ports.workspace.head(worktree) != self.commit:  # turns of a resumed run did not move it
            self.ports.workspace.reset(worktree, self.commit)
        stat = self.ports.workspace.stat(self.start.baseline, self.commit)
        judged = len(self.reviews) + self.failures
        return StoryOutcome.model_validate(
            {
                "story": self.story.key,
                "status": status,
                "branch": branch_of(self.story.key),
                "commit": self.commit,
                "baseline": self.start.baseline,
                "attempts": max(1, judged) if lane is Lane.CODE else judged,
                "turns": self.state.turn,
                "cost": self.state.cost,
                "tests": self.tests,
                "review": self.reviews[-1] if self.reviews else None,
                "lane": lane,
                "reason": reason,
                "notes": notes,
                "files": listed(stat.files),
            }
        )


def _ended_by(error: Exception, story: Story) -> StoryOutcome:
    """The end of a story whose work could not go on; only the code's own failures are the code's."""
    lane, status = Lane.INFRASTRUCTURE, "waiting"
    if isinstance(error, BudgetExceeded):
        lane, status = Lane.BUDGET, "failed" if isinstance(error, BudgetStopped) else "waiting"
    elif isinstance(error, ModelError):
        lane = Lane.PROVIDER
    elif isinstance(error, SandboxMissing):
        status = "failed"
    return StoryOutcome.model_validate({"story": story.key, "status": status, "lane": lane, "reason": str(error)})
