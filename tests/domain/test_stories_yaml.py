from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import DocumentError
from storyloom.domain.stories import Story
from storyloom.domain.stories_yaml import read_stories, with_checkpoints

GOOD = """\
- id: "1"
  title: Limit the rate
  description: >-
    A bucket in front;
    429 beyond it.
  spec_checkpoint: true
  invoke_dev_with: Use the existing client.
- id: "2-a"
  title: Show it
  description: On the board.
  done_checkpoint: yes
"""


def test_the_stories_run_in_the_order_of_the_list():
    stories, notes = read_stories(GOOD, epic="epic-3")
    assert notes == ()
    first, second = stories
    assert (first.key, first.id, first.epic, first.title) == ("1-limit-the-rate", "1", "epic-3", "Limit the rate")
    assert first.text == "A bucket in front; 429 beyond it."
    assert (first.spec_checkpoint, first.done_checkpoint, first.invoke_dev_with) == (
        True,
        False,
        "Use the existing client.",
    )
    assert (second.depends_on, second.done_checkpoint) == (("1-limit-the-rate",), True)


@pytest.mark.parametrize(
    ("entry", "line", "said"),
    [
        ('- id: "1"\n  title: b\n  description: c', 4, "stands twice"),
        ('- id: "1-2"\n  title: b\n  description: c', 4, "name the same files"),
        ('- id: "1/2"\n  title: b\n  description: c', 4, "other signs"),
        ('- id: "2"\n  title: b', 4, "has no description"),
        ("- just text", 4, "is not a story"),
        ('- id: "2"\n  title: b\n  description: c\n  status: done', 7, "`status` has no place"),
        ('- id: "2"\n  title: b\n  description: c\n  done_checkpoint: maybe', 7, "read as true"),
        ('- id: "2"\n  title: b\n  description: c\n  depends_on: x', 7, "not read"),
        ("- id: 2\n  title: b\n  description: c", 4, "in quotes"),
    ],
)
def test_what_breaks_the_rules_is_reported_with_its_line(entry: str, line: int, said: str):
    stories, notes = read_stories('- id: "1"\n  title: a\n  description: x\n' + entry + "\n")
    assert [(note.line, said in note.message) for note in notes] == [(line, True)]
    assert stories[0].id == "1"


@pytest.mark.parametrize("text", ["", "a: b", "- [", "- " * 5000 + "x", "\t- id: 1"])
def test_a_file_that_is_no_list_of_stories_is_reported(text: str):
    stories, notes = read_stories(text)
    assert stories == ()
    assert notes[0].severity == "error"


def test_a_huge_file_is_not_parsed():
    assert "long" in read_stories("#" * 3_000_000).notes[0].message


@given(st.text())
def test_any_text_is_read_without_a_fall(text: str):
    read_stories(text)
    read_stories("- id: " + text)


PLANNED = tuple(
    Story(key=f"1-{n}-part", id=f"1.{n}", epic="epic-1", title="Part", text="", done_checkpoint=n == 3)
    for n in (1, 2, 3)
)


def test_the_lists_checkpoints_come_to_the_planned_stories_of_the_same_id_and_take_none_away():
    text = (
        '- {id: "1-1", title: a, description: b, spec_checkpoint: true}\n'
        '- {id: "1-3", title: a, description: b}\n- {id: "9", title: a, description: b, done_checkpoint: true}\n'
    )
    found = with_checkpoints(PLANNED, text)
    assert [(story.spec_checkpoint, story.done_checkpoint) for story in found] == [
        (True, False), (False, False), (False, True),
    ]  # fmt: skip
    assert with_checkpoints(PLANNED, "") == PLANNED


def test_a_list_that_breaks_a_rule_is_no_list_without_checkpoints():
    with pytest.raises(DocumentError, match="no description") as error:
        with_checkpoints(PLANNED, '- {id: "1-1", title: a}\n', "docs/stories.yaml")
    assert (error.value.path, error.value.line) == ("docs/stories.yaml", 1)
