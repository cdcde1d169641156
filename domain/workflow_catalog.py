"""Which workflows does a folder hold: an installed project, or an unpacked package?"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .resolver import INSTALLED

_ENTRY = re.compile(r"^(?:workflow(?:-(?!.*template)[\w-]+)?\.(?:ya?ml|md|xml)|SKILL\.md)$")
_RANK = {"workflow.yaml": 0, "workflow.yml": 0, "SKILL.md": 1, "workflow.md": 2, "workflow.xml": 3}
_ASIDE = frozenset({
    "templates", "template", "fixtures", "tests", "test", "node_modules", ".git", "docs", "website", "tools",
    "web-bundles", ".claude", ".cursor",
})  # fmt: skip  # folders whose files only look like workflows
_LAYERS = frozenset({"src", "modules", "workflows", "workflows-legacy", "tasks", "skills", "agents", *INSTALLED})


@dataclass(frozen=True)
class FoundWorkflow:
    """A workflow's first file. `id` is unique in the folder: "bmm/dev-story"; `role` tells workflows from tasks."""

    id: str
    path: str
    module: str
    role: Literal["workflow", "task"] = "workflow"

    @property
    def name(self) -> str:
        """The id's last part."""
        return self.id.rsplit("/", 1)[-1]


def find_workflows(files: Mapping[str, str]) -> tuple[FoundWorkflow, ...]:
    """All workflows among `files` (relative paths to texts), sorted by id."""
    entries = list(_entries(files))
    taken: dict[str, list[str]] = {}
    for path in entries:
        taken.setdefault(f"{_module(path)}/{_name(path)}", []).append(path)
    found = []
    for short, paths in taken.items():
        for path in paths:
            role: Literal["workflow", "task"] = "task" if "tasks" in path.split("/") else "workflow"
            found.append(FoundWorkflow(short if len(paths) == 1 else _long(path), path, _module(path), role))
    return tuple(sorted(found, key=lambda f: (f.id, f.path)))


def pick(found: Iterable[FoundWorkflow], asked: str) -> tuple[FoundWorkflow, ...]:
    """The workflows that `asked` may mean: by id, else by name, path or folder; more than one if it is not clear."""
    everything = tuple(found)
    plain = asked.strip().strip("/").removesuffix(".md").removesuffix(".yaml")
    by_id = tuple(f for f in everything if asked in (f.id, f.path))
    return by_id or tuple(
        f for f in everything if plain in (f.name, f.id, posixpath.dirname(f.path), f.path.rsplit(".", 1)[0])
    )


def _entries(files: Mapping[str, str]) -> Iterable[str]:
    folders: dict[str, list[str]] = {}
    for path in files:
        if not _ASIDE.intersection(path.split("/")[:-1]):
            folders.setdefault(posixpath.dirname(path), []).append(path)
    for folder, paths in folders.items():
        names = [p for p in paths if _ENTRY.match(posixpath.basename(p)) and not _is_agent(p, files)]
        main = sorted((p for p in names if posixpath.basename(p) in _RANK), key=lambda p: _RANK[posixpath.basename(p)])
        yield from main[:1]
        yield from (p for p in names if p not in main)
        for path in paths:
            if path not in names and _is_named_workflow(path, files[path], folder):
                yield path


def _is_named_workflow(path: str, text: str, folder: str) -> bool:
    """Whether a file of another name is a workflow: a workflow file beside its parent's, or a task."""
    if path.endswith((".yaml", ".yml")):
        return (
            re.search(r"^instructions:", text, re.MULTILINE) is not None
            and re.search(r"^name:", text, re.MULTILINE) is not None
        )
    if posixpath.basename(folder) == "tasks" and path.endswith((".xml", ".md")):
        return True
    return path.endswith(".xml") and re.match(r"\s*(?:<!--.*?-->\s*)*<task[\s>]", text, re.DOTALL) is not None


def _is_agent(path: str, files: Mapping[str, str]) -> bool:
    if not path.endswith("SKILL.md"):
        return False
    folder = posixpath.dirname(path)
    custom = files.get(posixpath.join(folder, "customize.toml"), "")
    manifest = files.get(posixpath.join(folder, "bmad-skill-manifest.yaml"), "")
    named = re.match(r"(?:bmad-)?agent-", posixpath.basename(folder)) is not None
    is_agent = re.search(r"^\[agent\]", custom, re.MULTILINE) or re.search(r"^type:\s*agent\b", manifest, re.MULTILINE)
    return bool(is_agent) or (named and not custom)


def _name(path: str) -> str:
    base, folder = posixpath.basename(path), posixpath.dirname(path)
    if base in _RANK:
        return posixpath.basename(folder) or "workflow"
    return re.sub(r"^workflow-", "", base.rsplit(".", 1)[0])


def _module(path: str) -> str:
    """The module that a file belongs to: the first folder below the package's or the installation's layers."""
    parts = path.split("/")[:-1]
    for at, part in enumerate(parts):
        if part in INSTALLED or part in ("modules", "src"):
            rest = [p for p in parts[at + 1 :] if p != "modules"]
            if rest and rest[0] not in _LAYERS:
                return re.sub(r"-skills$", "", rest[0])
    outer = [part for part in parts[:-1] if part not in _LAYERS]
    return outer[0] if outer else "project"


def _long(path: str) -> str:
    parts = [p for p in path.split("/")[:-1] if p not in _LAYERS]
    base = posixpath.basename(path)
    return "/".join(parts if base in _RANK else [*parts, _name(path)])
