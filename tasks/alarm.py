"""When must somebody look after questions that nobody's process watches?  Prefect is told, and starts a run then.

A paused run watches its own question. A suspended one has no process, and a question that was set aside has no run at
all; a process can be killed, too. So whoever asks has the deployment `look-after-questions` started when the next
reminder or deadline is due, and that run sees to the one after it: nothing polls.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from prefect import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Scheduled

from ..domain.escalations import Escalation
from ..domain.notices import next_moment
from .ports import Ports

log = logging.getLogger(__name__)
DEPLOYMENT = "look-after-questions"
OPEN = ("pending", "set_aside")


def set_alarm(ports: Ports, asked: Sequence[Escalation], now: datetime | None = None) -> datetime | None:
    """The time at which Prefect will have these questions looked after; None when nothing is due, or nobody serves it.

    The same time is asked for once, whoever asks.
    """
    now, config = now or datetime.now(UTC), ports.config
    moments = [next_moment(e, config.notify, config.people, now) for e in asked if e.status in OPEN]
    due = min((moment for moment in moments if moment is not None), default=None)
    if due is None or not PREFECT_API_URL.value():
        return None
    at = due.replace(microsecond=0) + timedelta(seconds=1)
    repository = ports.project.repository
    try:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(f"{DEPLOYMENT}/{DEPLOYMENT}")
            client.create_flow_run_from_deployment(
                deployment.id,
                parameters={"repository": repository},
                state=Scheduled(scheduled_time=at),
                idempotency_key=f"{DEPLOYMENT} {repository} {at.isoformat()}",
            )
    except ObjectNotFound:
        return None
    except Exception as error:  # noqa: BLE001 - a question is asked although nobody can be called for its deadline
        log.warning("Nobody will look after the question at %s: %s", at, error)
        return None
    return at
