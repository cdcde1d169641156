"""How does a command run when a person chose to do without a sandbox?  Same bounds, no isolation, and it says so."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from storyloom.domain.ports import CommandResult, Limits, SandboxProbe

from .bounded_process import run_bounded, shell_arguments
from .cgroups import make_cgroup
from .sandbox_chain import limit_arguments
from .toolchain import SYSTEM_PATH, Toolchain, running_toolchain

JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'


class UnsandboxedRunner:
    """The Sandbox port without a sandbox: the command may read and write whatever we may, and reach the network.

    Only the environment is kept away from it. A process that detaches itself is ended only where there are control
    groups.
    """

    name = "none"

    def __init__(self, toolchain: Toolchain | None = None, *, use_cgroup: bool = True) -> None:
        self._toolchain = toolchain or running_toolchain()
        self._use_cgroup = use_cgroup

    def probe(self) -> SandboxProbe:
        """Always usable, and never safe."""
        return SandboxProbe(name=self.name, ok=True, detail="No sandbox: commands run with all our rights.")

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
        """Run `command` (a string goes to `bash -c`) with `worktree` as its folder, `shared` folders linked into it."""
        argv = shell_arguments(command)
        cgroup = make_cgroup(limits.memory_bytes, limits.processes + 8) if self._use_cgroup else None
        home = tempfile.mkdtemp(prefix="storyloom-home-")
        variables = {
            "PATH": ":".join((*self._toolchain.path, *SYSTEM_PATH)),
            "HOME": home,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **dict(self._toolchain.env),
            **(env or {}),
        }
        bounds = limit_arguments(limits, grouped=cgroup is not None)
        bounds = [part for part in bounds if not part.startswith("--nproc")]  # it would count all our user's processes
        links = _link(Path(worktree), shared or {})
        try:
            return run_bounded(
                ["/bin/sh", "-c", JOIN, "sh", *(cgroup.procs if cgroup else ()), "--", *bounds, *argv],
                limits,
                folder=worktree,
                env=variables,
                watched=worktree if writable else "",
                cgroup=cgroup,
                sandboxed=False,
            )
        finally:
            for link in links:
                link.unlink(missing_ok=True)
            if cgroup is not None:
                cgroup.remove()
            shutil.rmtree(home, ignore_errors=True)


def _link(worktree: Path, shared: Mapping[str, str]) -> list[Path]:
    """Links to folders, made where the worktree has nothing yet; to be removed before anything is committed."""
    made = []
    for name, folder in shared.items():
        place = worktree / name
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(folder)
            made.append(place)
    return made
