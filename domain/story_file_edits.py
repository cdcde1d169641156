"""How is one part of a story's file changed while all others stay byte for byte?

Every edit is idempotent: run again, it changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .errors import DocumentError
from .sections import Section, append_section, as_prose, find_sections, named, plain_title, replace_body
from .statuses import Kind, judge_move, read_status
from .stories import ReviewReport, Story
from .story_file import PLANNED, FileChange, new_story_file, one_line, read_story_file, status_line

FOLLOW_UPS = "Review Follow-ups (AI)"
REVIEW = "Senior Developer Review (AI)"
_TOLD = (
    ("Story", "User Story"),
    ("Acceptance Criteria",),
    ("Tasks / Subtasks", "Tasks", "Tasks and Subtasks"),
    (PLANNED,),
)
"""The parts of a story's file that come from the plan, each by the titles it may have, ours first."""

_OUTCOMES = {"approve": "Approve", "changes_requested": "Changes Requested", "blocked": "Blocked"}
_SEVERITY = {"high": "High", "medium": "Med", "low": "Low"}


def set_status(text: str, status: str, *, by: str = "", repair: bool = False, path: str = "story.md") -> str:
    """The file with another status, under the rules of the board: it never loses progress but by a review or a repair.

    Raises:
        DocumentError: `status` is not one of a story.
    """
    found = status_line(text)
    old = read_status(Kind.STORY, found["word"].strip("* \t")).status if found else ""
    move = judge_move(Kind.STORY, old, status, by=by, repair=repair)
    if move.name == "ILLEGAL":
        raise DocumentError(f"`{status}` is not a status of a story", path=path, remedy="Use the board's words.")
    if move.name == "REFUSED":
        return text
    if found:
        head = found["head"] if found["head"].endswith((" ", "\t", "\n")) else found["head"] + " "
        return text[: found.start()] + head + status + text[found.end("word") :]
    sections = find_sections(text)
    newline = "\r\n" if "\r\n" in text[:4096] else "\n"
    at = sections[0].body if sections and sections[0].level == 1 else 0
    return f"{text[:at]}{newline if at else ''}Status: {status}{newline}{'' if at else newline}{text[at:]}"


def set_title(text: str, story: Story) -> str:
    """The file with the story's number and title in its first heading."""
    first = next(iter(find_sections(text)), None)
    if first is None or first.level != 1:
        return text
    newline = "\r\n" if text[first.start : first.body].endswith("\r\n") else "\n"
    return f"{text[: first.start]}# Story {story.id}: {story.title}{newline}{text[first.body :]}"


def told_anew(text: str, story: Story) -> str:
    """The file with its title, story, criteria, tasks and what else the plan says as a new file has them; what is on
    record of the work stays."""
    fresh, text = new_story_file(story), set_title(text, story)
    for titles in _TOLD:
        wanted = named(find_sections(fresh), titles[0])
        text = _told_anew(text, titles, wanted.own_text(fresh).strip() if wanted else "")
    return text


def _told_anew(text: str, titles: Sequence[str], body: str) -> str:
    """The file with one part that comes from the plan; its subsections stay, a part that says nothing is not made."""
    sections = find_sections(text)
    section = named(sections, *titles)
    if section:
        same = section.own_text(text).replace("\r\n", "\n").strip() == body
        return text if same else replace_body(text, section, body)
    if not body:
        return text
    notes = named(sections, "Dev Notes") if titles[0] == PLANNED else None
    before = next((s for s in sections if notes and s.start > notes.start), None)
    return append_section(text, f"{'###' if notes else '##'} {titles[0]}", body, before)


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
    rows = [f"- {one_line(note)}" for note in notes]
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
    row = f"| {date} | {one_line(entry)} |" if table else f"- {date}: {one_line(entry)}"
    review = next((s for s in sections if plain_title(s.title).startswith("senior developer review")), None)
    return _add_lines(text, section, "## Change Log", [row], review)


def review_tasks(report: ReviewReport) -> tuple[str, ...]:
    """The open findings of a review as texts for boxes, the gravest first."""
    order = ("high", "medium", "low")
    found = sorted(
        (f for f in report.findings if f.status == "open"), key=lambda finding: order.index(finding.severity)
    )
    return tuple(
        f"[{_SEVERITY[f.severity]}] {one_line(f.title)}"
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
        f"- **{_SEVERITY[f.severity]}** ({f.status}): {one_line(f.title)}"
        + (f" - {one_line(f.detail)}" if f.detail else "")
        + (f" [file: {f.file}{f':{f.line}' if f.line else ''}]" if f.file else "")
        + (f" Reason: {one_line(f.reason)}" if f.reason else "")
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
    return one_line(text).replace("|", "\\|")
