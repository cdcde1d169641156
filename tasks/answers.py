"""How does an answer get in, from a form, a command or a link, and what ends a question otherwise?

Everything goes through `submit`, so that the same rules hold on every way; the shelf decides races.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ..domain.approvals import Given, Ruling, may_rule, rule
from ..domain.escalations import GATES, Answer, Escalation
from ..domain.notices import ends_at
from .ports import Ports
from .questions import keep_answer, keep_first, kept_answer, mirror, mirrored, now


def submit(ports: Ports, question_id: str, given: Given) -> Ruling:
    """Whether the answer counts; when it holds it is kept, once, and the question is closed."""
    escalation = mirrored(ports, question_id)
    if escalation is None:
        return Ruling(verdict="refused", reason=f"There is no question {question_id!r}.")
    given = given.model_copy(update={"at": given.at or now()})
    ruling = _rule(ports, escalation, given, votes(ports, question_id))
    if ruling.verdict == "refused":
        return ruling
    if ruling.verdict == "counted":
        if not ports.shelf.put_new(f"votes/{question_id}/{given.by}.json", given.model_dump_json(indent=2)):
            return Ruling(verdict="refused", reason=f"{given.by} has answered already.")
        others = [vote for vote in votes(ports, question_id) if vote.by != given.by]
        ruling = _rule(ports, escalation, given, others)  # somebody may have approved at the same moment
        if ruling.verdict != "holds":
            return ruling
    assert ruling.answer is not None
    if not keep_first(ports, escalation.question, ruling.answer):
        return _rule(ports, escalation, given, [])
    close(ports, escalation, ruling.answer)
    return ruling


def _rule(ports: Ports, escalation: Escalation, given: Given, others: list[Given]) -> Ruling:
    config = ports.config
    kept = kept_answer(ports, escalation.question)
    return rule(escalation, given, people=config.people, gates=config.gates, kept=kept, votes=others)


def votes(ports: Ports, question_id: str) -> list[Given]:
    """The approvals given so far, the first one first."""
    texts = (ports.shelf.get(name) for name in ports.shelf.names(f"votes/{question_id}/"))
    return sorted((Given.model_validate_json(text) for text in texts if text), key=lambda vote: vote.at)


def close(ports: Ports, escalation: Escalation, answer: Answer) -> None:
    """Mark the question as answered where people look."""
    mirror(ports, escalation.model_copy(update={"status": "answered", "response": answer}))


def cancel(ports: Ports, question_id: str, by: str) -> str:
    """Cancel an open question; "" when done, else why not. The work is set aside and may ask anew."""
    escalation = mirrored(ports, question_id)
    if escalation is None:
        return f"There is no question {question_id!r}."
    if not may_rule(by, ports.config.people):
        return f"{by} may not cancel questions."
    if escalation.status not in ("pending", "set_aside"):
        return f"The question is {escalation.status} already."
    mirror(ports, escalation.model_copy(update={"status": "cancelled"}))
    return ""


def overdue(ports: Ports, escalation: Escalation, moment: datetime | None = None) -> bool:
    """Whether the question's time is over, that of the next person included."""
    end = ends_at(escalation, ports.config.notify, ports.config.people)
    return end is not None and (moment or datetime.now(UTC)) >= end


def end_if_overdue(ports: Ports, escalation: Escalation, moment: datetime | None = None) -> bool:
    """End the question when its time is over; whether it was over."""
    if not overdue(ports, escalation, moment):
        return False
    time_is_up(ports, escalation.id)
    return True


def time_is_up(ports: Ports, question_id: str) -> None:
    """Take the default answer; without one a gate expires and other work is set aside."""
    escalation = mirrored(ports, question_id)
    if escalation is None or escalation.status not in ("pending", "set_aside"):
        return
    question = escalation.question
    if escalation.default and question.kind not in GATES:
        answer = Answer(
            answer=escalation.default,
            source="policy",
            confidence=question.confidence,
            by="deadline",
            reasoning="The deadline passed: the default answer was taken.",
        )
        close(ports, escalation, keep_answer(ports, question, answer))
        return
    status = "expired" if question.kind in GATES else "set_aside"
    if status != escalation.status:
        mirror(ports, escalation.model_copy(update={"status": status}))
