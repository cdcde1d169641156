"""Where do the sections of a Markdown document begin and end, so that one can be changed and no other?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}(?![^`]*`)|~{3,})")
_ITEM = re.compile(r"(\s*)(?:[-*+]|\d+[.)])\s+(?:\[([ xX])\]\s*)?(.*)")


@dataclass(frozen=True)
class Section:
    """A heading and what belongs to it: `start` to `body` is the heading's line, `body` to `end` all up to the next
    heading of the same or a higher rank, `own_end` up to the next heading of any rank. Offsets; `line` from 1."""

    level: int
    title: str
    line: int
    start: int
    body: int
    own_end: int
    end: int

    def text(self, document: str) -> str:
        """The section's text with its subsections."""
        return document[self.body : self.end]

    def own_text(self, document: str) -> str:
        """The section's text up to its first subsection."""
        return document[self.body : self.own_end]


def split_lines(text: str) -> list[str]:
    """The lines with their ends; only line feeds end one."""
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)


def find_sections(text: str) -> tuple[Section, ...]:
    """All sections in the order of their headings; headings inside fences are none."""
    heads: list[tuple[int, str, int, int, int]] = []
    at, fence = 0, ""
    for number, line in enumerate(split_lines(text), 1):
        before, fence = fence, _fence_after(fence, line)
        if not before and not fence and (found := _HEADING.fullmatch(line.rstrip("\r\n"))):
            heads.append((len(found[1]), found[2].strip(), number, at, at + len(line)))
        at += len(line)
    sections = []
    for place, (level, title, number, start, body) in enumerate(heads):
        later = heads[place + 1 :]
        own_end = later[0][3] if later else len(text)
        end = next((head[3] for head in later if head[0] <= level), len(text))
        sections.append(Section(level, title, number, start, body, own_end, end))
    return tuple(sections)


def outside_fences(text: str) -> str:
    """The text with every sign of a fenced block, but for its line ends, made a space: offsets stay the same."""
    if "```" not in text and "~~~" not in text:
        return text
    shown, fence = [], ""
    for line in split_lines(text):
        before, fence = fence, _fence_after(fence, line)
        shown.append(re.sub(r"[^\r\n]", " ", line) if before or fence else line)
    return "".join(shown)


def named(sections: tuple[Section, ...], *names: str, under: Section | None = None) -> Section | None:
    """The first section with one of these titles (any case; what follows in brackets is ignored)."""
    wanted = {plain_title(name) for name in names}
    for section in sections:
        inside = under is None or under.start < section.start < under.end
        if inside and plain_title(section.title) in wanted:
            return section
    return None


def plain_title(title: str) -> str:
    """A title for comparison: lower case, without marks and without what stands in brackets at its end."""
    bare = re.sub(r"\s*\([^)]*\)\s*$", "", re.sub(r"[*_`:]", "", title)).strip().lower()
    return re.sub(r"\s*/\s*", " / ", re.sub(r"\s+", " ", bare))


def replace_body(text: str, section: Section, body: str, *, own: bool = True) -> str:
    """The document with the section's body replaced, one blank line around it and nothing else touched."""
    end = section.own_end if own else section.end
    newline = "\r\n" if text[section.start : section.body].endswith("\r\n") else "\n"
    content = body.strip("\n").replace("\r\n", "\n").replace("\n", newline)
    head = text[: section.body]
    if head and not head.endswith("\n"):
        head += newline
    gap = newline if content else ""
    return f"{head}{newline}{content}{gap}{newline if text[end:] else ''}{text[end:]}"


def as_prose(text: str, *, deepest_kept: int = 7) -> str:
    """A foreign text made safe to stand inside a section: its headings above `deepest_kept` are escaped, an open fence
    is closed. By default no heading is kept."""
    lines: list[str] = []
    fence = ""
    for line in text.strip().splitlines():
        before, fence = fence, _fence_after(fence, line)
        heading = None if before or fence else _HEADING.fullmatch(line)
        lines.append("\\" + line if heading and len(heading[1]) < deepest_kept else line)
    return "\n".join([*lines, *([fence] if fence else [])])


def append_section(text: str, heading: str, body: str, before: Section | None = None) -> str:
    """The document with a new section at its end, or before another one."""
    newline = "\r\n" if "\r\n" in text[:4096] else "\n"
    block = f"{heading}\n\n{body.strip(chr(10))}\n".replace("\n", newline)
    if before:
        return f"{text[: before.start]}{block}{newline}{text[before.start :]}"
    stem = text.rstrip()
    return f"{stem}{newline * 2 if stem else ''}{block}"


def list_items(text: str) -> Iterator[tuple[int, str, bool | None, int]]:
    """The list items outside fences: indent, text with its continuation lines, ticked (None: no box), line from 0."""
    item: tuple[int, str, bool | None, int] | None = None
    fence = ""
    for number, line in enumerate(text.split("\n")):
        before, fence = fence, _fence_after(fence, line)
        found = None if before or fence else _ITEM.fullmatch(line.rstrip())
        goes_on = line[:1].isspace() and not line.lstrip().startswith("<!--") and not before and not fence
        if found:
            if item:
                yield item
            box = None if found[2] is None else found[2] in "xX"
            item = (len(found[1].expandtabs(4)), found[3].strip(), box, number)
        elif item and line.strip() and goes_on:
            item = (item[0], f"{item[1]} {line.strip()}", item[2], item[3])
        elif item and line.strip():
            yield item
            item = None
    if item:
        yield item


def _fence_after(fence: str, line: str) -> str:
    """The fence that is open once this line is read, "" if none."""
    mark = _FENCE.match(line)
    if not mark:
        return fence
    if not fence:
        return mark[1]
    return "" if mark[1].startswith(fence) and not line.strip().strip(fence[0]) else fence
