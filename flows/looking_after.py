"""What is to be done for a project's questions now: tell people again, end what is overdue, wake who sleeps past it?"""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.settings import PREFECT_API_URL

from ..tasks.alarm import OPEN, set_alarm
from ..tasks.answers import end_if_overdue
from ..tasks.notify import tell
from ..tasks.ports import Ports
from ..tasks.questions import escalations, mirrored
from .waking import wake_for, wake_overslept


def look_after(ports: Ports, moment: datetime | None = None) -> list[str]:
    """What was done, a line each; Prefect is told before when the next thing is due, whatever becomes of this."""
    now, done = moment or datetime.now(UTC), list[str]()
    asked = [one for one in escalations(ports) if one.status in OPEN]
    set_alarm(ports, asked, now)
    for escalation in asked:
        if told := tell(ports, escalation, now):
            done.append(f"{escalation.id}: told {', '.join(told)}")
        if end_if_overdue(ports, escalation, now):
            after = mirrored(ports, escalation.id)
            if after is not None and after.status != escalation.status:
                woken = wake_for(ports, escalation) if PREFECT_API_URL.value() else "unreached"
                done.append(f"{escalation.id}: its time is up, it is {after.status}; {SAID[woken]}")
    if PREFECT_API_URL.value():
        done += [f"run {run_id}: goes on" for run_id in wake_overslept(ports)]
    return done


SAID = {
    "goes on": "the run goes on",
    "kept": "the run reads it when it is started again",
    "unreached": "the run was not reached",
}
