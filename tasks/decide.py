"""How is a question judged before a person is asked, and where is that kept?"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

from ..domain.decisions import (
    REMEMBERED,
    Decision,
    Fact,
    Opinion,
    confidence_of,
    decision_request,
    judged,
    known_fact,
    needs_second,
    quoted_in,
    read_opinion,
)
from ..domain.errors import StoryloomError
from ..domain.escalations import Answer, Kind, Question, decide_alone
from ..domain.ports import ProjectRef
from .facts import facts
from .ports import Ports, ports_for
from .questions import answer_name, kept_answer, now
from .recording import tags_for


def decision_name(question_id: str) -> str:
    """The shelf's name of how a question was judged."""
    return f"decisions/{question_id}.json"


@task(name="decide", task_run_name="decide · {question.question}", cache_policy=NO_CACHE)
def decide_question(project: ProjectRef, question: Question) -> Decision:
    """How the project judges a clarification: by its facts and documents, then by a model; kept with its reasoning."""
    return decide(ports_for(project), question)


def decide(ports: Ports, question: Question) -> Decision:
    """As `decide_question`, outside of a run."""
    decision = _judge(ports, question).model_copy(update={"at": now()})
    ports.shelf.put(decision_name(question.id), decision.model_dump_json(indent=2))
    return decision


def _judge(ports: Ports, question: Question) -> Decision:
    undecided = Decision(
        id=question.id, question=question, confidence=question.confidence, recommendation=question.recommendation
    )
    if question.kind is not Kind.CLARIFICATION:
        return undecided.model_copy(update={"steps": (f"A {question.kind} always goes to a person",)})
    if question.must_ask:
        return undecided.model_copy(update={"steps": ("The project's settings send it to a person",)})
    known = facts(ports)
    fact = known_fact(question, known)
    if fact is not None:
        step = f"{fact.by or 'A person'} answered this on {fact.at[:10]}: {fact.answer}"
        remembered = Answer(answer=fact.answer, source="fact", confidence=REMEMBERED, reasoning=step, by=fact.id)
        return undecided.model_copy(
            update={"answer": remembered, "confidence": REMEMBERED, "recommendation": fact.answer, "steps": (step,)}
        )
    threshold = ports.config.settings.escalation_threshold
    documents = onboarding(ports)
    opinions, trouble = _opinions(ports, question, documents, known, threshold)
    if not opinions:
        alone = decide_alone(question, threshold)
        steps = (*trouble, f"{question.asked_by or 'Who asks'} is {question.confidence:.0%} sure")
        return undecided.model_copy(update={"answer": alone, "steps": steps})
    answer, confidence, recommendation, steps = judged(question, opinions, documents, threshold)
    return undecided.model_copy(
        update={
            "answer": answer,
            "confidence": confidence,
            "recommendation": recommendation,
            "factors": opinions[0].factors,
            "steps": (*trouble, *steps),
        }
    )


def onboarding(ports: Ports) -> Mapping[str, str]:
    """The project's onboarding documents, as they stand in the main line."""
    if not ports.config.onboarding:
        return {}
    if ports.workspace:
        tip = ports.workspace.tip()
        texts = {path: ports.workspace.read(tip, path) for path in ports.config.onboarding}
    else:
        texts = {path: ports.documents.read(path) for path in ports.config.onboarding}
    return {path: text for path, text in texts.items() if text}


def _opinions(
    ports: Ports, question: Question, documents: Mapping[str, str], known: list[Fact], threshold: float
) -> tuple[list[Opinion], tuple[str, ...]]:
    """One opinion, or two near the threshold. No model at hand never holds the work up: then nobody has one."""
    if not ports.config.settings.second_opinion or not ports.models:
        return [], ()
    found: list[Opinion] = []
    tags = tags_for(
        ports, workflow=question.workflow, story=question.story, step=question.step or "decide", agent="dana"
    )
    for sample in (0, 1):
        request = decision_request(question, documents, known, sample=sample, tags=tags)
        try:
            opinion = read_opinion(ports.models.complete(request), question.options)
        except StoryloomError as error:
            return found, (f"No model could be asked: {error}",)
        if opinion is None:
            return found, ("The model's opinion could not be read.",)
        found.append(opinion)
        if quoted_in(opinion.quote, documents) or not needs_second(confidence_of(opinion.factors), threshold):
            break
    return found, ()


def decisions(ports: Ports) -> list[Decision]:
    """All judged questions with the answer that holds now, oldest first."""
    found = []
    for name in ports.shelf.names("decisions/"):
        with suppress(ValidationError):
            decision = Decision.model_validate_json(ports.shelf.get(name) or "")
            found.append(decision.model_copy(update={"answer": kept_answer(ports, decision.question)}))
    return sorted(found, key=lambda decision: (decision.at, decision.id))


def reverse(ports: Ports, decision: Decision, answer: Answer) -> Decision:
    """The decision with another answer from now on; the earlier one stays on record."""
    before = kept_answer(ports, decision.question)
    ports.shelf.put(answer_name(decision.id), answer.model_dump_json(indent=2))
    replaced = (*decision.replaced, *([before] if before else []))
    changed = decision.model_copy(update={"answer": answer, "replaced": replaced, "at": now()})
    ports.shelf.put(decision_name(decision.id), changed.model_dump_json(indent=2))
    return changed
