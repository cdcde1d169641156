"""What is to be done for a project's questions now: tell people again, end what is overdue, wake who sleeps past it?"""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
from prefect.settings import PREFECT_API_URL

from ..domain.escalations import Escalation
from ..tasks.alarm import OPEN, set_alarm
from ..tasks.answers import end_if_overdue, overdue
from ..tasks.notify import tell
from ..tasks.ports import Ports
from ..tasks.questions import escalations, mirrored
from .asking import take_in_left
from .waking import wake_for, wake_overslept


def look_after(ports: Ports, moment: datetime | None = None) -> list[str]:
    """What was done, a line each; Prefect is told before when the next thing is due, whatever becomes of this."""
    now, done = moment or datetime.now(UTC), list[str]()
    asked = [one for one in escalations(ports) if one.status in OPEN]
    set_alarm(ports, asked, now)
    for escalation in asked:
        if told := tell(ports, escalation, now):
            done.append(f"{escalation.id}: told {', '.join(told)}")
        if overdue(ports, escalation, now) and not forms_read(ports, escalation):
            continue  # somebody may have filled one in: its time is up when that is known
        if end_if_overdue(ports, escalation, now):
            after = mirrored(ports, escalation.id)
            if after is not None and after.status != escalation.status:
                woken = wake_for(ports, escalation) if PREFECT_API_URL.value() else "unreached"
                done.append(f"{escalation.id}: its time is up, it is {after.status}; {SAID[woken]}")
    if PREFECT_API_URL.value():
        done += [f"run {run_id}: goes on" for run_id in wake_overslept(ports)]
    return done


def forms_read(ports: Ports, escalation: Escalation) -> bool:
    """Take in what was given in a form that no process read; False when the server cannot be asked."""
    try:
        if PREFECT_API_URL.value():
            take_in_left(ports, escalation)
    except httpx.HTTPError:
        return False
    return True


SAID = {
    "goes on": "the run goes on",
    "kept": "the run reads it when it is started again",
    "unreached": "the run was not reached",
}
