"""Who has been told of a question, and who is told now?"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from ..domain.escalations import Escalation
from ..domain.notices import Notice, due, notice
from .ports import Ports

log = logging.getLogger(__name__)
SENDING = "sending"
SENDS_WITHIN = timedelta(minutes=5)
"""Whoever has not sent a message by then is dead."""


def tell(ports: Ports, escalation: Escalation, moment: datetime | None = None) -> list[str]:
    """The channels that were told now; each moment of a question is told once, whichever process gets there first.

    A channel that cannot be reached never holds the work up: the reason is logged and kept beside the question.
    """
    found = due(escalation, ports.config.notify, moment or datetime.now(UTC))
    if found is None or escalation.status not in ("pending", "set_aside"):
        return []
    return send(ports, notice(escalation, *found, ports.config.notify, ports.config.people))


def send(ports: Ports, message: Notice) -> list[str]:
    """The channels that took the message now; each channel gets each message once, twice if its sender was killed."""
    if not ports.notifier:
        return []
    told = []
    for channel in message.channels:
        name = _name(message, channel)
        claim = f"{SENDING} {datetime.now(UTC).isoformat(timespec='seconds')}"
        if not ports.shelf.put_new(name, claim):
            if not _given_up(ports.shelf.get(name) or ""):
                continue
            ports.shelf.put(name, claim)
        trouble = ports.notifier.send(channel, message.title, message.body, message.severity)
        ports.shelf.put(name, trouble or "sent")
        if trouble:
            log.warning("%s was not told: %s", channel, trouble)
        else:
            told.append(channel)
    return told


def being_sent(ports: Ports, message: Notice) -> bool:
    """Whether somebody has begun to send the message to one of its channels, and not said how that ended."""
    kept = (ports.shelf.get(_name(message, channel)) for channel in message.channels)
    return any(text is not None and text.startswith(SENDING) for text in kept)


def _given_up(text: str) -> bool:
    begun = text.removeprefix(SENDING).strip()
    return text.startswith(SENDING) and (not begun or datetime.now(UTC) - datetime.fromisoformat(begun) > SENDS_WITHIN)


def _name(message: Notice, channel: str) -> str:
    return f"notices/{message.key}/{channel}"
