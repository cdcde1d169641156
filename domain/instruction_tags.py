"""Which tags does an instruction text hold, and which stretches of it hide tags?

The vocabulary is closed: everything else is text.  Nothing here decides which end belongs to which beginning.
"""

from __future__ import annotations

import difflib
import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .workflow_tree import Span

LITERAL = frozenset({"critical", "output"})  # their bodies are never looked into
LEAF = LITERAL | {
    "action", "ask", "template-output", "goto", "websearch", "param", "invoke-task", "display", "on-select",
    "invoke-protocol", "elicit-required", "anchor",
}  # fmt: skip  # an open one ends where the next block begins, if nothing closes it
VOID = frozenset({"anchor", "break", "continue", "elicit-required", "invoke-protocol"})  # may stand without an end
INERT = frozenset({
    "guideline", "note", "energy-checkpoint", "guide", "facilitation-guidelines", "facilitation-principles", "example",
    "format", "menu", "warning", "error", "halt", "exit", "loop", "break", "continue", "checkpoint",
    "checkpoint-handlers", "mode", "rule", "phase", "i", "desc",
})  # fmt: skip  # words that prose uses as placeholders: tags only when they are closed
CONTAINERS = frozenset({"workflow", "step", "substep", "check", "if", "for-each", "repeat", "invoke-workflow"})
TASK_ONLY = frozenset({
    "task", "tool", "objective", "flow", "llm", "mandate", "phase", "iterate", "i", "rule", "mode", "desc",
})  # fmt: skip  # words that are tags only in a file that is a <task>
VOCABULARY = CONTAINERS | LEAF | VOID | INERT | TASK_ONLY

MAX_FENCE_MARKS = 200  # how far ahead the end of a fence is looked for, in marks
_ATTR = r"""\s++[\w:.-]++(?:\s*+=\s*+(?:"[^"]{0,8000}+"|'[^']{0,8000}+'|[^\s"'<>=]++))?+"""
_TAG = re.compile(rf"<(/?)([A-Za-z][\w-]*+)((?:{_ATTR})*+)\s*+(/?)>")
_LOOSE_TAG = re.compile(r"<([A-Za-z][\w-]*+)(\s[^<>\n]{0,2000}+)>")
_ATTR_PARTS = re.compile(r"""([\w:.-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>=]+)))?""")
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([^\n]*+)$", re.MULTILINE)
_MASKED = re.compile(r"<!--|`++")
_TICKS = re.compile(r"`++")
NoteAt = Callable[[int, str], None]  # an offset and what is odd there


@dataclass(frozen=True)
class Token:
    """One tag as it stands in the text. `empty` is a tag that ends itself; `odd` says what is wrong with it."""

    kind: str
    span: Span
    closing: bool
    attrs: dict[str, str]
    empty: bool
    odd: str = ""


class Lines:
    """Line numbers of character offsets."""

    def __init__(self, text: str) -> None:
        self._breaks = [found.start() for found in re.finditer("\n", text)]

    def of(self, offset: int) -> int:
        """The 1-based line that an offset lies on."""
        return bisect_left(self._breaks, offset) + 1


class Cover:
    """Which offsets lie inside of any of these spans."""

    def __init__(self, spans: Sequence[Span]) -> None:
        ordered = sorted(spans)
        self._starts = [a for a, _ in ordered]
        self._ends: list[int] = []
        for _, end in ordered:
            self._ends.append(max(end, self._ends[-1] if self._ends else 0))

    def holds(self, offset: int) -> bool:
        """Whether any span holds this offset."""
        at = bisect_right(self._starts, offset) - 1
        return at >= 0 and offset < self._ends[at]


def tags(text: str, vocabulary: frozenset[str]) -> Iterator[Token]:
    """All tags of the vocabulary in order, wherever they stand."""
    at = 0
    while (start := text.find("<", at)) >= 0:
        at = start + 1
        tag = _TAG.match(text, start)
        if tag is None:
            loose = _LOOSE_TAG.match(text, start)
            if loose and loose[1].lower() in vocabulary:
                tail = loose[2].rstrip()
                odd = f"the attributes of <{loose[1]}> are not well formed: read as well as possible"
                yield Token(loose[1].lower(), loose.span(), False, _attrs(tail)[0], tail.endswith("/"), odd)
                at = loose.end()
            continue
        kind, before = tag[2].lower(), text[start - 1 : start]
        generic = tag[2] != kind and not tag[1] and (before.isalnum() or before in "_.")  # Promise<Error>
        if kind in vocabulary and not generic:
            attrs, twice = _attrs(tag[3])
            odd = f"the attribute {twice} is given twice: the first counts" if twice else ""
            yield Token(kind, tag.span(), bool(tag[1]), attrs, bool(tag[4]), odd)
            at = tag.end()


def _attrs(source: str) -> tuple[dict[str, str], str]:
    """The attributes of a tag, and the name of one that is given twice."""
    attrs: dict[str, str] = {}
    twice = ""
    for part in _ATTR_PARTS.finditer(source):
        name = part[1].lower()
        value = next((v for v in part.groups()[1:] if v is not None), "")
        if name in attrs:
            twice = name
        else:
            attrs[name] = html.unescape(value)
    return attrs, twice


def comments_and_code(text: str, lines: Lines, note: NoteAt) -> tuple[list[Span], list[Span]]:
    """The spans of comments and of code between back-ticks on one line."""
    runs: dict[tuple[int, int], list[int]] = {}
    for run in _TICKS.finditer(text):
        runs.setdefault((lines.of(run.start()), len(run[0])), []).append(run.start())
    comments: list[Span] = []
    spans: list[Span] = []
    at, unclosed = 0, False
    while found := _MASKED.search(text, at):
        start, at = found.span()
        if found[0] != "<!--":
            close = next_at(runs[lines.of(start), at - start], at)
            if close is not None:
                spans.append((start, close + at - start))
                at = spans[-1][1]
            continue
        end = -1 if unclosed else text.find("-->", at)
        if end >= 0:
            at = end + 3
            comments.append((start, at))
        elif not unclosed:
            unclosed = True
            note(start, "a comment is opened and never closed: what follows is read as if it were not one")
    return comments, spans


def fences(text: str, tokens: Sequence[Token], comments: Sequence[Span]) -> list[Span]:
    """The fenced blocks whose tags are text.

    The fence around a whole workflow hides nothing, and neither does one that would swallow the end of an element
    that is open before it: there the closing mark was forgotten.
    """
    cover = Cover(comments)
    marks = [m for m in _FENCE.finditer(text) if not cover.holds(m.start(1))]
    starts = [t.span[0] for t in tokens]
    plain = Cover([(a.start(), b.end()) for a, b in _pairs(marks, lambda _a, _b: True)])
    outer = any(t.kind in ("workflow", "step") and not plain.holds(t.span[0]) for t in tokens)

    def whole(a: re.Match[str], b: re.Match[str]) -> bool:
        depth: dict[str, int] = {}
        for t in tokens[bisect_left(starts, a.start()) : bisect_left(starts, b.end())]:
            depth[t.kind] = depth.get(t.kind, 0) + (-1 if t.closing else 0 if t.empty else 1)
            if depth[t.kind] < 0:
                return False
        return True

    found: list[Span] = []
    pairs = list(_pairs(marks, whole))
    while pairs:
        a, b = pairs.pop()
        part = tokens[bisect_left(starts, a.start()) : bisect_left(starts, b.end())]
        if not outer and any(t.kind in ("workflow", "step") for t in part):
            pairs += _pairs(marks[marks.index(a) + 1 : marks.index(b)], whole)
        else:
            found.append((a.start(), b.end()))
    return found


def _pairs(
    marks: Sequence[re.Match[str]], fits: Callable[[re.Match[str], re.Match[str]], bool]
) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """Opening and closing marks of fences; an opening one that does not fit its end is passed over."""
    at = 0
    while at < len(marks):
        fence, info = marks[at][1], marks[at][2]
        at += 1
        if "`" in info:
            continue
        for end in range(at, min(at + MAX_FENCE_MARKS, len(marks))):
            other = marks[end]
            if other[1][0] == fence[0] and len(other[1]) >= len(fence) and not other[2].strip():
                if fits(marks[at - 1], other):
                    yield marks[at - 1], other
                    at = end + 1
                break


def note_unknown(text: str, vocabulary: frozenset[str], hidden: Sequence[Cover], note: NoteAt) -> None:
    """Say which closed tags are not in the vocabulary: a mistyped <action> would silently become text."""
    closed = set(re.findall(r"</([a-z][\w-]*+)\s*>", text))
    for tag in re.finditer(r"^[ \t]*<([a-z][\w-]*+)[^<>\n]{0,500}+>", text, re.MULTILINE):
        name, at = tag[1], tag.start(1) - 1
        if name in closed and name not in vocabulary and not any(cover.holds(at) for cover in hidden):
            closed.discard(name)  # once is enough
            near = difflib.get_close_matches(name, sorted(vocabulary), 1, 0.75)
            hint = f" (did you mean <{near[0]}>?)" if near else ""
            if not near and "task" in vocabulary:
                continue  # task files group their text under headings of their own
            note(at, f"unknown tag <{name}>: read as text{hint}")


def next_at(at: Sequence[int], start: int) -> int | None:
    """The first of ascending offsets that is not before `start`."""
    index = bisect_left(at, start)
    return at[index] if index < len(at) else None
