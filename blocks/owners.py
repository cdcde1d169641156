"""Does the process that holds something still live?  Told without a clock, which may jump."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """The name of this process: host, boot, number and start."""
    return "|".join((socket.gethostname(), _boot(), str(os.getpid()), _started(os.getpid())))


def alive(owner: str, *, lost: bool) -> bool:
    """Whether the process of that name lives; of another host's nothing is known, and `lost` decides."""
    host, boot, pid, started = owner.split("|")
    if host != socket.gethostname():
        return not lost
    return boot == _boot() and started == _started(int(pid))


def _boot() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def _started(pid: int) -> str:
    """When a process started, in ticks since boot; "" if there is none, "?" where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            return "?"
        return "?"
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
