"""What does a story's file say once the story has moved?"""

from __future__ import annotations

from .stories import StoryOutcome
from .story_file import FileChange
from .story_file_edits import (
    add_change_log,
    add_completion_notes,
    add_review,
    set_file_list,
    set_status,
    tick_all,
)


def closed_story_file(text: str, status: str, outcome: StoryOutcome | None, today: str, *, by: str = "") -> str:
    """The story file with its status, and at its end the record of the work: files, notes, review, change log.

    `by` is the workflow that moves the story, as on the board.
    """
    text = set_status(text, status, by=by)
    if outcome is None or status != "done":
        return text
    text = tick_all(text)
    text = set_file_list(text, [FileChange(path=path, kind="MODIFIED") for path in outcome.files])
    notes = [line.strip() for line in outcome.notes.splitlines() if line.strip()]
    if notes:
        text = add_completion_notes(text, notes)
    if outcome.review is not None:
        text = add_review(text, outcome.review, reviewer="Quinn", date=today)
    return add_change_log(text, today, f"Merged after {outcome.turns} turns and {outcome.attempts} attempts")
