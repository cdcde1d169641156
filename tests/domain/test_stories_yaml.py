from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.stories_yaml import read_stories

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
