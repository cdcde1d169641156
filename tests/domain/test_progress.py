from __future__ import annotations

import html
import re
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.board import new_board, plan_entries, read_board, set_status
from storyloom.domain.progress import bar, batch_table, board_table, cell, counts, money
from storyloom.domain.stories import Lane, Story, StoryOutcome

STORIES = [
    Story(key="1-1-login", id="1.1", epic="epic-1", title="Login | fast"),
    Story(key="1-2-page", id="1.2", epic="epic-1", title="Page"),
    Story(key="2-1-export", id="2.1", epic="epic-2", title="Export"),
]
TEXT = set_status(new_board("Shelf", plan_entries(STORIES), "05-06-2025 21:30"), "1-1-login", "done")
ENDS = {
    "1-1-login": StoryOutcome(story="1-1-login", status="merged", attempts=2, turns=9, cost=Decimal("1.234")),
    "1-2-page": StoryOutcome(story="1-2-page", status="failed", attempts=3, lane=Lane.CODE, reason="tests | fail"),
}


def test_the_board_shows_totals_titles_costs_and_what_is_next():
    table = board_table(read_board(TEXT), STORIES, ENDS)
    assert "**1 of 3 stories done** · 1 done, 2 backlog" in table
    assert "Cost so far: $1.23 · Next: create-story `1-2-page`" in table
    assert "## Epic 1 · in-progress · 1/2" in table
    assert "| ✔ | 1.1 Login &#124; fast | done | 2 | $1.23 |  |" in table
    assert "| · | 1.2 Page | backlog | 3 | $0.00 | failed (code): tests &#124; fail |" in table
    assert "| · | 2.1 Export | backlog |  | |  |" in table


def test_every_row_has_the_columns_of_its_head():
    for table in (board_table(read_board(TEXT), STORIES, ENDS), batch_table(STORIES, ENDS, ["2-1-export"], {})):
        lines = [line for line in table.splitlines() if line.startswith("|")]
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert len(widths) == 1


def test_what_is_wrong_on_the_board_is_shown():
    table = board_table(read_board(TEXT + "  1-9-x: whatever\n"))
    assert "To mend" in table
    assert "| ? | 1.9 1-9-x | ? whatever |" in table


def test_a_batch_shows_what_runs_and_what_the_rest_waits_for():
    table = batch_table(STORIES, ENDS, [], {"2-1-export": "waits for 1-1-login"})
    assert "**2 of 3 ended**, 0 running" in table
    assert "| 2.1 Export | waiting | | | | waits for 1-1-login |" in table
    assert "| 2.1 Export | running |" in batch_table(STORIES, ENDS, ["2-1-export"], {})


def test_an_empty_board_is_shown_too():
    assert "0 of 0 stories" in board_table(read_board(""))
    assert counts(read_board("")) == "no stories"


def test_a_bar_is_full_only_at_the_end():
    assert bar(99, 100).endswith("░")
    assert bar(100, 100) == "█" * 20


def test_small_amounts_keep_their_digits():
    assert [money(Decimal(text)) for text in ("0", "0.004", "12.345")] == ["$0.00", "$0.0040", "$12.34"]


@given(st.text())
def test_no_text_breaks_out_of_its_cell(text: str):
    shown = cell(text)
    assert "\n" not in shown
    assert len(html.unescape(shown)) <= 160
    assert "|" not in shown
