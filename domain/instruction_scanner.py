"""Which tags does an instruction text hold, and which text lies between them?

Instruction files are Markdown with XML-like tags that are often not well formed.  The vocabulary is closed, everything
else is text.  Tags inside back-ticks, comments, fenced code and the bodies of <critical> and <output> are text, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .instruction_tags import (
    INERT,
    LEAF,
    LITERAL,
    TASK_ONLY,
    VOCABULARY,
    VOID,
    Cover,
    Lines,
    Token,
    comments_and_code,
    fences,
    note_unknown,
    tags,
)
from .tag_balance import Balance, without_literal_bodies, without_mentions
from .workflow_tree import Node, Note, Span

MAX_DEPTH = 64


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


class _Scanner:
    def __init__(self, text: str, path: str) -> None:
        self.text, self.path, self.lines = text, path, Lines(text)
        self.notes: list[Note] = []
        self.stack = [_Open("root", 0, (0, 0), {})]
        self.too_deep: dict[str, int] = {}
        self.done = 0  # everything before this offset is in the tree
        is_task = re.search(r"<(?:task|tool)\s[^<>]*>", text) is not None
        self.vocabulary = VOCABULARY if is_task else VOCABULARY - TASK_ONLY

    def run(self) -> tuple[Node, tuple[Note, ...]]:
        comments, spans = comments_and_code(self.text, self.lines, self._note)
        hidden = Cover([*comments, *spans])
        tokens = [t for t in tags(self.text, self.vocabulary) if not hidden.holds(t.span[0])]
        fenced = Cover(fences(self.text, tokens, comments))
        tokens = [t for t in tokens if not fenced.holds(t.span[0])]
        for kinds in (frozenset({"workflow", "step"}), self.vocabulary):
            tokens = without_mentions(self.text, without_literal_bodies(tokens), kinds, self._note)
        for token in tokens:
            if token.odd:
                self._note(token.span[0], token.odd)
        self.balance = Balance(tokens)
        note_unknown(self.text, self.vocabulary, (hidden, fenced), self._note)
        events: list[tuple[int, Token | Span]] = [(t.span[0], t) for t in tokens]
        events += [(span[0], span) for span in comments if not fenced.holds(span[0])]
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

    # beginnings and ends

    def _open(self, token: Token) -> None:
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

    def _literal_body(self, token: Token) -> None:
        end = self.balance.literal_end(token)
        if end is not None:
            self._close(end)
            return
        stop = self.balance.next_tag(token.span[1])
        self._pop_unclosed(stop.span[0] if stop else len(self.text))

    def _end_forgotten(self, token: Token) -> None:
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

    def _close(self, token: Token) -> None:
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


def _is_part(number: str, of: str) -> bool:
    """Whether "13a" or "13.1" is a part of step "13"."""
    return bool(of) and len(number) > len(of) and number.startswith(of) and not number[len(of)].isdigit()
