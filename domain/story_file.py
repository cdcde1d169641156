"""What does a story's file say?

The shape is upstream's: `# Story 1.2: title`, `Status: word`, Story, Acceptance Criteria, Tasks / Subtasks, Dev Notes,
Dev Agent Record, Change Log, and what reviews append. `story_file_edits` changes one part of it at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .sections import Section, as_prose, find_sections, list_items, named, outside_fences, plain_title
from .statuses import READY, Kind, read_status
from .stories import Story
from .story_text import split_criteria, told_and_noted
from .workflow_tree import Note

_STATUS = re.compile(
    r"^(?P<head>[ \t]*(?:\*\*)?Status:?(?:\*\*)?:?[ \t]*)(?P<word>[^\r\n<]*?)(?P<tail>[ \t]*(?:<!--.*?-->)?[ \t]*)\r?$",
    re.M,
)
_STATUS_SECTION = re.compile(
    r"^(?P<head>##[ \t]+Status[ \t]*\r?\n(?:[ \t]*\r?\n)*)"
    r"(?P<word>[^\r\n<#]+?)(?P<tail>[ \t]*(?:<!--.*?-->)?[ \t]*)\r?$",
    re.M,
)
_TITLE = re.compile(r"Story\s+(?P<id>[\w.-]*\d[a-z]?)\s*[:–-]?\s*(?P<title>.*)", re.IGNORECASE)
_ACS = re.compile(r"\(\s*ACs?\s*:?\s*#?([^)]*)\)", re.IGNORECASE)
_OUTCOME = re.compile(
    r"(?:\*\*)?Outcome:?(?:\*\*)?:?\s*(?:\*\*)?\s*(Approved?|Changes Requested|Blocked)", re.IGNORECASE
)
RECORD = ("Context Reference", "Agent Model Used", "Debug Log References", "Completion Notes List", "File List")
PLANNED = "From the Plan"
"""The part of the Dev Notes that says what else the plan says of the story."""

FileKind = Literal["NEW", "MODIFIED", "DELETED", ""]


@dataclass(frozen=True)
class Task:
    """One box to tick. `depth` 0 is a task, deeper ones are its subtasks; `criteria` are the numbers it serves."""

    text: str
    done: bool
    line: int
    depth: int = 0
    criteria: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileChange:
    """One line of the file list; `kind` is "" where the list does not say it."""

    path: str
    kind: FileKind = ""


@dataclass(frozen=True)
class StoryFile:
    """A story file as read.

    `status` is canonical ("" if unreadable), `raw_status` as written, `record` the text of each part of the agent
    record by title, `outcome` the last review's.
    """

    id: str
    title: str
    status: str
    raw_status: str
    story: str = ""
    acceptance_criteria: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    follow_ups: tuple[Task, ...] = ()
    dev_notes: str = ""
    record: tuple[tuple[str, str], ...] = ()
    files: tuple[FileChange, ...] = ()
    change_log: tuple[str, ...] = ()
    reviews: tuple[str, ...] = ()
    outcome: Literal["approve", "changes_requested", "blocked", ""] = ""
    notes: tuple[Note, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether every task and follow-up is ticked, and there is at least one task."""
        return bool(self.tasks) and all(task.done for task in (*self.tasks, *self.follow_ups))


def new_story_file(
    story: Story,
    *,
    tasks: Sequence[str] = (),
    dev_notes: str = "",
    references: Sequence[str] = (),
    status: str = READY,
    context: str = "",
) -> str:
    """The text of a new story file. Without `tasks` there is one for each criterion and one for the tests."""
    criteria = story.acceptance_criteria or ("The story as told above works and is covered by tests",)
    boxes = list(tasks) or [
        *(f"Meet criterion {number}: {_short(text)} (AC: {number})" for number, text in enumerate(criteria, 1)),
        f"Cover every criterion with tests (AC: {', '.join(str(n) for n in range(1, len(criteria) + 1))})",
    ]
    told, planned = told_and_noted(story.text)
    notes = [as_prose(dev_notes, deepest_kept=3)] if dev_notes.strip() else []
    expected = [*(f"- `{path}`" for path in story.files), *(f"- `{path}` (append only)" for path in story.appends)]
    if planned or expected:
        notes.append(f"### {PLANNED}")
    if planned:
        notes.append(as_prose(planned))
    if expected:
        notes.append("Files this story is expected to touch:\n\n" + "\n".join(expected))
    cited = [f"- [Source: {source}]" for source in references]
    parts = [
        f"# Story {story.id}: {story.title}",
        f"Status: {status}",
        f"## Story\n\n{as_prose(told or story.title)}",
        "## Acceptance Criteria\n\n" + "\n".join(f"{n}. {one_line(text)}" for n, text in enumerate(criteria, 1)),
        "## Tasks / Subtasks\n\n" + "\n".join(_box(text) for text in boxes),
        "## Dev Notes" + "".join(f"\n\n{note}" for note in notes),
        "### Project Structure Notes",
        "### References" + ("\n\n" + "\n".join(cited) if cited else ""),
        "## Dev Agent Record",
        *(f"### {title}" + (f"\n\n- {context}" if context and title == RECORD[0] else "") for title in RECORD),
        "## Change Log",
    ]
    return "\n\n".join(parts) + "\n"


def one_line(text: str) -> str:
    """The text with every run of white space made one space."""
    return " ".join(text.split())


def _short(text: str, longest: int = 80) -> str:
    plain = one_line(text)
    return plain if len(plain) <= longest else plain[:longest].rsplit(" ", 1)[0] + " …"


def _box(text: str) -> str:
    indent = len(text) - len(text.lstrip())
    return " " * indent + "- [ ] " + text.strip()


def read_story_file(text: str, path: str = "story.md") -> StoryFile:
    """The story file in this text; what is missing is empty and noted."""
    sections = find_sections(text)
    notes: list[Note] = []
    head = sections[0] if sections else None
    title = _TITLE.fullmatch(head.title) if head else None
    found = status_line(text)
    raw = found["word"].strip("* \t") if found else ""
    status = read_status(Kind.STORY, raw).status if raw else ""
    if found is None or not raw:
        notes.append(Note(path, head.line if head else 1, "has no `Status:` line; add one below the title", "error"))
    elif not status:
        notes.append(Note(path, text[: found.start()].count("\n") + 1, f"`{raw}` is not a status of a story", "error"))
    elif status != raw:
        notes.append(Note(path, text[: found.start()].count("\n") + 1, f"`{raw}` is read as `{status}`"))
    criteria = named(sections, "Acceptance Criteria")
    if criteria is None:
        notes.append(Note(path, 1, "has no `## Acceptance Criteria`"))
    tasks = named(sections, "Tasks / Subtasks", "Tasks", "Tasks and Subtasks")
    told, notes_ = named(sections, "Story", "User Story"), named(sections, "Dev Notes")
    record = named(sections, "Dev Agent Record")
    parts = [s for s in sections if record and record.start < s.start < record.end]
    files = named(sections, "File List")
    log = named(sections, "Change Log", "Changelog")
    reviews = [s for s in sections if plain_title(s.title).startswith("senior developer review")]
    return StoryFile(
        id=title["id"] if title else "",
        title=title["title"].strip() if title else head.title if head else "",
        status=status,
        raw_status=raw,
        story=told.own_text(text).strip() if told else "",
        acceptance_criteria=tuple(split_criteria(criteria.text(text).splitlines())) if criteria else (),
        tasks=_tasks(text, tasks.own_text(text), tasks) if tasks else (),
        follow_ups=_follow_ups(text, sections),
        dev_notes=notes_.text(text).strip() if notes_ else "",
        record=tuple((part.title, part.own_text(text).strip()) for part in parts),
        files=tuple(_file_changes(files.own_text(text))) if files else (),
        change_log=tuple(_log_lines(log.own_text(text))) if log else (),
        reviews=tuple(section.text(text).strip() for section in reviews),
        outcome=_outcome(reviews[-1].text(text)) if reviews else "",
        notes=tuple(notes),
    )


def status_line(text: str) -> re.Match[str] | None:
    """The status line (groups head, word, tail): before the first `##` section, else below a heading `## Status`, else
    the first line anywhere that names a status; a line of a fenced block is none."""
    shown = outside_fences(text)
    first = re.search(r"^##\s", shown, re.M)
    above = _STATUS.search(shown, 0, first.start() if first else len(shown))
    elsewhere = (found for found in _STATUS.finditer(shown) if read_status(Kind.STORY, found["word"]).status)
    return above or _STATUS_SECTION.search(shown) or next(elsewhere, None)


def _tasks(text: str, body: str, section: Section) -> tuple[Task, ...]:
    first = text[: section.body].count("\n") + 1
    made = []
    for indent, words, ticked, line in list_items(body):
        if ticked is not None:
            numbers = tuple(re.findall(r"\d+(?:\.\d+)?", " ".join(_ACS.findall(words))))
            made.append(Task(words, ticked, first + line, min(indent // 2, 4), numbers))
    return tuple(made)


def _follow_ups(text: str, sections: tuple[Section, ...]) -> tuple[Task, ...]:
    return tuple(
        task
        for section in sections
        if plain_title(section.title) in ("review follow-ups", "review findings")
        for task in _tasks(text, section.own_text(text), section)
    )


def _file_changes(body: str) -> Iterable[FileChange]:
    kind: FileKind = ""
    for line in body.splitlines():
        words = line.strip().lstrip("-*+ ").strip()
        label = re.fullmatch(
            r"\**\s*(new|created|added|modified|changed|updated|deleted|removed)\b[^/`]*?:?\**:?", words, re.I
        )
        if label:
            kind = _kind(label[1])
            continue
        found = re.fullmatch(r"(?:\**(?P<before>[A-Za-z]+)\**:?\s+)?`?(?P<path>[^\s`()]+)`?(?P<rest>.*)", words)
        if not found or not re.search(r"[./]", found["path"]):
            continue
        mark = re.search(r"\b(new|created|added|modified|changed|updated|deleted|removed)\b", found["rest"], re.I)
        yield FileChange(found["path"], _kind(mark[1]) if mark else _kind(found["before"] or "") or kind)


def _kind(word: str) -> FileKind:
    plain = word.lower()
    if plain in ("new", "created", "added"):
        return "NEW"
    if plain in ("modified", "changed", "updated"):
        return "MODIFIED"
    return "DELETED" if plain in ("deleted", "removed") else ""


def _log_lines(body: str) -> Iterable[str]:
    for line in body.splitlines():
        words = line.strip()
        if words and not re.fullmatch(r"[|\s:-]+", words) and not words.startswith("<!--"):
            yield words.lstrip("-*+ ") if not words.startswith("|") else words


def _outcome(text: str) -> Literal["approve", "changes_requested", "blocked", ""]:
    found = _OUTCOME.search(text)
    if not found:
        return ""
    word = found[1].lower()
    return "approve" if word.startswith("approve") else "blocked" if word == "blocked" else "changes_requested"
