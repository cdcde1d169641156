"""When is a person asked, and what do they see?

A question has an id that follows from what is asked and where, so the same question is asked once, however often the
work is resumed. Its answer is kept by that id and looked up first.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Literal

from pydantic import Field

from .model_calls import Value


class Kind(StrEnum):
    """What a person is asked for."""

    CLARIFICATION = "clarification"
    PHASE_GATE = "phase-gate"
    REVIEW_CONFLICT = "review-conflict"
    MERGE_CONFLICT = "merge-conflict"
    BUDGET = "budget"
    RISK = "risk"
    FAILURE = "failure"


SEVERITY: dict[Kind, Literal["critical", "important", "normal"]] = {
    Kind.CLARIFICATION: "important",
    Kind.PHASE_GATE: "critical",
    Kind.REVIEW_CONFLICT: "important",
    Kind.MERGE_CONFLICT: "important",
    Kind.BUDGET: "critical",
    Kind.RISK: "critical",
    Kind.FAILURE: "normal",
}


GATES = frozenset({Kind.PHASE_GATE, Kind.BUDGET, Kind.RISK})
"""What only a person may let pass: no document, model, fact, policy or deadline ever answers these."""


class Question(Value):
    """Something that must be decided before the work can go on.

    `subject` is the digest of what is approved, "" where nothing is: another digest makes another question.
    `requested_by` is the person who asked for the work. `must_ask` sends a clarification to a person at once.
    """

    kind: Kind = Kind.CLARIFICATION
    project: str
    workflow: str = ""
    step: str = ""
    story: str = ""
    asked_by: str = ""
    question: str
    context: str = ""
    options: tuple[str, ...] = ()
    recommendation: str = ""
    reasoning: str = ""
    confidence: float = Field(default=0.0, ge=0, le=1)
    cost_so_far: str = ""
    subject: str = ""
    requested_by: str = ""
    must_ask: bool = False

    @property
    def id(self) -> str:
        """A short name that is the same for the same question at the same place: lower-case letters, digits, dashes."""
        place = re.sub(r"[^a-z0-9]+", "-", f"{self.story or self.workflow} {self.step}".lower()).strip("-")[:40]
        parts = [self.project, self.workflow, self.step, self.story, self.question]
        digest = hashlib.sha256("\0".join(parts + ([self.subject] if self.subject else [])).encode())
        return f"{place or 'question'}-{digest.hexdigest()[:10]}"


class Answer(Value):
    """What was decided, by whom and why."""

    answer: str
    source: Literal["onboarding", "fact", "model", "person", "policy"]
    confidence: float = Field(default=1.0, ge=0, le=1)
    reasoning: str = ""
    by: str = ""
    notes: str = ""


class Escalation(Value):
    """A question that waits for a person, or has been answered."""

    id: str
    question: Question
    severity: Literal["critical", "important", "normal"]
    status: Literal["pending", "answered", "set_aside", "expired", "cancelled", "superseded"] = "pending"
    created: str = ""
    deadline: str = ""
    default: str = ""
    audience: tuple[str, ...] = ()
    project_name: str = ""
    flow_run: str = ""
    link: str = ""
    response: Answer | None = None


def decide_alone(question: Question, threshold: float) -> Answer | None:
    """The agent's own recommendation when its confidence reaches the threshold, else None: a person must be asked.

    Only clarifications are ever decided alone; gates, budgets and risks always go to a person.
    """
    if question.kind is not Kind.CLARIFICATION or not question.recommendation or question.confidence < threshold:
        return None
    return Answer(
        answer=question.recommendation,
        source="model",
        confidence=question.confidence,
        reasoning=question.reasoning,
        by=question.asked_by,
    )


def decide_by_policy(question: Question) -> Answer | None:
    """The recommendation, taken because the project's settings say so; None when there is none to take."""
    if not question.recommendation or question.kind in GATES:
        return None
    return Answer(
        answer=question.recommendation,
        source="policy",
        confidence=question.confidence,
        reasoning="settings.when_asked is 'recommendation'",
        by="policy",
    )


def refuse(question: Question, answer: str) -> str:
    """Why `answer` does not answer the question; "" when it does."""
    text = answer.strip()
    if not text:
        return "An answer is needed."
    if question.options and text not in question.options:
        return f"{text!r} is not one of the choices: {', '.join(question.options)}."
    return ""


def markdown(escalation: Escalation) -> str:
    """The question as a person reads it on a phone: short, one heading, no links out, no raw HTML."""
    question = escalation.question
    lines = [f"## {inert_line(question.question)}", ""]
    if question.story or question.workflow:
        place = " · ".join(p for p in (question.workflow, question.story, question.step) if p)
        lines.append(f"**Where:** {inert_line(place)}  ")
    if question.asked_by:
        lines.append(f"**Asked by:** {inert_line(question.asked_by)}  ")
    if question.recommendation:
        share = f"{question.confidence:.0%}"
        lines.append(f"**Would do:** {inert_line(question.recommendation)} (confidence {share})  ")
    if question.reasoning:
        lines.append(f"**Because:** {inert_line(question.reasoning)}  ")
    if question.cost_so_far:
        lines.append(f"**Cost so far:** {inert_line(question.cost_so_far)}  ")
    if escalation.deadline:
        nothing = "nothing passes; the next run asks anew" if question.kind in GATES else "the work is set aside"
        lines.append(
            f"**Without an answer by {readable(escalation.deadline)}:** {inert_line(escalation.default) or nothing}"
        )
    if question.context:
        lines += ["", inert(question.context)]
    return "\n".join(lines).rstrip() + "\n"


def readable(moment: str) -> str:
    """A moment to the minute; given and told in UTC."""
    return f"{moment[:16].replace('T', ' ')} UTC" if moment.endswith("+00:00") else moment


_SIGNS = str.maketrans({sign: f"&#{ord(sign)};" for sign in "[]\\`|~@*_"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def inert(text: str) -> str:
    """Text from a model or a repository that may stand in Markdown: it cannot act, hide or pass for something of ours.

    No HTML, link, image, code block, heading or rule comes of it, and no address becomes a link by itself.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    text = "".join(c for c in text if c.isprintable() or c == "\n").translate(_SIGNS)
    text = re.sub(r":(?=\S)", "&#58;", text)  # of any address, whatever stands before it
    text = re.sub(r"(?i)(www)\.", r"\1&#46;", text)
    text = re.sub(r"(?m)^ {4,}", lambda m: "\u00a0" * len(m.group()), text)
    text = re.sub(r"(?m)^ *#", "&#35;", text)
    return re.sub(r"(?m)^ *([=-])(?=[ =-]*$)", lambda m: f"&#{ord(m.group(1))};", text)


def inert_line(text: str) -> str:
    """As `inert`, on one line."""
    return inert(" ".join(text.split()))


def plain(text: str, longest: int = 400) -> str:
    """One line of the text without control characters, for a message that is not Markdown."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
