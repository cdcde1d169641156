"""What the journal has taken survives everything, and one question is asked by one caller."""

from __future__ import annotations

import errno
import os
import stat
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from storyloom.blocks.call_journal import CallJournal
from storyloom.domain.attempts import Attempt, logical_call_id
from storyloom.domain.errors import ModelTimeout, StorageFull
from storyloom.domain.model_calls import CallTags, ModelReply, Usage

KEY = logical_call_id("shelf", "abc")


def attempt(number: int = 1, **changes: object) -> Attempt:
    given = {
        "logical_call_id": KEY,
        "attempt_no": number,
        "at": 1_800_000_000.5,
        "tags": CallTags(project="shelf", run="r1"),
        "worst_cost": Decimal("0.123456789012"),
    }
    return Attempt.model_validate({**given, **changes})


def done(number: int = 1) -> Attempt:
    reply = ModelReply(content="ü 漢字 \u2028 🙂", parsed={"a": [1]}, cost=Decimal("0.000001"))
    return attempt(number, status="ok", cost=Decimal("0.000001"), usage=Usage(input=1, output=2), reply=reply)


def test_an_intent_is_open_until_its_outcome_is_there(tmp_path: Path) -> None:
    journal = CallJournal(tmp_path)
    assert journal.attempts(KEY) == []
    journal.begin(attempt())
    assert CallJournal(tmp_path).attempts(KEY) == [attempt()]
    journal.end(done())
    journal.begin(attempt(2))
    assert CallJournal(tmp_path).attempts(KEY) == [done(), attempt(2)]
    assert list(journal.all_attempts()) == [done(), attempt(2)]


def test_questions_share_a_file_and_keep_apart(tmp_path: Path) -> None:
    journal, other = CallJournal(tmp_path), KEY[:2] + "0" * 62
    journal.begin(attempt())
    journal.begin(attempt(logical_call_id=other))
    journal.end(done())
    assert journal.attempts(KEY) == [done()]
    assert journal.attempts(other) == [attempt(logical_call_id=other)]
    assert len(list(journal.all_attempts())) == 2


def test_a_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    with CallJournal(tmp_path).alone(KEY, wait_s=1):
        assert len(list((tmp_path / "calls" / "locks").iterdir())) == 1
    assert list((tmp_path / "calls" / "locks").iterdir()) == []


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_a_torn_last_line_is_skipped_and_the_next_one_stands_by_itself(tmp_path: Path, cut: int) -> None:
    journal = CallJournal(tmp_path)
    journal.begin(attempt())
    journal.end(done())
    path = next(tmp_path.rglob("*.jsonl"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert journal.attempts(KEY) == ([done()] if cut == 1 else [attempt()])
    journal.end(done())
    assert journal.attempts(KEY) == [done()]


def test_rubbish_in_a_file_hides_nothing_else(tmp_path: Path) -> None:
    journal = CallJournal(tmp_path)
    journal.begin(attempt())
    path = next(tmp_path.rglob("*.jsonl"))
    path.write_bytes(b'\x00\xff\n[]\n{"record": "intent"}\n7\n' + path.read_bytes())
    assert journal.attempts(KEY) == [attempt()]


def test_only_its_owner_can_read_the_journal(tmp_path: Path) -> None:
    CallJournal(tmp_path).begin(attempt())
    path = next(tmp_path.rglob("*.jsonl"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_full_disk_is_said_so_before_anything_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFull, match="the disk is full"):
        CallJournal(tmp_path).begin(attempt())


def test_a_disk_that_takes_only_a_part_is_given_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:7]))
    CallJournal(tmp_path).begin(attempt())
    monkeypatch.undo()
    assert CallJournal(tmp_path).attempts(KEY) == [attempt()]


def test_one_question_is_held_by_one_caller(tmp_path: Path) -> None:
    journal, inside, most = CallJournal(tmp_path), 0, 0
    guard = threading.Lock()

    def ask() -> None:
        nonlocal inside, most
        with CallJournal(tmp_path).alone(KEY, wait_s=30):
            with guard:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.01)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    with (
        journal.alone(KEY, wait_s=1),
        pytest.raises(ModelTimeout, match="asked elsewhere"),
        CallJournal(tmp_path).alone(KEY, wait_s=0.05),
    ):
        pass
    with journal.alone(KEY, wait_s=0), journal.alone(logical_call_id("shelf", "other"), wait_s=0):
        pass


def test_projects_do_not_share_answers() -> None:
    assert logical_call_id("a", "x") != logical_call_id("b", "x")
    assert len(attempt().event_id) == 32
    assert attempt().event_id != attempt(2).event_id
