"""What does a Markdown file say about itself between its two `---` lines, and where does its body begin?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from .errors import DocumentError
from .safe_yaml import load_yaml_with_lines

_BLOCK = re.compile(r"\A(\ufeff?---[ \t]*\r?\n)(.*?)^(---[ \t]*(?:\r?\n|\Z))", re.DOTALL | re.MULTILINE)

_ODD = re.compile(r"[\x85\u2028\u2029\ufeff]|\\x85|\\u202[89]|\\ufeff")


@dataclass(frozen=True)
class Frontmatter:
    """A Markdown file in two parts. `head` + `body` is the source, character for character.

    `head` holds both `---` lines ("" if there is no frontmatter), `body_line` is the 1-based line of the body's start.
    """

    head: str
    body: str
    values: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    body_line: int = 1


def split(text: str, path: str) -> Frontmatter:
    """The frontmatter and the body of a Markdown text; a text without one is all body.

    Raises:
        DocumentError: the frontmatter is not a YAML map; with file and line.
    """
    block = _BLOCK.match(text)
    if block is None:
        return Frontmatter("", text)
    head, body = text[: block.end()], text[block.end() :]
    loaded, lines = load_yaml_with_lines(block[2].replace("\r\n", "\n"), path, first_line=2)
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        raise DocumentError("the frontmatter is not a list of `key: value` lines", path=path, line=2)
    top = {str(key[0]): line for key, line in lines.items() if len(key) == 1}
    return Frontmatter(head, body, loaded, top, head.count("\n") + 1)


def body_of(text: str) -> tuple[str, int]:
    """The body of a Markdown text and its first line, whether or not its frontmatter can be read."""
    block = _BLOCK.match(text)
    return (text, 1) if block is None else (text[block.end() :], text.count("\n", 0, block.end()) + 1)


def join(values: Mapping[str, object], body: str) -> str:
    """A Markdown text with this frontmatter before this body; without values, the body alone."""
    return f"---\n{_dump(values)}---\n{body}" if values else body


def update(text: str, changes: Mapping[str, object], path: str) -> str:
    """The text with these top-level keys of its frontmatter set; everything else stays character for character.

    Raises:
        DocumentError: the frontmatter cannot be read.
    """
    parts = split(text, path)
    if not parts.head:
        return join(changes, text) if changes else text
    lines = re.findall(r"[^\n]*\n|[^\n]+$", parts.head)
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    starts = sorted(parts.lines.values())
    for key, value in sorted(changes.items(), key=lambda change: -parts.lines.get(change[0], 0)):
        new = [line + newline for line in _dump({key: value}).rstrip("\n").split("\n")]
        if key not in parts.lines:
            lines[-1:-1] = new
            continue
        start = parts.lines[key] - 1
        end = next((at - 1 for at in starts if at - 1 > start), len(lines) - 1)
        while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1  # blank lines and comments before the next key stay
        lines[start:end] = new
    return "".join(lines) + parts.body


def _dump(values: Mapping[str, object]) -> str:
    lines = []
    for key, value in values.items():
        flat = isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value)
        if flat:
            lines.append(f"{_yaml({key: 0}, flow=False)[:-2]}{_yaml(value, flow=True)}")
        else:
            lines.append(_yaml({key: value}, flow=False))
    return "".join(lines)


def _yaml(value: object, *, flow: bool) -> str:
    plain = not _ODD.search(str(value))  # PyYAML writes these signs bare, and reads them as line breaks
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=plain, width=1_000_000, default_flow_style=flow)
