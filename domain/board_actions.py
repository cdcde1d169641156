"""What did retrospectives commit the team to, and how is that added to the board?

`action_items:` is a list of `{id, epic, action, owner, status, ref}` at the end of the board, as upstream's
retrospective writes it; statuses are open, in-progress and done.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from .board_lines import lay_out, span_of
from .errors import DocumentError
from .keys import slug
from .statuses import OPEN, Kind, judge_move, read_status
from .workflow_tree import Note

SECTION = "action_items"
_ID_SLUG = 40


@dataclass(frozen=True)
class ActionItem:
    """One commitment. `status` is canonical, "" when the written one means nothing; `span` its offsets in the text."""

    epic: int | None
    action: str
    owner: str = ""
    status: str = OPEN
    id: str = ""
    ref: str = ""
    line: int = 0
    span: tuple[int, int] = (0, 0)


def read_action_items(text: str, path: str = "sprint-status.yaml") -> tuple[tuple[ActionItem, ...], tuple[Note, ...]]:
    """The action items in the order of the board, and what in the list cannot be read."""
    if SECTION not in lay_out(text).top:
        return (), ()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        return (), (Note(path, mark.line + 1 if mark else 1, "is not valid YAML; mend this line", "error"),)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    section = next((value for key, value in pairs if key.value == SECTION), None)
    if isinstance(section, yaml.ScalarNode) and section.value in ("", "null", "~"):
        return (), ()
    if not isinstance(section, yaml.SequenceNode):
        line = section.start_mark.line + 1 if section is not None else 1
        return (), (Note(path, line, f"`{SECTION}` is not a list; write each item as `- epic: N`", "error"),)
    items: list[ActionItem] = []
    notes: list[Note] = []
    for node in section.value:
        line = node.start_mark.line + 1
        fields = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        words = {str(key): value.value for key, value in fields.items() if isinstance(value, yaml.ScalarNode)}
        if not words.get("action"):
            notes.append(Note(path, line, "is not an action item; it needs `action:`", "error"))
            continue
        reading = read_status(Kind.ACTION, words.get("status", ""))
        if reading.how != "canonical":
            notes.append(
                Note(path, line, f"`{reading.word}` is not a status of an action item: {words['action'][:50]!r}")
            )
        number = words.get("epic", "")
        status = fields.get("status")
        items.append(
            ActionItem(
                int(number) if number.isdigit() else None,
                words["action"],
                words.get("owner", ""),
                reading.status,
                words.get("id", ""),
                words.get("ref", ""),
                line,
                span_of(text, status) if isinstance(status, yaml.ScalarNode) else (0, 0),
            )
        )
    return tuple(items), tuple(notes)


def add_action_items(text: str, epic: int, actions: Sequence[tuple[str, str]], *, ref: str = "") -> str:
    """The board with (action, owner) pairs added for an epic; one that stands there already is not added again.

    Raises:
        DocumentError: the list is there and cannot be read.
    """
    items, notes = read_action_items(text)
    if any(note.severity == "error" for note in notes):
        raise DocumentError(notes[0].message, path=notes[0].path, line=notes[0].line, remedy="Mend it first.")
    known = {(item.epic, item.action) for item in items}
    wanted = {" ".join(action.split()): owner for action, owner in actions}
    fresh = [(action, owner) for action, owner in wanted.items() if (epic, action) not in known]
    if not fresh:
        return text
    layout = lay_out(text)
    newline = layout.newline
    lines = list(layout.lines)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    indent, at = "  ", len(lines)
    if SECTION in layout.top:
        first = layout.top[SECTION]
        rest = lines[first].partition(":")[2].split("#")[0].strip()
        if rest not in ("", "[]", "null", "~"):
            remedy = "Write each item on lines of its own, below the key."
            raise DocumentError("the action items stand on one line", path="", line=first + 1, remedy=remedy)
        at = next((n for n in range(first + 1, len(lines)) if re.match(r"[^\s#-]", lines[n])), len(lines))
        while at > first + 1 and (not lines[at - 1].strip() or lines[at - 1].startswith("#")):
            at -= 1
        dash = next((re.match(r"( *)- ", line) for line in lines[first + 1 : at] if re.match(r" *- ", line)), None)
        indent = dash[1] if dash else indent
        lines[first] = lines[first] if not rest else f"{SECTION}:{newline}"
    else:
        lines += [newline, f"# What retrospectives committed the team to{newline}", f"{SECTION}:{newline}"]
        at = len(lines)
    rows = [
        f"{indent}{sign} {name}: {value}{newline}"
        for place, (action, owner) in enumerate(fresh, len(items) + 1)
        for sign, name, value in _rows(epic, place, action, owner, ref)
    ]
    return "".join([*lines[:at], *rows, *lines[at:]])


def _rows(epic: int, place: int, action: str, owner: str, ref: str) -> list[tuple[str, str, str]]:
    name = f"epic-{epic}-retro-item-{place}-{slug(action, _ID_SLUG)}"
    values = {"id": _text(name), "epic": str(epic), "action": _text(action), "owner": _text(owner), "status": OPEN}
    rows = [*values.items(), *([("ref", _text(ref))] if ref else [])]
    return [("-" if number == 0 else " ", key, value) for number, (key, value) in enumerate(rows)]


def _text(value: str) -> str:
    """A double-quoted scalar on one line."""
    return yaml.safe_dump(" ".join(value.split()), default_style='"', allow_unicode=True, width=10**9).strip()


def set_action_status(text: str, item: ActionItem, status: str, *, repair: bool = False) -> str:
    """The board with one action item's status changed, never backwards but by a repair.

    Raises:
        DocumentError: `status` is not one of an action item, or the item has none written.
    """
    move = judge_move(Kind.ACTION, item.status, status, repair=repair)
    if move.name == "ILLEGAL" or item.span == (0, 0):
        remedy = "Use open, in-progress or done." if item.span != (0, 0) else "Write one plain word after `status:`."
        raise DocumentError(f"`{status}` cannot be set here", line=item.line, remedy=remedy)
    return text if move.name in ("REFUSED", "SAME") else text[: item.span[0]] + status + text[item.span[1] :]
