"""How does a task leave its mark: events for the warehouse, artifacts for the UI?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from prefect.runtime import flow_run

from ..domain.events import Event
from ..domain.model_calls import CallTags
from .ports import Ports

_root: ContextVar[str] = ContextVar("root_run", default="")


def tags_for(ports: Ports, **more: Any) -> CallTags:
    """Where a call or an event belongs: the project, the root flow run, and what the caller knows."""
    return CallTags(project=ports.config.project.name, run=root_run(), **more)


def root_run() -> str:
    """The id of the root flow run, "" outside of any; asked of the server once for each flow run."""
    return _root.get() or _root_of(str(flow_run.get_id() or ""))


@contextmanager
def below_one_root() -> Iterator[None]:
    """Everything below the current flow run, in all its threads, has the same root: finding it costs four requests."""
    token = _root.set(root_run())
    try:
        yield
    finally:
        _root.reset(token)


@lru_cache(maxsize=4096)
def _root_of(run: str) -> str:
    return str(flow_run.get_root_flow_run_id() or run) if run else ""


def event_key(*parts: object) -> str:
    """An idempotency key that follows from what happened, so that the same thing is counted once."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def record(ports: Ports, event: Event) -> None:
    """Append an event to the spool."""
    ports.recorder.record(event)
