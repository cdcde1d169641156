"""Where does the work stop until a person approves?"""

from __future__ import annotations

from ..domain.approvals import APPROVE, REJECT
from ..domain.checkpoints import gates_done, gates_epic, gates_spec
from ..domain.escalations import Answer, Kind, Question
from ..domain.ports import ProjectRef
from ..domain.stories import Lane, Story, StoryOutcome
from ..tasks.phases import digest_of, phase_facts
from ..tasks.ports import ports_for
from ..tasks.recording import event_key
from .asking import Subject, settle

MAX_DIFF = 4_000
"""Characters of a change that the form of a story's last gate shows."""


def lets_pass(project: ProjectRef, question: Question, subject: Subject) -> bool:
    """Whether a person approves what stands behind the digest."""
    answer = settle(project, question, subject=subject)
    return answer is not None and answer.answer == APPROVE


def before_story(project: ProjectRef, story: Story) -> StoryOutcome | None:
    """The story's end when its epic or its text is not approved; None when it may start."""
    gates = ports_for(project).config.gates
    if gates_epic(story, gates):
        epics = f"{phase_facts(project).planning_folder}/epics.md"
        question = _gate(project, f"Start {story.epic}?", story.epic, context=f"Its stories stand in {epics}.")
        answer = settle(project, question, subject=lambda: digest_of(project, [epics]))
        if (stopped := _stopped(story, answer, f"{story.epic} is not approved")) is not None:
            return stopped
    if gates_spec(story, gates):
        criteria = "\n".join(f"- {criterion}" for criterion in story.acceptance_criteria)
        text = f"{story.text}\n\n{criteria}".strip()
        question = _gate(project, f"Develop story {story.id} as written?", "spec", story, context=text)
        answer = settle(project, question, subject=lambda: event_key(story.title, text))
        return _stopped(story, answer, "the story is not approved")
    return None


def before_merge(project: ProjectRef, story: Story, outcome: StoryOutcome) -> StoryOutcome:
    """The outcome; one that was reviewed waits when a person has not approved exactly this commit."""
    ports = ports_for(project)
    if outcome.status != "reviewed" or not gates_done(story, ports.config.gates):
        return outcome
    diff = ports.workspace.diff(outcome.baseline, outcome.commit)
    shown = diff if len(diff) <= MAX_DIFF else f"{diff[:MAX_DIFF]}\n… {len(diff) - MAX_DIFF} more characters"
    review = outcome.review.summary if outcome.review else ""
    context = f"{review}\n\nFiles: {', '.join(outcome.files)}\n\n{shown}".strip()
    question = _gate(project, f"Merge story {story.id}?", "done", story, context=context)
    answer = settle(project, question, subject=lambda: outcome.commit)
    if (stopped := _stopped(story, answer, "the change is not approved")) is None:
        return outcome
    return outcome.model_copy(update={"status": stopped.status, "lane": stopped.lane, "reason": stopped.reason})


def _gate(project: ProjectRef, asked: str, step: str, story: Story | None = None, *, context: str) -> Question:
    return Question(
        kind=Kind.PHASE_GATE,
        project=project.repository,
        workflow="implementation",
        step=f"{step} gate",
        story=story.key if story else "",
        question=asked,
        context=context,
        options=(APPROVE, REJECT),
    )


def _stopped(story: Story, answer: Answer | None, why: str) -> StoryOutcome | None:
    if answer is not None and answer.answer == APPROVE:
        return None
    by = f"{why}: rejected by {answer.by}{f' ({answer.notes})' if answer.notes else ''}" if answer else f"{why} yet"
    return StoryOutcome(story=story.key, status="waiting", lane=Lane.PERSON, reason=f"{by[0].upper()}{by[1:]}.")
