"""Who works on this project?  One orchestrator at a time, and a second one learns at once who the first is.

On one host the kernel keeps the lease: it is a lock on a file that ends with its holder, however that ends, and no
clock is asked. Between hosts that share the folder (containers, too: each is a host by its name) the holder changes its
entry every few seconds. Another host is refused at once and notes what it saw; when it comes again and the entry has
stood still for long, by the monotonic clock of the kernel under which the note was taken, it takes over.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError
from storyloom.domain.errors import LeaseTaken
from storyloom.domain.model_calls import Value

from .atomic_files import write_atomic
from .disk import storage_errors
from .file_lock import try_lock

RENEW_S = 5.0
STALE_S = 20.0
BOOT = Path("/proc/sys/kernel/random/boot_id")


class LeaseHolder(Value):
    """Who holds a lease; `beat` changes with every renewal."""

    token: str
    pid: int
    host: str
    since: str
    beat: int = 0


class Seen(Value):
    """Another host's entry as it was first seen: `at` in seconds of the monotonic clock of that `boot`."""

    token: str
    beat: int
    boot: str
    at: float


class Lease:
    """The lease of one project, kept in `folder`; a context manager.

    `stale_s` is how long another host's entry must have stood still to be taken over.
    """

    def __init__(
        self, folder: str | Path, *, host: str = "", renew_s: float = RENEW_S, stale_s: float = STALE_S
    ) -> None:
        self._lock_file = Path(folder) / "lease.lock"
        self._entry_file = Path(folder) / "lease.json"
        self._seen_file = Path(folder) / "lease.seen.json"
        self._host = host or socket.gethostname()
        self._renew_s, self._stale_s = renew_s, stale_s
        self._descriptor = -1
        self._mine: LeaseHolder | None = None
        self._stop = threading.Event()
        self._renewer: threading.Thread | None = None

    def take(self) -> LeaseHolder:
        """Take the lease and keep renewing it.

        Raises:
            LeaseTaken: naming process, host and since when.
        """
        with storage_errors(self._lock_file):
            self._lock_file.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not try_lock(self._descriptor):
                raise self._taken(self.holder())
            other = self.holder()
            if other is not None and other.host != self._host and not self._silent(other):
                raise self._taken(other)
            since = datetime.now(UTC).isoformat(timespec="seconds")
            self._mine = LeaseHolder(token=secrets.token_hex(16), pid=os.getpid(), host=self._host, since=since)
            self._write(self._mine)
        except BaseException:
            self._let_go()
            raise
        self._stop.clear()
        self._renewer = threading.Thread(target=self._keep, name="storyloom-lease", daemon=True)
        self._renewer.start()
        return self._mine

    def check(self) -> None:
        """Pass while the lease is ours; ask after anything that may have stopped us for long.

        Raises:
            LeaseTaken: another orchestrator took over, or we never had it.
        """
        entry = self.holder()
        if self._mine is None or entry is None or entry.token != self._mine.token:
            raise self._taken(entry)

    def release(self) -> None:
        """Give the lease back; harmless when we do not hold it."""
        self._stop.set()
        if self._renewer is not None:
            self._renewer.join()
            self._renewer = None
        entry = self.holder()
        if self._mine is not None and entry is not None and entry.token == self._mine.token:
            self._entry_file.unlink(missing_ok=True)
            self._seen_file.unlink(missing_ok=True)
        self._mine = None
        self._let_go()

    def holder(self) -> LeaseHolder | None:
        """Who the entry names, None if there is none or it cannot be read."""
        try:
            return LeaseHolder.model_validate(json.loads(self._entry_file.read_text()))
        except (FileNotFoundError, ValueError, ValidationError):
            return None

    def __enter__(self) -> Lease:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _keep(self) -> None:
        """Renew until told to stop, or until somebody else's entry stands there."""
        while not self._stop.wait(self._renew_s):
            entry, mine = self.holder(), self._mine
            if mine is None or (entry is not None and entry.token != mine.token):
                return
            self._mine = mine.model_copy(update={"beat": mine.beat + 1})
            try:
                self._write(self._mine)
            except Exception:  # noqa: BLE001, S112 - a full disk must not end the lease: the kernel still holds it
                continue

    def _silent(self, other: LeaseHolder) -> bool:
        """Whether another host's entry stands for long as we once saw it; a note is left for the next time if not."""
        now, boot = time.monotonic(), BOOT.read_text().strip() if BOOT.exists() else self._host
        try:
            seen = Seen.model_validate(json.loads(self._seen_file.read_text()))
        except (FileNotFoundError, ValueError, ValidationError):
            seen = Seen(token="", beat=0, boot="", at=now)
        if (seen.token, seen.beat, seen.boot) == (other.token, other.beat, boot) and seen.at <= now:
            return now - seen.at >= self._stale_s
        note = Seen(token=other.token, beat=other.beat, boot=boot, at=now)
        write_atomic(self._seen_file, note.model_dump_json(), durable=False)
        return False

    def _taken(self, other: LeaseHolder | None) -> LeaseTaken:
        if other is None:
            return LeaseTaken("Another orchestrator works on this project.", remedy="Wait until it has ended.")
        remedy = "Wait until it has ended, or end it."
        if other.host != self._host:
            remedy += (
                f" If {other.host} is gone for good, try again in {self._stale_s:.0f} s: nobody will have renewed it."
            )
        where = f"process {other.pid} on {other.host}"
        return LeaseTaken(f"Another orchestrator works on this project: {where}, since {other.since}.", remedy=remedy)

    def _write(self, entry: LeaseHolder) -> None:
        write_atomic(self._entry_file, entry.model_dump_json(), durable=False)

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
