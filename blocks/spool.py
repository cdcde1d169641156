"""Where do events go, so that no process waits for another and none is lost when one dies?

Each process appends to a file of its own, `YYYYMMDD-<pid>-<random>.jsonl`, readable by its owner alone: one line and
one write an event. Nothing is ever changed or moved; analytics remembers how far it has read.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from storyloom.domain.errors import StorageFull
from storyloom.domain.events import SCHEMA_VERSION, Event

EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def _now() -> datetime:
    return datetime.now(UTC)


class Spool:
    """Appends events to this process's file in a folder. Safe for threads, and in a process that was forked."""

    def __init__(self, folder: str | Path, *, clock: Callable[[], datetime] = _now) -> None:
        self.folder = Path(folder)
        self._clock = clock
        self._lock = threading.Lock()
        self._file = -1
        self._owner = 0
        self._torn = False
        forked = weakref.WeakMethod(self._forked)
        os.register_at_fork(after_in_child=lambda: (method := forked()) and method())

    def _forked(self) -> None:
        """Another thread may have held the lock when this process was made; it will never give it back here."""
        self._lock = threading.Lock()

    def record(self, event: Event) -> None:
        """Append one event, with its time if it has none; an event_id that was recorded before is harmless.

        Raises:
            StorageFull: when the disk is full or read-only; the event may be lost, no other is.
        """
        fields = event.model_dump(mode="json")
        fields["ts"] = fields["ts"] or self._clock().isoformat()
        line = json.dumps({"schema_version": SCHEMA_VERSION, **fields}, ensure_ascii=False, separators=(",", ":"))
        try:
            with self._lock:
                self._append(line.encode() + b"\n")
        except OSError as error:
            raise StorageFull(
                f"The event spool in {self.folder} cannot be written: {error.strerror or error}.",
                remedy="Free some space or fix the folder's permissions.",
            ) from error

    def _append(self, line: bytes) -> None:
        if self._owner != os.getpid():  # the first event, or the first after a fork
            self._open()
        data = b"\n" + line if self._torn else line
        self._torn = True  # until the whole line is known to be written
        self._torn = os.write(self._file, data) < len(data)
        if self._torn:
            raise OSError(None, "only a part of an event could be written")

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{self._clock():%Y%m%d}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self.folder / name, flags, 0o600)
        self._owner, self._torn = os.getpid(), False


@dataclass(frozen=True)
class SpoolReading:
    """The events of a spool in the order of their time, each once; `torn` counts lines that could not be read."""

    events: tuple[Event, ...] = ()
    torn: int = 0
    files: int = 0
    unknown: tuple[str, ...] = field(default=())


def read_spool(folder: str | Path) -> SpoolReading:
    """All events in a folder. Of those with one event_id the first counts; a known outcome goes before an unknown one.

    Kinds of events that this version does not know are named in `unknown` and left out.
    """
    kept: dict[tuple[str, str], Event] = {}
    torn, unknown = 0, set()
    files = sorted(Path(folder).glob("*.jsonl"))
    for path in files:
        for line in path.read_bytes().split(b"\n"):
            if not line:
                continue
            try:
                fields: dict[str, Any] = json.loads(line)
                fields.pop("schema_version", None)
                event = EVENTS.validate_python(fields)
            except ValidationError:
                unknown.add(str(fields.get("event")))
                continue
            except (ValueError, TypeError, AttributeError):
                torn += 1
                continue
            key = (event.event, event.event_id)
            if key not in kept or _rank(event) < _rank(kept[key]):
                kept[key] = event
    events = sorted(kept.values(), key=lambda event: event.ts)
    return SpoolReading(tuple(events), torn, len(files), tuple(sorted(unknown)))


def _rank(event: Event) -> tuple[bool, str]:
    return (getattr(event, "status", "") == "unknown", event.ts)
