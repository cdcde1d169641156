"""What is known of one workflow on a status file?  Values that all shapes of bmm-workflow-status share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .workflow_tree import Note

NEEDS = ("required", "recommended", "optional", "conditional")
_DONE = frozenset({"done", "complete", "completed", "finished", "approved", "true", "yes"})
_SKIPPED = frozenset({"skipped", "skip", "n/a", "none", "not-needed"})
PENDING = frozenset({"", "pending", "todo", "planned", "not-started", "in-progress", "false", "null", "~", "ready"})
_PATH = re.compile(r"[\w@.~{}-]+(?:[/\\][\w@.~{} ()-]+)+|[\w-]+\.\w{1,5}")


@dataclass(frozen=True)
class WorkflowItem:
    """One workflow: `need` as planned ("" where the file does not say), `file` its document, `raw` the written value.

    `span` holds the offsets of the value in the text, (0, 0) where it cannot be edited in place.
    """

    id: str
    state: Literal["pending", "done", "skipped"]
    need: str = ""
    file: str = ""
    phase: str = ""
    agent: str = ""
    line: int = 0
    raw: str = ""
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class WorkflowStatus:
    """A status file as read. `fields` holds what it says besides, by lower-case name with underscores."""

    path: str
    shape: Literal["flat", "phases", "keys", "narrative", "none"]
    items: tuple[WorkflowItem, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    stories: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def get(self, workflow: str) -> WorkflowItem | None:
        """The item of a workflow; `create-` before its name and other forms of it do not matter."""
        exact = next((item for item in self.items if item.id == workflow), None)
        return exact or next((item for item in self.items if plain_id(item.id) == plain_id(workflow)), None)

    @property
    def project(self) -> str:
        """The project's name."""
        return self.fields.get("project") or self.fields.get("project_name", "")

    @property
    def next(self) -> WorkflowItem | None:
        """The first workflow that is still required; if none is, the first that is recommended or says nothing."""
        pending = [item for item in self.items if item.state == "pending"]
        first = next((item for item in pending if item.need == "required"), None)
        return first or next((item for item in pending if item.need in ("recommended", "")), None)


def plain_id(workflow: str) -> str:
    """A workflow's name for comparison."""
    name = re.sub(r"\([^)]*\)", "", workflow).strip().lower()
    return re.sub(r"[\s_]+", "-", name).removeprefix("create-").removesuffix("-final")


def judge_value(value: str) -> tuple[Literal["pending", "done", "skipped"], str, str]:
    """State, need and file that a written value means."""
    word = re.sub(r"[\s_]+", "-", value.strip().lower())
    if word in NEEDS or word.split("-")[0].strip("(:,") in NEEDS:
        return "pending", next(need for need in NEEDS if word.startswith(need)), ""
    if word in PENDING:
        return "pending", "", ""
    if word in _SKIPPED:
        return "skipped", "", ""
    if word in _DONE:
        return "done", "", ""
    path = _PATH.search(value)
    return ("done", "", path[0].strip()) if path else ("pending", "", "")
