"""A project in memory with a question in it, for tests that run real flows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from storyloom.domain.escalations import Escalation, Question
from storyloom.domain.events import Event
from storyloom.domain.fakes import MemoryShelf
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import ProjectConfig
from storyloom.tasks.ports import Ports
from storyloom.tasks.questions import escalations


class Recorded:
    """Keeps events in a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)


class SafeShelf(MemoryShelf):
    """The shelf in memory, for several threads."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def put_new(self, name: str, text: str) -> bool:
        with self.lock:
            if name in self.kept:
                return False
            self.kept[name] = text
            return True

    def names(self, prefix: str) -> list[str]:
        with self.lock:
            return sorted(name for name in self.kept if name.startswith(prefix))


def project_ports(tmp_path: Any, config: Mapping[str, Any] | None = None, **more: Any) -> Ports:
    project = ProjectRef(repository=str(tmp_path))
    given = {"shelf": SafeShelf(), "recorder": Recorded(), **more}
    return Ports(project, config=ProjectConfig.model_validate(config or {}), **given)


ASKED = Question(
    project="p",
    workflow="dev-story",
    story="1-2-x",
    step="turn 3",
    asked_by="amelia",
    question="Which alphabet?",
    options=("base58", "hex"),
    recommendation="base58",
    confidence=0.5,
)


def open_question(ports: Ports, seconds: float = 60) -> Escalation:
    """The open question, once there is one whose run is paused."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = [e for e in escalations(ports) if e.status == "pending"]
        if found and paused(found[0].flow_run):
            return found[0]
        time.sleep(0.1)
    raise AssertionError("nobody was asked")


def paused(run_id: str) -> bool:
    from prefect import get_client

    if not run_id:
        return False
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    return state is not None and state.is_paused()


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start the work in a thread with the test's Prefect settings; call the result to join it."""
    import contextvars

    context, box = contextvars.copy_context(), list[Any]()
    thread = threading.Thread(target=lambda: box.append(context.run(work)), daemon=True)
    thread.start()

    def join() -> Any:
        thread.join(120)
        assert box, "the run did not end"
        return box[0]

    return join


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Return once it holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)
