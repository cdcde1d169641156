"""How does a flow get an answer: kept, decided alone, by policy, or by a person?

Called inside a flow run, also one that runs in a mapped task's thread. A run that waits is paused with a form; a
watcher beside it looks at the shelf, where answers from other ways and the deadline are found, and wakes the run: an
expired pause fails the run even when it is caught (measured on Prefect 3.8.8). On a fleet the question is left open
instead, the rest goes on, and the top run frees its worker at the end (see `suspending`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from ..domain.approvals import OWNER, Given, audience
from ..domain.escalations import GATES, SEVERITY, Answer, Escalation, Kind, Question, decide_by_policy
from ..domain.ports import ProjectRef
from ..tasks.alarm import set_alarm
from ..tasks.answers import end_if_overdue, submit
from ..tasks.decide import decide_question
from ..tasks.notify import tell
from ..tasks.ports import Ports, ports_for
from ..tasks.questions import keep_answer, kept_answer, mirror_open, mirrored, supersede
from ..tasks.recording import root_run
from ..tasks.waiting import show_needs, tagged_as_waiting
from .forms import WOKEN, form
from .left_forms import left_forms
from .pausing import pause
from .suspending import frees_worker
from .waking import wake

POLL_SECONDS = 2
"""How often a paused run looks for its answer, and its watcher at the shelf."""

REMIND_SECONDS = 30
PATIENCE = timedelta(days=7)
"""How long the pause itself outlives the question's deadline: the watcher ends it before."""

Subject = Callable[[], str]
"""Gives the digest of what is approved, as it is now."""


def settle(project: ProjectRef, question: Question, *, subject: Subject | None = None) -> Answer | None:
    """The answer that holds for a question; None when the work is set aside until there is one."""
    ports = ports_for(project)
    settings = ports.config.settings
    asked = {"subject": subject() if subject else question.subject, "requested_by": settings.requested_by}
    question = question.model_copy(update=asked)
    if (kept := kept_answer(ports, question)) is not None:
        return keep_answer(ports, question, kept)
    if question.kind is Kind.CLARIFICATION:
        decision = decide_question(project, question)
        if decision.answer is not None:
            return keep_answer(ports, question, decision.answer)
        question = question.model_copy(
            update={"recommendation": decision.recommendation, "confidence": decision.confidence}
        )
    if settings.when_asked == "recommendation" and (policy := decide_by_policy(question)) is not None:
        get_run_logger().warning(
            "Below the threshold (%.0f%% < %.0f%%), answered by policy: %s -> %s",
            question.confidence * 100,
            settings.escalation_threshold * 100,
            question.question,
            policy.answer,
        )
        return keep_answer(ports, question, policy)
    escalation = escalate(ports, question)
    if escalation.status == "answered":
        return kept_answer(ports, question)
    unattended = settings.when_asked == "recommendation" and question.kind is Kind.BUDGET  # nobody is there to pay
    if settings.when_asked == "set_aside" or unattended:
        mirror_open(ports, escalation.model_copy(update={"status": "set_aside"}))
        return kept_answer(ports, question)
    if frees_worker(settings):
        return None
    with tagged_as_waiting(UUID(escalation.flow_run)):
        answer = ask_person(project, escalation, subject)
    show_needs(ports)
    return answer


def escalate(ports: Ports, question: Question) -> Escalation:
    """The question as an escalation of this flow run, mirrored for everybody who looks, and its people told.

    One that is open since an earlier run keeps its beginning and its deadline, so that it ends. What somebody gave
    in a form of that run counts, though its process died before reading it; a deadline that has passed meanwhile takes
    the default.
    """
    supersede(ports, question)
    before = mirrored(ports, question.id)
    now, ended = datetime.now(UTC), False
    if before is not None and before.status in ("pending", "set_aside"):
        take_in_left(ports, before)
        ended = end_if_overdue(ports, before)
        before = mirrored(ports, question.id) or before
    if before is not None and before.status == "answered":
        return before
    going_on = before is not None and before.status in ("pending", "set_aside") and not ended
    deadline = now + timedelta(hours=ports.config.settings.answer_within_hours)
    escalation = Escalation(
        id=question.id,
        question=question,
        severity=SEVERITY[question.kind],
        created=before.created if before and going_on else now.isoformat(timespec="seconds"),
        deadline=before.deadline if before and going_on else deadline.isoformat(timespec="seconds"),
        default="" if question.kind in GATES else question.recommendation,
        audience=tuple(audience(question, ports.config.people)),
        project_name=ports.config.project.name,
        flow_run=str(flow_run.get_id() or ""),
        link=_link(ports),
    )
    escalation = mirror_open(ports, escalation)
    if escalation.status != "answered":
        tell(ports, escalation)
        set_alarm(ports, [escalation])
    show_needs(ports)
    return escalation


def _link(ports: Ports) -> str:
    """Where the form is shown: this run's page, or that of the top run when it is the one that is suspended."""
    own, url = str(flow_run.get_id() or ""), str(flow_run.ui_url or "")
    return url.replace(own, root_run()) if own and frees_worker(ports.config.settings) else url


def ask_person(project: ProjectRef, escalation: Escalation, subject: Subject | None = None) -> Answer | None:
    """Pause this flow run until a person, or the deadline, has answered; a wrong answer is refused and asked again."""
    ports = ports_for(project)
    complaint, tries = "", 0
    while True:
        given = _pause(ports, escalation, complaint, f"{escalation.id}-{tries}")
        tries += 1
        kept, now = kept_answer(ports, escalation.question), mirrored(ports, escalation.id)
        if kept is None and now is not None and now.status != "pending":
            return None
        if subject is not None and subject() != escalation.question.subject:
            return settle(project, escalation.question, subject=subject)  # what they saw is not what is there now
        if kept is not None:
            return kept
        complaint = "" if given is None else take_in(ports, escalation, given)
        if not complaint and given is not None and getattr(given, "notes", "") != WOKEN:
            return kept_answer(ports, escalation.question)


def take_in(ports: Ports, escalation: Escalation, given: RunInput) -> str:
    """Submit what a form holds; "" when it holds or nobody filled it in, else what to say to the next one who looks."""
    notes = str(getattr(given, "notes", ""))
    if notes == WOKEN:
        return ""
    answer = Given(
        answer=str(getattr(given, "answer", "")),
        by=str(getattr(given, "by", OWNER)),
        channel="form",
        notes=notes,
        digest=escalation.question.subject,
    )
    ruling = submit(ports, escalation.id, answer)
    return ruling.reason if ruling.verdict != "holds" else ""


def take_in_left(ports: Ports, escalation: Escalation) -> None:
    """Submit what was given in forms of this question, though the process that showed them may never have read it."""
    for given in left_forms(escalation):
        take_in(ports, escalation, given)


def _pause(ports: Ports, escalation: Escalation, complaint: str, key: str) -> RunInput | None:
    """What the form was filled in with; None when the run was resumed without any input."""
    run_id = UUID(flow_run.get_id())
    left = datetime.fromisoformat(escalation.deadline) - datetime.now(UTC)
    answered = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(ports, escalation, run_id, answered), name=f"watch {escalation.id}", daemon=True
    )
    watcher.start()
    timeout_s = int(max(left, timedelta()).total_seconds() + PATIENCE.total_seconds())
    try:
        return pause(form(escalation, complaint), key=key, timeout_s=timeout_s, poll_s=POLL_SECONDS)
    finally:
        answered.set()


def _watch(ports: Ports, escalation: Escalation, run_id: UUID, answered: threading.Event) -> None:
    """Wake the paused run once its question is decided on the shelf, cancelled, or out of time; remind people.

    Another run's answer to the same question may be there before this run is paused: so it is woken until it is awake.
    """
    next_reminder = time.monotonic() + REMIND_SECONDS
    while not answered.wait(POLL_SECONDS):
        with suppress(OSError):
            now = mirrored(ports, escalation.id) or escalation
            decided = kept_answer(ports, escalation.question) is not None or now.status != "pending"
            if decided or end_if_overdue(ports, now):
                wake(run_id, escalation)
            elif time.monotonic() >= next_reminder:
                next_reminder = time.monotonic() + REMIND_SECONDS
                tell(ports, now)
