"""Which tags does an instruction text hold, and which text lies between them?

Instruction files are Markdown with XML-like tags that are often not well formed.  The vocabulary is closed, everything
else is text.  Tags inside back-ticks, comments, fenced code and the bodies of <critical> and <output> are text, too.
"""

from __future__ import annotations

import difflib
import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .workflow_tree import Node, Note, Span

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

MAX_DEPTH = 64
MAX_FENCE_MARKS = 200  # how far ahead the end of a fence is looked for, in marks
_ATTR = r"""\s++[\w:.-]++(?:\s*+=\s*+(?:"[^"]{0,8000}+"|'[^']{0,8000}+'|[^\s"'<>=]++))?+"""
_TAG = re.compile(rf"<(/?)([A-Za-z][\w-]*+)((?:{_ATTR})*+)\s*+(/?)>")
_LOOSE_TAG = re.compile(r"<([A-Za-z][\w-]*+)(\s[^<>\n]{0,2000}+)>")
_ATTR_PARTS = re.compile(r"""([\w:.-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>=]+)))?""")
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([^\n]*+)$", re.MULTILINE)
_MASKED = re.compile(r"<!--|`++")
_TICKS = re.compile(r"`++")


@dataclass(frozen=True)
class _Token:
    kind: str
    span: Span
    closing: bool
    attrs: dict[str, str]
    empty: bool


@dataclass
class _Open:
    kind: str
    start: int
    open_span: Span
    attrs: dict[str, str]
    children: list[Node] = field(default_factory=list)


def scan(text: str, path: str) -> tuple[Node, tuple[Note, ...]]:
    """The tree of `text`, and what was odd about it, in the order of lines.

    Never raises, whatever the text; every character belongs to one leaf (see `leaf_spans`).
    """
    return _Scanner(text, path).run()


def leaf_spans(node: Node) -> Iterator[Span]:
    """The spans of all leaves below `node` in order: texts, comments and the text of the tags themselves."""
    if node.kind == "text":
        yield node.span
        return
    if node.kind != "root":
        yield node.open_span
    for child in node.children:
        yield from leaf_spans(child)
    if node.kind != "root":
        yield node.close_span


class _Lines:
    """Line numbers of character offsets."""

    def __init__(self, text: str) -> None:
        self._breaks = [found.start() for found in re.finditer("\n", text)]

    def of(self, offset: int) -> int:
        return bisect_left(self._breaks, offset) + 1


class _Scanner:
    def __init__(self, text: str, path: str) -> None:
        self.text, self.path, self.lines = text, path, _Lines(text)
        self.notes: list[Note] = []
        self.stack = [_Open("root", 0, (0, 0), {})]
        self.too_deep: dict[str, int] = {}
        self.done = 0  # everything before this offset is in the tree
        self.is_task = re.search(r"<(?:task|tool)\s[^<>]*>", text) is not None
        self.vocabulary = VOCABULARY if self.is_task else VOCABULARY - TASK_ONLY

    def run(self) -> tuple[Node, tuple[Note, ...]]:
        comments, spans = self._comments_and_code()
        hidden = _Cover([*comments, *spans])
        tokens = [t for t in self._tags() if not hidden.holds(t.span[0])]
        fences = _Cover(self._fences(tokens, comments))
        tokens = [t for t in tokens if not fences.holds(t.span[0])]
        for kinds in (frozenset({"workflow", "step"}), self.vocabulary):
            tokens = self._without_mentions(_without_literal_bodies(tokens), kinds)
        self.balance = _Balance(tokens)
        self._note_unknown(hidden, fences)
        events: list[tuple[int, _Token | Span]] = [(t.span[0], t) for t in tokens]
        events += [(span[0], span) for span in comments if not fences.holds(span[0])]
        for start, event in sorted(events, key=lambda e: e[0]):
            if start < self.done:
                continue  # swallowed by the body of a <critical> or <output>
            if isinstance(event, tuple):
                self._comment(event)
            elif event.closing:
                self._close(event)
            else:
                self._open(event)
        while len(self.stack) > 1:
            self._pop_unclosed(len(self.text))
        self._flush(len(self.text))
        root = Node("root", 1, (0, len(self.text)), children=tuple(self.stack[0].children))
        return root, tuple(sorted(self.notes, key=lambda note: note.line))

    # what hides tags

    def _comments_and_code(self) -> tuple[list[Span], list[Span]]:
        """The spans of comments and of code between back-ticks on one line."""
        runs: dict[tuple[int, int], list[int]] = {}
        for run in _TICKS.finditer(self.text):
            runs.setdefault((self.lines.of(run.start()), len(run[0])), []).append(run.start())
        comments: list[Span] = []
        spans: list[Span] = []
        at, unclosed = 0, False
        while found := _MASKED.search(self.text, at):
            start, at = found.span()
            if found[0] != "<!--":
                close = _next(runs[self.lines.of(start), at - start], at)
                if close is not None:
                    spans.append((start, close + at - start))
                    at = spans[-1][1]
                continue
            end = -1 if unclosed else self.text.find("-->", at)
            if end >= 0:
                at = end + 3
                comments.append((start, at))
            elif not unclosed:
                unclosed = True
                self._note(start, "a comment is opened and never closed: what follows is read as if it were not one")
        return comments, spans

    def _fences(self, tokens: list[_Token], comments: Sequence[Span]) -> list[Span]:
        """The fenced blocks whose tags are text.

        The fence around a whole workflow hides nothing, and neither does one that would swallow the end of an element
        that is open before it: there the closing mark was forgotten.
        """
        cover = _Cover(comments)
        marks = [m for m in _FENCE.finditer(self.text) if not cover.holds(m.start(1))]
        starts = [t.span[0] for t in tokens]
        plain = _Cover([(a.start(), b.end()) for a, b in _pairs(marks, lambda _a, _b: True)])
        outer = any(t.kind in ("workflow", "step") and not plain.holds(t.span[0]) for t in tokens)

        def whole(a: re.Match[str], b: re.Match[str]) -> bool:
            depth: dict[str, int] = {}
            for t in tokens[bisect_left(starts, a.start()) : bisect_left(starts, b.end())]:
                depth[t.kind] = depth.get(t.kind, 0) + (-1 if t.closing else 0 if t.empty else 1)
                if depth[t.kind] < 0:
                    return False
            return True

        fences: list[Span] = []
        pairs = list(_pairs(marks, whole))
        while pairs:
            a, b = pairs.pop()
            part = tokens[bisect_left(starts, a.start()) : bisect_left(starts, b.end())]
            if not outer and any(t.kind in ("workflow", "step") for t in part):
                pairs += _pairs(marks[marks.index(a) + 1 : marks.index(b)], whole)
            else:
                fences.append((a.start(), b.end()))
        return fences

    def _without_mentions(self, tokens: list[_Token], kinds: frozenset[str]) -> list[_Token]:
        """Tokens without those that prose only mentions ("use <action> tags").

        A mention stands in the middle of a line, bare, is not closed on that line, and more tags of its kind open than
        close in its step (for steps: in the file).
        """
        balance = _Balance(tokens)
        kept: list[_Token] = []
        for t in tokens:
            if t.kind in kinds and not t.closing and not t.empty and not t.attrs and self._in_prose(t):
                start, end = (0, None) if t.kind in ("step", "workflow") else balance.region(t.span[0])
                line_end = self.text.find("\n", t.span[1])
                own = balance.counts(t.kind, t.span[1], line_end if line_end >= 0 else None)
                opens, closes = balance.counts(t.kind, start, end)
                if opens > closes and own[1] <= own[0]:
                    self._note(t.span[0], f"<{t.kind}> in the middle of a sentence is never closed: read as text")
                    continue
            kept.append(t)
        return kept

    def _in_prose(self, token: _Token) -> bool:
        start = self.text.rfind("\n", 0, token.span[0]) + 1
        before = self.text[start : token.span[0]].rstrip()
        return bool(before) and not before.endswith(">")

    # tags

    def _tags(self) -> Iterator[_Token]:
        at = 0
        while (start := self.text.find("<", at)) >= 0:
            at = start + 1
            tag = _TAG.match(self.text, start)
            if tag is None:
                loose = _LOOSE_TAG.match(self.text, start)
                if loose is None or loose[1].lower() not in self.vocabulary:
                    continue
                self._note(start, f"the attributes of <{loose[1]}> are not well formed: read as well as possible")
                tail = loose[2].rstrip()
                yield _Token(loose[1].lower(), loose.span(), False, self._attrs(tail, start), tail.endswith("/"))
                at = loose.end()
                continue
            kind = tag[2].lower()
            if kind not in self.vocabulary:
                continue
            before = self.text[start - 1 : start]
            if tag[2] != kind and not tag[1] and (before.isalnum() or before in "_."):
                continue  # Promise<Error>
            yield _Token(kind, tag.span(), bool(tag[1]), self._attrs(tag[3], start), bool(tag[4]))
            at = tag.end()

    def _attrs(self, source: str, start: int) -> dict[str, str]:
        attrs: dict[str, str] = {}
        for part in _ATTR_PARTS.finditer(source):
            name = part[1].lower()
            value = next((v for v in part.groups()[1:] if v is not None), "")
            if name in attrs:
                self._note(start, f"the attribute {name} is given twice: the first counts")
            else:
                attrs[name] = html.unescape(value)
        return attrs

    def _open(self, token: _Token) -> None:
        kind, start = token.kind, token.span[0]
        if kind in INERT and not token.empty and kind not in VOID and not self.balance.closed(kind, token.span[1]):
            return  # a placeholder such as <error> in prose
        self._end_forgotten(token)
        self._flush(start)
        void = kind in VOID or (kind == "invoke-workflow" and "path" in token.attrs)
        if token.empty or (void and not self.balance.closed(kind, token.span[1])):
            end = (token.span[1], token.span[1])
            self._add(Node(kind, self.lines.of(start), token.span, token.attrs, (), "", token.span, end))
            self.done = token.span[1]
        elif len(self.stack) > MAX_DEPTH:
            self._note(start, f"<{kind}> is nested more than {MAX_DEPTH} deep: read as text")
            self.too_deep[kind] = self.too_deep.get(kind, 0) + 1
        else:
            self.stack.append(_Open(kind, start, token.span, token.attrs))
            self.done = token.span[1]
            if kind in LITERAL:
                self._literal_body(token)

    def _literal_body(self, token: _Token) -> None:
        end = self.balance.literal_end(token)
        if end is not None:
            self._close(end)
            return
        stop = self.balance.next_tag(token.span[1])
        self._pop_unclosed(stop.span[0] if stop else len(self.text))

    def _end_forgotten(self, token: _Token) -> None:
        """Close what must have ended before this tag and was not closed."""
        start = token.span[0]
        while len(self.stack) > 1 and self.stack[-1].kind in LEAF:
            top = self.stack[-1].kind
            if self.balance.closed(top, start):
                break
            self._pop_unclosed(start)
        if token.kind != "step":
            return
        steps = [at for at, o in enumerate(self.stack) if o.kind == "step"]
        if not steps or self.balance.closed("step", start, len(steps)):
            return
        if not _is_part(token.attrs.get("n", ""), self.stack[steps[-1]].attrs.get("n", "")):
            while len(self.stack) > steps[-1]:
                self._pop_unclosed(start)

    def _close(self, token: _Token) -> None:
        if self.too_deep.get(token.kind):
            self.too_deep[token.kind] -= 1
            return
        at = len(self.stack) - 1
        while at > 0 and self.stack[at].kind != token.kind:
            if self.stack[at].kind in ("step", "workflow") and token.kind not in ("step", "workflow", "task", "flow"):
                at = 0
                break
            at -= 1
        if at == 0:
            if token.kind not in INERT:
                self._note(token.span[0], f"</{token.kind}> ends nothing: read as text")
            return
        while len(self.stack) - 1 > at:
            self._pop_unclosed(token.span[0])
        self._flush(token.span[0])
        self._pop(token.span, closed=True)

    # the tree

    def _comment(self, span: Span) -> None:
        self._flush(span[0])
        body = self.text[span[0] + 4 : span[1] - 3]
        self._add(Node("comment", self.lines.of(span[0]), span, {}, (), body, span, (span[1], span[1])))
        self.done = span[1]

    def _flush(self, until: int) -> None:
        if until > self.done:
            span = (self.done, until)
            self._add(Node("text", self.lines.of(span[0]), span, text=self.text[span[0] : span[1]]))
            self.done = until

    def _pop_unclosed(self, at: int) -> None:
        top = self.stack[-1]
        self._note(top.start, f"<{top.kind}> is never closed: taken to end at line {self.lines.of(at)}")
        self._flush(at)
        self._pop((at, at), closed=False)

    def _pop(self, close_span: Span, *, closed: bool) -> None:
        top = self.stack.pop()
        span = (top.start, close_span[1])
        line = self.lines.of(top.start)
        self._add(
            Node(top.kind, line, span, top.attrs, tuple(top.children), "", top.open_span, close_span, closed=closed)
        )
        self.done = max(self.done, close_span[1])

    def _add(self, node: Node) -> None:
        self.stack[-1].children.append(node)

    # notes

    def _note(self, offset: int, message: str) -> None:
        self.notes.append(Note(self.path, self.lines.of(offset), message))

    def _note_unknown(self, hidden: _Cover, fences: _Cover) -> None:
        """Say which closed tags are not in the vocabulary: a mistyped <action> would silently become text."""
        closed = set(re.findall(r"</([a-z][\w-]*+)\s*>", self.text))
        for tag in re.finditer(r"^[ \t]*<([a-z][\w-]*+)[^<>\n]{0,500}+>", self.text, re.MULTILINE):
            name, at = tag[1], tag.start(1) - 1
            if name in closed and name not in self.vocabulary and not hidden.holds(at) and not fences.holds(at):
                closed.discard(name)  # once is enough
                near = difflib.get_close_matches(name, sorted(self.vocabulary), 1, 0.75)
                hint = f" (did you mean <{near[0]}>?)" if near else ""
                if self.is_task and not near:
                    continue  # task files group their text under headings of their own
                self._note(at, f"unknown tag <{name}>: read as text{hint}")


def _without_literal_bodies(tokens: list[_Token]) -> list[_Token]:
    """Tokens without those inside of <critical> and <output>."""
    balance = _Balance(tokens)
    kept: list[_Token] = []
    until = 0
    for t in tokens:
        if t.span[0] < until:
            continue
        kept.append(t)
        if t.kind in LITERAL and not t.closing and not t.empty and (end := balance.literal_end(t)):
            until = end.span[0]
    return kept


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


class _Cover:
    """Which offsets lie inside of any of these spans."""

    def __init__(self, spans: Sequence[Span]) -> None:
        ordered = sorted(spans)
        self._starts = [a for a, _ in ordered]
        self._ends: list[int] = []
        for _, end in ordered:
            self._ends.append(max(end, self._ends[-1] if self._ends else 0))

    def holds(self, offset: int) -> bool:
        at = bisect_right(self._starts, offset) - 1
        return at >= 0 and offset < self._ends[at]


class _Balance:
    """Where tags of one kind open and close, to tell a nested element from a forgotten end."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._all, self._at = tokens, [t.span[0] for t in tokens]
        self._tags: dict[str, list[_Token]] = {}
        for t in tokens:
            if not t.empty or t.closing:
                self._tags.setdefault(t.kind, []).append(t)
        self._starts = {kind: [t.span[0] for t in tags] for kind, tags in self._tags.items()}
        self._opens = {kind: [t.span[0] for t in tags if not t.closing] for kind, tags in self._tags.items()}
        self._closes = {kind: [t.span[0] for t in tags if t.closing] for kind, tags in self._tags.items()}
        self._ends = {kind: _surplus_ends(tags) for kind, tags in self._tags.items()}
        self._walls = sorted([*self._starts.get("step", []), *self._closes.get("workflow", [])])

    def counts(self, kind: str, start: int, end: int | None) -> tuple[int, int]:
        """How many elements of a kind open and how many end between two offsets."""
        return _count(self._opens.get(kind, []), start, end), _count(self._closes.get(kind, []), start, end)

    def region(self, offset: int) -> tuple[int, int | None]:
        """From the border of a step before an offset to the one after it."""
        at = bisect_right(self._walls, offset)
        return (self._walls[at - 1] if at else 0), (self._walls[at] if at < len(self._walls) else None)

    def closed(self, kind: str, start: int, depth: int = 1) -> bool:
        """Whether `depth` elements of this kind, open at `start`, find their ends, those that open later left aside.

        Ends are looked for up to the next border of a step; for steps, up to the end of the workflow.
        """
        wall = _next(self._closes.get("workflow", []) if kind == "step" else self._walls, start)
        starts, ends = self._starts.get(kind, []), self._ends.get(kind, [])
        at = bisect_left(starts, start)
        for _ in range(depth):
            end = ends[at]
            if end is None or (wall is not None and starts[end] > wall):
                return False
            at = end + 1
        return True

    def literal_end(self, token: _Token) -> _Token | None:
        """The end of a body that is not looked into; none if its next sister or the step's end comes first."""
        after = token.span[1]
        end = _next(self._closes.get(token.kind, []), after)
        if end is None:
            return None
        walls = [
            _next(self._opens.get(token.kind, []), after),
            _next(self._closes.get("step", []), after),
            _next(self._closes.get("workflow", []), after),
        ]
        if any(wall is not None and wall < end for wall in walls):
            return None
        return self._tags[token.kind][bisect_left(self._starts[token.kind], end)]

    def next_tag(self, offset: int) -> _Token | None:
        at = bisect_left(self._at, offset)
        return self._all[at] if at < len(self._all) else None


def _surplus_ends(tags: Sequence[_Token]) -> list[int | None]:
    """For each tag of one kind, and for the place behind the last, the end that closes what is open before it."""
    ends: list[int | None] = [None] * (len(tags) + 1)
    for at in range(len(tags) - 1, -1, -1):
        if tags[at].closing:
            ends[at] = at
        else:
            own = ends[at + 1]
            ends[at] = None if own is None else ends[own + 1]
    return ends


def _count(at: Sequence[int], start: int, wall: int | None) -> int:
    stop = len(at) if wall is None else bisect_left(at, wall)
    return max(0, stop - bisect_left(at, start))


def _next(at: Sequence[int], start: int) -> int | None:
    index = bisect_left(at, start)
    return at[index] if index < len(at) else None


def _is_part(number: str, of: str) -> bool:
    """Whether "13a" or "13.1" is a part of step "13"."""
    return bool(of) and len(number) > len(of) and number.startswith(of) and not number[len(of)].isdigit()
