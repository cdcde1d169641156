"""Where are questions to people kept, and their answers?

An answer is kept by the question's id and looked up before anybody is asked; the first valid answer wins. Each question
that reaches a person is mirrored to `.bmad-escalations/{id}.json` on the project's shelf.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

from ..domain.decisions import learned
from ..domain.errors import NotApproved
from ..domain.escalations import GATES, Answer, Escalation, Question
from ..domain.events import Decided
from ..domain.ports import ProjectRef
from .facts import keep_fact
from .ports import Ports, ports_for
from .recording import event_key, record, tags_for


def answer_name(question_id: str) -> str:
    """The shelf's name of a question's answer."""
    return f"answers/{question_id}.json"


def mirror_name(question_id: str) -> str:
    """The shelf's name of a question's mirror."""
    return f".bmad-escalations/{question_id}.json"


def kept_answer(ports: Ports, question: Question) -> Answer | None:
    """The answer that was given before, None if nobody answered yet."""
    text = ports.shelf.get(answer_name(question.id))
    return Answer.model_validate_json(text) if text else None


def keep_answer(ports: Ports, question: Question, answer: Answer) -> Answer:
    """Keep an answer unless there is one, record the decision once, and return the one that holds.

    Raises:
        NotApproved: something else than a person answers a gate, a budget or a risk.
    """
    keep_first(ports, question, answer)
    return kept_answer(ports, question) or answer


def keep_first(ports: Ports, question: Question, answer: Answer) -> bool:
    """Keep an answer unless there is one; whether this one was kept. A person's answer becomes a fact of the project.

    Raises:
        NotApproved: something else than a person answers a gate, a budget or a risk.
    """
    if question.kind in GATES and answer.source != "person":
        raise NotApproved(f"{answer.source} cannot answer a {question.kind}: {question.question}")
    won = ports.shelf.put_new(answer_name(question.id), answer.model_dump_json(indent=2))
    holds = kept_answer(ports, question) or answer
    if won:
        fact = learned(question, holds, now())
        if fact is not None:
            keep_fact(ports, fact)
    record(
        ports,
        Decided(
            event_id=event_key("decision", question.id),
            tags=tags_for(ports, workflow=question.workflow, story=question.story, step=question.step),
            question=question.question,
            answer=holds.answer,
            confidence=holds.confidence,
            source=holds.source,
            reasoning=holds.reasoning,
            escalation=question.id if holds.source in ("person", "policy") else "",
        ),
    )
    return won


def mirror(ports: Ports, escalation: Escalation) -> None:
    """Write the escalation where tools and people outside Prefect find it."""
    ports.shelf.put(mirror_name(escalation.id), escalation.model_dump_json(indent=2))


def mirror_open(ports: Ports, escalation: Escalation) -> Escalation:
    """Mirror a question that was open; answered when somebody answered another run's same question meanwhile.

    Answers are kept before they are mirrored, so looking after the writing misses none.
    """
    mirror(ports, escalation)
    kept = kept_answer(ports, escalation.question)
    if kept is not None:
        escalation = escalation.model_copy(update={"status": "answered", "response": kept})
        mirror(ports, escalation)
    return escalation


def mirrored(ports: Ports, question_id: str) -> Escalation | None:
    """The escalation as mirrored, None if it never reached a person."""
    text = ports.shelf.get(mirror_name(question_id))
    return Escalation.model_validate_json(text) if text else None


def escalations(ports: Ports) -> list[Escalation]:
    """All questions that ever reached a person, as mirrored; what cannot be read is left out."""
    found = []
    for name in ports.shelf.names(".bmad-escalations/"):
        with suppress(ValidationError):
            found.append(Escalation.model_validate_json(ports.shelf.get(name) or ""))
    return found


def supersede(ports: Ports, question: Question) -> None:
    """Close older open questions at the same place about something that has changed since."""
    if not question.subject:
        return
    for other in escalations(ports):
        same = (other.question.workflow, other.question.story, other.question.step, other.question.kind) == (
            question.workflow, question.story, question.step, question.kind
        )  # fmt: skip
        if same and other.id != question.id and other.status in ("pending", "set_aside"):
            mirror(ports, other.model_copy(update={"status": "superseded"}))


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@task(name="look-up-answer", task_run_name="answer to {question.id}", cache_policy=NO_CACHE)
def look_up_answer(project: ProjectRef, question: Question) -> Answer | None:
    """The answer that holds for a question, None if it is still open."""
    return kept_answer(ports_for(project), question)
