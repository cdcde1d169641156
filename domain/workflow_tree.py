"""How does a workflow look once it has been read?  Values shared by the readers and the sequencer.

Every byte of an instruction file belongs to exactly one leaf: a `text` node, or the tag text that a node's `open_span`
and `close_span` name. Unknown tags are text. Offsets count characters of the source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Span = tuple[int, int]


@dataclass(frozen=True)
class Note:
    """A warning or an error about a place in a file."""

    path: str
    line: int
    message: str
    severity: Literal["warning", "error"] = "warning"


@dataclass(frozen=True)
class Node:
    """A tag of the closed vocabulary, or a run of text (`kind == "text"`).

    `kind` is the tag's name in lower case with hyphens ("template-output", "check", "websearch", "text", "root").
    A comment has the kind "comment", its body as `text`, and is no part of `inner_text`.
    `attrs` are attribute values as written, entities decoded. `line` is 1-based.
    `closed` is False for a tag that the source opened and never closed.
    """

    kind: str
    line: int
    span: Span
    attrs: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Node, ...] = ()
    text: str = ""
    open_span: Span = (0, 0)
    close_span: Span = (0, 0)
    closed: bool = True

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def inner_text(self) -> str:
        """All text below this node, tags left out, stripped."""
        return "".join(node.text for node in self.walk() if node.kind == "text").strip()


@dataclass(frozen=True)
class MenuOption:
    """One choice that a step file's menu offers: "[C] Continue" and what the step says is done then.

    `target` is the file that the choice leads to, as a path among the workflow's files ("" if none is named).
    """

    key: str
    label: str
    handling: str = ""
    target: str = ""


@dataclass(frozen=True)
class Step:
    """One step in the order in which it runs. `number` is as written ("0.5", "2a", "FINAL", "-1", "" if none)."""

    number: str
    title: str
    node: Node
    line: int
    condition: str = ""
    optional: bool = False
    repeat: str = ""
    anchors: tuple[str, ...] = ()
    file: str = ""  # for step-file workflows: the step's own file
    next_file: str = ""
    variables: Mapping[str, object] = field(default_factory=dict)  # a step file's frontmatter, as loaded
    menu: tuple[MenuOption, ...] = ()


@dataclass(frozen=True)
class Workflow:
    """A workflow as read, variables not yet resolved.

    `kind` says how the steps run: "xml" (instructions with tags), "prose" (headings are steps), "steps" (a file per
    step, also below a skill), "skill" (a SKILL.md that is the whole instruction).
    `variables` is the flattened namespace of workflow.yaml, `variables:` included; values as loaded.
    `steps` are the top-level steps in the order in which they run; nested steps stay inside their parent's node.
    """

    name: str
    description: str
    folder: str
    path: str
    kind: Literal["xml", "prose", "steps", "skill"]
    variables: Mapping[str, object]
    steps: tuple[Step, ...]
    preamble: str = ""  # text and <critical> lines outside of steps
    critical: tuple[str, ...] = ()
    template: str = ""  # the template's text, "" for an action workflow
    checklist: str = ""
    persona: str = ""
    input_patterns: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
