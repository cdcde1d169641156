"""What does an unattended spec file say, and how is its status changed?

`spec-<slug>.md` or `stories/<id>-<slug>.md`: frontmatter (title, type, status, baseline_revision, deferred, …) and a
body whose `## Auto Run Result` names the blocking condition. The frontmatter is truth; the chat of a run is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .errors import DocumentError
from .frontmatter import body_of, split, update
from .sections import find_sections, named
from .statuses import SPEC_BLOCKED, SPEC_ORDER, SPEC_TO_STORY
from .stories import Finding
from .story_text import split_criteria
from .workflow_tree import Note

NO_VCS = "NO_VCS"
_CONDITION = re.compile(r"^[ \t>*-]*\**Blocking condition:?\**:?[ \t]*(.+?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_INTENT = re.compile(r"<intent-contract>\s*(.*?)\s*</intent-contract>", re.DOTALL)
_SEVERITIES: dict[str, Literal["high", "medium", "low"]] = {"high": "high", "medium": "medium", "low": "low"}


@dataclass(frozen=True)
class SpecFile:
    """A spec file as read. `status` is "" when it is missing or unknown; `story_status` the board's word for it.

    `baseline` is a commit id, "NO_VCS" or ""; `intent` the immutable contract; `deferred` findings left for later.
    """

    title: str
    kind: str
    status: str
    baseline: str = ""
    review_round: int = 0
    follow_up_wanted: bool = False
    context: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    deferred: tuple[Finding, ...] = ()
    blocking_condition: str = ""
    intent: str = ""
    acceptance_criteria: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def story_status(self) -> str:
        """The status of the story on the board; "" if the spec has none."""
        return SPEC_TO_STORY.get(self.status, "")


def read_spec(text: str, path: str = "spec.md") -> SpecFile:
    """The spec in this text. What cannot be read is noted, with line, and left empty."""
    notes: list[Note] = []
    values: Mapping[str, object] = {}
    lines: Mapping[str, int] = {}
    try:
        parts = split(text, path)
        values, lines = parts.values, parts.lines
    except DocumentError as error:
        notes.append(Note(path, error.line or 1, f"{error.message}; the status is unknown", "error"))
    status = str(values.get("status") or "").strip()
    if status not in (*SPEC_ORDER, SPEC_BLOCKED):
        known = ", ".join((*SPEC_ORDER, SPEC_BLOCKED))
        said = f"`{status}` is not a status of a spec" if status else "has no status"
        notes.append(Note(path, lines.get("status", 1), f"{said}; write one of {known}", "error"))
        status = ""
    body = body_of(text)[0]
    sections = find_sections(body)
    result = named(sections, "Auto Run Result")
    condition = _CONDITION.search(result.text(body)) if result else None
    tasks = named(sections, "Tasks & Acceptance")
    intent = _INTENT.search(body)
    return SpecFile(
        title=str(values.get("title") or ""),
        kind=str(values.get("type") or ""),
        status=status,
        baseline=str(values.get("baseline_revision") or ""),
        review_round=_number(values.get("review_loop_iteration")),
        follow_up_wanted=values.get("followup_review_recommended") in (True, "true"),
        context=_texts(values.get("context")),
        warnings=_texts(values.get("warnings")),
        deferred=_deferred(values.get("deferred"), path, lines.get("deferred", 1), notes),
        blocking_condition=condition[1].strip("`*_ ") if condition and status == SPEC_BLOCKED else "",
        intent=intent[1] if intent else "",
        acceptance_criteria=_criteria(tasks.text(body)) if tasks else (),
        notes=tuple(notes),
    )


def _number(value: object) -> int:
    return int(value) if isinstance(value, (int, str)) and str(value).isdigit() else 0


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _criteria(text: str) -> tuple[str, ...]:
    """What stands below the bold line `Acceptance Criteria:`."""
    found = re.split(r"^\s*\*\*Acceptance Criteria:?\*\*:?\s*$", text, maxsplit=1, flags=re.MULTILINE | re.IGNORECASE)
    return tuple(split_criteria(found[1].splitlines())) if len(found) == 2 else ()


def _deferred(value: object, path: str, line: int, notes: list[Note]) -> tuple[Finding, ...]:
    findings = []
    items = value if isinstance(value, list) else [] if value is None else [value]
    for item in items:
        if not isinstance(item, Mapping) or not item.get("summary"):
            notes.append(Note(path, line, f"a deferred finding has no summary and is not counted: {str(item)[:60]!r}"))
            continue
        file, _, number = str(item.get("location") or "").rpartition(":")
        at = int(number) if file and number.isdigit() else None
        findings.append(
            Finding(
                severity=_SEVERITIES.get(str(item.get("severity") or "").lower(), "low"),
                title=str(item["summary"]),
                detail=str(item.get("evidence") or ""),
                file=file if at is not None else str(item.get("location") or ""),
                line=at,
            )
        )
    return tuple(findings)


def set_spec_status(text: str, status: str, *, repair: bool = False, path: str = "spec.md") -> str:
    """The spec with another status, everything else byte for byte; unchanged where that would lose progress.

    A blocked spec stays blocked but for a repair, as upstream refuses to go on with it.

    Raises:
        DocumentError: `status` is not one of a spec, or the frontmatter cannot be read.
    """
    if status not in (*SPEC_ORDER, SPEC_BLOCKED):
        known = ", ".join((*SPEC_ORDER, SPEC_BLOCKED))
        raise DocumentError(f"`{status}` is not a status of a spec", path=path, remedy=f"Use one of: {known}.")
    old = str(split(text, path).values.get("status") or "")
    if old == status:
        return text
    lost = old == SPEC_BLOCKED or (old in SPEC_ORDER and _rank(status) < _rank(old))
    return text if lost and not repair else update(text, {"status": status}, path)


def _rank(status: str) -> int:
    return SPEC_ORDER.index(status) if status in SPEC_ORDER else len(SPEC_ORDER)
