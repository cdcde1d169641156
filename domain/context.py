"""What does a developer need to read before a story, and what of it fits?

Each kind of material has a share of the budget; what one kind leaves over goes to the next. The story itself, its
criteria and the test command are never left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .masking import mask_old as mask_old
from .model_calls import Value
from .repo_map import repo_map, words_of
from .sections import find_sections
from .stories import Story
from .tokens import estimate_tokens

SHARES: tuple[tuple[str, float], ...] = (
    ("files", 0.25),
    ("architecture", 0.25),
    ("notes", 0.15),
    ("conventions", 0.10),
    ("documents", 0.10),
    ("map", 0.15),
)
"""In this order each kind takes its share of what the story leaves, plus what the kinds before it left over."""


MAX_LEVEL = 3


@dataclass(frozen=True)
class Material:
    """All that could go in. Texts by path; `notes` are (story key, what its developer left), oldest first."""

    story: Story
    story_document: str = ""
    architecture: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    conventions: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[tuple[str, str]] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    test_command: str = ""


class ContextEntry(Value):
    """One thing that went in or not, and why."""

    kind: str
    name: str
    tokens: int
    included: Literal["whole", "part", "left out"]
    why: str


class Section(Value):
    """A piece of the opening message. `mark` is the tag that encloses it as data."""

    kind: str
    name: str
    text: str
    mark: Literal["document", "file", "map"] = "document"


class Context(Value):
    """What goes into an opening message, in reading order, with the account of it."""

    sections: tuple[Section, ...] = ()
    report: tuple[ContextEntry, ...] = ()
    tokens: int = 0
    budget: int = 0

    def table(self) -> str:
        """The account as a Markdown table."""
        rows = [f"| {e.kind} | {e.name} | {e.tokens} | {e.included} | {e.why} |" for e in self.report]
        return "\n".join(["| kind | name | tokens | included | why |", "|---|---|---|---|---|", *rows])


@dataclass(frozen=True)
class _Candidate:
    kind: str
    name: str
    text: str
    why: str
    mark: Literal["document", "file", "map"] = "document"


def assemble(material: Material, budget: int) -> Context:
    """What fits into `budget` estimated tokens, and a report of what went in, what did not, and why."""
    story = material.story
    focus = "\n".join([story.title, story.text, *story.acceptance_criteria, material.story_document])
    must = _Candidate("story", story.id, story_text(story, material.story_document), "the task itself")
    sections, report = [_section(must)], [_entry(must, "whole")]
    command = estimate_tokens(material.test_command)
    room = max(0, budget - report[0].tokens - _marks(must) - command)
    spare = 0.0
    for kind, share in SHARES:
        allowance = int(room * share + spare)
        if kind == "map":
            used = _add_map(material, focus, allowance, sections, report)
        else:
            used = _fill(_candidates(kind, material, focus), allowance, sections, report)
        spare = allowance - used
    spent = command + sum(entry.tokens for entry in report if entry.included != "left out")
    order = {"story": 0, "conventions": 1, "documents": 2, "architecture": 3, "notes": 4, "map": 5, "files": 6}
    sections.sort(key=lambda section: order[section.kind])
    return Context(sections=tuple(sections), report=tuple(report), tokens=spent, budget=budget)


def story_text(story: Story, document: str = "") -> str:
    """The story as its developer and its reviewer read it."""
    if document:
        missing = [criterion for criterion in story.acceptance_criteria if criterion not in document]
    else:
        missing = list(story.acceptance_criteria)
    parts = [document.strip() or f"# {story.title}\n\n{story.text}".strip()]
    if missing:
        parts.append("## Acceptance criteria\n\n" + "\n".join(f"{n}. {text}" for n, text in enumerate(missing, 1)))
    if story.files and not document:
        parts.append("Expected files: " + ", ".join(story.files))
    return "\n\n".join(parts)


def _candidates(kind: str, material: Material, focus: str) -> list[_Candidate]:
    if kind == "files":
        return [
            _Candidate(kind, path, material.files[path], "the story names it", "file")
            for path in dict.fromkeys(material.story.files)
            if path in material.files
        ]
    if kind == "notes":
        return _notes(material)
    if kind == "conventions":
        return [
            _Candidate(kind, name, text, "how this project is written") for name, text in material.conventions.items()
        ]
    texts = material.architecture if kind == "architecture" else material.documents
    return _relevant_sections(kind, texts, focus)


def _notes(material: Material) -> list[_Candidate]:
    """Notes of stories that this one depends on first, then the latest."""
    needed = set(material.story.depends_on)
    told = list(enumerate(material.notes))
    told.sort(key=lambda each: (each[1][0] not in needed, -each[0]))
    return [
        _Candidate("notes", name, text, "this story depends on it" if name in needed else "an earlier story")
        for _, (name, text) in told
        if text.strip()
    ]


def _relevant_sections(kind: str, texts: Mapping[str, str], focus: str) -> list[_Candidate]:
    wanted = words_of(focus)
    scored: list[tuple[float, int, _Candidate]] = []
    for path, text in texts.items():
        for heading, body in split_sections(text):
            hits = words_of(body) & wanted
            in_heading = words_of(heading) & wanted
            score = len(hits) / (1 + len(words_of(body)) ** 0.5) + 2 * len(in_heading)
            if not score:
                continue
            why = "shares " + ", ".join(sorted(in_heading or hits, key=lambda word: (-len(word), word))[:4])
            scored.append(
                (-score, len(scored), _Candidate(kind, f"{path} § {heading}" if heading else path, body, why))
            )
    return [candidate for _, _, candidate in sorted(scored, key=lambda each: each[:2])]


def split_sections(text: str) -> list[tuple[str, str]]:
    """A Markdown text as (heading, text with heading), cut at headings of level 1 to 3; its beginning has none."""
    cuts = [section for section in find_sections(text) if section.level <= MAX_LEVEL]
    starts = [section.start for section in cuts]
    parts = [("", text[: starts[0] if starts else len(text)].strip())]
    for section, end in zip(cuts, [*starts[1:], len(text)], strict=False):
        parts.append((section.title, text[section.start : end].strip()))
    return [(heading, body) for heading, body in parts if body]


def _fill(candidates: Sequence[_Candidate], allowance: int, sections: list[Section], report: list[ContextEntry]) -> int:
    used = 0
    for candidate in candidates:
        cost, marks = estimate_tokens(candidate.text), _marks(candidate)
        if used + cost + marks <= allowance:
            sections.append(_section(candidate))
            report.append(_entry(candidate, "whole"))
            used += cost + marks
        elif candidate.kind in ("files", "conventions", "notes") and allowance - used - marks > 300:
            part = _beginning(candidate.text, allowance - used - marks)
            sections.append(_section(candidate, part))
            report.append(_entry(candidate, "part", estimate_tokens(part)))
            used += estimate_tokens(part) + marks
        else:
            report.append(_entry(candidate, "left out"))
    return used


def _marks(candidate: _Candidate) -> int:
    """What the tags around a piece cost: of many small pieces they are the larger part."""
    return estimate_tokens(f'<{candidate.mark} name="{candidate.name}">\n\n</{candidate.mark}>\n\n')


def _beginning(text: str, budget: int) -> str:
    """Whole lines of the beginning, with a note of what is missing, within about `budget` tokens."""
    rows, kept, spent = text.split("\n"), 0, 20
    for row in rows:
        spent += estimate_tokens(row + "\n")
        if spent > budget:
            break
        kept += 1
    return "\n".join(rows[:kept]) + f"\n[… {len(rows) - kept} more lines]"


def _add_map(
    material: Material, focus: str, allowance: int, sections: list[Section], report: list[ContextEntry]
) -> int:
    if not material.files:
        return 0
    marks = _marks(_Candidate("map", "repository", "", "", "map"))
    made = repo_map(material.files, focus, material.story.files, budget=max(0, allowance - marks))
    why = f"{made.definitions} of {made.definitions_of} definitions, {made.files} of {made.files_of} files by relevance"
    whole = made.definitions == made.definitions_of and made.files == made.files_of
    included: Literal["whole", "part", "left out"] = "left out" if not made.text else "whole" if whole else "part"
    candidate = _Candidate("map", "repository", made.text, why, "map")
    if made.text:
        sections.append(_section(candidate))
    report.append(_entry(candidate, included))
    return made.tokens + marks if made.text else 0


def _section(candidate: _Candidate, text: str | None = None) -> Section:
    return Section(
        kind=candidate.kind, name=candidate.name, text=candidate.text if text is None else text, mark=candidate.mark
    )


def _entry(
    candidate: _Candidate, included: Literal["whole", "part", "left out"], tokens: int | None = None
) -> ContextEntry:
    cost = estimate_tokens(candidate.text) if tokens is None else tokens
    return ContextEntry(kind=candidate.kind, name=candidate.name, tokens=cost, included=included, why=candidate.why)
