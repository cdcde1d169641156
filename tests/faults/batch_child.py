"""What is killed: a process that imports everything once, then forks a fresh orchestrator for each line on its input.

A line is {"folder": …, "base_url": …, "kill_at": N}. The orchestrator counts the boundaries of all effects (before and
after each one) in `folder.boundaries` and kills itself with SIGKILL at number `kill_at`, 0 for never; with "kill_name"
only boundaries of that name count; with "fill" it fills the folder's disk there instead and goes on. With "together":
N, nobody enters the main line before N stories wait for it. The answer is the exit status, -9 when killed. The product
knows nothing of this: its methods are wrapped here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prefect.events.clients import NullEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from storyloom.blocks import git as git_module
from storyloom.blocks import git_workspace
from storyloom.blocks.call_journal import CallJournal
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.openai_route import OpenAIRoute
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.blocks.shelf import FileShelf
from storyloom.blocks.spool import Spool
from storyloom.blocks.unsandboxed import UnsandboxedRunner
from storyloom.deployments.composition import compose
from storyloom.deployments.environment import Environment
from storyloom.deployments.reaper import end_orphans
from storyloom.domain.ports import ProjectRef
from storyloom.domain.wire import Endpoint
from storyloom.flows.implementation import implementation
from storyloom.tasks.develop_turn import develop_turn
from storyloom.tasks.lines import line_of
from storyloom.tasks.ports import Ports, ports_for, use
from storyloom.tasks.review_story import review_story
from storyloom.tasks.verification import run_tests

EFFECTS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (OpenAIRoute, ("send",)),
    (CallJournal, ("begin", "end")),
    (GitWorkspace, ("open", "checkpoint", "rebase", "merge_all", "commit_files", "abandon")),
    (UnsandboxedRunner, ("run",)),
    (BubblewrapSandbox, ("run",)),
    (FileShelf, ("put", "put_new")),
    (Spool, ("record",)),
)
LATE = (  # what the product and its libraries import late, and every fork would import anew: a second of CPU time
    *("anyio._backends._asyncio", "distro", "fastapi", "graphviz", "openai.resources.chat", "openai.types.chat"),
    *("prefect.engine", "prefect.telemetry.run_telemetry"),
)
FINE = ("update-ref", "commit-tree", "worktree")  # git commands inside of those that are boundaries too


class Boundaries:
    """Counts what happens, and does at the chosen number what is chosen."""

    def __init__(self, log: Path, kill_at: int, kill_name: str, then: Callable[[], None]) -> None:
        self._log, self._kill_at, self._kill_name, self._count = log.open("a"), kill_at, kill_name, 0
        self._lock, self._then = threading.Lock(), then

    def passed(self, name: str) -> None:
        with self._lock:
            self._count += self._kill_name in ("", name)
            self._log.write(name + "\n")
            self._log.flush()
            if self._count == self._kill_at and self._kill_name in ("", name):
                self._then()

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.passed(f"before {name}")
            result = function(*args, **kwargs)
            self.passed(f"after {name}")
            return result

        return wrapped


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill(folder: Path) -> None:
    """Leave no room on the disk of a folder, and nobody the patience to wait for some."""
    develop_turn.retries = review_story.retries = run_tests.retries = 0
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def place(boundaries: Boundaries) -> None:
    for kind, names in EFFECTS:
        for name in names:
            setattr(kind, name, boundaries.around(f"{kind.__name__}.{name}", getattr(kind, name)))
    run = git_module.Git.run

    def fine(self: Any, *arguments: str, **more: Any) -> Any:
        if arguments[0] not in FINE or arguments[1:2] == ("list",):
            return run(self, *arguments, **more)
        return boundaries.around(f"git {arguments[0]}", functools.partial(run, self))(*arguments, **more)

    git_module.Git.run = fine  # type: ignore[method-assign, assignment]
    git_workspace.merge_into = boundaries.around("one merge", git_workspace.merge_into)


def gathered(ports: Ports, together: int) -> Ports:
    """Ports whose lane opens once so many stories wait for it."""

    @contextlib.contextmanager
    def integrating() -> Iterator[None]:
        until = time.monotonic() + 120
        while len(line_of(ports.project, "integration")._standing) < together:
            if time.monotonic() > until:
                raise TimeoutError(f"There never were {together} stories that waited.")
            time.sleep(0.01)
        with ports.integrating():
            yield

    return dataclasses.replace(ports, integrating=integrating) if together else ports


def orchestrate(job: dict[str, Any]) -> bool:
    """One run of the batch, as the command line would start it; whether all stories are done."""
    folder = Path(job["folder"])
    then = functools.partial(fill, folder) if job["fill"] else end
    place(Boundaries(folder.with_suffix(".boundaries"), job["kill_at"], job["kill_name"], then))
    environment = Environment(home=folder / "home", keys={"openai": "none"}, mode="rehearsal")
    routes = {"*": OpenAIRoute(Endpoint(api_key="none", base_url=job["base_url"]))}  # type: ignore[arg-type]

    def factory(project: ProjectRef) -> Ports:
        return gathered(compose(project, environment, routes), job["together"])

    project = ProjectRef(repository=str(folder / "project"))
    with use(factory), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        end_orphans(project)
        ports = ports_for(project)
        with ports.lease(), ports.lane():
            ports.workspace.recover()
        with ports.lease():
            report = implementation(project)
    folder.with_suffix(".report").write_text(report.model_dump_json(indent=1))
    return report.status in ("done", "already_done")


def main() -> None:
    for name in LATE:
        importlib.import_module(name)
    EventsWorker.set_client_override(NullEventsClient)  # nobody looks at the events of these batches
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.monotonic()
        child = os.fork()
        if not child:
            status = 3
            try:
                status = 0 if orchestrate(json.loads(line)) else 2
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, raw = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(raw)
        print(json.dumps({"code": code, "seconds": round(time.monotonic() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
