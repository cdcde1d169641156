"""What does a bmm-workflow-status.md say, as a list of `KEY: value` lines or as a told report?

The early form has `CURRENT_PHASE: 2-Planning` and the like. The told form has `**Current Phase:** …`, a checklist of
phases, a table of the planned journey and tables of stories; nobody ever fixed its shape, so it is read by what its
tables and lines look like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .errors import DocumentError
from .sections import find_sections
from .workflow_items import WorkflowItem, WorkflowStatus, plain_id
from .workflow_tree import Note

State = Literal["pending", "done", "skipped"]
_KEY = re.compile(r"(?P<key>[A-Z][A-Z0-9_]{2,})[ ]*:[ \t]*(?P<value>.*?)[ \t]*")
_FIELD = re.compile(r"\s*(?:[-*+]\s+)?\*\*(?P<key>[A-Z][\w /&-]{1,40}?):?\*\*:?[ \t]*(?P<value>\S.*?)[ \t]*")
_PHASE = re.compile(r"\s*[-*+]\s+\[(?P<box>[ xX])\]\s+\**(?P<name>(?:Phase\s+)?\d[-:.\s]+[^*-]*?)\**(?:\s+[-–—].*|\s*)")
_STORY_STATUS = {
    "backlog": "backlog",
    "todo": "backlog",
    "in progress": "in-progress",
    "done": "done",
    "completed": "done",
}
_RANKS = ("backlog", "in-progress", "done")
_LISTS = {
    "STORIES_DONE": "done",
    "IN_PROGRESS_STORY": "in-progress",
    "TODO_STORY": "backlog",
    "STORIES_SEQUENCE": "backlog",
}


@dataclass(frozen=True)
class _Row:
    """A row of a table: cells by the lower-case name of their column, and the line from 0."""

    cells: dict[str, str]
    line: int
    section: str


def read_markdown(text: str, path: str) -> WorkflowStatus:
    """The status file in this Markdown text."""
    keys: dict[str, str] = {}
    told: dict[str, str] = {}
    phases: list[WorkflowItem] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if found := _KEY.fullmatch(line):
            keys.setdefault(found["key"].lower(), found["value"])
        elif found := _FIELD.fullmatch(line):
            told.setdefault(re.sub(r"[\s/&-]+", "_", found["key"].strip().lower()), found["value"].strip("`"))
        elif found := _PHASE.fullmatch(line):
            word = line.upper()
            state: State = "skipped" if "SKIPPED" in word else "done" if found["box"] in "xX" else "pending"
            phases.append(_phase(found["name"].strip(), state, number))
    rows = list(_tables(text))
    if len(keys) >= 2:
        return WorkflowStatus(path, "keys", tuple(_by_flags(keys)), keys, dict(_listed(keys)))
    items = (*_journey(rows), *phases)
    if not items and not any(key.startswith("current_") for key in told):
        note = Note(
            path, 1, "says nothing about workflows; write `workflow_status:` in bmm-workflow-status.yaml", "error"
        )
        return WorkflowStatus(path, "none", notes=(note,))
    return WorkflowStatus(path, "narrative", items, told, dict(_stories(rows)))


def _phase(name: str, state: State, line: int) -> WorkflowItem:
    return WorkflowItem(id=f"phase-{name}", state=state, phase=name, line=line)


def _by_flags(keys: dict[str, str]) -> Iterator[WorkflowItem]:
    for key, value in keys.items():
        if found := re.fullmatch(r"phase_(\d)_complete", key):
            done = value.strip().lower() in ("true", "yes", "complete", "done")
            yield WorkflowItem(f"phase-{found[1]}", "done" if done else "pending", phase=found[1], raw=value)


def _listed(keys: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in reversed(_LISTS):
        value = keys.get(name.lower(), "")
        for story in re.findall(r"[\w.-]*\d[\w.-]*", value):
            number = re.search(r"\d+\.\d+[a-z]?", story)
            yield number[0] if number else story.removesuffix(".md"), _LISTS[name]


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`*") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _tables(text: str) -> Iterator[_Row]:
    """Every row of every table, with the heading it stands under."""
    titles = {section.line: section.title for section in find_sections(text)}
    head: list[str] = []
    title = ""
    for number, line in enumerate(text.split("\n")):
        title = titles.get(number + 1, title)
        if not line.lstrip().startswith("|"):
            head = []
        elif not head:
            head = [cell.lower() for cell in _cells(line)]
        elif not re.fullmatch(r"[|\s:-]+", line):
            yield _Row(dict(zip(head, _cells(line), strict=False)), number, title)


def _journey(rows: list[_Row]) -> Iterator[WorkflowItem]:
    for row in rows:
        step = row.cells.get("step") or row.cells.get("workflow")
        if not step or "status" not in row.cells:
            continue
        word = row.cells["status"].lower()
        state: State = "done" if re.match(r"\W*(complete|done)", word) else "skipped" if "skip" in word else "pending"
        need = next((need for need in ("optional", "conditional", "recommended") if need in word), "")
        yield WorkflowItem(
            id=step,
            state=state,
            need=need or ("required" if state == "pending" else ""),
            phase=row.cells.get("phase", ""),
            agent=row.cells.get("agent", ""),
            line=row.line + 1,
            raw=row.cells["status"],
        )


def _stories(rows: list[_Row]) -> Iterator[tuple[str, str]]:
    """Story number and status, from tables below BACKLOG, TODO, IN PROGRESS and DONE; the furthest wins."""
    found: dict[str, str] = {}
    for row in rows:
        title = re.sub(r"\s*\(.*", "", row.section).strip().lower()
        status = _STORY_STATUS.get(title)
        name = row.cells.get("file", "") + " " + row.cells.get("story id", "") + " " + row.cells.get("id", "")
        number = re.search(r"(?<![\d.])\d+\.\d+[a-z]?", name.replace(".md", ""))
        if status and number:
            before = found.get(number[0], "backlog")
            found[number[0]] = max(before, status, key=_RANKS.index)
    yield from found.items()


def set_field(text: str, key: str, value: str, *, path: str = "bmm-workflow-status.md") -> str:
    """The file with one `KEY: value` or `**Key:** value` line changed.

    Raises:
        DocumentError: there is no such line.
    """
    words = "[ _]".join(re.escape(word) for word in re.split(r"[ _]", key))
    label = rf"[ \t]*(?:[-*+][ \t]+)?\*\*{words}:?\*\*:?|{words}[ ]*:"
    pattern = re.compile(rf"^((?:{label})[ \t]*)([^\r\n]*?)([ \t]*\r?)$", re.IGNORECASE | re.MULTILINE)
    found = pattern.search(text)
    if not found:
        raise DocumentError(f"has no line `{key}`", path=path, remedy=f"Add `{key}: {value}`.")
    head = found[1] if found[1].endswith((" ", "\t")) else found[1] + " "
    return text[: found.start()] + head + value + found[3] + text[found.end() :]


def mark_markdown(text: str, status: WorkflowStatus, workflow: str, value: str) -> str:
    """The file with a workflow done (`value` is its document) or `skipped`: its row of the journey, the current one.

    Raises:
        DocumentError: the file names the workflow nowhere and has no line for the current one.
    """
    word = "Skipped" if value == "skipped" else "Complete"
    lines = text.split("\n")
    known = False
    for item in status.items:
        if plain_id(item.id) == plain_id(workflow) and item.raw:
            known = True
            if item.state == "pending":
                lines[item.line - 1] = _last_cell(lines[item.line - 1], item.raw, word)
    text = "\n".join(lines)
    if word == "Skipped":
        if not known:
            raise DocumentError(f"does not list `{workflow}`", path=status.path, remedy="Add a row for it.")
        return text
    told = f"{workflow} - Complete" + (f" ({value})" if value else "")
    key = "CURRENT_WORKFLOW" if status.shape == "keys" else "Current Workflow"
    if known and key.lower().replace(" ", "_") not in status.fields:
        return text
    return set_field(text, key, told, path=status.path)


def _last_cell(line: str, old: str, new: str) -> str:
    """The row with the last cell that holds `old` changed."""
    cells = re.split(r"(?<!\\)(\|)", line)
    for place in range(len(cells) - 1, -1, -1):
        if cells[place].strip().strip("`*") == old:
            cells[place] = cells[place].replace(cells[place].strip(), new)
            break
    return "".join(cells)
