"""How does a flow get an answer: kept, decided alone, by policy, or by a person in a form?

Called inside a flow run, also one that runs in a mapped task's thread. The pause is ended by the default answer before
it can expire, because an expired pause fails the run even when it is caught (measured on Prefect 3.8.8).
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

from prefect import pause_flow_run, resume_flow_run
from prefect.exceptions import NotPausedError
from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import Field, create_model

from ..domain.escalations import (
    SEVERITY,
    Answer,
    Escalation,
    Question,
    decide_alone,
    decide_by_policy,
    inert,
    markdown,
    refuse,
)
from ..domain.ports import ProjectRef
from ..tasks.ports import Ports, ports_for
from ..tasks.questions import keep_answer, kept_answer, mirror

POLL_SECONDS = 2
"""How often a paused run looks for its answer."""

RESUME_TRIES = 5


def settle(project: ProjectRef, question: Question) -> Answer | None:
    """The answer that holds for a question; None when the project's settings say that it is set aside."""
    ports = ports_for(project)
    settings = ports.config.settings
    answer = kept_answer(ports, question) or decide_alone(question, settings.escalation_threshold)
    if answer is None and settings.when_asked == "recommendation":
        answer = decide_by_policy(question)
        if answer is not None:
            get_run_logger().warning(
                "Below the threshold (%.0f%% < %.0f%%), answered by policy: %s -> %s",
                question.confidence * 100,
                settings.escalation_threshold * 100,
                question.question,
                answer.answer,
            )
    if answer is not None:
        return keep_answer(ports, question, answer)
    escalation = escalate(ports, question)
    if settings.when_asked == "set_aside":
        mirror(ports, escalation.model_copy(update={"status": "set_aside"}))
        return None
    answer = keep_answer(ports, question, ask_person(ports, escalation))
    mirror(ports, escalation.model_copy(update={"status": "answered", "response": answer}))
    return answer


def escalate(ports: Ports, question: Question) -> Escalation:
    """The question as an escalation of this flow run, mirrored for everybody who looks."""
    now = datetime.now(UTC)
    deadline = now + timedelta(hours=ports.config.settings.answer_within_hours)
    escalation = Escalation(
        id=question.id,
        question=question,
        severity=SEVERITY[question.kind],
        created=now.isoformat(timespec="seconds"),
        deadline=deadline.isoformat(timespec="minutes"),
        default=question.recommendation,
        flow_run=str(flow_run.get_id() or ""),
        link=str(flow_run.get_ui_url() or ""),
    )
    mirror(ports, escalation)
    return escalation


def form(escalation: Escalation, complaint: str = "") -> type[RunInput]:
    """The form for an escalation: a choice with the recommendation preselected, or free text, and room for notes."""
    question = escalation.question
    fields: dict[str, Any] = {}
    if question.options:
        choice: Any = Literal.__getitem__(question.options)
        default = question.recommendation if question.recommendation in question.options else ...
        fields["answer"] = (choice, Field(default=default, title="Answer", description="Choose one"))
    else:
        default = question.recommendation or ...
        fields["answer"] = (str, Field(default=default, title="Answer", min_length=1, max_length=4000))
    fields["notes"] = (str, Field(default="", title="Notes", description="For the record; optional", max_length=4000))
    model = cast(type[RunInput], create_model("Answer", __base__=RunInput, **fields))
    text = markdown(escalation)
    return model.with_initial_data(description=f"**{inert(complaint)}**\n\n{text}" if complaint else text)


def ask_person(ports: Ports, escalation: Escalation) -> Answer:
    """Pause this flow run until a person, or the deadline, has answered; a wrong answer is refused and asked again."""
    complaint, tries = "", 0
    while True:
        given = _pause(escalation, complaint, f"{escalation.id}-{tries}")
        kept = kept_answer(ports, escalation.question)
        if kept is not None:
            return kept
        text, notes = str(getattr(given, "answer", "")), str(getattr(given, "notes", ""))
        complaint = refuse(escalation.question, text)
        if not complaint:
            late = notes == DEADLINE_NOTE
            return Answer(
                answer=text.strip(),
                source="policy" if late else "person",
                by="deadline" if late else "form",
                notes=notes,
            )
        tries += 1


DEADLINE_NOTE = "The deadline passed: the default answer was taken."


def _pause(escalation: Escalation, complaint: str, key: str) -> RunInput:
    run_id = UUID(flow_run.get_id())
    seconds = max(1.0, (datetime.fromisoformat(escalation.deadline) - datetime.now(UTC)).total_seconds())

    def answer_for_nobody() -> None:
        for _ in range(RESUME_TRIES):
            try:
                resume_flow_run(run_id, run_input={"answer": escalation.default, "notes": DEADLINE_NOTE})
            except NotPausedError:
                return
            except Exception:  # noqa: BLE001 - the server may be away for a moment: try again
                time.sleep(1)
            else:
                return

    timer = threading.Timer(seconds, answer_for_nobody)
    timer.daemon = True
    if escalation.default:
        timer.start()
    try:
        return pause_flow_run(
            wait_for_input=form(escalation, complaint),
            timeout=int(seconds) + 7 * 24 * 3600,
            poll_interval=POLL_SECONDS,
            key=key,
        )
    finally:
        timer.cancel()
