"""How does a foreign `epics:` list become a board, without losing what else it says?

In the wild the list looks like `epics: [{id: EPIC-001, title, status, stories: [{id: STORY-001-001, …}]}]`. The board's
section is written above it; the list itself stays, and is no longer read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from .board_lines import SECTION, Entry, lay_out, make_entry
from .errors import DocumentError
from .keys import epic_key, retrospective_key, story_key
from .statuses import BACKLOG, DONE, OPTIONAL, Kind, read_status
from .workflow_tree import Note


@dataclass(frozen=True)
class Imported:
    """A converted board: its text, and what was decided for which line."""

    text: str
    notes: tuple[Note, ...]


def import_epics_list(text: str, path: str = "sprint-status.yaml") -> Imported:
    """The board for an `epics:` list: the section of statuses, then the original text unchanged.

    Raises:
        DocumentError: there is no `epics:` list, or there is a board already.
    """
    layout = lay_out(text)
    if layout.header is not None:
        raise DocumentError(f"has a `{SECTION}:` already", path=path, line=layout.header + 1, remedy="Nothing to do.")
    if "epics" not in layout.top:
        raise DocumentError("has no `epics:` list", path=path, line=1, remedy="Run sprint planning instead.")
    entries, notes = entries_of_list(text, path)
    if not entries:
        first = next(iter(notes), Note(path, layout.top["epics"] + 1, "the list is empty"))
        raise DocumentError(first.message, path=path, line=first.line, remedy="Mend the list, then import again.")
    end = layout.newline
    rows = [f"{SECTION}:"]
    for entry in entries:
        if entry.kind is Kind.EPIC and len(rows) > 1:
            rows.append("")
        rows.append(f"  {entry.key}: {entry.status}")
    kept = Note(path, layout.top["epics"] + 1, f"the `epics:` list is kept below `{SECTION}:` and no longer read")
    at = layout.offsets[layout.top["epics"]]
    return Imported(text[:at] + end.join(rows) + end * 2 + text[at:], (*notes, kept))


def entries_of_list(text: str, path: str) -> tuple[tuple[Entry, ...], tuple[Note, ...]]:
    """The rows that an `epics:` list stands for; `line` is the line of the item in the list."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        return (), (Note(path, line, f"is not valid YAML: {getattr(error, 'problem', error)}", "error"),)
    top = _fields(root)
    epics = top.get("epics")
    if not isinstance(epics, yaml.SequenceNode):
        line = epics.start_mark.line + 1 if epics is not None else 1
        return (), (Note(path, line, "`epics` is not a list", "error"),)
    entries: list[Entry] = []
    notes: list[Note] = []
    seen: set[str] = set()
    for place, item in enumerate(epics.value, 1):
        for entry in _epic(item, place, path, notes):
            if entry.key in seen:
                notes.append(Note(path, entry.line, f"`{entry.key}` stands twice in the list; the second is left out"))
                continue
            seen.add(entry.key)
            entries.append(entry)
    return tuple(entries), tuple(notes)


def _epic(item: yaml.Node, place: int, path: str, notes: list[Note]) -> Iterator[Entry]:
    fields = _fields(item)
    line = item.start_mark.line + 1
    if not fields:
        notes.append(Note(path, line, "is not an epic with id and stories; it is left out of the board", "error"))
        return
    number = _last_number(_word(fields, "id"), place)
    stories = fields.get("stories")
    rows = []
    for order, story in enumerate(stories.value if isinstance(stories, yaml.SequenceNode) else (), 1):
        story_fields = _fields(story)
        where = story.start_mark.line + 1
        if not story_fields:
            notes.append(Note(path, where, "is not a story with id and status; it is left out of the board", "error"))
            continue
        title = _word(story_fields, "title") or _word(story_fields, "name") or _word(story_fields, "id")
        key = story_key(f"{number}.{_last_number(_word(story_fields, 'id'), order)}", title)
        rows.append(_row(key, Kind.STORY, _word(story_fields, "status"), where, path, notes))
    done = bool(rows) and all(row.status == DONE for row in rows)
    yield _row(epic_key(number), Kind.EPIC, _word(fields, "status") or (DONE if done else BACKLOG), line, path, notes)
    yield from rows
    yield make_entry(retrospective_key(number), OPTIONAL, line)


def _row(key: str, kind: Kind, word: str, line: int, path: str, notes: list[Note]) -> Entry:
    reading = read_status(kind, word or BACKLOG)
    if not reading.status:
        notes.append(Note(path, line, f"`{word}` means nothing for {key}; it becomes {BACKLOG}, set it by a repair"))
    elif reading.word != reading.status:
        notes.append(Note(path, line, f"`{word}` becomes `{reading.status}`: {key}"))
    return make_entry(key, reading.status or BACKLOG, line)


def _fields(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _word(fields: dict[str, yaml.Node], name: str) -> str:
    node = fields.get(name)
    return str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""


def _last_number(name: str, otherwise: int) -> int:
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else otherwise
