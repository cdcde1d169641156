"""A project in memory with a question in it, or one in a git repository with stories, for tests that run real flows."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.method_texts import MethodTexts
from storyloom.blocks.project_files import ProjectFiles
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.escalations import Escalation, Question
from storyloom.domain.events import Event
from storyloom.domain.fakes import MemoryShelf, ScriptedModels, ScriptedSandbox
from storyloom.domain.model_calls import ModelReply, ModelRequest, ToolCall
from storyloom.domain.ports import CommandResult, ProjectRef
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


PASSED = CommandResult(exit_code=0, output="Ran 1 test in 0.001s\n\nOK\n")
FAILED = CommandResult(exit_code=1, output="FAIL: test_it\n\nRan 1 test in 0.001s\n\nFAILED (failures=1)\n")


def git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder; commits are of somebody called t."""
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, check=True, env=dict(os.environ), capture_output=True, text=True).stdout


def planned(number: int, files: str, *, after: str = "None", title: str = "Part") -> str:
    """A story as the epics document plans it."""
    return f"### Story 1.{number}: {title}\n\n**Prerequisites:** {after}\n\n**Files:** {files}\n"


def epics(*stories: str) -> dict[str, str]:
    """The epics document with one epic of these stories, by its path."""
    return {"docs/epics.md": "## Epic 1: Parts\n\n" + "\n".join(stories)}


def committed_ports(
    folder: Path,
    files: Mapping[str, str],
    model: Callable[[ModelRequest], ModelReply | str],
    tests: Callable[[str, str], CommandResult] = lambda *_: PASSED,
    config: Mapping[str, Any] | None = None,
    **more: Any,
) -> Ports:
    """Ports on a repository with one commit of these files, a scripted model and tests; again: as after a restart."""
    repository = folder / "repo"
    if not repository.exists():
        for path, text in files.items():
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            (repository / path).write_text(text)
        for line in ("init -q -b main", "add -A", "commit -qm start"):
            git(repository, *line.split())
    given: dict[str, Any] = {
        "models": ScriptedModels(model),
        "workspace": GitWorkspace(str(repository), folder / "state", "storyloom/main"),
        "sandbox": ScriptedSandbox(tests),
        "files": ProjectFiles,
        "texts": MethodTexts(),
        "shelf": FileShelf(folder / "shelf"),
    }
    return project_ports(repository, config, **{**given, **more})


def calling(*calls: tuple[str, dict[str, Any]]) -> ModelReply:
    """A developer's reply with these tool calls."""
    return ModelReply(
        tool_calls=tuple(ToolCall(id=str(n), name=name, arguments=given) for n, (name, given) in enumerate(calls, 1))
    )


def writing(path: str, text: str) -> ModelReply:
    """A developer's reply that writes one file and is finished."""
    return calling(("write_file", {"path": path, "content": text}), ("run_tests", {}), ("finish", {"summary": "done"}))


def approving() -> ModelReply:
    """A reviewer's reply that finds nothing."""
    return ModelReply(parsed={"verdict": "approve", "summary": "fine", "criteria": [], "findings": []})


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
        thread.join(300)
        assert box, "the run did not end"
        return box[0]

    return join


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Return once it holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)
