"""What happens when a story conflicts even after its repair?  A person is asked, and the answer is carried out."""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from ..domain.conflicts import AGAIN, branch_meant, conflict_question
from ..domain.errors import GitError
from ..domain.model_calls import Value
from ..domain.ports import ProjectRef
from ..domain.stories import Lane, Story, StoryOutcome
from ..tasks.parameters import listed
from ..tasks.ports import ports_for
from ..tasks.story_start import keep_outcome
from .asking import settle
from .develop_story import DEVELOPER
from .gates import before_merge


class GoOn(Value):
    """How the story goes on: developed once `again` with a `hint`, or with an outcome (reviewed: it is merged)."""

    outcome: StoryOutcome
    again: bool = False
    hint: str = ""


@flow(name="settle-conflict", flow_run_name="conflict · {story.id}")
def settle_conflict(project: ProjectRef, story: Story, outcome: StoryOutcome, attempt: int) -> GoOn:
    """How a story goes on whose last `outcome` says with which files of the main line it conflicts.

    Nothing is held while a person thinks: the other stories go on. While it waits the story's kept outcome says so.
    """
    ports = ports_for(project)
    question = conflict_question(
        story,
        outcome,
        ports.workspace.conflicts(ports.workspace.tip(), outcome.commit),
        project=project.repository,
        attempt=attempt,
        most=ports.config.settings.max_attempts,
        asked_by=DEVELOPER,
    )
    parked = _ended(outcome, "waiting", f"A question waits for an answer: {question.question}")
    keep_outcome(project, parked)
    answer = settle(project, question)
    if answer is None:
        return GoOn(outcome=parked)
    by = answer.by or answer.source
    get_run_logger().info("At the conflict of story %s %s decided: %s", story.id, by, answer.answer)
    if answer.answer == AGAIN:
        return GoOn(outcome=outcome, again=True, hint=answer.notes)
    if branch := branch_meant(answer.answer, answer.notes):
        settled = _settled(project, outcome, branch)
        return GoOn(outcome=keep_outcome(project, before_merge(project, story, settled)))
    reason = f"{outcome.reason} It was given back by {by}{f': {answer.notes}' if answer.notes else '.'}"
    return GoOn(outcome=keep_outcome(project, _ended(outcome, "failed", reason, Lane.CODE)))


def _settled(project: ProjectRef, outcome: StoryOutcome, branch: str) -> StoryOutcome:
    """The story with a person's change in place of its own, to be tested on the tip; it waits where there is none."""
    workspace = ports_for(project).workspace
    try:
        commit = workspace.branch(branch)
    except GitError as error:
        return _ended(outcome, "waiting", str(error))
    if commit is None:
        return _ended(outcome, "waiting", f"There is no branch {branch}. Make it, then run again.")
    if commit == outcome.commit:
        reason = (
            f"The branch {branch} still conflicts in {', '.join(outcome.conflicts)}. Mend it there, then run again."
        )
        return _ended(outcome, "waiting", reason)
    tip = workspace.tip()
    files = listed(workspace.stat(tip, commit).files)
    settled = {"status": "reviewed", "lane": None, "reason": "", "conflicts": ()}
    return outcome.model_copy(update={**settled, "commit": commit, "baseline": tip, "files": files})


def _ended(outcome: StoryOutcome, status: str, reason: str, lane: Lane = Lane.PERSON) -> StoryOutcome:
    return outcome.model_copy(update={"status": status, "lane": lane, "reason": reason})
