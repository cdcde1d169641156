"""What is printed fits a terminal, and a pipe gets whole lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from storyloom.cli.console import print_markdown, print_table

COLUMNS = ("story", "reason")
ROWS = [("1-1-a", "first"), ("2-1-b", "a reason that is much longer than " + "one line of a terminal " * 10)]


def printed(columns: tuple[str, ...], rows: list[tuple[str, ...]], *, width: int = 80, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    print_table(columns, rows, ruled=True, on=console)
    return file.getvalue()


def test_a_pipe_gets_each_row_on_one_line_whatever_its_length():
    lines = printed(COLUMNS, ROWS).splitlines()
    assert any(line.split()[0] == "2-1-b" and line.endswith("one line of a terminal") for line in lines if line.strip())


def test_a_pipe_gets_no_spaces_at_the_ends_of_lines():
    assert all(line == line.rstrip() for line in printed(COLUMNS, ROWS).splitlines())


def test_a_cell_of_several_lines_stays_on_its_row_in_a_pipe():
    assert "one two" in printed(("a",), [("one\ntwo",)])


@pytest.mark.parametrize("terminal", [True, False])
def test_brackets_in_a_cell_are_shown_as_they_are(terminal: bool):
    assert "pytest tests[abc] [/b] [red]" in printed(("test",), [("pytest tests[abc] [/b] [red]",)], terminal=terminal)


def test_a_terminal_folds_a_long_cell():
    lines = printed(COLUMNS, ROWS, terminal=True).splitlines()
    assert len(lines) > len(ROWS) + 2
    assert max(map(len, lines)) <= 80


def test_a_terminal_too_narrow_for_the_columns_gets_a_line_for_each_cell():
    columns = ("estimate_usd", "usd_per_point", "points_to_do", "stories_done")
    text = printed(columns, [("1", "", "3", "4")], width=40, terminal=True)
    assert text.splitlines()[:3] == ["estimate_usd: 1", "points_to_do: 3", "stories_done: 4"]


def test_markdown_in_a_pipe_has_no_spaces_at_the_ends_of_lines():
    file = io.StringIO()
    print_markdown("| a | b |\n|---|--:|\n| one | 2 |\n", on=Console(file=file, width=80))
    assert "one" in file.getvalue()
    assert all(line == line.rstrip() for line in file.getvalue().splitlines())
