"""How wide does a person's terminal take what we print, and what does a pipe or a file get?"""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_WIDTH = 120
"""Columns where nobody sees a terminal: a file, a pipe, a log."""
WIDEST = 60
"""Columns that one cell may take on a terminal before it is folded."""
ENDLESS = 100_000


def console(*, stderr: bool = False) -> Console:
    """A console for people: as wide as the terminal, `PLAIN_WIDTH` where there is none."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PLAIN_WIDTH
    return made


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[str] = (),
    ruled: bool = False,
    on: Console | None = None,
) -> None:
    """Print a table: folded to a terminal's width; where nobody sees one, one line a row without spaces at its end.

    A terminal that is too narrow for every column to keep its words whole gets each row as lines `column: value`.
    """
    on, rows = on or console(), [tuple(row) for row in rows]
    if not on.is_terminal:
        text = io.StringIO()
        wide = Console(file=text, width=ENDLESS, highlight=False, color_system=None)
        one_line = [[" ".join(cell.split()) for cell in row] for row in rows]
        wide.print(_table(columns, one_line, right, ruled=ruled, widest=None))
        print_plain(text.getvalue(), on=on)
        return
    table = _table(columns, rows, right, ruled=ruled, widest=WIDEST)
    if sum(_longest_words(columns, rows)) + 4 * len(columns) <= on.width:
        on.print(table)
        return
    for row in rows:
        for name, cell in zip(columns, row, strict=True):
            if cell:
                on.print(f"{name}: {cell}", markup=False)
        on.print()


def print_markdown(text: str, *, on: Console | None = None) -> None:
    """Print Markdown: drawn on a terminal, with its tables aligned and no spaces at the ends of lines elsewhere."""
    from rich.markdown import Markdown

    on = on or console()
    if on.is_terminal:
        on.print(Markdown(text))
        return
    drawn = io.StringIO()
    Console(file=drawn, width=on.width, highlight=False, color_system=None).print(Markdown(text))
    print_plain(drawn.getvalue(), on=on)


def _longest_words(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """For each column the length of its longest word, as far as a cell may be wide."""
    texts = [[name, *(row[at] for row in rows)] for at, name in enumerate(columns)]
    return [min(WIDEST, max((len(word) for text in column for word in text.split()), default=0)) for column in texts]


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str], *, ruled: bool, widest: int | None
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if ruled else None, padding=(0, 1 if ruled else 2))
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", max_width=widest)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def print_plain(text: str, *, on: Console) -> None:
    """Print a text without spaces at the ends of its lines."""
    lines = [line.rstrip() for line in text.splitlines()]
    on.file.write("\n".join(lines) + "\n")
    on.file.flush()
