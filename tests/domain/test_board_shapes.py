"""A board in a shape that we did not write is changed in one word, or refused with its line: never broken."""

from __future__ import annotations

import pytest
import yaml
from storyloom.domain.board import merge, set_status
from storyloom.domain.board_actions import read_action_items, set_action_status
from storyloom.domain.errors import DocumentError

ROWS = "development_status:\n  epic-1: in-progress\n  1-1-x: backlog\n"
PLANNED = [("epic-1", "backlog"), ("1-1-x", "ready-for-dev"), ("1-2-new", "backlog")]

KEPT = {
    "comments and spaces": "# c\n" + ROWS.replace("backlog", "backlog   # why\t") + "# end",
    "no final newline": ROWS.rstrip("\n"),
    "CRLF": ROWS.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + ROWS,
    "quoted keys and values": "development_status:\n  \"epic-1\": 'in-progress'\n  '1-1-x': \"backlog\"\n",
    "unknown keys and statuses": "other: [1, 2]\n" + ROWS + "  odd key: weird\n  9z: &a here\nlater:\n- x: 1\n",
    "document marks": "---\n" + ROWS + "...\n",
    "a merge key": "base: &b\n  k: v\n" + ROWS.replace(":\n", ":\n  <<: *b\n", 1),
    "on one line": "development_status: {epic-1: in-progress, '1-1-x': \"backlog\"} # c\r\n",
    "a key after it without a newline": ROWS + "generated: a",
    "signs beyond ASCII": "# ü\u3000漢\n" + ROWS,
}
REFUSED = {
    "an alias": "development_status: {epic-1: &a backlog, 1-1-x: *a}\n",
    "an anchor": "development_status: {epic-1: *z, 1-1-x: &a backlog}\n".replace("*z", "done"),
    "an anchored row": ROWS.replace("backlog", "&a backlog"),
    "a folded value": ROWS.replace("backlog", ">-\n    backlog"),
    "a list": "development_status:\n  - epic-1: backlog\n  - 1-1-x: backlog\n",
    "tabs": ROWS.replace("  ", "\t"),
    "values below the key": ROWS.replace(": backlog", ":\n    status: backlog"),
    "a carriage return alone": ROWS.replace("\n", "\r"),
}


def keys_of(text: str) -> list[str]:
    root = yaml.compose(text)
    return [key.value for name, section in root.value if name.value == "development_status" for key, _ in section.value]


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_one_word_changes_and_every_other_sign_stays(text: str):
    assert set_status(text, "1-1-x", "ready-for-dev") == text.replace("backlog", "ready-for-dev")


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_a_stamp_adds_one_line_and_the_board_stays_readable(text: str):
    stamped = set_status(text, "1-1-x", "ready-for-dev", stamp="2026-01-02")
    plain = text.removeprefix("\ufeff").replace("backlog", "ready-for-dev").splitlines(keepends=True)
    lines = stamped.removeprefix("\ufeff").splitlines(keepends=True)
    added = next(number for number, line in enumerate(lines) if line.startswith("last_updated: 2026-01-02"))
    assert lines[:added] + lines[added + 1 :] == plain
    assert stamped.startswith("\ufeff") == text.startswith("\ufeff")
    assert str(yaml.safe_load(stamped)["last_updated"]) == "2026-01-02"


def test_a_stamp_on_the_first_line_keeps_the_byte_order_mark():
    assert set_status("\ufefflast_updated: x\n" + ROWS, "1-1-x", "ready-for-dev", stamp="y").startswith(
        "\ufefflast_updated: y\n"
    )


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_changed_in_place_is_refused(text: str):
    with pytest.raises(DocumentError, match=r"sprint-status\.yaml"):
        set_status(text, "1-1-x", "ready-for-dev")
    with pytest.raises(DocumentError, match=r"sprint-status\.yaml"):
        merge(text, PLANNED)


def test_a_row_that_cannot_be_read_is_named_by_its_line():
    with pytest.raises(DocumentError, match=r"sprint-status\.yaml:3: .*not read: '1-1-x: &a backlog'"):
        set_status(REFUSED["an anchored row"], "1-1-x", "ready-for-dev")


@pytest.mark.parametrize("text", [text for name, text in KEPT.items() if name != "on one line"])
def test_a_merge_adds_rows_once_and_loses_nothing(text: str):
    merged = merge(text, PLANNED, stamp="2026-01-02").text
    keys = keys_of(merged)
    assert len(keys) == len(set(keys))
    assert {"epic-1", "1-1-x", "1-2-new"} <= set(keys)
    before = text.removeprefix("\ufeff").replace("backlog", "ready-for-dev")
    assert {line.strip() for line in before.splitlines()} <= {
        line.strip() for line in merged.lstrip("\ufeff").splitlines()
    }


@pytest.mark.parametrize(
    ("value", "after"),
    [("open", "done"), ('"open"  # c', '"done"  # c'), ("&s open", ""), (">-\n      open", ""), ("!!str open", "")],
)
def test_an_action_item_is_changed_in_its_word_or_refused(value: str, after: str):
    text = f"action_items:\n  - action: x\n    status: {value}\n    owner: me\n"
    item = read_action_items(text)[0][0]
    if after:
        assert set_action_status(text, item, "done") == text.replace(value, after)
    else:
        with pytest.raises(DocumentError, match="one plain word"):
            set_action_status(text, item, "done")
