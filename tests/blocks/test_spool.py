"""Events survive: other threads, forks, a full disk and a torn line."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from storyloom.blocks.spool import Spool, read_spool
from storyloom.domain.errors import StorageFull
from storyloom.domain.events import CallRecorded, RunMarked, StoryMoved
from storyloom.domain.model_calls import CallTags, Usage
from storyloom.domain.ports import Recorder

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def call(name: str, **more: object) -> CallRecorded:
    return CallRecorded.model_validate({"event_id": name, "logical_call_id": "l", **more})


def test_an_event_is_one_line_with_its_time_and_exact_money(tmp_path: Path):
    spool = Spool(tmp_path / "spool", clock=lambda: NOON)
    assert isinstance(spool, Recorder)
    spool.record(call("a", cost=Decimal("0.000000000123"), usage=Usage(input=3)))
    spool.record(call("b", ts="2026-01-01T00:00:00+00:00"))
    (path,) = (tmp_path / "spool").glob("20260504-*.jsonl")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["schema_version"], first["ts"], first["cost"]) == (1, "2026-05-04T12:00:00+00:00", "1.23E-10")
    assert second["ts"] == "2026-01-01T00:00:00+00:00"
    reading = read_spool(tmp_path / "spool")
    assert [event.event_id for event in reading.events] == ["b", "a"]
    assert reading.events[1] == call("a", ts=first["ts"], cost=Decimal("0.000000000123"), usage=Usage(input=3))


def test_a_torn_line_is_skipped_and_counted_and_what_follows_is_whole(tmp_path: Path):
    spool = Spool(tmp_path)
    spool.record(call("a"))
    (path,) = tmp_path.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"event": "model_call", "event_id": "to')
    reading = read_spool(tmp_path)
    assert ([event.event_id for event in reading.events], reading.torn) == (["a"], 1)


def test_after_a_short_write_the_next_event_starts_on_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spool = Spool(tmp_path)
    spool.record(call("a"))
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:20]))
    with pytest.raises(StorageFull):
        spool.record(call("lost"))
    monkeypatch.setattr(os, "write", write)
    spool.record(call("b"))
    reading = read_spool(tmp_path)
    assert ([event.event_id for event in reading.events], reading.torn) == (["a", "b"], 1)


def test_a_folder_that_cannot_be_written_is_told_with_a_remedy(tmp_path: Path):
    (tmp_path / "spool").write_text("a file is in the way")
    with pytest.raises(StorageFull, match="cannot be written"):
        Spool(tmp_path / "spool").record(call("a"))


def test_threads_share_a_file_and_a_fork_gets_its_own(tmp_path: Path):
    spool = Spool(tmp_path)

    def many(name: str) -> None:
        for number in range(50):
            spool.record(call(f"{name}-{number}", prompt_sha256="x" * 2000))

    threads = [threading.Thread(target=many, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = multiprocessing.get_context("fork").Process(target=many, args=("child",))
    child.start()
    child.join()
    reading = read_spool(tmp_path)
    assert (len(reading.events), reading.torn, reading.files) == (450, 0, 2)


def test_the_first_event_of_a_name_counts_but_a_known_outcome_replaces_an_unknown_one(tmp_path: Path):
    spool = Spool(tmp_path)
    for event in (
        StoryMoved(event_id="s", ts="2026-01-01T02", to_status="done"),
        StoryMoved(event_id="s", ts="2026-01-01T01", to_status="done"),
        call("c", ts="2026-01-01T00", status="unknown"),
        call("c", ts="2026-01-01T05", status="ok"),
        RunMarked(event_id="s", ts="2026-01-01T09", name="x", state="started", tags=CallTags(run="r")),
    ):
        spool.record(event)
    reading = read_spool(tmp_path)
    found = {(event.event, event.event_id): event.ts for event in reading.events}
    assert found == {
        ("story", "s"): "2026-01-01T01",
        ("model_call", "c"): "2026-01-01T05",
        ("run", "s"): "2026-01-01T09",
    }


def test_events_of_a_later_version_are_named_and_left_out(tmp_path: Path):
    (tmp_path / "x.jsonl").write_text('{"event":"dance","event_id":"a"}\n[1]\n')
    reading = read_spool(tmp_path)
    assert (reading.events, reading.unknown, reading.torn) == ((), ("dance",), 1)
    assert read_spool(tmp_path / "nowhere").files == 0
