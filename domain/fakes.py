"""Which small stand-ins answer for a worktree and a sandbox, without a disk or a process?"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from .edit_places import Lines
from .errors import InputError, UnsafePath
from .model_calls import ModelReply, ModelRequest
from .ports import CommandResult, Limits, SandboxProbe, SearchHit
from .protected_paths import clean_path


class MemoryFiles:
    """A worktree's files in a dict of path to text."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self.texts = dict(texts or {})

    def read(self, path: str) -> str | None:
        """The text, None if there is no such file."""
        return self.texts.get(self._clean(path))

    def write(self, path: str, text: str) -> None:
        """Make the file hold this text."""
        self.texts[self._clean(path)] = text

    def delete(self, path: str) -> bool:
        """Remove a file; False if there was none."""
        return self.texts.pop(self._clean(path), None) is not None

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        where = self._clean(path)
        return where in self.texts or any(name.startswith(where + "/") for name in self.texts) or where == "."

    def list(self, path: str = ".", depth: int = 2) -> Sequence[str]:
        """Files and folders below a folder, sorted, folders with "/" at their end."""
        where = self._clean(path)
        below = "" if where == "." else where + "/"
        found: set[str] = set()
        for name in self.texts:
            if name.startswith(below):
                parts = name[len(below) :].split("/")
                found |= {below + "/".join(parts[:n]) + "/" for n in range(1, min(len(parts) - 1, depth) + 1)}
                if len(parts) <= depth:
                    found.add(name)
        return sorted(found)

    def search(self, pattern: str, path: str = ".", *, limit: int = 200) -> Sequence[SearchHit]:
        """Lines that a regular expression matches, sorted by path and line."""
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise InputError(f"{pattern!r} is not a regular expression: {error}.") from error
        where = self._clean(path)
        hits = [
            SearchHit(path=name, line=n, text=row)
            for name, text in sorted(self.texts.items())
            if where in (".", name) or name.startswith(where + "/")
            for n, row in enumerate(_rows(text), 1)
            if wanted.search(row)
        ]
        return hits[:limit]

    def _clean(self, path: str) -> str:
        where = clean_path(path)
        if where is None or where.split("/")[0].lower() == ".git":
            raise UnsafePath(f"{path!r} leaves the worktree or names something protected.")
        return where


def _rows(text: str) -> Sequence[str]:
    lines = Lines(text.replace("\r\n", "\n"))
    return lines.rows[: lines.count]


class ScriptedSandbox:
    """Answers commands by a function of (command, worktree), and keeps what it was asked."""

    def __init__(self, answer: Callable[[str, str], CommandResult]) -> None:
        self.answer, self.asked = answer, list[str]()

    def probe(self) -> SandboxProbe:
        """It always holds, since nothing runs."""
        return SandboxProbe(name="scripted", ok=True)

    def run(
        self,
        command: str | Sequence[str],
        worktree: str,
        limits: Limits,  # noqa: ARG002 (part of the port)
        *,
        env: Mapping[str, str] | None = None,  # noqa: ARG002
        writable: bool = True,  # noqa: ARG002
        shared: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> CommandResult:
        """What the function answers."""
        said = command if isinstance(command, str) else " ".join(command)
        self.asked.append(said)
        return self.answer(said, worktree)


class MemoryDocuments(MemoryFiles):
    """A project's documents in a dict of path to text; `written` lists every write, in order."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        super().__init__(texts)
        self.written: list[str] = []

    def write(self, path: str, text: str) -> None:
        """Make the document hold this text."""
        super().write(path, text)
        self.written.append(path)

    def glob(self, patterns: Sequence[str]) -> list[str]:
        """Paths that match any pattern, whatever the case of their letters, sorted."""
        wanted = [pattern.lower().removeprefix("./") for pattern in patterns]
        return sorted(path for path in self.texts if any(fnmatch.fnmatch(path.lower(), one) for one in wanted))


class MemoryTexts:
    """Content of the method in a dict of path to text."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)

    def read(self, path: str) -> str | None:
        """The text, None if there is none."""
        return self.texts.get(path)

    def names(self, under: str) -> Iterable[str]:
        """Relative paths below a folder, sorted."""
        below = f"{under.rstrip('/')}/" if under else ""
        return sorted(path for path in self.texts if path.startswith(below))


class MemoryShelf:
    """Small values in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        """The text kept under a name."""
        return self.kept.get(name)

    def put(self, name: str, text: str) -> None:
        """Keep a text under a name."""
        self.kept[name] = text

    def put_new(self, name: str, text: str) -> bool:
        """Keep a text unless there is one."""
        return self.kept.setdefault(name, text) is text

    def names(self, prefix: str) -> list[str]:
        """Names that start with a prefix, sorted."""
        return sorted(name for name in self.kept if name.startswith(prefix))


class ScriptedModels:
    """Answers requests by a function and keeps what it was asked; an answer once given is given again, uncalled.

    Like the real door's journal, `asked` counts a request once however often it comes, `repeated` the rest.
    """

    def __init__(self, answer: Callable[[ModelRequest], ModelReply | str]) -> None:
        self.answer = answer
        self.asked: list[ModelRequest] = []
        self.repeated: list[ModelRequest] = []
        self._journal: dict[str, ModelReply] = {}

    def complete(self, request: ModelRequest) -> ModelReply:
        """The scripted answer."""
        key = request.content_key()
        if key in self._journal:
            self.repeated.append(request)
            return self._journal[key]
        said = self.answer(request)
        self.asked.append(request)
        self._journal[key] = said if isinstance(said, ModelReply) else ModelReply(content=said, model="scripted")
        return self._journal[key]
