"""How is a Prefect server started on this machine, and ended with the process that needs it?"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from storyloom.domain.errors import InputError, StoryloomError

from .environment import prefect_settings, usable_home

START_SECONDS = 120.0
DRAIN_SECONDS = 5.0
APP = "storyloom.deployments.prefect_app:create_app"
PR_SET_PDEATHSIG = 1
TOGETHER = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
"""Steps of runs are recorded together, once a second; one transaction for each change of state is Prefect's default."""


class ServerError(StoryloomError):
    """The Prefect server did not start."""


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Refuse a port that is taken.

    Raises:
        InputError: somebody listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(
                f"Port {port} on 127.0.0.1 is in use.", remedy="Choose another with --port, or 0 for any free one."
            ) from error


def die_with_parent() -> None:
    """Called in a child before it starts: the kernel ends it when its parent ends (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start_child(
    command: Sequence[str], env: Mapping[str, str], log: Path, *, detached: bool = False
) -> subprocess.Popen[bytes]:
    """Start a helper process whose output goes to `log` and which ends with this process, unless `detached`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            list(command),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=None if detached else die_with_parent,
        )


def stop_child(process: subprocess.Popen[bytes], grace_s: float = 8.0) -> None:
    """End a helper process and its group: politely, then for good."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str, log: Path, limit_s: float
) -> None:
    """Wait until `ready()`; say why when the process ends first or time runs out.

    Raises:
        ServerError: with the end of the log.
    """
    until = time.monotonic() + limit_s
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            tail = log.read_text(errors="replace")[-600:] if log.exists() else ""
            how = (
                f"ended with exit code {process.returncode}" if process.poll() is not None else "did not answer in time"
            )
            raise ServerError(f"{what} {how}. Its last words: {tail.strip() or '(none)'}", remedy=f"See {log}.")
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a loopback URL answers with a success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 - our own loopback address
            return bool(reply.status < 300)
    except (urllib.error.URLError, OSError, ValueError):
        return False


@contextlib.contextmanager
def prefect_server(home: Path, port: int = 0, *, keep: bool = False) -> Iterator[str]:
    """A Prefect server on loopback for the time of the block; gives its API URL.

    A server that an earlier call kept (`keep=True`) for the same home is used again.

    Raises:
        InputError: the port is taken, or `home` cannot be written.
        ServerError: it did not start.
    """
    note = usable_home(home) / "prefect-server.json"
    if (url := _running(note)) is not None:
        yield url
        return
    if port:
        require_free(port)
    port = port or free_port()
    url = f"http://127.0.0.1:{port}/api"
    log = home / "logs" / "prefect-server.log"
    env = {**TOGETHER, **os.environ, **prefect_settings(home, url), "PREFECT_SERVER_API_HOST": "127.0.0.1"}
    env.update(PREFECT_SERVER_LOGGING_LEVEL="WARNING", PREFECT_UI_API_URL=url, PREFECT_SERVER_UI_API_URL=url)
    env.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "uvicorn", "--factory", APP]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    process = start_child(command, env, log, detached=keep)
    try:
        wait_until(lambda: answers(f"{url}/health"), process, "The Prefect server", log, START_SECONDS)
        if keep:
            note.write_text(json.dumps({"url": url, "pid": process.pid}))
        yield url
    except BaseException:
        stop_child(process)
        note.unlink(missing_ok=True)
        raise
    if not keep:
        stop_child(process)


def drain() -> None:
    """Send the logs and events that this process still holds for the server."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DRAIN_SECONDS)


def _running(note: Path) -> str | None:
    try:
        url = str(json.loads(note.read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None
    return url if answers(f"{url}/health") else None


def stop_kept(home: Path) -> bool:
    """End a server that was kept; whether there was one."""
    note = home / "prefect-server.json"
    try:
        pid = int(json.loads(note.read_text())["pid"])
        os.killpg(pid, signal.SIGTERM)
    except (OSError, ValueError, KeyError):
        note.unlink(missing_ok=True)
        return False
    note.unlink(missing_ok=True)
    return True
