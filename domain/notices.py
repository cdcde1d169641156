"""Who is told of a question, through which channels, and when again?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from .approvals import audience
from .budget import Alert
from .escalations import Escalation, plain
from .model_calls import Value
from .settings import Notify, Person

Moment = Literal["asked", "reminder", "overdue"]
Severity = Literal["critical", "important", "normal"]
TITLE: dict[Moment, str] = {"asked": "A question waits", "reminder": "Still waiting", "overdue": "Overdue"}
INTERVAL = {"critical": 1.0, "important": 4.0, "normal": 24.0}
"""Hours between reminders where the project does not say."""


class Notice(Value):
    """One message to some channels. `key` is the same for the same moment, so that it is sent once."""

    key: str
    moment: Moment | Literal["budget"]
    channels: tuple[str, ...]
    title: str
    body: str
    severity: str


def notice(escalation: Escalation, moment: Moment, number: int, notify: Notify, people: Sequence[Person]) -> Notice:
    """The message for a moment: to the severity's channels and the people's own; once overdue, to admins as well."""
    names = audience(escalation.question, people)
    able = [p for p in people if p.name in names]
    told = able if moment == "overdue" else ([p for p in able if p.role != "admin"] or able)
    channels = [*getattr(notify, escalation.severity), *(c for p in told for c in p.notify)]
    question = escalation.question
    lines = [plain(question.question)]
    if question.options:
        lines.append("Choices: " + ", ".join(plain(option) for option in question.options))
    if question.recommendation:
        lines.append(f"Would do: {plain(question.recommendation)} ({question.confidence:.0%})")
    if end := ends_at(escalation, notify, people):
        lines.append(f"Until {end.isoformat()}: then {plain(escalation.default) or 'the work is set aside'}")
    lines.append(f"Answer: storyloom escalations answer {escalation.id}")
    if escalation.link:
        lines.append(escalation.link)
    return Notice(
        key=f"{escalation.id}/{escalation.created}/{moment}-{number}",
        moment=moment,
        channels=tuple(dict.fromkeys(channels)),
        title=f"{TITLE[moment]}: {plain(question.question)[:80]}",
        body="\n".join(lines),
        severity=escalation.severity,
    )


def budget_notice(alert: Alert, notify: Notify, key: str) -> Notice:
    """The message that a scope has spent so much of its cap: the fuller, the more severe."""
    severity: Severity = "critical" if alert.level >= 100 else "important" if alert.level >= 80 else "normal"
    spent, cap = (
        (f"${alert.spent:,.4f}", f"${alert.cap:,.2f}")
        if alert.unit == "dollars"
        else (f"{alert.spent:,f}", f"{alert.cap:,f} tokens")
    )
    title = f"{alert.level} % of a budget spent: {alert.scope.kind}"
    return Notice(
        key=f"budget/{key}",
        moment="budget",
        channels=tuple(getattr(notify, severity)),
        title=title,
        body=f"The {alert.scope} has used {alert.level} % of its budget: {spent} of {cap}.",
        severity=severity,
    )


def ends_at(escalation: Escalation, notify: Notify, people: Sequence[Person]) -> datetime | None:
    """When the question ends without an answer: at its deadline, or later where a next person is told of it then.

    That person has as long as there is between two reminders. None where there is no deadline.
    """
    if not escalation.deadline:
        return None
    deadline = datetime.fromisoformat(escalation.deadline)
    names = audience(escalation.question, people)
    roles = {p.role == "admin" for p in people if p.name in names}
    return deadline + between(escalation, notify) if len(roles) == 2 else deadline


def between(escalation: Escalation, notify: Notify) -> timedelta:
    """The time between two reminders of a question."""
    return timedelta(hours=notify.remind_every_hours or INTERVAL[escalation.severity])


def next_moment(escalation: Escalation, notify: Notify, people: Sequence[Person], now: datetime) -> datetime | None:
    """When something is to be done for an open question next: tell people again, or end it. None: never again."""
    moments = []
    if escalation.deadline:
        moments.append(datetime.fromisoformat(escalation.deadline))
    if (end := ends_at(escalation, notify, people)) is not None:
        moments.append(end)
    created, every = datetime.fromisoformat(escalation.created), between(escalation, notify)
    number = max(0, int((now - created) / every)) + 1
    if number <= notify.reminders:
        moments.append(created + number * every)
    return min((moment for moment in moments if moment > now), default=None)


def due(escalation: Escalation, notify: Notify, now: datetime) -> tuple[Moment, int] | None:
    """The last moment that has come, with its number; None before the question was asked."""
    created = datetime.fromisoformat(escalation.created)
    deadline = datetime.fromisoformat(escalation.deadline) if escalation.deadline else None
    if deadline is not None and now >= deadline:
        return "overdue", 0
    every = between(escalation, notify)
    if now < created:
        return None
    passed = int((now - created) / every)
    return ("asked", 0) if passed == 0 or not notify.reminders else ("reminder", min(passed, notify.reminders))
