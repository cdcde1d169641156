"""Which command line puts a command into the sandbox?

    [unshare --mount] [sh: join the control group, bind hidden folders] [setpriv] bwrap prlimit COMMAND

`setpriv` and `unshare` only as root: no flag of bwrap's makes it safe while the kernel sees uid 0. Folders that the
dropped user could not reach (below root's home, say) are first bound to a neutral place in a mount name space of our
own; inside they are where they always are. Limits are set inside, where processes are counted per sandbox.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storyloom.domain.errors import SandboxError
from storyloom.domain.ports import Limits

from .toolchain import SYSTEM_PATH, Toolchain

TMP = "/tmp"  # noqa: S108 - the temporary folder inside: an empty tmpfs of its own
LINKS = f"{TMP}/.bin"
HOST = "storyloom-"  # + our process id: the sandbox's host name, by which leftovers are found
PRELUDE = """set -e
while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift
exec "$@"
"""
ETC = {
    "/etc/passwd": "root:x:0:0::/:/bin/sh\nsandbox:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "/etc/group": "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
ETC_FROM_HOST = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ssl",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
    "/etc/fonts",
)
ETC_FOR_NETWORK = ("/etc/resolv.conf", "/etc/ca-certificates", "/etc/pki")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of git's configuration only what says how to read the repository: the rest may hold credentials.
GIT_KEYS = re.compile(r"\s*(repositoryformatversion|filemode|bare|symlinks|ignorecase|autocrlf|eol)\s*=", re.I)


@dataclass
class Chain:
    """A command line in the making: what is bound where, and which texts appear as files."""

    uid: int  # 0: we are an ordinary user and stay who we are
    neutral: Path | None = None  # folder of mount points for what the dropped user cannot reach
    binds: list[str] = field(default_factory=list)
    hidden: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def bind(self, path: str | Path, *, at: str | Path = "", writable: bool = False) -> None:
        """Make a host path visible inside, at the same place or at another."""
        source = str(path)
        if self.uid and self.neutral and not reachable(Path(path), self.uid):
            known = dict(self.hidden)
            if source not in known:
                point = self.neutral / (str(len(self.hidden)) + ("" if Path(path).is_dir() else ".file"))
                self.hidden.append((source, str(point)))
                known[source] = str(point)
            source = known[source]
        self.binds += ["--bind" if writable else "--ro-bind", source, str(at or path)]

    def text(self, path: str | Path, content: str) -> None:
        """Make a text appear as a read-only file inside."""
        self.files[str(path)] = content.encode(errors="surrogateescape")
        self.binds += ["--ro-bind-data", f"@{path}", str(path)]


def reachable(path: Path, uid: int) -> bool:
    """Whether a user that is neither owner nor in the group of the folders above may enter `path` and read it."""
    for place in (path, *path.parents):
        told = place.stat()
        wanted = 0o4 if place == path and not place.is_dir() else 0o5 if place == path else 0o1
        granted = told.st_mode >> 6 if told.st_uid == uid else told.st_mode
        if granted & wanted != wanted:
            return False
    return True


def bwrap_arguments(
    chain: Chain, worktree: Path, toolchain: Toolchain, limits: Limits, env: Mapping[str, str], network: bool
) -> list[str]:
    """The arguments of bwrap up to the command; "@PATH" stands for the descriptor of `chain.files[PATH]`."""
    isolate = "--unshare-all --unshare-user --uid 1000 --gid 1000 --disable-userns --cap-drop ALL --new-session"
    arguments = [*isolate.split(), "--die-with-parent", "--hostname", f"{HOST}{os.getpid()}"]
    arguments += ["--share-net"] if network else []
    arguments += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "lib", "lib32", "lib64", "libx32", "sbin"):
        host = Path("/", name)
        if host.is_symlink():
            arguments += ["--symlink", f"usr/{name}", f"/{name}"]
        elif host.is_dir():
            arguments += ["--ro-bind", f"/{name}", f"/{name}"]
    for place in (*ETC_FROM_HOST, *(ETC_FOR_NETWORK if network else ())):
        arguments += ["--ro-bind-try", place, place]
    for place, text in ETC.items():
        chain.files[place] = text.encode()
        arguments += ["--ro-bind-data", f"@{place}", place]
    arguments += ["--dev", "/dev", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    for place, size in ((TMP, limits.tmp_bytes), ("/run", 16 << 20), ("/dev/shm", min(limits.tmp_bytes, 64 << 20))):  # noqa: S108
        arguments += ["--size", str(size), "--tmpfs", place]
    path = [*toolchain.path, *SYSTEM_PATH]
    if toolchain.python:
        arguments += ["--dir", LINKS, "--symlink", toolchain.python, f"{LINKS}/python"]
        path.append(LINKS)
    arguments += [*chain.binds, "--remount-ro", "/dev", "--remount-ro", "/"]
    variables = {
        "PATH": ":".join(path),
        "HOME": TMP,
        "TMPDIR": TMP,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        **dict(toolchain.env),
        **env,
    }
    arguments += ["--chdir", str(worktree), "--clearenv"]
    for name, value in variables.items():
        if ENV_NAME.fullmatch(name) is None or "\0" in value:
            raise SandboxError(f"{name!r} cannot be an environment variable.")
        arguments += ["--setenv", name, value]
    return arguments


def bind_project(chain: Chain, worktree: Path, *, writable: bool) -> None:
    """Show the worktree, its `.git` read-only, and for a linked worktree the repository that it belongs to.

    As root, git works inside only where the repository's files are readable by others (umask 022, not 077).
    """
    chain.bind(worktree, writable=writable)
    dot_git = worktree / ".git"
    if dot_git.is_symlink() or not dot_git.exists():
        return
    chain.bind(dot_git)
    if dot_git.is_dir():
        for objects in _borrowed(dot_git / "objects"):
            chain.bind(objects)
        _veil(chain, dot_git)
        return
    linked = _repository_of(worktree)
    if linked is not None:
        admin, common = linked
        chain.bind(common)
        for objects in _borrowed(common / "objects"):
            chain.bind(objects)
        _veil(chain, common)
        if (admin / "config.worktree").is_file():
            chain.text(admin / "config.worktree", "")


def bind_shared(chain: Chain, worktree: Path, shared: Mapping[str, str]) -> list[Path]:
    """Show folders of the host where they are and in the worktree, both read-only; the folders made to mount on.

    One is left out where the worktree has something else than a folder of its own in its place.
    """
    made = []
    for name, folder in shared.items():
        place = worktree / name
        if os.path.realpath(place) != str(place) or (place.exists() and not place.is_dir()):
            continue
        if not place.exists():
            place.mkdir(parents=True)
            made.append(place)
        chain.bind(folder)
        chain.bind(folder, at=place)
    return made


def _repository_of(worktree: Path) -> tuple[Path, Path] | None:
    """The git directories of a linked worktree, if they point back at it."""
    try:
        admin = Path((worktree / ".git").read_text().removeprefix("gitdir:").strip())
        common = (admin / (admin / "commondir").read_text().strip()).resolve()
        points_back = (admin / "gitdir").read_text().strip() == str(worktree / ".git")
    except (OSError, UnicodeDecodeError):
        return None
    whole = (common / "HEAD").is_file() and (common / "objects").is_dir() and (common / "refs").is_dir()
    return (admin, common) if points_back and whole and admin.is_relative_to(common) else None


def _borrowed(objects: Path) -> list[Path]:
    """Object folders of other repositories that this one was cloned to share."""
    try:
        lines = (objects / "info" / "alternates").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = [(objects / line).resolve() for line in lines if line and not line.startswith("#")]
    return [path for path in found if path.name == "objects" and (path.parent / "HEAD").is_file()]


def _veil(chain: Chain, git_dir: Path) -> None:
    """Hide what may hold credentials in a git directory: remotes' URLs, headers, helpers, submodules."""
    config = git_dir / "config"
    if config.is_file():
        chain.text(config, _harmless(config.read_text(errors="surrogateescape")))
    for name in ("config.worktree", "FETCH_HEAD"):
        if (git_dir / name).is_file():
            chain.text(git_dir / name, "")
    for name in ("modules", "hooks", "lfs"):
        if (git_dir / name).is_dir():
            chain.binds += ["--size", "4096", "--tmpfs", str(git_dir / name), "--remount-ro", str(git_dir / name)]


def _harmless(config: str) -> str:
    kept, section = [], ""
    for line in config.splitlines():
        if line.lstrip().startswith("["):
            section = line.strip().lower()
            if section in ("[core]", "[extensions]"):
                kept.append(section)
        elif section == "[extensions]" or (section == "[core]" and GIT_KEYS.match(line)):
            kept.append(line)
    return "\n".join([*kept, ""])


def limit_arguments(limits: Limits, *, grouped: bool) -> list[str]:
    """prlimit and its arguments; never above what we are bound by ourselves.

    With a control group the address space is left four times the memory: runtimes reserve far more than they use.
    """
    wanted = {
        "nproc": (resource.RLIMIT_NPROC, limits.processes, 0),
        "as": (resource.RLIMIT_AS, limits.memory_bytes * (4 if grouped else 1), 0),
        "cpu": (resource.RLIMIT_CPU, limits.cpu_s, 2),
        "fsize": (resource.RLIMIT_FSIZE, limits.file_bytes, 0),
        "nofile": (resource.RLIMIT_NOFILE, 1024, 0),
        "core": (resource.RLIMIT_CORE, 0, 0),
    }
    arguments = ["prlimit"]
    for name, (kind, value, grace) in wanted.items():
        hard = resource.getrlimit(kind)[1]
        most = value + grace if hard == resource.RLIM_INFINITY else min(value + grace, hard)
        arguments.append(f"--{name}={min(value, most)}:{most}")
    return arguments


def host_arguments(chain: Chain, cgroup_files: Sequence[str]) -> list[str]:
    """What comes in front of bwrap on the host: name space, control group, hidden folders, another user."""
    prelude = ["sh", "-c", PRELUDE, "sh", *cgroup_files, "--"]
    prelude += [part for pair in chain.hidden for part in pair] + ["--"]
    front = prelude if cgroup_files or chain.hidden else []
    if chain.hidden:
        front = ["unshare", "--mount", "--propagation", "private", "--", *front]
    drop = ["setpriv", f"--reuid={chain.uid}", f"--regid={chain.uid}", "--clear-groups", "--no-new-privs"]
    return [*front, *(drop if chain.uid else [])]
