from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.board import new_board, validate
from storyloom.domain.board_actions import add_action_items, read_action_items, set_action_status
from storyloom.domain.errors import DocumentError

BOARD = new_board(
    "Shelf", (("epic-1", "done"), ("1-1-a", "done"), ("epic-1-retrospective", "done")), "05-06-2025 21:30"
)
LISTED = """\
development_status:
  epic-1: done

# from the first retrospective
action_items:
  - epic: 1
    action: "Check errors in reviews"
    owner: "Charlie"
    status: open   # soon

# the end
tail: kept
"""


def test_the_first_items_make_the_list():
    text = add_action_items(BOARD, 1, [('Write "more" tests: now', "Amelia"), ("Проверить", "")], ref="docs/retro.md")
    assert text.startswith(BOARD)
    assert yaml.safe_load(text)["action_items"] == [
        {"id": "epic-1-retro-item-1-write-more-tests-now", "epic": 1, "action": 'Write "more" tests: now',
         "owner": "Amelia", "status": "open", "ref": "docs/retro.md"},
        {"id": "epic-1-retro-item-2-проверить", "epic": 1, "action": "Проверить", "owner": "", "status": "open",
         "ref": "docs/retro.md"},
    ]  # fmt: skip
    assert validate(text) == validate(BOARD)
    assert add_action_items(text, 1, [("Проверить", "")]) == text


def test_more_items_go_behind_the_last_and_nothing_else_moves():
    text = add_action_items(LISTED, 2, [("Second", "Bob")])
    head, tail = LISTED.split("\n\n# the end")
    assert text.startswith(head + "\n")
    assert text.endswith("\n\n# the end" + tail)
    assert [item.action for item in read_action_items(text)[0]] == ["Check errors in reviews", "Second"]


def test_a_list_without_indentation_keeps_its_form():
    text = LISTED.replace("  - epic", "- epic").replace("    action", "  action").replace("    owner", "  owner")
    text = text.replace("    status", "  status")
    assert len(yaml.safe_load(add_action_items(text, 2, [("x", "y")]))["action_items"]) == 2


@pytest.mark.parametrize(
    "empty", ["action_items: []", "action_items:", "action_items: null", "action_items: ~  # none"]
)
def test_an_empty_list_is_filled(empty: str):
    text = add_action_items(BOARD + empty + "\nlast: 1", 1, [("x", "y")])
    data = yaml.safe_load(text)
    assert len(data["action_items"]) == 1
    assert data["last"] == 1


def test_a_status_changes_alone_and_never_goes_back():
    (item,), notes = read_action_items(LISTED)
    assert notes == ()
    assert (item.epic, item.owner, item.status, item.line) == (1, "Charlie", "open", 6)
    done = set_action_status(LISTED, item, "done")
    assert done == LISTED.replace("status: open ", "status: done ")
    (again,), _ = read_action_items(done)
    assert set_action_status(done, again, "open") == done
    assert set_action_status(done, again, "open", repair=True) == LISTED
    with pytest.raises(DocumentError):
        set_action_status(LISTED, item, "finished")


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("action_items: x", "error"),
        ("action_items: [", "error"),
        ("action_items:\n  - text", "error"),
        ("action_items:\n  - action: a\n    status: someday", "warning"),
        ("action_items:\n  - action: a", "warning"),
    ],
)
def test_what_cannot_be_read_is_noted(text: str, severity: str):
    assert [note.severity for note in read_action_items(text)[1]] == [severity]
    if severity == "error":
        with pytest.raises(DocumentError):
            add_action_items(text, 1, [("x", "y")])


def test_items_on_one_line_are_not_edited():
    with pytest.raises(DocumentError, match="one line"):
        add_action_items("action_items: [{action: a, status: open}]\n", 1, [("x", "y")])


@given(st.lists(st.tuples(st.text(min_size=1).filter(str.strip), st.text()), max_size=4))
def test_any_wording_comes_back(actions: list[tuple[str, str]]):
    text = add_action_items(LISTED, 3, actions)
    data = yaml.safe_load(text)
    assert {item["action"] for item in data["action_items"][1:]} == {" ".join(action.split()) for action, _ in actions}
    assert data["tail"] == "kept"
