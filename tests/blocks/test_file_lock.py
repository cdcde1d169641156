"""One holder at a time, among threads and processes, and the lock goes with its last holder."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from storyloom.blocks.file_lock import exclusive
from storyloom.domain.errors import LockTimeout

TAKE = "import subprocess, sys; from storyloom.blocks.file_lock import exclusive\nwith exclusive(sys.argv[1]) as held: "
HOLD = TAKE + "print('held', flush=True); sys.stdin.read()"
HAND_ON = TAKE + (
    "child = subprocess.Popen(['sleep', '600'], pass_fds=(held,)); print(child.pid, flush=True); sys.stdin.read()"
)


def holding(program: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_another_thread_and_another_process_wait_their_turn(tmp_path: Path):
    path = tmp_path / "lock"
    with exclusive(path):
        caught = []

        def attempt() -> None:
            with pytest.raises(LockTimeout, match="thread"), exclusive(path, timeout_s=0.05):
                pass
            caught.append(True)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        assert caught
    with holding(HOLD, path) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockTimeout, match="process"), exclusive(path, timeout_s=0.05):
            pass
        child.kill()
    with exclusive(path, timeout_s=5):
        pass


def test_a_child_that_was_given_the_lock_outlives_a_killed_parent_with_it(tmp_path: Path):
    with holding(HAND_ON, tmp_path / "lock") as parent:
        assert parent.stdout
        orphan = int(parent.stdout.readline())
        parent.kill()
    try:
        with pytest.raises(LockTimeout), exclusive(tmp_path / "lock", timeout_s=0.1):
            pass
    finally:
        subprocess.run(["kill", "-9", str(orphan)], check=True)
    with exclusive(tmp_path / "lock", timeout_s=10):
        pass
