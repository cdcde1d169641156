"""What may stay of a whole board that somebody wrote anew, over the one that is there?"""

from __future__ import annotations

from .board_merge import merge
from .board_reading import read_board
from .errors import DocumentError

BOARD = "sprint-status.yaml"


def guarded(there: str, wanted: str, path: str = BOARD) -> str:
    """The board that is there with the rows and statuses of `wanted`: no row is lost and no status goes back.

    Raises:
        DocumentError: one of the two is no board that can be changed row by row.
    """
    old, new = read_board(there, path), read_board(wanted, path)
    if new.errors:
        raise DocumentError(
            new.errors[0].message, path=path, line=new.errors[0].line, remedy="The board stays as it is."
        )
    planned = {entry.key: entry.status or "backlog" for entry in (*old.entries, *new.entries)}
    return merge(there, tuple(planned.items()), path=path).text
