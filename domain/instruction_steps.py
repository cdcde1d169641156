"""Which steps does an instruction text have, and what stands around them?"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .headings import Heading, headings
from .instruction_scanner import scan
from .step_order import in_order, rank
from .workflow_tree import Node, Note, Step

_WRAPPERS = frozenset({"root", "task", "tool", "workflow", "flow", "phase"})
_CONTEXT = frozenset({
    "text", "comment", "critical", "guideline", "note", "objective", "llm", "example", "rule", "desc", "i", "mandate",
    "facilitation-guidelines", "facilitation-principles", "checkpoint-handlers", "guide", "energy-checkpoint", "format",
    "iterate", "mode", "warning", "menu",
})  # fmt: skip  # what tells how to work, and is nothing to do
_STEP_HEADING = re.compile(r"\bstep\s+(-?\d+(?:\.\d+)?[a-z]?)\b", re.IGNORECASE)
_NUMBERED_HEADING = re.compile(r"^(\d+(?:\.\d+)?[a-z]?)[.):]\s")


@dataclass(frozen=True)
class Instructions:
    """An instruction text as read. `tagged` tells a text with tags from one whose headings are the steps."""

    tagged: bool
    root: Node
    steps: tuple[Step, ...]
    preamble: str
    critical: tuple[str, ...]
    notes: tuple[Note, ...]


def read_instructions(text: str, path: str) -> Instructions:
    """The steps of an instruction text in the order in which they run, and the text around them.

    Numbered headings that start over keep the order of the file: it has several lists of steps.
    """
    root, found = scan(text, path)
    notes = list(found)
    tagged = any(node.kind in ("workflow", "step", "flow") for node in root.walk())
    if tagged:
        steps, outside = _tagged(root, path, notes)
    else:
        steps, outside = _prose(text, root)
    numbers = [rank(step.number) for step in steps]
    if tagged or len(set(numbers)) == len(numbers):
        steps = in_order(steps, lambda step: step.number)
        _note_numbers(steps, path, notes)
    critical = tuple(node.inner_text() for node in outside if node.kind == "critical")
    preamble = "\n".join(text for node in outside if (text := _plain(node)))
    return Instructions(tagged, root, tuple(steps), preamble, critical, tuple(notes))


def _plain(node: Node) -> str:
    return node.text.strip() if node.kind == "text" else node.inner_text()


def _tagged(root: Node, path: str, notes: list[Note]) -> tuple[list[Step], list[Node]]:
    """The top-level steps; tags that stand between them become steps without a number."""
    steps: list[Step] = []
    outside: list[Node] = []
    loose: list[Node] = []

    def finish() -> None:
        if loose:
            steps.append(_step(_group(loose), "", ""))
            loose.clear()

    for node in _top(root):
        if node.kind == "step":
            finish()
            steps.append(_step(node, node.attrs.get("n", node.attrs.get("id", "")), ""))
        elif node.kind in _CONTEXT:
            outside.append(node)
        else:
            if not loose:
                notes.append(
                    Note(path, node.line, f"<{node.kind}> stands outside of any step: taken as a step of its own")
                )
            loose.append(node)
    finish()
    return steps, outside


def _top(node: Node) -> Iterator[Node]:
    for child in node.children:
        if child.kind in _WRAPPERS:
            yield from _top(child)
        else:
            yield child


def _group(nodes: Sequence[Node]) -> Node:
    start, end = nodes[0].span[0], nodes[-1].span[1]
    return Node("step", nodes[0].line, (start, end), {}, tuple(nodes), "", (start, start), (end, end))


def _step(node: Node, number: str, title: str) -> Step:
    return Step(
        number=number.strip(),
        title=title or node.attrs.get("goal") or node.attrs.get("title") or "",
        node=node,
        line=node.line,
        condition=node.attrs.get("if", ""),
        optional=node.attrs.get("optional", "").lower() in ("true", "yes", "1"),
        repeat=node.attrs.get("repeat", node.attrs.get("for-each", "")),
        anchors=tuple(n.attrs["id"] for n in node.walk() if n.kind == "anchor" and n.attrs.get("id")),
    )


def _note_numbers(steps: Sequence[Step], path: str, notes: list[Note]) -> None:
    seen: set[object] = set()
    for step in steps:
        place = rank(step.number)
        if step.number and place is None:
            notes.append(Note(path, step.line, f"the step number {step.number!r} has no place in the order"))
        elif place is not None and place in seen:
            notes.append(
                Note(path, step.line, f"the step number {step.number} is given twice: both run, in the file's order")
            )
        seen.add(place)


def _prose(text: str, root: Node) -> tuple[list[Step], list[Node]]:
    """Sections whose headings say "Step N"; else numbered ones; else those of level two; else all as one step."""
    outline = headings(text)
    chosen = _chosen(outline)
    starts = [node.span[0] for node in root.children]
    steps: list[Step] = []
    outside: list[Node] = []
    at = 0
    for heading, number in chosen:
        if heading.start < at:
            continue  # a part of the section before
        outside += _cut(root, starts, at, heading.start)
        at = heading.end
        node = Node(
            "step", heading.line, (heading.start, at), {"n": number}, tuple(_cut(root, starts, heading.start, at))
        )
        title = _STEP_HEADING.sub("", heading.title).strip(" :.-–—") if number else heading.title
        steps.append(_step(node, number, _NUMBERED_HEADING.sub("", title) or heading.title))
    outside += _cut(root, starts, at, len(text))
    if steps:
        return steps, outside
    return ([_step(root, "", "")] if text.strip() else []), []


def _chosen(outline: Sequence[Heading]) -> list[tuple[Heading, str]]:
    for pattern in (_STEP_HEADING, _NUMBERED_HEADING):
        named = [(h, found[1]) for h in outline if h.level > 1 and (found := pattern.search(h.title))]
        if len(named) > 1:
            level = min(h.level for h, _ in named)
            return [(h, number) for h, number in named if h.level == level]
    return [(h, "") for h in outline if h.level == 2]


def _cut(root: Node, starts: Sequence[int], start: int, end: int) -> list[Node]:
    """The top nodes of a text between two offsets; texts are cut, tags belong to where they begin."""
    cut: list[Node] = []
    for node in root.children[max(0, bisect_right(starts, start) - 1) : bisect_left(starts, end)]:
        if node.kind != "text":
            if start <= node.span[0] < end:
                cut.append(node)
            continue
        a, b = max(start, node.span[0]), min(end, node.span[1])
        if a < b:
            before = node.text.count("\n", 0, a - node.span[0])
            part = node.text[a - node.span[0] : b - node.span[0]]
            cut.append(Node("text", node.line + before, (a, b), text=part))
    return cut
