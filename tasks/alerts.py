"""Who hears that half, most or all of a budget is spent?"""

from __future__ import annotations

import logging

from ..domain.budget import Alert
from ..domain.errors import StoryloomError
from ..domain.events import BudgetAlerted
from ..domain.notices import budget_notice
from .notify import being_sent, send
from .ports import Ports
from .recording import event_key, record, tags_for
from .waiting import show_needs

log = logging.getLogger(__name__)
TOLD = "budget-alerts/"
"""Which alerts have been passed on, by their keys."""


def tell_of_budget(ports: Ports, alert: Alert) -> list[str]:
    """Record that a cap is so far spent and tell the channels of its severity, once; the channels that were told.

    Called between a paid answer and its use: whatever goes wrong here is logged and holds nothing up. Called again
    whenever the project is opened, for what a killed process may not have passed on.
    """
    key = event_key("budget", alert.scope, alert.unit, alert.level, alert.cap.normalize())
    if ports.shelf.get(TOLD + key) is not None:
        return []
    message = budget_notice(alert, ports.config.notify, key)
    log.warning("%s", message.body)
    try:
        record(
            ports,
            BudgetAlerted(
                event_id=key,
                tags=tags_for(ports),
                scope=str(alert.scope),
                level=alert.level,
                unit=alert.unit,
                spent=float(alert.spent),
                cap=float(alert.cap),
            ),
        )
        told = send(ports, message)
        if not being_sent(ports, message):
            ports.shelf.put(TOLD + key, message.body)
        show_needs(ports)
        return told
    except (StoryloomError, OSError) as error:
        log.warning("Nobody could be told of it: %s", error)
        return []
