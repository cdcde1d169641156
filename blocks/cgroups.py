"""How much may a whole tree of processes take?  A control group of its own, where we may make one.

Measured with version 1 (memory and pids controllers). Version 2 follows the kernel's documentation: a group next to
ours or next to one of our ancestors, the first whose parent hands the memory controller down.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
PREFIX = "storyloom-"


@dataclass(frozen=True)
class Cgroup:
    """A control group made for one command: one folder in version 2, one per controller in version 1."""

    folders: tuple[Path, ...]

    @property
    def procs(self) -> tuple[str, ...]:
        """Files to which a process writes its id to come under the limits."""
        return tuple(str(folder / "cgroup.procs") for folder in self.folders)

    def peak_bytes(self) -> int | None:
        """The most memory the tree held at once, where the kernel tells."""
        return _number(self.folders, "memory.max_usage_in_bytes", "memory.peak")

    def out_of_memory(self) -> bool:
        """Whether the kernel ended a process of the tree for want of memory."""
        return _event(self.folders, "oom_kill", "memory.oom_control", "memory.events") > 0

    def out_of_processes(self) -> bool:
        """Whether the kernel refused to start a process."""
        return _event(self.folders, "max", "pids.events") > 0

    def kill(self) -> None:
        """End every process of the tree."""
        for turn in range(50):
            pids = {pid for folder in self.folders for pid in _pids(folder)}
            if not pids:
                return
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, 9)
            time.sleep(0.001 * turn)

    def remove(self) -> None:
        """End what is left, and remove the group."""
        self.kill()
        for folder in self.folders:
            for turn in range(50):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:  # the kernel may need a moment to let go of the last process
                    time.sleep(0.001 * turn)


def make_cgroup(memory_bytes: int, processes: int, mount: Path = MOUNT) -> Cgroup | None:
    """A new control group with these limits, None where we may not make one."""
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    if (mount / "cgroup.controllers").is_file():
        return _make_v2(name, memory_bytes, processes, mount)
    return _make_v1(name, memory_bytes, processes, mount)


def sweep_cgroups(mount: Path = MOUNT) -> list[str]:
    """Remove groups whose orchestrator is gone, with the processes in them; say which."""
    done = []
    for parent in dict.fromkeys(_parents(mount)):
        for folder in sorted(parent.glob(f"{PREFIX}*")):
            owner = folder.name.removeprefix(PREFIX).split("-")[0]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                Cgroup((folder,)).remove()
                done.append(str(folder))
    return done


def _make_v1(name: str, memory_bytes: int, processes: int, mount: Path) -> Cgroup | None:
    wanted = {"memory": ("memory.limit_in_bytes", memory_bytes), "pids": ("pids.max", processes)}
    made: list[Path] = []
    for controller, (file, value) in wanted.items():
        folder = _own(mount / controller, controller) / name
        try:
            folder.mkdir()
            made.append(folder)
            (folder / file).write_text(str(value))
        except OSError:
            Cgroup(tuple(made)).remove()
            return None
    with contextlib.suppress(OSError):
        (made[0] / "memory.swappiness").write_text("0")
    return Cgroup(tuple(made))


def _make_v2(name: str, memory_bytes: int, processes: int, mount: Path) -> Cgroup | None:
    for parent in _parents(mount):
        folder = parent / name
        try:
            if "memory" not in (parent / "cgroup.subtree_control").read_text().split():
                continue
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / "memory.max").write_text(str(memory_bytes))
            for file, value in (("memory.swap.max", "0"), ("memory.oom.group", "1"), ("pids.max", str(processes))):
                with contextlib.suppress(OSError):
                    (folder / file).write_text(value)
            if os.access(parent / "cgroup.procs", os.W_OK):
                return Cgroup((folder,))
        except OSError:
            pass
        Cgroup((folder,)).remove()
    return None


def _parents(mount: Path) -> list[Path]:
    """Where our groups are made: version 2 next to us or above, version 1 below our own group of each controller."""
    if (mount / "cgroup.controllers").is_file():
        own = _own(mount, "")
        return [own, *(parent for parent in own.parents if parent == mount or mount in parent.parents)]
    return [_own(mount / controller, controller) for controller in ("memory", "pids")]


def _own(mount: Path, controller: str) -> Path:
    """Our own group's folder, the mount itself where the path is that of another name space."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(",") and (mount / path.lstrip("/")).is_dir():
                return mount / path.lstrip("/")
    return mount


def _pids(folder: Path) -> list[int]:
    """Processes of a group; one of another process name space is shown as 0, which to `kill` means ourselves."""
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split() if int(line) > 1]
    except (OSError, ValueError):
        return []


def _number(folders: tuple[Path, ...], *files: str) -> int | None:
    for path in (folder / file for folder in folders for file in files):
        with contextlib.suppress(OSError, ValueError):
            return int(path.read_text())
    return None


def _event(folders: tuple[Path, ...], key: str, *files: str) -> int:
    for path in (folder / file for folder in folders for file in files):
        with contextlib.suppress(OSError, ValueError):
            pairs = dict(line.split(" ", 1) for line in path.read_text().splitlines())
            return int(pairs.get(key, 0))
    return 0
