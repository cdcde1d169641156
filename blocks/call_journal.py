"""Which model calls were begun, and what came of each?

One append-only file per question (`calls/ab/abcd….jsonl`), one JSON record per line: an `intent` before each request
goes out, an `outcome` after it. Both are on the disk before the work goes on. A torn last line is skipped. An intent
without an outcome was begun by something that died: nobody knows what it cost, so it counts at its worst case.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from filelock import Timeout as LockTimeout
from storyloom.domain.attempts import Attempt
from storyloom.domain.errors import ModelTimeout, StorageFull

_FULL = (28, 30, 122)  # ENOSPC, EROFS, EDQUOT


class CallJournal:
    """The journal of one project's model calls in a folder, shared by threads and processes of one file system."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder) / "calls"

    @contextmanager
    def alone(self, key: str, *, wait_s: float) -> Iterator[None]:
        """Hold one question for one caller; a second one waits and then finds the recorded answer.

        Raises:
            ModelTimeout: the other caller took longer than `wait_s`.
        """
        path = self._path(key)
        self._make(path.parent)
        lock = FileLock(f"{path}.lock", timeout=wait_s, poll_interval=0.02)
        try:
            with _disk(path):
                lock.acquire()
        except LockTimeout:
            raise ModelTimeout(f"The same question is being asked elsewhere and took over {wait_s:.0f} s.") from None
        try:
            yield
        finally:
            lock.release()

    def attempts(self, key: str) -> list[Attempt]:
        """All attempts at a question, oldest first."""
        return _read(self._path(key))

    def recorded(self, key: str) -> Attempt | None:
        """The last attempt at a question that has a usable answer."""
        return next((a for a in reversed(self.attempts(key)) if a.status == "ok" and a.reply is not None), None)

    def begin(self, attempt: Attempt) -> None:
        """Put the intent of a request on the disk, before it is sent.

        Raises:
            StorageFull: it could not be written, so the request must not be sent.
        """
        self._append(attempt.logical_call_id, {"record": "intent", **attempt.model_dump(mode="json")})

    def end(self, attempt: Attempt) -> None:
        """Put the outcome of a request on the disk, the raw answer with it.

        Raises:
            StorageFull: it could not be written; the call then counts at its worst case.
        """
        self._append(attempt.logical_call_id, {"record": "outcome", **attempt.model_dump(mode="json")})

    def all_attempts(self) -> Iterator[Attempt]:
        """Every attempt in the journal, by question."""
        for path in sorted(self._folder.glob("*/*.jsonl")):
            yield from _read(path)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.jsonl"

    def _make(self, folder: Path) -> None:
        with _disk(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _append(self, key: str, record: dict[str, Any]) -> None:
        path = self._path(key)
        self._make(path.parent)
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        with _disk(path):
            new = not path.exists()
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    line = b"\n" + line  # what a crash tore off stays a line of its own
                while line:
                    line = line[os.write(handle, line) :]  # a disk that fills up takes a part and says nothing
                os.fsync(handle)
            finally:
                os.close(handle)
            if new:
                _sync_folder(path.parent)


def _read(path: Path) -> list[Attempt]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    found: dict[int, Attempt] = {}
    for line in raw.split(b"\n"):
        try:
            record = json.loads(line)
            record.pop("record")
            attempt = Attempt.model_validate(record)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        found[attempt.attempt_no] = attempt
    return [found[number] for number in sorted(found)]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                f"The call journal cannot be written at {path}: {error.strerror}.",
                remedy="Free space on that disk; nothing was sent that is not in the journal.",
            ) from error
        raise
