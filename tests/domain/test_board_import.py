from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.board import import_epics_list, merge, next_action, read_board, set_status, validate
from storyloom.domain.errors import DocumentError

LISTED = """\
# made by another tool
generated: 2025-05-06
last_updated: 2025-05-06
project: Shelf
epics:
  - id: EPIC-001
    title: "Reading"
    status: in_progress
    stories:
      - id: STORY-001-001
        title: User login
        status: completed   # good
        points: 5
      - id: STORY-001-002
        title: Account page
        status: not_started
      - id: STORY-001-003
        status: on-ice
      - just text
  - id: EPIC-002
    stories:
      - {id: STORY-002-001, title: Export, status: review}
  - nonsense
"""


def test_a_list_is_read_as_a_board_with_a_note_that_says_how_to_convert_it():
    board = read_board(LISTED)
    assert board.shape == "epics"
    assert board.get("1-1-user-login").status == "done"
    assert board.get("1-1-user-login").line == 10
    assert "import_epics_list" in board.notes[0].message
    assert next_action(board).workflow == "code-review"
    with pytest.raises(DocumentError, match="cannot be edited"):
        set_status(LISTED, "1-1-user-login", "done")
    with pytest.raises(DocumentError):
        merge(LISTED, (("epic-1", "backlog"),))


def test_the_converted_board_has_every_status_and_keeps_the_list():
    imported = import_epics_list(LISTED)
    board = read_board(imported.text)
    assert board.shape == "rows"
    assert [(entry.key, entry.status) for entry in board.entries] == [
        ("epic-1", "in-progress"),
        ("1-1-user-login", "done"),
        ("1-2-account-page", "backlog"),
        ("1-3-story-001-003", "backlog"),
        ("epic-1-retrospective", "optional"),
        ("epic-2", "backlog"),
        ("2-1-export", "review"),
        ("epic-2-retrospective", "optional"),
    ]
    before, after = yaml.safe_load(LISTED), yaml.safe_load(imported.text)
    assert after["epics"] == before["epics"]
    kept = iter(imported.text.splitlines())
    assert all(line in kept for line in LISTED.splitlines())
    assert not [note for note in validate(imported.text) if note.severity == "error"]


def test_every_decision_is_reported_with_the_line_it_was_made_on():
    said = {note.line: note.message for note in import_epics_list(LISTED).notes}
    assert "`completed` becomes `done`" in said[10]
    assert "`on-ice` means nothing" in said[17]
    assert "not a story" in said[19]
    assert "not an epic" in said[23]
    assert "kept below" in said[5]


def test_a_number_used_twice_in_the_list_is_reported():
    text = "epics:\n- {id: E1, stories: [{id: S1, title: a}, {id: S1, title: a}]}\n"
    assert any("stands twice" in note.message for note in import_epics_list(text).notes)


@pytest.mark.parametrize(
    "text",
    ["epics: []", "epics: x", "epics: [", "project: x", "epics:\n- a\n", "development_status:\n  a: b\nepics: []"],
)
def test_what_cannot_be_converted_is_refused_with_a_place(text: str):
    with pytest.raises(DocumentError) as caught:
        import_epics_list(text)
    assert caught.value.line
    assert caught.value.remedy


@given(st.text())
def test_any_text_below_epics_is_read_without_a_fall(text: str):
    read_board("epics:\n  - " + text)
    read_board("epics: [{id: 1, stories: [" + text)
