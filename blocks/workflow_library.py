"""Which workflows and agents lie in a folder on disk: an installed project, or an unpacked package?

Only texts below the folder are read: no link that leads out of it, nothing binary, nothing larger than a few megabytes.
In an installed project only the method's own folders are looked into, never the project's sources.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from storyloom.domain.agent_reader import Persona, find_agents, read_agent
from storyloom.domain.errors import DocumentError, InputError
from storyloom.domain.installed_config import read_config
from storyloom.domain.references import References
from storyloom.domain.resolver import INSTALLED
from storyloom.domain.workflow_catalog import FoundWorkflow, find_workflows, pick
from storyloom.domain.workflow_reader import read_workflow
from storyloom.domain.workflow_tree import Note, Workflow

MAX_FILE_BYTES = 4 << 20
MAX_TOTAL_BYTES = 64 << 20
MAX_FILES = 20_000
TEXTS = frozenset({".md", ".yaml", ".yml", ".xml", ".toml", ".csv", ".json", ".txt", ".template", ".html", ".py"})
SKIPPED = frozenset({".git", "node_modules", ".venv", "__pycache__", ".cache"})
TOOLS = (".agents", ".claude", ".cursor", ".codex", ".gemini", ".github", ".opencode", ".windsurf", ".cline", ".roo")


@dataclass(frozen=True)
class WorkflowLibrary:
    """The texts of a folder, and what they mean. `skipped` says what was not read and why."""

    root: str
    files: Mapping[str, str]
    skipped: tuple[Note, ...] = ()
    _read: dict[str, Workflow] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: str | Path) -> WorkflowLibrary:
        """The library of a folder.

        Raises:
            InputError: there is no such folder, or it holds more than a package of workflows does.
        """
        root = Path(folder)
        if not root.is_dir():
            raise InputError(
                f"There is no folder {str(folder)!r}.", remedy="Name an installed project or an unpacked package."
            )
        files: dict[str, str] = {}
        skipped: list[Note] = []
        total = 0
        for path in _method_files(root):
            name = path.relative_to(root).as_posix()
            text = _text(path, root, name, skipped)
            if text is None:
                continue
            files[name] = text
            total += len(text)
            if total > MAX_TOTAL_BYTES or len(files) > MAX_FILES:
                raise InputError(
                    f"{str(folder)!r} holds more than {MAX_FILES:,} texts or {MAX_TOTAL_BYTES >> 20} MB",
                    remedy="Name the folder that holds the workflows themselves.",
                )
        return cls(str(root), files, tuple(skipped))

    @staticmethod
    def is_installed(folder: str | Path) -> bool:
        """Whether the method is installed in a project's folder: a folder of its own, or skills of a tool."""
        root = Path(folder)
        return any((root / name).is_dir() for name in INSTALLED) or any((root / t / "skills").is_dir() for t in TOOLS)

    def read(self, path: str) -> str | None:
        """A text by its relative path, None if there is none."""
        return self.files.get(path)

    def names(self, under: str) -> list[str]:
        """Relative paths of all texts below a folder, sorted."""
        below = f"{under.rstrip('/')}/" if under else ""
        return sorted(path for path in self.files if path.startswith(below))

    @cached_property
    def found(self) -> tuple[FoundWorkflow, ...]:
        """All workflows, sorted by id."""
        return find_workflows(self.files)

    @cached_property
    def references(self) -> References:
        """Which file a path in a workflow means."""
        return References(self.files)

    @cached_property
    def agent_paths(self) -> tuple[str, ...]:
        """The first files of all agents."""
        return find_agents(self.files)

    @cached_property
    def agents(self) -> tuple[Persona, ...]:
        """All agents that can be read."""
        return self._agents_and_notes[0]

    @property
    def agent_notes(self) -> tuple[Note, ...]:
        """Why agents could not be read."""
        return self._agents_and_notes[1]

    @cached_property
    def _agents_and_notes(self) -> tuple[tuple[Persona, ...], tuple[Note, ...]]:
        agents, notes = [], []
        for path in self.agent_paths:
            try:
                agents.append(read_agent(path, self.files))
            except DocumentError as error:
                notes.append(Note(error.path or path, error.line or 1, _plain(error), "error"))
        return tuple(agents), tuple(notes)

    def find(self, asked: str) -> FoundWorkflow:
        """The workflow that `asked` names, by id, name, path or folder.

        Raises:
            InputError: there is none, or several.
        """
        matches = pick(self.found, asked)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InputError(
                f"{asked!r} may be any of: {', '.join(f.id for f in matches)}", remedy="Name one by its id."
            )
        raise InputError(
            f"There is no workflow {asked!r} in {self.root!r}.", remedy="`storyloom workflow list` shows them."
        )

    def workflow(self, found: FoundWorkflow) -> Workflow:
        """A workflow as read, with the agent that offers it.

        Raises:
            DocumentError: its first file cannot be read; with file and line.
        """
        if found.path not in self._read:
            workflow = read_workflow(found.path, self.files)
            if not workflow.persona:
                workflow = replace(workflow, persona=self._offered_by(found))
            self._read[found.path] = workflow
        return self._read[found.path]

    def config(self, found: FoundWorkflow) -> dict[str, object]:
        """The configuration values of the workflow's module, not resolved."""
        return read_config(self.files, found.module)

    def _offered_by(self, found: FoundWorkflow) -> str:
        """The agent that offers a workflow: one of its own module, else the only one; "" if nobody or several do."""
        agents = self._offers.get(found.path, [])
        own = [agent for agent in agents if agent.module == found.module]
        return own[0].id if own else agents[0].id if len(agents) == 1 else ""

    @cached_property
    def _offers(self) -> dict[str, list[Persona]]:
        offers: dict[str, list[Persona]] = {}
        for agent in self.agents:
            for item in agent.menu:
                try:
                    target = self.references.find_workflow(item.target, "") if item.target else None
                except InputError:
                    continue
                if target and item.kind not in ("data", "tmpl", "validate-workflow"):
                    offers.setdefault(target, []).append(agent)
        return offers


def _method_files(root: Path) -> Iterator[Path]:
    """All files that may hold the method; in an installed project, those of its own folders alone."""
    installed = [root / name for name in INSTALLED if (root / name).is_dir()]
    if installed and root.name not in INSTALLED and not (root / "src").joinpath("core").is_dir():
        tops = [*installed, *(root / name / "skills" for name in TOOLS if (root / name / "skills").is_dir())]
    else:
        tops = [root]
    for top in tops:
        for folder, folders, names in os.walk(top, followlinks=False):
            folders[:] = sorted(name for name in folders if name not in SKIPPED)
            yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix.lower() in TEXTS)


def _text(path: Path, root: Path, name: str, skipped: list[Note]) -> str | None:
    """The text of a file; None, and a note, if it must not or cannot be read."""
    reason = ""
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            reason = "a link that leads out of the folder is not followed"
        elif not path.is_file():
            reason = "this is no plain file"
        elif path.stat().st_size > MAX_FILE_BYTES:
            reason = (
                f"{path.stat().st_size >> 20} MB are more than the {MAX_FILE_BYTES >> 20} MB that are read of a file"
            )
        else:
            data = path.read_bytes()
            if b"\0" not in data:
                return data.decode("utf-8")
            reason = "this is binary"
    except UnicodeDecodeError:
        reason = "this is not UTF-8"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    skipped.append(Note(name, 1, reason))
    return None


def _plain(error: DocumentError) -> str:
    lead = f"{error.path}:{error.line}: " if error.line else f"{error.path}: "
    return error.message.removeprefix(lead)
