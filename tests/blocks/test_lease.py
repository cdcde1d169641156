"""One orchestrator per project, and the second learns who the first is."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from storyloom.blocks.lease import Lease, LeaseHolder
from storyloom.domain.errors import LeaseTaken, StorageFull

HOLD = """
import sys
from storyloom.blocks.lease import Lease, LeaseHolder
lease = Lease(sys.argv[1])
lease.take()
print("held", flush=True)
sys.stdin.read()
lease.release()
"""


@contextlib.contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin
    assert child.stdout
    try:
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def test_a_second_orchestrator_is_refused_and_told_who_the_first_is(tmp_path: Path):
    with another_process(tmp_path) as first:
        with pytest.raises(LeaseTaken) as refusal:
            Lease(tmp_path).take()
        assert f"process {first.pid} on {os.uname().nodename}, since 2" in str(refusal.value)


def test_the_lease_of_a_killed_orchestrator_is_taken_over_at_once(tmp_path: Path):
    with another_process(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        with Lease(tmp_path) as lease:
            lease.check()
            assert lease.holder().pid == os.getpid()


def test_a_stopped_orchestrator_still_holds_its_lease(tmp_path: Path):
    with another_process(tmp_path) as first:
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(LeaseTaken):
            Lease(tmp_path).take()


def test_of_many_at_once_exactly_one_gets_it(tmp_path: Path):
    def attempt(_: int) -> Lease | None:
        lease = Lease(tmp_path)
        try:
            lease.take()
        except LeaseTaken:
            return None
        return lease

    for _ in range(10):
        with ThreadPoolExecutor(8) as pool:
            held = [lease for lease in pool.map(attempt, range(8)) if lease]
        assert len(held) == 1
        held[0].release()


def test_a_released_lease_is_free(tmp_path: Path):
    with Lease(tmp_path) as first, pytest.raises(LeaseTaken):
        Lease(tmp_path).take()
    first.release()
    with Lease(tmp_path):
        pass
    assert not (tmp_path / "lease.json").exists()


def test_another_hosts_lease_is_taken_over_only_once_it_no_longer_beats(tmp_path: Path):
    """Locks do not always reach other hosts: here the other host's lock is gone, its entry is not."""
    with Lease(tmp_path, host="far", renew_s=0.02) as far:
        (tmp_path / "lease.lock").unlink()
        for _ in range(3):  # renewed between two looks
            before = far.holder()
            with pytest.raises(LeaseTaken, match=r"on far.*try again in 0 s"):
                Lease(tmp_path, host="near", stale_s=0.01).take()
            while far.holder() == before:
                time.sleep(0.01)
        stale = (tmp_path / "lease.json").read_text()
    (tmp_path / "lease.json").write_text(stale)
    with pytest.raises(LeaseTaken, match="on far"):  # stands still, but is seen for the first time
        Lease(tmp_path, host="near", stale_s=0.2).take()
    with pytest.raises(LeaseTaken, match="on far"):
        Lease(tmp_path, host="near", stale_s=3600).take()
    time.sleep(0.2)
    with Lease(tmp_path, host="near", stale_s=0.2) as lease:
        assert lease.holder().host == "near"
    assert [path.name for path in tmp_path.iterdir()] == ["lease.lock"]


@pytest.mark.parametrize("seen", ["", "{}", '{"token": "other", "beat": 0, "boot": "before", "at": 0}'])
def test_what_was_seen_before_the_kernel_was_started_anew_does_not_count(tmp_path: Path, seen: str):
    entry = LeaseHolder(token="other", pid=1, host="far", since="yesterday")
    (tmp_path / "lease.json").write_text(entry.model_dump_json())
    (tmp_path / "lease.seen.json").write_text(seen)
    with pytest.raises(LeaseTaken, match="on far"):
        Lease(tmp_path, host="near", stale_s=0).take()
    with Lease(tmp_path, host="near", stale_s=0) as lease:
        assert lease.holder().host == "near"


def test_one_who_lost_the_lease_finds_out_and_leaves_the_new_entry_alone(tmp_path: Path):
    first = Lease(tmp_path, host="far", renew_s=0.01)
    first.take()
    (tmp_path / "lease.lock").unlink()
    entry = first.holder().model_copy(update={"token": "other", "host": "near"}).model_dump_json()
    for _ in range(100):  # against a renewal under way
        (tmp_path / "lease.json").write_text(entry)
        time.sleep(0.02)
        if (tmp_path / "lease.json").read_text() == entry:
            break
    with pytest.raises(LeaseTaken, match="on near"):
        first.check()
    first.release()
    assert (tmp_path / "lease.json").read_text() == entry


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0", '{"pid": "x"}'])
def test_a_torn_entry_keeps_nobody_out(tmp_path: Path, text: str):
    (tmp_path / "lease.json").write_text(text)
    with Lease(tmp_path) as lease:
        lease.check()


def test_the_clock_may_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Lease(tmp_path, host="far", renew_s=0.02):
        (tmp_path / "lease.lock").unlink()
        now = time.time()
        for jump in (-3600, 86_400):
            monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
            with pytest.raises(LeaseTaken):
                Lease(tmp_path, host="near", stale_s=3600).take()


def test_a_renewal_that_finds_no_room_does_not_end_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Lease(tmp_path, renew_s=0.01) as lease:
        before = lease.holder()
        full = []

        def refuse(*_: object, **__: object) -> None:
            full.append(1)
            raise StorageFull

        monkeypatch.setattr("storyloom.blocks.lease.write_atomic", refuse)
        while len(full) < 3:
            time.sleep(0.01)
        monkeypatch.undo()
        while lease.holder() == before:
            time.sleep(0.01)
        lease.check()
