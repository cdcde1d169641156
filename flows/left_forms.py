"""Did somebody fill in a form whose process was dead by then, so that nobody has read the answer?"""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import FlowRunInput
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import RunInput
from pydantic import ValidationError

from ..domain.escalations import Escalation
from .forms import form
from .waking import runs_above

MOST = 200
"""Inputs of one run that are looked at; each form has three."""


def left_forms(escalation: Escalation) -> list[RunInput]:
    """What was given in this question's forms, oldest first: those of the run that asked and of the runs above it.

    Raises:
        httpx.TransportError: the server could not be reached.
    """
    if not escalation.flow_run:
        return []
    model, inputs = form(escalation), list[FlowRunInput]()
    with suppress(PrefectHTTPStatusError), get_client(sync_client=True) as client:  # a run may be deleted by now
        for run in runs_above(UUID(escalation.flow_run)):
            for state in ("paused", "suspended"):
                inputs += client.filter_flow_run_input(run.id, f"{state}-{escalation.id}-", MOST, set())
    found = []
    for one in sorted((i for i in inputs if i.key.endswith("-response")), key=lambda i: (len(i.key), i.key)):
        with suppress(ValidationError):  # a form that looked otherwise then: its answer does not fit any more
            found.append(model.load_from_flow_run_input(one))
    return found
