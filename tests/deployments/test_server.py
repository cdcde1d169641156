"""Processes that are started here are ended here."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from storyloom.deployments.server import (
    ServerError,
    answers,
    free_port,
    prefect_server,
    require_free,
    start_child,
    stop_child,
    stop_kept,
    wait_until,
)
from storyloom.domain.errors import InputError


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]


def test_a_taken_port_is_refused_with_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="--port"):
        require_free(taken.getsockname()[1])
    require_free(free_port())


def test_a_child_that_dies_early_is_told_with_its_last_words(tmp_path: Path):
    log = tmp_path / "log"
    process = start_child([sys.executable, "-c", "print('no luck'); raise SystemExit(3)"], os.environ, log)
    with pytest.raises(ServerError, match=r"(?s)exit code 3.*no luck"):
        wait_until(lambda: False, process, "The child", log, 30)


def test_a_child_that_never_answers_is_given_up(tmp_path: Path):
    process = start_child([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, tmp_path / "log")
    try:
        with pytest.raises(ServerError, match="did not answer in time"):
            wait_until(lambda: False, process, "The child", tmp_path / "log", 0.3)
    finally:
        stop_child(process)
    assert process.poll() is not None


def test_a_child_that_ignores_the_polite_signal_is_ended_all_the_same(tmp_path: Path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    log = tmp_path / "log"
    process = start_child([sys.executable, "-c", code], os.environ, log)
    wait_until(lambda: log.read_text() != "", process, "The child", log, 30)
    stop_child(process, grace_s=0.3)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: the kernel ends children of a killed parent there")
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path):
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom storyloom.deployments.server import start_child\n"
        "p = start_child([sys.executable, '-c', 'import time; time.sleep(60)'], os.environ, Path(sys.argv[1]))\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not alive(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


@pytest.mark.server
@pytest.mark.slow
def test_a_kept_server_is_found_again_and_ended_by_its_note(tmp_path: Path):
    with prefect_server(tmp_path, keep=True) as url:
        assert url.startswith("http://127.0.0.1:")
    try:
        assert answers(f"{url}/health")
        with prefect_server(tmp_path) as again:
            assert again == url
    finally:
        assert stop_kept(tmp_path)
    for _ in range(150):
        if not answers(f"{url}/health"):
            break
        time.sleep(0.1)
    assert not answers(f"{url}/health")
    assert not stop_kept(tmp_path)
