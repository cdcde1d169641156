"""Which model calls were begun, and what came of each?

Append-only files, one for each first byte of a question's name (`calls/ab.jsonl`), one JSON record per line: an
`intent` before each request goes out, an `outcome` after it, both on the disk before the work goes on. A line that a
crash tore is skipped. An intent without an outcome was begun by something that died: nobody knows what it cost, so it
counts at its worst case.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storyloom.domain.attempts import Attempt
from storyloom.domain.errors import ModelTimeout

from .disk import storage_errors

PAUSE_S = 0.02


class CallJournal:
    """The journal of one project's model calls in a folder, shared by threads and processes of one file system."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder) / "calls"
        self._made: set[Path] = set()

    @contextmanager
    def alone(self, key: str, *, wait_s: float) -> Iterator[None]:
        """Hold one question for one caller; a second one waits and then finds the recorded answer.

        Raises:
            ModelTimeout: the other caller took longer than `wait_s`.
        """
        path = self._folder / "locks" / key
        deadline = time.monotonic() + wait_s
        while (descriptor := self._try_lock(path)) is None:
            if time.monotonic() >= deadline:
                raise ModelTimeout(f"The same question is being asked elsewhere and took over {wait_s:.0f} s.")
            threading.Event().wait(PAUSE_S)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is held: who opened it meanwhile sees that it is gone
            os.close(descriptor)

    def attempts(self, key: str) -> list[Attempt]:
        """All attempts at a question, oldest first."""
        return _read(self._path(key), key).get(key, [])

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
        """Every attempt in the journal, question by question."""
        for path in sorted(self._folder.glob("*.jsonl")):
            for attempts in _read(path).values():
                yield from attempts

    def _path(self, key: str) -> Path:
        return self._folder / f"{key[:2]}.jsonl"

    def _try_lock(self, path: Path) -> int | None:
        """The descriptor of the locked file, None if somebody else holds it or has just removed it."""
        with storage_errors(path):
            self._make(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BlockingIOError:
            pass
        os.close(descriptor)
        return None

    def _make(self, folder: Path) -> None:
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._made.add(folder)

    def _append(self, key: str, record: dict[str, Any]) -> None:
        path = self._path(key)
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        # A new line before it as well: whatever a crash tore off, or another process is cut short in, stays apart.
        line = b"\n" + text.encode("utf-8", "surrogatepass") + b"\n"
        with storage_errors(path):
            self._make(path.parent)
            new = not path.exists()
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                while line:
                    line = line[os.write(descriptor, line) :]  # a disk that fills up takes a part and says nothing
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                _sync_folder(path.parent)


def _read(path: Path, only: str = "") -> dict[str, list[Attempt]]:
    """The attempts in a file by question, those of one question if `only` names it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    found: dict[str, dict[int, Attempt]] = {}
    wanted = only.encode()
    for line in raw.split(b"\n"):
        if not line or wanted not in line:
            continue
        try:
            record = json.loads(line)
            record.pop("record")
            attempt = Attempt.model_validate(record)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        found.setdefault(attempt.logical_call_id, {})[attempt.attempt_no] = attempt
    return {key: [by_number[number] for number in sorted(by_number)] for key, by_number in found.items()}


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
