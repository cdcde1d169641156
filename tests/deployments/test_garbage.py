"""Garbage is collected by a thread of its own, so that nobody else waits for what it waits for."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from storyloom.deployments import garbage
from storyloom.deployments.garbage import collect_apart

WAIT_S = 20


class Leftover:
    """Garbage that only a collection finds; it says which thread took it apart, and may be held up by `until`."""

    def __init__(self, taken: list[str], until: threading.Event) -> None:
        self.me, self.taken, self.until = self, taken, until

    def __del__(self) -> None:
        self.taken.append(threading.current_thread().name)
        self.until.wait(WAIT_S)


@pytest.fixture
def collecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Thread]:
    monkeypatch.setattr(garbage, "EVERY_S", 0.02)
    monkeypatch.setattr(garbage, "ALL_AFTER", 2)
    stop = threading.Event()
    thread = collect_apart(stop.wait)
    yield thread
    stop.set()
    thread.join(WAIT_S)
    gc.enable()
    gc.unfreeze()
    assert not thread.is_alive()


def test_what_holds_up_the_collection_holds_up_no_other_thread(collecting):
    taken, until = list[str](), threading.Event()
    Leftover(taken, until)
    for _ in range(400):
        kept = [[] for _ in range(1000)]  # far more than makes Python collect by itself
        if taken:
            break
        time.sleep(0.01)
    assert taken == ["garbage"]
    assert len(kept) == 1000
    until.set()


def test_all_generations_are_collected(collecting):
    taken, until = list[str](), threading.Event()
    until.set()
    old = Leftover(taken, until)
    gc.collect()  # what survives is old
    del old
    for _ in range(400):
        if taken:
            break
        time.sleep(0.01)
    assert taken == ["garbage"]


def test_our_server_does_so(tmp_path: Path):
    program = (
        "import gc, threading\n"
        "from storyloom.deployments import prefect_app\n"
        "app = prefect_app.create_app()\n"
        "print(gc.isenabled(), [one.name for one in threading.enumerate() if one.name == 'garbage'])\n"
    )
    env = {**os.environ, "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "False ['garbage']"
