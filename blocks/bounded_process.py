"""How does a command run within its bounds, and which bound stopped it?

The process is started and awaited in one thread: bubblewrap's --die-with-parent watches the thread, not the process.
Output goes to a file, never a pipe, so that a flood fills neither our memory nor stops the command from ending.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import psutil
from storyloom.domain.errors import InputError, SandboxError
from storyloom.domain.ports import CommandResult, Limits

from .cgroups import Cgroup
from .deep_folders import cut_deep, told
from .disk import require_free, storage_errors

TICK_S = 0.1
DISK_TICK_S = 1.0
PAGE = os.sysconf("SC_PAGE_SIZE")
# CSI, OSC and other escape sequences of terminals, and control signs that are no white space.
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])?")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
SIGNALS = {128 + signal.SIGXFSZ: "file_bytes", 128 + signal.SIGXCPU: "cpu_s"}
# What programs say when a bound stopped them and they ended by themselves.
SAID = (
    (re.compile(r"MemoryError|Cannot allocate memory|std::bad_alloc|out of memory", re.I), "memory_bytes"),
    (re.compile(r"File too large"), "file_bytes"),
    (re.compile(r"No space left on device"), "tmp_bytes"),
    (re.compile(r"Resource temporarily unavailable|can't start new thread"), "processes"),
)


def run_bounded(
    command: Sequence[str],
    limits: Limits,
    *,
    folder: str,
    env: Mapping[str, str],
    watched: str = "",
    cgroup: Cgroup | None = None,
    descriptors: Sequence[int] = (),
    settle: Callable[[], None] = lambda: None,
    sandboxed: bool = True,
) -> CommandResult:
    """Run a command in `folder` until it ends or a bound stops it, and end everything that it started.

    `watched` is the folder that may grow by `limits.disk_bytes`; what lies too deep in it is removed in the end.
    `descriptors` are handed to the child. `settle` waits for what ends on its own once the process has ended.

    Raises:
        SandboxError: the program is missing.
        InputError: the command is too long for a process.
        StorageFull: the disk itself is full, which is not the command's doing.
    """
    with tempfile.TemporaryFile() as output, storage_errors(tempfile.gettempdir()):
        started = time.monotonic()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=folder,
                env=dict(env),
                pass_fds=tuple(descriptors),
            )
        except FileNotFoundError as error:
            raise SandboxError(f"{error.filename} does not exist.") from error
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            raise InputError("The command is too long.", remedy="Write it to a file and run that.") from error
        watch = _Watch(process, limits, output, watched, cgroup)
        try:
            hit = watch.until_end(started)
        finally:
            watch.end()
            settle()
        wall_s = time.monotonic() - started
        code = 128 - process.returncode if process.returncode < 0 else process.returncode
        text, size = _tail(output, limits.output_bytes)
    if cgroup and cgroup.out_of_memory():
        hit = hit or "memory_bytes"
    hit = hit or _why(code, text, size, limits, wall_s)
    if not hit and code and cgroup and cgroup.out_of_processes():
        hit = "processes"
    if hit == "tmp_bytes":  # or was it the host's own disk?
        for place in filter(None, (watched, tempfile.gettempdir())):
            require_free(place, 1 << 20)
    return CommandResult(
        exit_code=code,
        output=text,
        output_bytes=size,
        wall_s=wall_s,
        peak_memory_bytes=cgroup.peak_bytes() if cgroup else watch.peak_bytes or None,
        limit_hit=hit,
        sandboxed=sandboxed,
        note=told(cut_deep(watched)) if watched else "",
    )


class _Watch:
    """Looks after one running process from the thread that started it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        output: BinaryIO,
        watched: str,
        cgroup: Cgroup | None,
    ) -> None:
        self.process, self.limits, self.output, self.cgroup = process, limits, output, cgroup
        self.watched, self.since = watched, time.time()
        self.descriptor = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else -1
        self.free = _free(watched)
        self.next_disk = 0.0
        self.peak_bytes = 0

    def until_end(self, started: float) -> str:
        """Wait until the process has ended, or return the bound for which it must be ended."""
        deadline = started + self.limits.wall_s
        while (left := deadline - time.monotonic()) > 0:
            if self._ended(min(TICK_S, left)):
                return ""
            if hit := self._over():
                return hit
        return "wall_s"

    def _ended(self, within_s: float) -> bool:
        """Whether the process ends within a time; told at once by the kernel where it can."""
        if self.descriptor < 0:
            try:
                self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                return False
            return True
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(max(1, int(within_s * 1000))))

    def end(self) -> None:
        """End the process group and the tree."""
        tree = [] if self.cgroup else _tree(self.process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in tree[1:]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if self.cgroup:
            self.cgroup.kill()
        self.process.wait()
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def _over(self) -> str:
        if self.cgroup is None:
            held = sum(map(_private_bytes, _tree(self.process.pid)))
            self.peak_bytes = max(self.peak_bytes, held)
            if held > self.limits.memory_bytes:
                return "memory_bytes"
        elif self.cgroup.out_of_memory():  # the kernel ended one of them: the others may wait for it for ever
            return "memory_bytes"
        if os.fstat(self.output.fileno()).st_size > self.limits.file_bytes:
            return "file_bytes"
        now = time.monotonic()
        if self.watched and now >= self.next_disk and self.free - _free(self.watched) > self.limits.disk_bytes // 2:
            self.next_disk = now + DISK_TICK_S  # free space fell: perhaps by us, so look (that costs time)
            if _written(self.watched, self.since - 1.0) > self.limits.disk_bytes:
                return "disk_bytes"
        return ""


def shell_arguments(command: str | Sequence[str]) -> list[str]:
    """The arguments that run a command: a string by the shell, a sequence as it is.

    Raises:
        InputError: no process can be given these arguments.
    """
    arguments = ["/bin/bash", "-c", command] if isinstance(command, str) else list(command)
    for argument in arguments:
        if "\0" in argument or any(0xD800 <= ord(sign) <= 0xDFFF for sign in argument):
            raise InputError(f"{ascii(argument)[:80]}: a command holds no NUL and only whole signs.")
    return arguments


def clean_text(data: bytes) -> str:
    """Bytes as text: UTF-8, replacement signs for the rest, no terminal escapes, control or direction signs."""
    text = data.decode(errors="replace").replace("\r\n", "\n")
    return CONTROL.sub("", ANSI.sub("", text))


def _why(code: int, text: str, size: int, limits: Limits, wall_s: float) -> str:
    """The bound for which a command ended by itself, by its exit code or by what it said."""
    if size >= limits.file_bytes:
        return "file_bytes"
    if code in SIGNALS:
        return SIGNALS[code]
    if code == 128 + signal.SIGKILL and wall_s * (os.cpu_count() or 1) >= limits.cpu_s:
        return "cpu_s"  # the kernel kills a process that ignored the warning
    return next((name for pattern, name in SAID if pattern.search(text)), "") if code else ""


def _tail(output: BinaryIO, wanted: int) -> tuple[str, int]:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - wanted))
    data = output.read(wanted)
    if size > wanted:  # start at a whole line, or at least at a whole sign
        data = data.split(b"\n", 1)[-1] if b"\n" in data[:4096] else data.lstrip(bytes(range(0x80, 0xC0)))
    return clean_text(data), size


def _tree(pid: int) -> list[int]:
    """A process and all its descendants, by /proc where it tells, else by psutil."""
    found, waiting = [], [pid]
    try:
        while waiting:
            current = waiting.pop()
            found.append(current)
            with contextlib.suppress(ProcessLookupError):
                for task in os.scandir(f"/proc/{current}/task"):
                    with contextlib.suppress(ProcessLookupError):
                        waiting += map(int, Path(task.path, "children").read_text().split())
    except OSError:
        with contextlib.suppress(psutil.Error):
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return found


def _private_bytes(pid: int) -> int:
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(resident) - int(shared)) * PAGE
    except (OSError, ValueError):
        return 0


def _free(folder: str) -> int:
    if not folder:
        return 0
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize + told.f_favail * PAGE


def _written(folder: str, since: float) -> int:
    """Bytes on disk of what changed in a folder since a time, each entry counted as one page more.

    The page is for the many empty files that fill a disk, too.
    """
    total, waiting = 0, [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            with contextlib.suppress(OSError):
                told = entry.stat(follow_symlinks=False)
                total += (PAGE + told.st_blocks * 512) if told.st_ctime >= since else 0
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return total
