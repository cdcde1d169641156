"""One holder moves the main line, one process orchestrates; both may take what they hold again."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from storyloom.deployments.lane import ReentrantLock, SharedLease
from storyloom.domain.errors import LeaseTaken


def test_the_lane_is_taken_again_by_its_thread_and_waited_for_by_others(tmp_path: Path):
    lane, order = ReentrantLock(tmp_path / "lane"), list[str]()
    held, go = threading.Event(), threading.Event()

    def other() -> None:
        held.wait()
        with lane.held():
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with lane.held(), lane.held():
        held.set()
        go.wait(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "other"]


def test_the_lane_is_free_again_after_an_error(tmp_path: Path):
    lane = ReentrantLock(tmp_path / "lane")
    with pytest.raises(ZeroDivisionError), lane.held():
        raise ZeroDivisionError
    with lane.held():
        pass


def test_a_second_process_is_refused_and_told_who_the_first_is(tmp_path: Path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom storyloom.deployments.lane import SharedLease\n"
        "with SharedLease(Path(sys.argv[1])).held():\n    print('mine', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    lease = SharedLease(tmp_path)
    try:
        assert other.stdout.readline().strip() == "mine"
        with pytest.raises(LeaseTaken, match=str(other.pid)), lease.held():
            pass
    finally:
        other.stdin.close()
        other.wait(20)
        other.stdout.close()
    with lease.held(), SharedLease(tmp_path).held():
        pass
