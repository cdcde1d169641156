"""How are files read and written that a model names, so that it can touch nothing but its worktree?"""

from __future__ import annotations

import builtins
import contextlib
import errno
import json
import os
import re
import secrets
import stat
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from storyloom.domain.errors import GitError, InputError, RepositoryError, UnsafePath
from storyloom.domain.ports import SearchHit
from storyloom.domain.safe_paths import check_path, protection

from .atomic_files import MARK
from .disk import storage_errors
from .git import Git, locate
from .guarded_open import make_folders, opened, require_plain
from .search_lines import lines_matching

READ_BYTES = 4 << 20
WRITE_BYTES = 4 << 20
ENTRIES = 50_000
LINE_SIGNS = 500
SEARCH_S = 10.0
PLAIN = re.compile(r"[\w \-/:;,=<>'\"@#%&!~`]*")  # patterns that mean just themselves


class ProjectFiles:
    """The FilesIn port on one folder. `planned` are paths a person named: they open the CI configuration.

    Paths are checked by `domain.safe_paths`, then resolved below the root without following links. Only regular files
    with a single name are touched.
    """

    def __init__(self, root: str | Path, *, planned: Collection[str] = (), portable: bool = False) -> None:
        self.root = Path(root).resolve()
        self._planned = tuple(planned)
        self._portable = portable

    def read(self, path: str) -> str | None:
        """The text with its line ends and byte order mark as they are, None if there is no such file.

        Raises:
            UnsafePath: the path is not safe.
            InputError: the file is not UTF-8 text, or larger than 4 MiB.
        """
        parts = check_path(path, writing=False)
        try:
            with self._opened(parts, os.O_RDONLY) as descriptor:
                if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    raise InputError(f"{path} is a folder.", remedy="List it instead.")
                told = require_plain(descriptor, path)
                if told.st_size > READ_BYTES:
                    raise InputError(f"{path} has {told.st_size} bytes; at most {READ_BYTES} are read.")
                with os.fdopen(os.dup(descriptor), "rb") as file:
                    data = file.read(READ_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket, or a device without a driver
                raise UnsafePath(f"{path} is not a regular file.") from None
            raise
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 text (byte {error.start}).") from None
        if "\0" in text:
            raise InputError(f"{path} is not text: it holds NUL bytes.")
        return text

    def write(self, path: str, text: str) -> None:
        """Make the file hold exactly this text, atomically, folders included; the mode of a file that exists is kept.

        Raises:
            UnsafePath: the path is not safe.
            InputError: the text is larger than 4 MiB, or a folder or a file stands in the way.
            StorageFull: the old file is intact.
        """
        parts = check_path(path, planned=self._planned)
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{path}: the text cannot be written as UTF-8 (sign {error.start}).") from None
        if len(data) > WRITE_BYTES:
            raise InputError(f"{path}: a text of {len(data)} bytes; at most {WRITE_BYTES} are written.")
        with storage_errors(self.root / path):
            try:
                make_folders(self.root, parts[:-1], portable=self._portable)
                mode = self._mode(parts, path)
            except NotADirectoryError:
                raise InputError(f"{path}: a file stands where a folder should be.") from None
            with self._opened(parts[:-1]) as folder:
                temporary = f"{MARK}-{os.getpid()}-{secrets.token_hex(6)}"
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                try:
                    with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
                        file.write(data)
                        file.flush()
                        os.fchmod(file.fileno(), mode)
                    os.rename(temporary, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=folder)
                    raise

    def delete(self, path: str) -> bool:
        """Remove a file, or a link instead of what it points at; False if there was none.

        Raises:
            UnsafePath: the path is not safe.
            InputError: it is a folder.
        """
        parts = check_path(path, planned=self._planned)
        try:
            with self._opened(parts[:-1]) as folder:
                if stat.S_ISDIR(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                    raise InputError(f"{path} is a folder.", remedy="Delete its files one by one.")
                os.unlink(parts[-1], dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder.

        Raises:
            UnsafePath: the path is not safe, or names a symbolic link.
        """
        if path == ".":
            return True
        parts = check_path(path, writing=False)
        try:
            with self._opened(parts[:-1]) as folder:
                told = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if stat.S_ISLNK(told.st_mode):
            raise UnsafePath(f"{path} is a symbolic link.")
        return True

    def list(self, path: str = ".", depth: int = 2) -> builtins.list[str]:
        """Files and folders below a folder, sorted, folders with "/" at their end.

        Left out: what git ignores, git's own files, and what may hold secrets.

        Raises:
            UnsafePath: the path is not safe.
        """
        start, depth = self._start(path), max(1, depth)
        found = set()
        for file in self._files(start):
            below = file[len(start) :].split("/")
            found.add(start + "/".join(below[:depth]) + ("/" if len(below) > depth else ""))
            found.update(start + "/".join(below[:level]) + "/" for level in range(1, min(depth, len(below) - 1) + 1))
        return sorted(found)

    def search(self, pattern: str, path: str = ".", *, limit: int = 200) -> builtins.list[SearchHit]:
        """Lines that a regular expression matches, sorted by path and line, at most `limit`.

        Raises:
            UnsafePath: the path is not safe.
            InputError: the pattern is not a regular expression, or took more than ten seconds.
        """
        start = path if path != "." and self._is_file(path) else ""
        files = [start] if start else sorted(self._files(self._start(path)))
        if PLAIN.fullmatch(pattern):
            found = lines_matching(
                str(self.root), files, pattern, limit=limit, line_signs=LINE_SIGNS, file_bytes=READ_BYTES
            )
        else:
            found = self._search_apart(pattern, files, limit)
        return [SearchHit(path=name, line=line, text=text) for name, line, text in found]

    def _search_apart(self, pattern: str, files: builtins.list[str], limit: int) -> builtins.list[tuple[str, int, str]]:
        """Search in a process of its own: a pattern may take for ever, and would stop all our threads."""
        request = {
            "root": str(self.root),
            "paths": files,
            "pattern": pattern,
            "limit": limit,
            "line_signs": LINE_SIGNS,
            "file_bytes": READ_BYTES,
        }
        program = [sys.executable, "-I", "-S", "-B", str(Path(__file__).with_name("search_lines.py"))]
        try:
            done = subprocess.run(
                program,
                input=json.dumps(request),
                capture_output=True,
                text=True,
                timeout=SEARCH_S,
                env={},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"The search for {pattern!r} took more than {SEARCH_S:g} s.", remedy="Search for something simpler."
            ) from None
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:]
            raise InputError(f"The search for {pattern!r} failed: {' '.join(said)}")
        answer = json.loads(done.stdout)
        if isinstance(answer, str):
            raise InputError(f"{pattern!r} is not a regular expression: {answer}.")
        return [(name, line, text) for name, line, text in answer]

    def _start(self, path: str) -> str:
        """The prefix of all paths below a folder, "" for the root.

        Raises:
            UnsafePath: the path is not safe.
        """
        if path == ".":
            return ""
        parts = check_path(path.rstrip("/"), writing=False)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), self._opened(parts):
            pass
        return "/".join(parts) + "/"

    def _files(self, start: str) -> Iterator[str]:
        """Paths of files below a prefix that are neither ignored, nor protected from being read, nor links."""
        names = self._known_to_git(start)
        shown = self._walk(start) if names is None else names
        for number, name in enumerate(shown):
            if number >= ENTRIES:
                return
            if not protection(name, writing=False) and name.startswith(start) and name.isprintable():
                with contextlib.suppress(OSError):
                    if stat.S_ISREG((self.root / name).lstat().st_mode):
                        yield name

    def _known_to_git(self, start: str) -> builtins.list[str] | None:
        below = ["--", start.rstrip("/")] if start else []
        try:
            git = Git(locate(self.root).git_dir, self.root)
            out = git.text("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", *below)
        except (RepositoryError, GitError, OSError):
            return None
        return [name for name in out.split("\0") if name]

    def _walk(self, start: str) -> Iterator[str]:
        for parent, folders, files in os.walk(self.root / start, followlinks=False):
            folders[:] = [name for name in folders if name != ".git"]
            for name in files:
                yield Path(parent, name).relative_to(self.root).as_posix()

    def _is_file(self, path: str) -> bool:
        parts = check_path(path.rstrip("/"), writing=False)
        try:
            with self._opened(parts, os.O_RDONLY) as descriptor:
                return stat.S_ISREG(os.fstat(descriptor).st_mode)
        except OSError:
            return False

    def _mode(self, parts: tuple[str, ...], path: str) -> int:
        try:
            with self._opened(parts, os.O_RDONLY) as descriptor:
                if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    raise InputError(f"{path} is a folder.")
                return require_plain(descriptor, path).st_mode & 0o777
        except FileNotFoundError:
            return 0o644
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise UnsafePath(f"{path} is not a regular file.") from None
            raise

    def _opened(
        self, parts: tuple[str, ...], flags: int = os.O_RDONLY | os.O_DIRECTORY
    ) -> contextlib.AbstractContextManager[int]:
        return opened(self.root, parts, flags, portable=self._portable)
