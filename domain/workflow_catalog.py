"""Which workflows does a folder hold: an installed project, or an unpacked package?"""

from __future__ import annotations

import contextlib
import csv
import io
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .agent_reader import is_agent_skill
from .resolver import INSTALLED

_NAMED = re.compile(r"^workflow-[\w-]+\.(?:md|ya?ml|xml)$")
_RANK = {"workflow.yaml": 0, "workflow.yml": 0, "SKILL.md": 1, "workflow.md": 2, "workflow.xml": 3}
_ASIDE = re.compile(
    r"^(?:.*[-_]?templates?|fixtures|tests?|node_modules|\.git|docs|website|tools|web-bundles|commands)$"
)
_LAYERS = frozenset({"src", "modules", "workflows", "workflows-legacy", "tasks", "skills", "agents", *INSTALLED})
_VERSION_4 = re.compile(
    r"^workflow:[ \t]*(?:#.*)?$(?:\r?\n(?:[ \t#].*)?)*?\r?\n[ \t]+sequence:", re.MULTILINE
)  # found to be refused
_ENGINE = re.compile(r"(?:^|/)core/tasks/workflow\.xml$")  # upstream's engine is a prompt; ours is code


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
    modules = _manifest(files)
    entries = [(path, modules.get(_name(path)) or _module(path)) for path in sorted(_entries(files))]
    taken: dict[str, list[str]] = {}
    for path, module in entries:
        taken.setdefault(f"{module}/{_name(path)}", []).append(path)
    longer: dict[str, list[str]] = {}
    for path, _ in entries:
        longer.setdefault(_long(path), []).append(path)
    found = []
    for path, module in entries:
        short, long = f"{module}/{_name(path)}", _long(path)
        name = short if len(taken[short]) == 1 else long if len(longer[long]) == 1 else _whole(path)
        role: Literal["workflow", "task"] = "task" if "tasks" in path.split("/") else "workflow"
        found.append(FoundWorkflow(name, path, module, role))
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
        if not any(_ASIDE.match(part) for part in path.split("/")[:-1]) and not _ENGINE.search(path):
            folders.setdefault(posixpath.dirname(path), []).append(path)
    skills: set[str] = set()
    for folder, paths in sorted(folders.items()):
        main = sorted((p for p in paths if posixpath.basename(p) in _RANK), key=lambda p: _RANK[posixpath.basename(p)])
        main = [p for p in main if not (p.endswith("SKILL.md") and is_agent_skill(p, files))][:1]
        if main and "/skills/" in f"/{folder}/" and f".{folder}".startswith(".."):
            # several tools of one project hold copies of the same skills
            main = [] if _name(main[0]) in skills else main
            skills.add(posixpath.basename(folder))
        yield from main
        yield from (p for p in paths if posixpath.basename(p) not in _RANK and _is_workflow(p, files, folder))


def _is_workflow(path: str, files: Mapping[str, str], folder: str) -> bool:
    """Whether a file of another name is a workflow: one of several in a folder, one below its parent's, or a task."""
    base = posixpath.basename(path)
    if _NAMED.match(base) and "template" not in base and posixpath.basename(folder) != "agents":
        return path.endswith(".xml") or re.search(r"\A(?:---\s*\n)?(?:.*\n){0,9}?name:", files[path]) is not None
    if path.endswith((".yaml", ".yml")):
        keys = all(re.search(rf"^{key}:", files[path], re.MULTILINE) for key in ("instructions", "name"))
        return keys or _VERSION_4.search(files[path]) is not None
    if posixpath.basename(folder) == "tasks" and path.endswith((".xml", ".md")):
        return True
    return path.endswith(".xml") and re.match(r"<task[\s>]", _after_comments(files[path])) is not None


def _after_comments(text: str) -> str:
    at = 0
    while text.startswith("<!--", at := len(text) - len(text[at:].lstrip())) and (end := text.find("-->", at)) >= 0:
        at = end + 3
    return text[at : at + 10]


def _manifest(files: Mapping[str, str]) -> dict[str, str]:
    """The module of each skill, as the installation's list of skills has it."""
    modules: dict[str, str] = {}
    for path in files:
        if re.search(r"(?:^|/)_(?:config|cfg)/skill-manifest\.csv$", path):
            with contextlib.suppress(csv.Error):
                for row in csv.DictReader(io.StringIO(files[path])):
                    if row.get("name") and row.get("module"):
                        modules[str(row["name"])] = str(row["module"])
    return modules


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


def _whole(path: str) -> str:
    folder, base = posixpath.split(path)
    return folder if base in _RANK else path.rsplit(".", 1)[0]
