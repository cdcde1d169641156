"""What stands on a `sprint-status.yaml`, and on which line?

The canonical file has one `key: status` on each line below `development_status:`. It is read by lines, because an edit
must keep every other byte; a file that writes the section in another way is read with the YAML parser's positions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import yaml

from .keys import read_key
from .statuses import Kind, read_status
from .workflow_tree import Note

SECTION = "development_status"
UNREAD = "the line is kept and not read"

_TOP = re.compile(r"""(?P<quote>["']?)(?P<key>[A-Za-z_][\w.-]*)(?P=quote)[ ]*:(?:[ \t]+(?P<rest>.*))?\s*""")
_ROW = re.compile(
    r"""(?P<indent>[ ]+)
        (?P<kq>["']?)(?P<key>(?![-?]\s)[^\s"'#&*!|>%@`{}\[\],:][^:"'#]*?)(?P=kq)[ ]*:
        (?:[ ]+(?P<vq>["']?)(?P<value>(?![-?:](?:\s|$))[^\s"'#&*!|>%@`{}\[\],](?:[^"':]|:(?=\S))*?)(?P=vq))?
        (?P<tail>[ \t]*|[ \t]+\#.*)""",
    re.VERBOSE,
)


# What almost every row looks like: the same row, read ten times as fast.
_PLAIN_ROW = re.compile(r"(?P<indent> +)(?P<kq>)(?P<key>\w[\w-]*): (?P<vq>)(?P<value>[a-z][a-z-]*)(?P<tail>[ \t]*)")


@dataclass(frozen=True)
class Entry:
    """One row of the board.

    `status` is the canonical word, "" when the written one (`raw`) means nothing; of unknown rows it is `raw` itself.
    `span` holds the offsets of the written status in the text, (0, 0) when it cannot be edited there.
    """

    key: str
    kind: Kind
    status: str
    line: int
    raw: str
    epic: int | None = None
    span: tuple[int, int] = (0, 0)
    held: bool = False


@dataclass(frozen=True)
class Board:
    """A board as read. `shape`: "rows" (canonical), "flow" (YAML written otherwise), "epics" (the foreign `epics:`
    list), "none" (no statuses in it)."""

    path: str
    project: str
    entries: tuple[Entry, ...]
    meta: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    shape: Literal["rows", "flow", "epics", "none"] = "rows"

    def get(self, key: str) -> Entry | None:
        """The row with this key."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def of(self, kind: Kind, epic: int | None = None) -> tuple[Entry, ...]:
        """The rows of one kind, of one epic if given, in the board's order."""
        return tuple(entry for entry in self.entries if entry.kind is kind and epic in (None, entry.epic))

    def statuses(self) -> dict[str, str]:
        """Canonical status by key."""
        return {entry.key: entry.status for entry in self.entries}

    @property
    def errors(self) -> tuple[Note, ...]:
        """What makes the board unusable for upstream's own tools."""
        return tuple(note for note in self.notes if note.severity == "error")


@dataclass(frozen=True)
class Layout:
    """Where things stand in the text: lines with their ends, their offsets, and the section's lines (header, end)."""

    lines: list[str]
    offsets: list[int]
    header: int | None
    end: int
    top: dict[str, int]
    doubles: list[tuple[str, int]]

    @property
    def newline(self) -> str:
        """The file's own line end."""
        return "\r\n" if any(line.endswith("\r\n") for line in self.lines[:3]) else "\n"


def lay_out(text: str) -> Layout:
    """Find the top-level keys and the status section. Line numbers are 0-based here."""
    lines = re.findall(r"[^\n]*\n|[^\n]+\Z", text)
    offsets, at = [], 0
    for line in lines:
        offsets.append(at)
        at += len(line)
    top: dict[str, int] = {}
    doubles: list[tuple[str, int]] = []
    header, end = None, len(lines)
    for number, line in enumerate(lines):
        if line[0] in " #\r\n\t":
            continue
        found = _TOP.fullmatch(line.lstrip("\ufeff"))
        if header is not None and end == len(lines) and number > header:
            end = number
        if found:
            if found["key"] in top:
                doubles.append((found["key"], number))
            top.setdefault(found["key"], number)
            if found["key"] == SECTION and header is None:
                header = number
    return Layout(lines, offsets, header, end, top, doubles)


def read_rows(layout: Layout, text: str, path: str) -> tuple[list[Entry], list[Note], Literal["rows", "flow"]]:
    """The rows of the status section with what is wrong in it, and how the section is written."""
    assert layout.header is not None
    entries, notes = _rows(layout, path)
    if entries is not None:
        return entries, notes + judge(entries, path), "rows"
    entries, notes = _by_yaml(text, path, layout.header)
    return entries, notes + judge(entries, path), "flow"


def scalar(rest: str | None) -> str:
    """The plain value of what follows a `key:`, quotes and trailing comment taken off."""
    text = (rest or "").strip()
    if quoted := re.match(r"""(["'])(.*?)\1""", text):
        return quoted[2]
    return "" if text.startswith("#") else re.sub(r"\s+#.*", "", text)


def metadata(layout: Layout) -> dict[str, str]:
    """Top-level keys with a plain value."""
    meta = {}
    for key, number in layout.top.items():
        found = _TOP.fullmatch(layout.lines[number].lstrip("\ufeff"))
        if found and found["rest"] and (value := scalar(found["rest"])):
            meta[key] = value
    return meta


def _rows(layout: Layout, path: str) -> tuple[list[Entry] | None, list[Note]]:
    """The rows read by lines; None when the section is not written as one row a line."""
    assert layout.header is not None
    header = _TOP.fullmatch(layout.lines[layout.header].lstrip("\ufeff"))
    assert header is not None
    rest = (header["rest"] or "").strip()
    if rest and not rest.startswith("#"):
        return ([], []) if re.fullmatch(r"(\{\s*\}|null|~)(\s+#.*)?", rest) else (None, [])
    entries: list[Entry] = []
    notes: list[Note] = []
    indent = None
    for number in range(layout.header + 1, layout.end):
        line = layout.lines[number].rstrip("\r\n")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _PLAIN_ROW.fullmatch(line) or _ROW.fullmatch(line)
        if found is None or (indent is not None and found["indent"] != indent):
            why = _why_not(line, indent)
            notes.append(Note(path, number + 1, f"{why}; {UNREAD}: {line.strip()[:60]!r}", "error"))
            continue
        indent = found["indent"]
        raw = found["value"] or ""
        start, end = found.span("value") if found["value"] else (0, 0)
        span = (layout.offsets[number] + start, layout.offsets[number] + end) if raw else (0, 0)
        entries.append(make_entry(found["key"], raw, number + 1, span))
    return entries, notes


def _why_not(line: str, indent: str | None) -> str:
    if "\t" in line:
        return "a tab stands where YAML wants spaces; replace it"
    if indent is not None and len(line) - len(line.lstrip(" ")) != len(indent):
        return f"rows are indented by {len(indent)} spaces, this one is not; align it"
    return "is not `key: status`; write one key and one plain status on the line"


def make_entry(key: str, raw: str, line: int, span: tuple[int, int] = (0, 0)) -> Entry:
    """The row that a key and a written status make."""
    parts = read_key(key)
    kind = parts.kind if parts else Kind.UNKNOWN
    reading = read_status(kind, raw)
    return Entry(key, kind, reading.status, line, raw, parts.epic if parts else None, span, reading.held)


def _by_yaml(text: str, path: str, header: int) -> tuple[list[Entry], list[Note]]:
    """The rows of a section that is valid YAML but not one row a line, with the offsets of their values."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else header + 1
        return [], [
            Note(path, line, f"is not valid YAML ({getattr(error, 'problem', error)}); mend this line", "error")
        ]
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    section = next((value for key, value in pairs if key.value == SECTION), None)
    if not isinstance(section, yaml.MappingNode):
        return [], [
            Note(path, header + 1, f"`{SECTION}` is not a mapping; write `key: status` lines below it", "error")
        ]
    entries = []
    notes = [Note(path, header + 1, "the statuses stand on one line; put each on a line of its own", "warning")]
    for key, value in section.value:
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            notes.append(Note(path, key.start_mark.line + 1, "is not `key: status`; it is kept and not read", "error"))
            continue
        entries.append(make_entry(key.value, value.value, key.start_mark.line + 1, span_of(text, value)))
    return entries, notes


def span_of(text: str, value: yaml.ScalarNode) -> tuple[int, int]:
    """Where a value is written out, its quotes left out; (0, 0) where something else stands: an alias, an anchor, a
    tag, a value on lines of its own."""
    quoted = 1 if value.style in ("'", '"') else 0
    start, end = value.start_mark.index + quoted, value.end_mark.index - quoted
    return (start, end) if text[start:end] == value.value else (0, 0)


def judge(entries: Sequence[Entry], path: str) -> list[Note]:
    """What upstream would say about keys and words."""
    notes: list[Note] = []
    first: dict[str, int] = {}
    for entry in entries:
        if entry.key in first:
            message = f"`{entry.key}` stands twice, first on line {first[entry.key]}; keep one of the two"
            notes.append(Note(path, entry.line, message, "error"))
        first.setdefault(entry.key, entry.line)
        if entry.kind is Kind.UNKNOWN:
            message = f"`{entry.key}` is not epic-N, N-M-title or epic-N-retrospective; it is kept and not acted on"
            notes.append(Note(path, entry.line, message))
        elif not entry.status:
            message = f"`{entry.raw}` is not a status of a {entry.kind}; it is kept, and needs a repair: {entry.key}"
            notes.append(Note(path, entry.line, message, "error"))
        elif entry.raw != entry.status:
            how = read_status(entry.kind, entry.raw).how
            message = f"`{entry.raw}` ({how}) is read as `{entry.status}`: {entry.key}"
            notes.append(Note(path, entry.line, message))
    return notes
