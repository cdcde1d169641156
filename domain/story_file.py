"""What does a story's file say, and how is one part of it changed while all others stay byte for byte?

The shape is upstream's: `# Story 1.2: title`, `Status: word`, Story, Acceptance Criteria, Tasks / Subtasks, Dev Notes,
Dev Agent Record, Change Log, and what reviews append. Every edit is idempotent: run again, it changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .errors import DocumentError
from .sections import Section, append_section, as_prose, find_sections, list_items, named, plain_title, replace_body
from .statuses import READY, Kind, judge_move, read_status
from .stories import ReviewReport, Story
from .story_text import split_criteria
from .workflow_tree import Note

_STATUS = re.compile(
    r"^(?P<head>[ \t]*(?:\*\*)?Status:?(?:\*\*)?:?[ \t]*)(?P<word>[^\r\n<]*?)(?P<tail>[ \t]*(?:<!--.*?-->)?[ \t]*)\r?$",
    re.M,
)
_TITLE = re.compile(r"Story\s+(?P<id>[\w.-]*\d[a-z]?)\s*[:–-]?\s*(?P<title>.*)", re.IGNORECASE)
_ACS = re.compile(r"\(\s*ACs?\s*:?\s*#?([^)]*)\)", re.IGNORECASE)
_OUTCOME = re.compile(
    r"(?:\*\*)?Outcome:?(?:\*\*)?:?\s*(?:\*\*)?\s*(Approved?|Changes Requested|Blocked)", re.IGNORECASE
)
FOLLOW_UPS = "Review Follow-ups (AI)"
REVIEW = "Senior Developer Review (AI)"
RECORD = ("Context Reference", "Agent Model Used", "Debug Log References", "Completion Notes List", "File List")
FileKind = Literal["NEW", "MODIFIED", "DELETED", ""]
_OUTCOMES = {"approve": "Approve", "changes_requested": "Changes Requested", "blocked": "Blocked"}
_SEVERITY = {"high": "High", "medium": "Med", "low": "Low"}


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
    notes = [as_prose(dev_notes, deepest_kept=3)] if dev_notes.strip() else []
    if story.files or story.appends:
        expected = [*(f"- `{path}`" for path in story.files), *(f"- `{path}` (append only)" for path in story.appends)]
        notes.append("Files this story is expected to touch:\n\n" + "\n".join(expected))
    cited = [f"- [Source: {source}]" for source in references]
    parts = [
        f"# Story {story.id}: {story.title}",
        f"Status: {status}",
        f"## Story\n\n{_told(story)}",
        "## Acceptance Criteria\n\n" + "\n".join(f"{n}. {_one_line(text)}" for n, text in enumerate(criteria, 1)),
        "## Tasks / Subtasks\n\n" + "\n".join(_box(text) for text in boxes),
        "## Dev Notes" + "".join(f"\n\n{note}" for note in notes),
        "### Project Structure Notes",
        "### References" + ("\n\n" + "\n".join(cited) if cited else ""),
        "## Dev Agent Record",
        *(f"### {title}" + (f"\n\n- {context}" if context and title == RECORD[0] else "") for title in RECORD),
        "## Change Log",
    ]
    return "\n\n".join(parts) + "\n"


def _told(story: Story) -> str:
    """The story's own sentence: what stands before the first label."""
    told = re.split(r"\n\s*(?:[-*+]\s+)?\*\*[^*\n]+:?\*\*|\n#{3,6}\s", "\n" + story.text)[0].strip()
    return as_prose(told or story.title)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _short(text: str, longest: int = 80) -> str:
    plain = _one_line(text)
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
    found = _status_at(text)
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


def _status_at(text: str) -> re.Match[str] | None:
    """The status line: before the first `##` section, or else the first one at all."""
    first = re.search(r"^##\s", text, re.M)
    return _STATUS.search(text, 0, first.start() if first else len(text)) or _STATUS.search(text)


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


def set_status(text: str, status: str, *, by: str = "", repair: bool = False, path: str = "story.md") -> str:
    """The file with another status, under the rules of the board: it never loses progress but by a review or a repair.

    Raises:
        DocumentError: `status` is not one of a story.
    """
    found = _status_at(text)
    old = read_status(Kind.STORY, found["word"].strip("* \t")).status if found else ""
    move = judge_move(Kind.STORY, old, status, by=by, repair=repair)
    if move.name == "ILLEGAL":
        raise DocumentError(f"`{status}` is not a status of a story", path=path, remedy="Use the board's words.")
    if move.name == "REFUSED":
        return text
    if found:
        head = found["head"] if found["head"].endswith((" ", "\t")) else found["head"] + " "
        return text[: found.start()] + head + status + text[found.end("word") :]
    sections = find_sections(text)
    newline = "\r\n" if "\r\n" in text[:4096] else "\n"
    at = sections[0].body if sections and sections[0].level == 1 else 0
    return f"{text[:at]}{newline if at else ''}Status: {status}{newline}{'' if at else newline}{text[at:]}"


def tick_task(text: str, task: int | str, *, done: bool = True, path: str = "story.md") -> str:
    """The file with one box ticked: `task` is a line number, or a text that exactly one box begins with.

    Raises:
        DocumentError: no box is there, or several begin with that text.
    """
    story = read_story_file(text, path)
    boxes = [*story.tasks, *story.follow_ups]
    fits = [box for box in boxes if box.line == task or (isinstance(task, str) and box.text.startswith(task))]
    exact = [box for box in fits if box.text == task] or fits
    if len(exact) != 1:
        count = "no box" if not exact else f"{len(exact)} boxes"
        remedy = "Name the whole text of one task."
        raise DocumentError(f"{count} for {task!r}", path=path, line=exact[0].line if exact else None, remedy=remedy)
    lines = text.split("\n")
    at = exact[0].line - 1
    lines[at] = re.sub(r"\[[ xX]\]", "[x]" if done else "[ ]", lines[at], count=1)
    return "\n".join(lines)


def tick_all(text: str) -> str:
    """The file with every task and follow-up ticked."""
    story = read_story_file(text)
    for box in (*story.tasks, *story.follow_ups):
        text = text if box.done else tick_task(text, box.line)
    return text


def set_file_list(text: str, files: Iterable[FileChange]) -> str:
    """The file with its File List replaced, sorted by path."""
    rows = sorted({(change.path, change.kind) for change in files})
    body = "\n".join(f"- `{name}` ({kind})" if kind else f"- `{name}`" for name, kind in rows)
    return _set_record(text, "File List", body)


def set_record(text: str, part: str, body: str) -> str:
    """The file with one part of the agent record replaced ("Agent Model Used", "Context Reference", …)."""
    return _set_record(text, part, as_prose(body))


def _set_record(text: str, part: str, body: str) -> str:
    sections = find_sections(text)
    record = named(sections, "Dev Agent Record")
    if record is None:
        log = named(sections, "Change Log", "Changelog")
        return append_section(text, "## Dev Agent Record", f"### {part}\n\n{body}", before=log)
    section = named(sections, part, under=record)
    if section:
        return text if section.own_text(text).strip() == body.strip() else replace_body(text, section, body)
    after = next((s for s in sections if s.start >= record.end), None)
    return append_section(text, f"### {part}", body, before=after)


def _add_lines(text: str, section: Section | None, heading: str, lines: Iterable[str], before: Section | None) -> str:
    """The document with lines added at the end of a section, those that stand there already left out."""
    had = section.own_text(text).strip("\r\n") if section else ""
    present = {line.strip() for line in had.splitlines()}
    fresh = [line for line in dict.fromkeys(lines) if line.strip() not in present]
    if not fresh:
        return text
    if section is None:
        return append_section(text, heading, "\n".join(fresh), before=before)
    return replace_body(text, section, "\n".join([*([had] if had.strip() else []), *fresh]))


def add_completion_notes(text: str, notes: Iterable[str]) -> str:
    """The file with notes added to the Completion Notes List, each once."""
    sections = find_sections(text)
    record = named(sections, "Dev Agent Record")
    section = named(sections, "Completion Notes List", "Completion Notes", under=record)
    rows = [f"- {_one_line(note)}" for note in notes]
    if section is None:
        return _set_record(text, "Completion Notes List", "\n".join(rows)) if rows else text
    return _add_lines(text, section, "", rows, None)


def add_change_log(text: str, date: str, entry: str) -> str:
    """The file with one line added to the Change Log, in the list's or the table's own form, once."""
    sections = find_sections(text)
    section = named(sections, "Change Log", "Changelog")
    table = bool(section) and any(
        line.startswith("|") for line in (section.own_text(text) if section else "").splitlines()
    )
    row = f"| {date} | {_one_line(entry)} |" if table else f"- {date}: {_one_line(entry)}"
    review = next((s for s in sections if plain_title(s.title).startswith("senior developer review")), None)
    return _add_lines(text, section, "## Change Log", [row], review)


def review_tasks(report: ReviewReport) -> tuple[str, ...]:
    """The open findings of a review as texts for boxes, the gravest first."""
    order = ("high", "medium", "low")
    found = sorted(
        (f for f in report.findings if f.status == "open"), key=lambda finding: order.index(finding.severity)
    )
    return tuple(
        f"[{_SEVERITY[f.severity]}] {_one_line(f.title)}"
        + (f" [file: {f.file}{f':{f.line}' if f.line else ''}]" if f.file else "")
        for f in found
    )


def add_follow_ups(text: str, report: ReviewReport) -> str:
    """The file with a box for each open finding below the tasks, each once."""
    rows = [f"- [ ] [AI-Review]{words}" for words in review_tasks(report)]
    sections = find_sections(text)
    section = named(sections, FOLLOW_UPS)
    if section:
        present = {re.sub(r"^-\s+\[[ xX]\]\s+", "", line.strip()) for line in section.own_text(text).splitlines()}
        rows = [row for row in rows if row.removeprefix("- [ ] ") not in present]
    tasks = named(sections, "Tasks / Subtasks", "Tasks", "Tasks and Subtasks")
    after = next((s for s in sections if tasks and s.start >= tasks.end), None)
    return _add_lines(text, section, f"### {FOLLOW_UPS}", rows, after)


def add_review(text: str, report: ReviewReport, *, reviewer: str, date: str, round_number: int = 1) -> str:
    """The file with a review appended: outcome, summary, findings, coverage of the criteria, action items.

    A review of the same round takes the place of its earlier text, so that a step that runs again adds nothing.
    """
    heading = f"## {REVIEW}" + (f" - Round {round_number}" if round_number > 1 else "")
    body = _review_body(report, reviewer, date)
    title = heading.removeprefix("## ")
    existing = next((s for s in find_sections(text) if s.level == 2 and s.title == title), None)
    if existing:
        return text if existing.text(text).strip() == body.strip() else replace_body(text, existing, body, own=False)
    return append_section(text, heading, body)


def _review_body(report: ReviewReport, reviewer: str, date: str) -> str:
    met = sum(verdict.met for verdict in report.criteria)
    findings = [
        f"- **{_SEVERITY[f.severity]}** ({f.status}): {_one_line(f.title)}"
        + (f" - {_one_line(f.detail)}" if f.detail else "")
        + (f" [file: {f.file}{f':{f.line}' if f.line else ''}]" if f.file else "")
        + (f" Reason: {_one_line(f.reason)}" if f.reason else "")
        for f in report.findings
    ]
    coverage = [
        f"| {number} | {_cell(verdict.criterion)} | {'met' if verdict.met else 'NOT met'} | {_cell(verdict.evidence)} |"
        for number, verdict in enumerate(report.criteria, 1)
    ]
    table = ["| AC | Criterion | Verdict | Evidence |", "|---|---|---|---|", *coverage]
    parts = [
        f"- Reviewer: {reviewer}\n- Date: {date}\n- Outcome: {_OUTCOMES[report.verdict]}",
        "### Summary\n\n" + (as_prose(report.summary) or "No summary was given."),
        "### Key Findings\n\n" + ("\n".join(findings) or "None."),
        "### Acceptance Criteria Coverage\n\n"
        + (f"{met} of {len(report.criteria)} met.\n\n" + "\n".join(table) if coverage else "Not judged one by one."),
        "### Action Items\n\n" + ("\n".join(f"- [ ] {words}" for words in review_tasks(report)) or "None."),
    ]
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return _one_line(text).replace("|", "\\|")
