"""Who may answer which question, and does this answer count?

The first valid answer wins. An answer is refused, with the reason, when it comes late, twice, to something that has
changed since, from somebody who may not give it, or from the one who asked for it. An approval may need several people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .escalations import GATES, Answer, Escalation, Kind, Question, refuse
from .model_calls import Value
from .settings import Gates, Person, Role

OWNER = "owner"
"""Stands for everybody in a project that names no people."""

CLARIFIES = frozenset({Kind.CLARIFICATION, Kind.REVIEW_CONFLICT, Kind.MERGE_CONFLICT, Kind.FAILURE})

ANSWERS: dict[Role, frozenset[Kind]] = {
    "viewer": frozenset(),
    "executor": frozenset(),
    "developer": CLARIFIES,
    "approver": CLARIFIES | {Kind.PHASE_GATE, Kind.RISK},
    "admin": frozenset(Kind),
}
"""Which kinds of questions a role may answer. Executors start runs, viewers look."""

RULES: dict[Role, bool] = {"viewer": False, "executor": False, "developer": False, "approver": False, "admin": True}
"""Who may cancel other people's questions, reverse decisions and remove facts."""

CLOSED = {
    "cancelled": "The question was cancelled.",
    "superseded": "What was asked about has changed since: there is a newer question.",
    "expired": "The question has expired; it is asked anew when the work runs again.",
}
APPROVE, REJECT = "approve", "reject"


class Given(Value):
    """An answer as somebody gave it. `digest` is what the giver saw of the thing to be approved, "" if unknown."""

    answer: str
    by: str = OWNER
    channel: str = ""
    notes: str = ""
    digest: str = ""
    at: str = ""


class Ruling(Value):
    """What came of an answer: it holds, it counts as one of several approvals, or it is refused."""

    verdict: Literal["holds", "counted", "refused"]
    reason: str = ""
    answer: Answer | None = None


def rule(
    escalation: Escalation,
    given: Given,
    *,
    people: Sequence[Person],
    gates: Gates,
    kept: Answer | None = None,
    votes: Sequence[Given] = (),
) -> Ruling:
    """Whether an answer counts. `kept` is the answer that holds already, `votes` the approvals given so far."""
    question = escalation.question
    if kept is not None:
        return _no(f"It was answered already, by {kept.by or kept.source}: {kept.answer}.")
    if escalation.status in CLOSED:
        return _no(CLOSED[escalation.status])
    if given.digest and given.digest != question.subject:
        return _no("What is to be approved has changed since you looked at it. Look again, then answer.")
    if why := refuse_person(question, given.by, people):
        return _no(why)
    if why := refuse(question, given.answer):
        return _no(why)
    if any(vote.by == given.by for vote in votes):
        return _no(f"{given.by} has answered already.")
    answer = Answer(
        answer=given.answer.strip(),
        source="person",
        by=given.by,
        notes=given.notes,
        reasoning=f"given by {given.channel}",
    )
    needed = approvals_needed(question, people, gates)
    if needed > 1 and answer.answer == APPROVE:
        names = [*(vote.by for vote in votes if vote.answer.strip() == APPROVE), given.by]
        if len(names) < needed:
            return Ruling(verdict="counted", reason=f"{len(names)} of {needed} approvals: {', '.join(names)}.")
        answer = answer.model_copy(update={"by": ", ".join(names)})
    return Ruling(verdict="holds", answer=answer)


def approvals_needed(question: Question, people: Sequence[Person], gates: Gates) -> int:
    """How many different people must approve; one where nobody is named, for then nobody can be told apart."""
    return gates.approvals if people and question.kind is Kind.PHASE_GATE else 1


def refuse_person(question: Question, name: str, people: Sequence[Person]) -> str:
    """Why this person may not answer this question; "" when they may."""
    if not people:
        return ""
    person = next((p for p in people if p.name == name), None)
    if person is None:
        return f"{name!r} is not one of the project's people: {', '.join(p.name for p in people)}."
    if question.kind not in ANSWERS[person.role]:
        return f"{name} is {person.role}; a {question.kind} needs {' or '.join(roles_for(question.kind))}."
    if question.requested_by and name == question.requested_by and question.kind in GATES:
        return f"{name} asked for this; somebody else must approve it."
    return ""


def roles_for(kind: Kind) -> list[Role]:
    """The roles that may answer a kind of question."""
    return [role for role, kinds in ANSWERS.items() if kind in kinds]


def audience(question: Question, people: Sequence[Person]) -> list[str]:
    """The people who may answer, those with the least power first: an admin is the next one after the deadline."""
    order = list(ANSWERS)
    able = [p for p in people if not refuse_person(question, p.name, people)]
    return [p.name for p in sorted(able, key=lambda p: order.index(p.role))]


def may_rule(name: str, people: Sequence[Person]) -> bool:
    """Whether this person may cancel, reverse and remove."""
    return not people or any(p.name == name and RULES[p.role] for p in people)


def _no(reason: str) -> Ruling:
    return Ruling(verdict="refused", reason=reason)
