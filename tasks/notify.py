"""Who has been told of a question, and who is told now?"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from ..domain.escalations import Escalation
from ..domain.notices import Notice, due, notice
from .ports import Ports

log = logging.getLogger(__name__)


def tell(ports: Ports, escalation: Escalation, moment: datetime | None = None) -> list[str]:
    """The channels that were told now; each moment of a question is told once, whichever process gets there first.

    A channel that cannot be reached never holds the work up: the reason is logged and kept beside the question.
    """
    found = due(escalation, ports.config.notify, moment or datetime.now(UTC))
    if found is None or escalation.status != "pending":
        return []
    return send(ports, notice(escalation, *found, ports.config.notify, ports.config.people))


def send(ports: Ports, message: Notice) -> list[str]:
    """The channels that took the message now; each channel gets each message once."""
    if not ports.notifier:
        return []
    told = []
    for channel in message.channels:
        name = f"notices/{message.key}/{channel}"
        if not ports.shelf.put_new(name, "sending"):
            continue
        trouble = ports.notifier.send(channel, message.title, message.body, message.severity)
        ports.shelf.put(name, trouble or "sent")
        if trouble:
            log.warning("%s was not told: %s", channel, trouble)
        else:
            told.append(channel)
    return told
