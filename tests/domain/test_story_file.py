from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import DocumentError
from storyloom.domain.sections import as_prose, find_sections
from storyloom.domain.stories import CriterionVerdict, Finding, ReviewReport, Story
from storyloom.domain.story_file import FileChange, new_story_file, read_story_file
from storyloom.domain.story_file_edits import (
    add_change_log,
    add_completion_notes,
    add_follow_ups,
    add_review,
    set_file_list,
    set_record,
    set_status,
    tick_all,
    tick_task,
    told_anew,
)

STORY = Story(
    key="1-2-account-page",
    id="1.2",
    epic="epic-1",
    title="Account page",
    text="As a reader,\nI want a page,\nso that I can change my name.\n\n**Acceptance Criteria:**\n\nGiven …",
    acceptance_criteria=("Given a page When I open it Then it shows my name", "The name can be changed"),
    files=("src/account.py",),
    appends=("CHANGELOG.md",),
)
REVIEW = ReviewReport(
    verdict="changes_requested",
    summary="Nearly.\n\n## Not a section",
    criteria=(
        CriterionVerdict(criterion="shows | name", met=True, evidence="tests/test_account.py:4"),
        CriterionVerdict(criterion="can be changed", met=False),
    ),
    findings=(
        Finding(severity="low", title="Naming", status="dismissed", reason="house style"),
        Finding(
            severity="high", title="No check of input", detail="any length\nis taken", file="src/account.py", line=7
        ),
    ),
)
NEW = new_story_file(STORY)

WILD = """\
# Story 3.1: Wild one

**Status:** Ready for Review   <!-- by hand -->

<!-- Powered by something -->

## Story

**As a** user

## Acceptance Criteria (ACs)

1. First
2. Second

## Tasks / Subtasks

- [x] Task 1 (AC: 1, 2)
  - [ ] Subtask 1.1
    goes on here
- [ ] Task 2 (AC: #2)

```
## Not a heading
- [ ] not a task
```

## Dev Agent Record

### File List

**New files:**
- src/new.py
- `src/other.py` (modified)

Deleted:
- old.py

## Change Log

| Date | Change |
|---|---|
| 2026-01-01 | made |

## Senior Developer Review (AI)

**Outcome:** Approve
"""


def test_a_new_story_file_says_what_the_plan_said():
    read = read_story_file(NEW)
    assert (read.id, read.title, read.status) == ("1.2", "Account page", "ready-for-dev")
    assert read.story == "As a reader,\nI want a page,\nso that I can change my name."
    assert read.acceptance_criteria == STORY.acceptance_criteria
    assert [task.criteria for task in read.tasks] == [("1",), ("2",), ("1", "2")]
    assert not any(task.done for task in read.tasks)
    assert "`src/account.py`" in read.dev_notes
    assert "`CHANGELOG.md` (append only)" in read.dev_notes
    assert read.notes == ()
    titles = [title for title, _ in read.record]
    assert titles == [
        "Context Reference",
        "Agent Model Used",
        "Debug Log References",
        "Completion Notes List",
        "File List",
    ]


def test_what_the_plan_says_below_other_labels_stands_in_the_notes():
    text = """As a user, I want to log in.

**As a** guest, I do not.

**Acceptance Criteria:**

1. A wrong password is refused

A second one.

**Priority:** 2

Seldom used.

**Technical Notes:** Hash with argon2id.

## Dev Agent Record

Sessions end after 15 minutes.

```sh
**Files:** no label
---
```

---

**Files:**

- `a.py`

- `b.py`

After the files.

**Open Questions**

- None yet
"""
    made = new_story_file(STORY.model_copy(update={"text": text}))
    read = read_story_file(made)
    assert read.story == "As a user, I want to log in.\n\n**As a** guest, I do not."
    planned = next(section for section in find_sections(made) if section.title == "From the Plan").own_text(made)
    noted, _, files = planned.partition("Files this story is expected to touch:")
    assert " ".join(noted.split()) == (
        "Seldom used. **Technical Notes:** Hash with argon2id. **Dev Agent Record** Sessions end after 15 minutes. "
        "```sh **Files:** no label --- ``` After the files. **Open Questions** - None yet"
    )
    assert "`src/account.py`" in files
    assert [title for title, _ in read.record] == [title for title, _ in read_story_file(NEW).record]


def test_a_story_without_criteria_still_has_something_to_meet():
    bare = new_story_file(Story(key="1-1-x", id="1.1", epic="epic-1", title="X"), references=["docs/prd.md#Goals"])
    read = read_story_file(bare)
    assert len(read.acceptance_criteria) == 1
    assert len(read.tasks) == 2
    assert "[Source: docs/prd.md#Goals]" in bare


def test_given_tasks_keep_their_levels():
    read = read_story_file(new_story_file(STORY, tasks=["Build (AC: 1)", "  part", "Test"], dev_notes="## Own\ntext"))
    assert [(task.text, task.depth) for task in read.tasks] == [("Build (AC: 1)", 0), ("part", 1), ("Test", 0)]
    assert "\\## Own" in read.dev_notes


def test_a_file_from_the_wild_is_read_tolerantly():
    read = read_story_file(WILD)
    assert (read.status, read.raw_status, read.outcome) == ("review", "Ready for Review", "approve")
    assert read.acceptance_criteria == ("First", "Second")
    assert [(task.text, task.done, task.depth, task.criteria) for task in read.tasks] == [
        ("Task 1 (AC: 1, 2)", True, 0, ("1", "2")),
        ("Subtask 1.1 goes on here", False, 1, ()),
        ("Task 2 (AC: #2)", False, 0, ("2",)),
    ]
    assert [task.line for task in read.tasks] == [18, 19, 21]
    assert read.files == (
        FileChange("src/new.py", "NEW"),
        FileChange("src/other.py", "MODIFIED"),
        FileChange("old.py", "DELETED"),
    )
    assert any("is read as `review`" in note.message and note.line == 3 for note in read.notes)


def test_the_status_line_alone_changes():
    assert set_status(NEW, "in-progress") == NEW.replace("Status: ready-for-dev", "Status: in-progress")
    assert set_status(WILD, "done") == WILD.replace("Ready for Review", "done")
    crlf = NEW.replace("\n", "\r\n")
    assert set_status(crlf, "review") == crlf.replace("Status: ready-for-dev", "Status: review")


def test_the_status_never_goes_back_but_by_a_review_or_a_repair():
    review = set_status(NEW, "review")
    assert set_status(review, "ready-for-dev") == review
    assert set_status(review, "in-progress", by="dev-story") == review
    assert read_story_file(set_status(review, "in-progress", by="code-review")).status == "in-progress"
    assert read_story_file(set_status(review, "backlog", repair=True)).status == "backlog"
    with pytest.raises(DocumentError, match="not a status"):
        set_status(NEW, "drafted")


def test_a_missing_status_line_is_noted_and_made():
    text = NEW.replace("Status: ready-for-dev\n\n", "")
    assert any("has no `Status:`" in note.message for note in read_story_file(text).notes)
    made = set_status(text, "review")
    assert read_story_file(made).status == "review"
    assert made.index("Status: review") < made.index("## Story")
    assert read_story_file(set_status("", "review")).status == "review"
    assert any("not a status" in note.message for note in read_story_file("# Story 1.1: a\n\nStatus: whatever\n").notes)


def test_a_status_in_a_fenced_block_or_in_prose_is_not_the_story_s():
    text = "# Story 1.1: a\n\n## Dev Notes\n\n```md\nStatus: done\n```\n~~~\nStatus: review\n~~~\n\nStatus: 404\n"
    made = set_status(text, "review")
    assert made == text.replace("# Story 1.1: a\n", "# Story 1.1: a\n\nStatus: review\n")
    assert read_story_file(text).status == ""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_status_below_a_heading_of_its_own_is_read_and_changed_there(end: str):
    text = "# Story 1.1: a\n\n## Status\n\nDraft  <!-- mine -->\n\n## Story\n\nStatus: done\n".replace("\n", end)
    assert read_story_file(text).status == "ready-for-dev"
    assert set_status(text, "review") == text.replace("Draft", "review")


def test_a_status_word_in_a_later_section_is_not_the_story_s():
    text = "# Story 1.1: a\n\nStatus: review\n\n## Dev Notes\n\nStatus: 404\n"
    assert set_status(text, "done") == text.replace("Status: review", "Status: done")


def test_one_box_is_ticked_by_line_or_by_text():
    ticked = tick_task(WILD, 21)
    assert ticked == WILD.replace("- [ ] Task 2", "- [x] Task 2")
    assert tick_task(WILD, "Task 2") == ticked
    assert tick_task(ticked, "Task 2", done=False) == WILD


@pytest.mark.parametrize("task", ["Task", "nothing like it", 1, 25])
def test_a_box_that_is_not_clear_is_refused(task: int | str):
    with pytest.raises(DocumentError):
        tick_task(WILD, task)


def test_ticking_all_leaves_fences_alone_and_finishes_the_story():
    done = tick_all(add_follow_ups(WILD, REVIEW))
    assert read_story_file(done).finished
    assert "- [ ] not a task" in done
    assert not read_story_file(WILD).finished


def test_the_file_list_is_replaced_and_sorted():
    files = [FileChange("b.py", "NEW"), FileChange("a.py", "DELETED"), FileChange("a.py", "DELETED"), FileChange("c")]
    text = set_file_list(WILD, files)
    assert read_story_file(text).files == (FileChange("a.py", "DELETED"), FileChange("b.py", "NEW"))
    assert "src/new.py" not in text
    assert text.partition("### File List")[0] == WILD.partition("### File List")[0]
    assert text.partition("## Change Log")[2] == WILD.partition("## Change Log")[2]


def test_a_review_is_written_with_outcome_coverage_and_action_items():
    text = add_review(NEW, REVIEW, reviewer="Murat", date="2026-02-03")
    read = read_story_file(text)
    assert read.outcome == "changes_requested"
    assert "| 1 | shows \\| name | met | tests/test_account.py:4 |" in text
    assert "| 2 | can be changed | NOT met |  |" in text
    assert "1 of 2 met." in text
    assert "- [ ] [High] No check of input [file: src/account.py:7]" in text
    assert "Reason: house style" in text
    assert text.startswith(NEW.rstrip())
    assert "\\## Not a section" in text
    assert [s.title for s in find_sections(text) if s.level == 2][-1] == "Senior Developer Review (AI)"


def test_a_second_round_stands_beside_the_first_and_counts():
    first = add_review(NEW, REVIEW, reviewer="Murat", date="2026-02-03")
    approve = ReviewReport(verdict="approve")
    both = add_review(first, approve, reviewer="Murat", date="2026-02-04", round_number=2)
    assert both.startswith(first.rstrip())
    read = read_story_file(both)
    assert (len(read.reviews), read.outcome) == (2, "approve")


def test_follow_ups_stand_below_the_tasks_once_and_keep_their_ticks():
    text = add_follow_ups(NEW, REVIEW)
    (box,) = read_story_file(text).follow_ups
    assert box.text == "[AI-Review][High] No check of input [file: src/account.py:7]"
    assert text.index("Review Follow-ups") < text.index("## Dev Notes")
    ticked = tick_task(text, box.line)
    assert add_follow_ups(ticked, REVIEW) == ticked
    assert add_follow_ups(NEW, ReviewReport(verdict="approve")) == NEW


def test_the_change_log_keeps_its_form():
    assert "- 2026-02-03: built" in add_change_log(NEW, "2026-02-03", "built")
    table = add_change_log(WILD, "2026-02-03", "built")
    assert "| 2026-01-01 | made |\n| 2026-02-03 | built |\n\n## Senior" in table
    none = "# Story 1.1: a\n\n## Senior Developer Review (AI)\n\nOutcome: Blocked\n"
    added = add_change_log(none, "2026-02-03", "built")
    assert added.index("## Change Log") < added.index("## Senior")
    assert read_story_file(added).change_log == ("2026-02-03: built",)
    assert read_story_file(added).outcome == "blocked"


def test_parts_that_are_missing_are_made_in_their_place():
    bare = "# Story 1.1: a\n\nStatus: review\n\n## Story\n\nx\n\n## Change Log\n\n- y\n"
    text = add_completion_notes(set_file_list(bare, [FileChange("a.py", "NEW")]), ["done"])
    titles = [section.title for section in find_sections(text)]
    assert titles == ["Story 1.1: a", "Story", "Dev Agent Record", "File List", "Completion Notes List", "Change Log"]
    assert add_completion_notes(bare, []) == bare


EDITS = {
    "status": lambda text: set_status(text, "done"),
    "tick": tick_all,
    "files": lambda text: set_file_list(text, [FileChange("x.py", "NEW")]),
    "notes": lambda text: add_completion_notes(text, ["one\ntwo", "three"]),
    "model": lambda text: set_record(text, "Agent Model Used", "a model\n# not a title"),
    "log": lambda text: add_change_log(text, "2026-02-03", "built"),
    "review": lambda text: add_review(text, REVIEW, reviewer="M", date="2026-02-03"),
    "follow": lambda text: add_follow_ups(text, REVIEW),
}


@pytest.mark.parametrize(
    "base", [NEW, WILD, NEW.replace("\n", "\r\n"), "", "# Story 1.1: a"], ids=["new", "wild", "crlf", "none", "title"]
)
@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_done_twice_is_done_once(edit: str, base: str):
    once = EDITS[edit](base)
    assert EDITS[edit](once) == once
    if base.count("\r\n"):
        assert "\n" not in once.replace("\r\n", "")


@given(st.permutations(sorted(EDITS)))
def test_edits_in_any_order_end_in_the_same_facts(order: list[str]):
    text = NEW
    for name in order:
        text = EDITS[name](text)
    again = text
    for name in order:
        again = EDITS[name](again)
    read = read_story_file(text)
    assert read.status == "done"
    assert read.files == (FileChange("x.py", "NEW"),)
    assert read.change_log == ("2026-02-03: built",)
    assert read.outcome == "changes_requested"
    assert read.acceptance_criteria == STORY.acceptance_criteria
    assert len(read.follow_ups) == 1
    assert again == (text if order.index("tick") > order.index("follow") else EDITS["tick"](text))


@given(st.text(), st.text())
def test_no_text_makes_reading_or_an_edit_fall_over(text: str, more: str):
    read_story_file(text)
    read_story_file(NEW + more)
    for name in EDITS:
        EDITS[name](text)


@given(st.text())
def test_foreign_text_cannot_open_a_section_or_leave_a_fence_open(text: str):
    document = f"## One\n\n{as_prose(text)}\n\n## Two\n"
    assert [section.title for section in find_sections(document)] == ["One", "Two"]


def test_a_story_told_anew_keeps_what_is_on_record_and_says_the_rest_as_the_plan_does():
    text = add_follow_ups(add_review(NEW, REVIEW, reviewer="Quinn", date="2026-01-01"), REVIEW)
    text = set_status(add_change_log(text, "2026-01-01", "Failed"), "in-progress")
    told = STORY.model_copy(
        update={"title": "Account", "text": "Other.\n\n**Notes:** new\n", "acceptance_criteria": ("New",), "files": ()}
    )
    made = told_anew(text, told)
    read, was = read_story_file(made), read_story_file(text)
    assert (read.id, read.title, read.status, read.story) == ("1.2", "Account", "in-progress", "Other.")
    assert read.acceptance_criteria == ("New",)
    assert [task.criteria for task in read.tasks] == [("1",), ("1",)]
    assert "**Notes:** new" in read.dev_notes
    assert "src/account.py" not in read.dev_notes
    assert (read.change_log, read.reviews, read.record) == (was.change_log, was.reviews, was.record)
    assert [task.text for task in read.follow_ups] == [task.text for task in was.follow_ups]
    assert told_anew(made, told) == made
    assert told_anew(NEW, STORY) == NEW


def test_a_file_without_parts_gets_them_and_keeps_its_line_ends():
    text = (
        "# Story 1.2: old\r\n\r\nStatus: review\r\n\r\n## User Story\r\n\r\nOld.\r\n\r\n## Dev Notes\r\n\r\nMine.\r\n"
    )
    made = told_anew(text, STORY)
    read = read_story_file(made)
    assert read.story.startswith("As a reader,")
    assert read.acceptance_criteria == STORY.acceptance_criteria
    assert "Mine." in read.dev_notes
    assert "src/account.py" in read.dev_notes
    assert made.count("\n") == made.count("\r\n")
    assert told_anew(made, STORY) == made
