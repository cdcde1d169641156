"""How wide does a person's terminal take what we print?"""

from __future__ import annotations

import os

from rich.console import Console

PLAIN_WIDTH = 120
"""Columns where nobody sees a terminal: a file, a pipe, a log."""


def console(*, stderr: bool = False) -> Console:
    """A console for people: as wide as the terminal, `PLAIN_WIDTH` where there is none."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PLAIN_WIDTH
    return made
