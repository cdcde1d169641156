"""What happens when a review does not settle?  A person dismisses the findings, has them mended, or gives it back."""

from __future__ import annotations

from ..domain.escalations import Answer, Kind, Question
from ..domain.ports import ProjectRef
from ..domain.review import DISMISS, GIVE_BACK, REPAIR, GiveUp, conflict_text
from ..domain.stories import Story
from ..tasks.ports import ports_for
from ..tasks.waivers import Round, waive
from .asking import settle


def settle_review(
    project: ProjectRef, story: Story, gave_up: GiveUp, *, commit: str, at: Round, cost: str
) -> Answer | None:
    """What a person says of the conflict; None while nobody has. What they dismiss stays dismissed for the story.

    Without an answer in time the story is given back.
    """
    question = Question(
        kind=Kind.REVIEW_CONFLICT,
        project=project.repository,
        workflow="dev-story",
        story=story.key,
        step=f"review {at[1]}",
        asked_by="quinn",
        question=f"The review of story {story.id} does not settle. What now?",
        context=conflict_text(gave_up),
        options=(GIVE_BACK, REPAIR, DISMISS),
        recommendation=GIVE_BACK,
        reasoning="What nobody vouches for is not merged.",
        cost_so_far=cost,
        subject=commit,
    )
    answer = settle(project, question, subject=lambda: commit)
    if answer is not None and answer.answer == DISMISS:
        waive(ports_for(project), story.key, at, gave_up.findings, answer.notes or f"dismissed by {answer.by}")
    return answer
