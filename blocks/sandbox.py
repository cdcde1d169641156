"""How does a command that a model wrote run without network, secrets or a way out?"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import psutil
from storyloom.domain.errors import SandboxError, SandboxMissing
from storyloom.domain.ports import CommandResult, Limits, SandboxProbe

from .bounded_process import run_bounded, shell_arguments
from .cgroups import make_cgroup, sweep_cgroups
from .deep_folders import cut_deep
from .disk import storage_errors
from .sandbox_chain import HOST, Chain, bind_project, bind_shared, bwrap_arguments, host_arguments, limit_arguments
from .toolchain import SYSTEM_PATH, Toolchain, running_toolchain

NOBODY = 65534
GONE_S = 10.0
POINTS = 12  # mount points kept ready for folders that the dropped user cannot reach
NEUTRAL = "storyloom-points-"
CANARY = "STORYLOOM_CANARY"  # in the environment outside, never inside
HOST_PATH = ":".join((*SYSTEM_PATH, "/usr/sbin", "/sbin"))
CANARIES = {
    11: "the worktree cannot be written",
    12: "a host file is visible",
    13: "a port of the host is reachable",
    14: "the command has capabilities",
    15: "the host's environment is visible",
    16: "memory can be filled through / or /dev",
    17: "the worktree's .git can be written",
    18: "the command runs as a user of the host's",
}
FORBIDDEN = (
    "This kernel or container forbids name spaces. Allow them (Ubuntu: an AppArmor profile for bwrap, or "
    "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`; Docker: `--cap-add SYS_ADMIN --security-opt "
    "seccomp=unconfined --security-opt systempaths=unconfined`), or say --unsandboxed (`settings.sandbox: none`) "
    "at your own risk."
)
CURES = (
    ("Creating new namespace failed", FORBIDDEN),
    ("No permissions to creat", FORBIDDEN),
    ("unshare failed", FORBIDDEN),
    ("Can't mount proc", FORBIDDEN),
    ("setting up uid map", FORBIDDEN),
    (
        "setpriv:",
        "As root, the command's user must be changed: allow CAP_SETUID and CAP_SETGID, or run as another user.",
    ),
    ("Unknown option", "bubblewrap is too old: install 0.8 or newer."),
)


class BubblewrapSandbox:
    """The Sandbox port by bubblewrap, under limits, as an unprivileged user.

    The project's folder is the only writable thing of the host's; as root its files are given to `drop_to` first.
    With `network` (for a declared set-up step only) the host's network is shared.
    """

    name = "bubblewrap"

    def __init__(
        self,
        toolchain: Toolchain | None = None,
        *,
        network: bool = False,
        drop_to: int = NOBODY,
        use_cgroup: bool = True,
    ) -> None:
        self._toolchain = toolchain or running_toolchain()
        self._network = network
        self._uid = drop_to if os.geteuid() == 0 else 0
        self._use_cgroup = use_cgroup
        self._lock = threading.Lock()
        self._known: SandboxProbe | None = None
        self._neutral: Path | None = None

    def probe(self) -> SandboxProbe:
        """Run the canaries and say what holds."""
        missing = [name for name in ("bwrap", "prlimit", "setpriv") if shutil.which(name, path=HOST_PATH) is None]
        if missing:
            packages = "Install bubblewrap and util-linux (Debian: `apt-get install bubblewrap util-linux`)."
            return SandboxProbe(name=self.name, ok=False, detail=f"{', '.join(missing)} is missing.", remedy=packages)
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storyloom-probe-")))
            canary = stack.enter_context(tempfile.NamedTemporaryFile(prefix="storyloom-canary-"))
            host = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            (folder / ".git").mkdir()
            test = canary_test(canary.name, host.getsockname()[1], network=self._network)
            limits = Limits(wall_s=20, cpu_s=10, memory_bytes=1 << 30, processes=64)
            try:
                result = self._run(["/bin/bash", "-c", test], folder, limits, {}, writable=True)
            except SandboxError as error:
                remedy = next((cure for said, cure in CURES if said in error.message), error.remedy)
                return SandboxProbe(name=self.name, ok=False, detail=error.message, remedy=remedy)
            wrote = (folder / "in").exists()
        if result.exit_code or not wrote:
            why = CANARIES.get(result.exit_code, f"exit code {result.exit_code}: {result.output[-300:]}")
            return SandboxProbe(name=self.name, ok=False, detail=f"The sandbox leaks or does not work: {why}.")
        group = make_cgroup(1 << 30, 64) if self._use_cgroup else None
        if group is not None:
            group.remove()
        kept = "by a control group" if group else "by watching the processes"
        return SandboxProbe(name=self.name, ok=True, detail=f"All canaries hold; memory is bounded {kept}.")

    def run(
        self,
        command: str | Sequence[str],
        worktree: str,
        limits: Limits,
        *,
        env: Mapping[str, str] | None = None,
        writable: bool = True,
        shared: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run `command` (a string goes to `bash -c`) with `worktree` as its folder, `shared` folders read-only in it.

        Raises:
            SandboxMissing: the canaries do not hold here.
            SandboxError: the sandbox could not be set up for this folder.
        """
        with self._lock:
            if self._known is None:
                self.sweep()
                self._known = self.probe()
        if not self._known.ok:
            remedy = (
                self._known.remedy
                or "Say --unsandboxed (`settings.sandbox: none`) to run without one, at your own risk."
            )
            raise SandboxMissing(f"No sandbox works here: {self._known.detail}", remedy=remedy)
        argv = shell_arguments(command)
        place = Path(worktree).absolute()
        return self._run(argv, place, limits, env or {}, writable=writable, shared=shared or {})

    def sweep(self) -> list[str]:
        """End what a crashed orchestrator left running, remove its control groups and mount points; say which."""
        done = []
        for process in psutil.process_iter(["name"]):
            if process.info["name"] != "bwrap":
                continue
            with contextlib.suppress(psutil.Error):
                owner = next((part[len(HOST) :] for part in process.cmdline() if part.startswith(HOST)), "")
                if owner.isdigit() and not psutil.pid_exists(int(owner)):
                    process.kill()
                    done.append(f"sandbox {process.pid}")
        for folder in Path(_points_parent()).glob(f"{NEUTRAL}*"):
            owner = folder.name.removeprefix(NEUTRAL).split("-")[0]
            if owner.isdigit() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)
                done.append(str(folder))
        return done + sweep_cgroups()

    def _run(
        self,
        argv: Sequence[str],
        worktree: Path,
        limits: Limits,
        env: Mapping[str, str],
        *,
        writable: bool,
        shared: Mapping[str, str] = MappingProxyType({}),
    ) -> CommandResult:
        if not worktree.is_dir():
            raise SandboxError(f"{worktree} is not a folder.")
        worktree = worktree.resolve()
        chain = Chain(self._uid, self._points() if self._uid else None)
        for folder in self._toolchain.folders:
            chain.bind(folder)
        if self._uid and (writable or worktree.stat().st_mode & 0o5 != 0o5):
            with storage_errors(worktree):
                require_own_folder(worktree, self._uid)
                cut_deep(worktree)  # of a command that was cut off with us
                give(worktree, self._uid)
        if writable:  # a command before this one may have locked itself out
            worktree.chmod(worktree.stat().st_mode | stat.S_IRWXU)
        bind_project(chain, worktree, writable=writable)
        mounts = bind_shared(chain, worktree, shared)
        inner = bwrap_arguments(chain, worktree, self._toolchain, limits, env, self._network)
        if len(chain.hidden) > POINTS:
            raise SandboxError(f"More than {POINTS} folders of the toolchain cannot be reached by an ordinary user.")
        with contextlib.ExitStack() as stack:
            stack.callback(_remove_empty, mounts)
            cgroup = make_cgroup(limits.memory_bytes, limits.processes + 8) if self._use_cgroup else None
            if cgroup is not None:
                stack.callback(cgroup.remove)
            descriptors = {path: stack.enter_context(_memory_file(data)) for path, data in chain.files.items()}
            status = stack.enter_context(_memory_file(b""))
            numbers = {f"@{path}": str(descriptor) for path, descriptor in descriptors.items()}
            command = [
                *host_arguments(chain, cgroup.procs if cgroup else ()),
                *("bwrap", "--json-status-fd", str(status)),
                *(numbers.get(part, part) for part in inner),
                *limit_arguments(limits, grouped=cgroup is not None),
                *argv,
            ]
            result = run_bounded(
                [shutil.which(command[0], path=HOST_PATH) or command[0], *command[1:]],
                limits,
                folder="/",
                env={"PATH": HOST_PATH, CANARY: "sings"},
                watched=str(worktree) if writable else "",
                cgroup=cgroup,
                descriptors=[*descriptors.values(), status],
                settle=lambda: _wait_until_gone(_reported(status, "child-pid")),
            )
            if not result.limit_hit and result.exit_code <= 128 and _reported(status, "exit-code") is None:
                raise SandboxError(f"The sandbox could not be set up: {result.output.strip()[-400:]}")
        return result

    def _points(self) -> Path:
        """Mount points for what the dropped user cannot reach; made once, mounted on in each run's own name space."""
        with self._points_lock:
            if self._neutral is None or not self._neutral.is_dir():
                folder = Path(tempfile.mkdtemp(prefix=f"{NEUTRAL}{os.getpid()}-", dir=_points_parent()))
                folder.chmod(0o755)
                for number in range(POINTS):
                    (folder / str(number)).mkdir(mode=0o755)
                    (folder / f"{number}.file").touch(mode=0o644)
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
                self._neutral = folder
            return self._neutral

    _points_lock = threading.Lock()


def canary_test(secret_file: str, port: int, *, network: bool) -> str:
    """A script that ends with 0 when the sandbox holds, with a key of CANARIES when it does not."""
    reach = "" if network else f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 13"
    return f"""echo ok > in || exit 11
test -e '{secret_file}' && exit 12
{reach}
grep -q 'CapEff:.0000000000000000' /proc/self/status || exit 14
test -n "${{{CANARY}}}" && exit 15
(echo x > /zz || echo x > /dev/zz) 2>/dev/null && exit 16
(echo x > .git/zz) 2>/dev/null && exit 17
test "$(id -u)" = 1000 || exit 18
exit 0
"""


def require_own_folder(folder: Path, uid: int) -> None:
    """Pass for a folder that root may give away: a project's, not one of the system's or of another user's.

    Raises:
        SandboxError: it is none.
    """
    owner = folder.lstat().st_uid
    if len(folder.parts) <= 2 or owner not in (os.geteuid(), uid) or folder == Path.home():
        raise SandboxError(
            f"{folder} is not a project's own folder: as root its files would be given to user {uid}.",
            remedy="Work in a worktree, or run as the user to whom the folder belongs.",
        )


def give(folder: Path, uid: int) -> None:
    """Give what is ours in a folder to a user, links themselves instead of what they point at, `.git` left out.

    A file that has a second name elsewhere is left alone: the other name may be outside of the folder.
    """
    ours, waiting = os.geteuid(), [str(folder)]
    if folder.lstat().st_uid == ours:
        os.chown(folder, uid, uid, follow_symlinks=False)
    while waiting:
        for entry in os.scandir(waiting.pop()):
            if entry.name == ".git":
                continue
            told = entry.stat(follow_symlinks=False)
            shared = stat.S_ISREG(told.st_mode) and told.st_nlink > 1
            if told.st_uid == ours and not shared:
                os.chown(entry.path, uid, uid, follow_symlinks=False)
            if stat.S_ISDIR(told.st_mode):
                waiting.append(entry.path)


@contextlib.contextmanager
def _memory_file(data: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("storyloom", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _reported(status: int, key: str) -> int | None:
    """What bwrap wrote to its status file: "child-pid" at the start, "exit-code" if the command itself ended."""
    lines = os.pread(status, 4096, 0).decode().splitlines()
    found = [json.loads(line).get(key) for line in lines if line.startswith("{") and line.endswith("}")]
    return next((int(value) for value in found if value is not None), None)


def _wait_until_gone(pid: int | None) -> None:
    """Wait for the sandbox's first process: it ends last, when nothing is left in its name space."""
    deadline = time.monotonic() + GONE_S
    while pid is not None and time.monotonic() < deadline:
        with contextlib.suppress(psutil.Error):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.002)
                continue
        return


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _points_parent() -> str:
    return next((place for place in ("/run", "/var/tmp") if os.access(place, os.W_OK)), tempfile.gettempdir())  # noqa: S108
