import pytest
from storyloom.domain.board_guard import guarded
from storyloom.domain.board_reading import read_board
from storyloom.domain.errors import DocumentError

THERE = """# kept
project: shelf

development_status:
  epic-1: in-progress
  1-1-links: done  # merged
  1-2-slugs: review
"""


def test_a_board_written_anew_loses_no_row_and_takes_no_status_back():
    wanted = """project: shelf
development_status:
  epic-1: backlog
  1-1-links: ready-for-dev
  1-3-visits: backlog
"""
    text = guarded(THERE, wanted)
    rows = {entry.key: str(entry.status) for entry in read_board(text).entries}
    assert rows == {"epic-1": "in-progress", "1-1-links": "done", "1-2-slugs": "review", "1-3-visits": "backlog"}
    assert text.startswith("# kept\nproject: shelf\n")
    assert "  1-1-links: done  # merged\n" in text


def test_what_is_no_board_leaves_the_board_alone():
    with pytest.raises(DocumentError):
        guarded(THERE, "development_status: [\n")
