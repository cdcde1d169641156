"""In which order does a story become a reviewed branch?"""

from __future__ import annotations

from decimal import Decimal

from prefect import flow

from ..domain.agent_loop import AgentState, ChangeTactics, Continue, GiveBack, LoopLimits, next_move
from ..domain.agent_tools import Ask
from ..domain.context import mask_old
from ..domain.developer_prompts import no_tool_message, repair_message, tests_failed_message
from ..domain.errors import BudgetExceeded, ModelError, SandboxMissing, StoryloomError
from ..domain.escalations import Question
from ..domain.model_calls import Message
from ..domain.ports import ProjectRef
from ..domain.review import Approve, GiveUp, verdict
from ..domain.stories import Lane, ReviewReport, Story, StoryOutcome, TestReport
from ..tasks.develop_turn import Turn, develop_turn
from ..tasks.integration import branch_of, move_story
from ..tasks.ports import ports_for
from ..tasks.review_story import own_findings, review_story
from ..tasks.story_start import Start, keep_outcome, start_story
from ..tasks.verification import run_tests
from .asking import settle

DEVELOPER, REVIEWER = "amelia", "quinn"


@flow(name="develop-story", flow_run_name="develop · {story.id} {story.title}")
def develop_story(project: ProjectRef, story: Story, attempt: int = 1, because: str = "") -> StoryOutcome:
    """Take one story from ready-for-dev to a reviewed branch, or to the reason why not."""
    try:
        start = start_story(project, story, DEVELOPER, attempt, because)
        if attempt == 1:
            move_story(project, story, "in-progress")
        outcome = Work(project, story, start, attempt).run()
    except (StoryloomError, OSError) as error:
        outcome = _ended_by(error, story, attempt)
    return keep_outcome(project, outcome)


class Work:
    """One attempt at a story: the conversation so far, and what has come of it."""

    def __init__(self, project: ProjectRef, story: Story, start: Start, attempt: int) -> None:
        self.project, self.story, self.start, self.attempt = project, story, start, attempt
        self.ports = ports_for(project)
        self.settings = self.ports.config.settings
        self.state = AgentState(messages=start.messages, commit=start.baseline)
        self.limits = LoopLimits.of(self.settings)
        self.reviews: tuple[ReviewReport, ...] = ()
        self.tests = TestReport()
        self.failures = 0

    def run(self) -> StoryOutcome:
        """Turns until the story is reviewed, waits, or is given back."""
        while True:
            move = next_move(self.state, self.limits)
            if isinstance(move, GiveBack):
                return self.end("failed", move.reason, Lane(move.lane))
            if isinstance(move, ChangeTactics):
                self.say(Message(role="user", content=move.message))
                self.state = self.state.with_changed_tactics(move.reason)
            turn = self.turn()
            answer = self.answer(turn)
            if turn.question and answer is None:
                return self.end("waiting", f"A question waits for an answer: {turn.question[1].question}", Lane.PERSON)
            self.state = self.state.after(turn.reply, turn.outcomes, turn.messages(answer), turn.commit, turn)
            if turn.finish is not None:
                ended = self.judge(turn)
                if ended is not None:
                    return ended
            elif not turn.reply.tool_calls:
                self.say(no_tool_message())
            assert isinstance(move, Continue | ChangeTactics)

    def turn(self) -> Turn:
        """One turn of the developer, from the cache when it was finished before."""
        messages = mask_old(self.state.messages, budget=self.settings.max_context_tokens)
        return develop_turn(
            self.project, self.story, DEVELOPER, self.start.system, messages, self.state.commit, self.state.turn + 1
        )

    def answer(self, turn: Turn) -> tuple[str, str] | None:
        """The answer to the turn's question, and where it comes from."""
        if turn.question is None:
            return None
        asked: Ask = turn.question[1]
        question = Question(
            project=self.project.repository,
            workflow="dev-story",
            story=self.story.key,
            step=f"turn {turn.number}",
            asked_by=DEVELOPER,
            question=asked.question,
            options=asked.options,
            recommendation=asked.recommendation,
            reasoning=asked.reasoning,
            confidence=asked.confidence,
            cost_so_far=f"${self.state.cost:.4f}",
        )
        answer = settle(self.project, question)
        return None if answer is None else (answer.answer, answer.source)

    def judge(self, turn: Turn) -> StoryOutcome | None:
        """Run the tests and the review on what the developer calls finished; None sends it back."""
        worktree = self.ports.workspace.path(self.story.key)
        self.tests = run_tests(self.project, worktree, turn.commit, f"story {self.story.id}", self.story.key)
        if self.tests.passed is not True:
            self.failures += 1
            if self.failures >= self.settings.max_attempts:
                return self.end("failed", f"The tests failed after {self.failures} attempts.", Lane.CODE)
            self.say(tests_failed_message(self.tests))
            return None
        summary = turn.finish.summary if turn.finish else ""
        baseline, number = self.start.baseline, len(self.reviews) + 1
        report = review_story(
            self.project, self.story, REVIEWER, baseline, turn.commit, self.tests, self.reviews, number, summary
        )
        self.reviews = (*self.reviews, report)
        decision = verdict(
            self.reviews,
            self.settings,
            criteria=self.story.acceptance_criteria,
            tests=self.tests,
            own=own_findings(self.project, baseline, turn.commit),
        )
        if isinstance(decision, Approve):
            return self.end("reviewed", "", None, turn.finish.notes if turn.finish else "")
        if isinstance(decision, GiveUp):
            return self.end("failed", decision.reason, Lane.CODE)
        self.say(repair_message(decision.findings))
        return None

    def say(self, message: Message) -> None:
        """Add a message to the conversation."""
        self.state = self.state.told(message)

    def end(self, status: str, reason: str, lane: Lane | None, notes: str = "") -> StoryOutcome:
        """How the attempt ended, with everything that was established."""
        stat = self.ports.workspace.stat(self.start.baseline, self.state.commit)
        return StoryOutcome.model_validate(
            {
                "story": self.story.key,
                "status": status,
                "branch": branch_of(self.story.key),
                "commit": self.state.commit,
                "baseline": self.start.baseline,
                "attempts": max(1, len(self.reviews) + self.failures),
                "turns": self.state.turn,
                "cost": self.state.cost,
                "tests": self.tests,
                "review": self.reviews[-1] if self.reviews else None,
                "lane": lane,
                "reason": reason,
                "notes": notes,
                "files": stat.files,
            }
        )


def _ended_by(error: Exception, story: Story, attempt: int) -> StoryOutcome:
    """The end of a story whose work could not go on; only the code's own failures are the code's."""
    lane, status = Lane.INFRASTRUCTURE, "waiting"
    if isinstance(error, BudgetExceeded):
        lane = Lane.BUDGET
    elif isinstance(error, ModelError):
        lane = Lane.PROVIDER
    elif isinstance(error, SandboxMissing):
        status = "failed"
    return StoryOutcome.model_validate(
        {
            "story": story.key,
            "status": status,
            "lane": lane,
            "reason": str(error),
            "attempts": attempt,
            "cost": Decimal(0),
        }
    )
