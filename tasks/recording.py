"""How does a task leave its mark: events for the warehouse, artifacts for the UI?"""

from __future__ import annotations

import hashlib
from typing import Any

from prefect.runtime import flow_run

from ..domain.events import Event
from ..domain.model_calls import CallTags
from .ports import Ports


def tags_for(ports: Ports, **more: Any) -> CallTags:
    """Where a call or an event belongs: the project, the root flow run, and what the caller knows."""
    run = flow_run.get_root_flow_run_id() or flow_run.get_id() or ""
    return CallTags(project=ports.config.project.name, run=str(run), **more)


def event_key(*parts: object) -> str:
    """An idempotency key that follows from what happened, so that the same thing is counted once."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def record(ports: Ports, event: Event) -> None:
    """Append an event to the spool."""
    ports.recorder.record(event)
