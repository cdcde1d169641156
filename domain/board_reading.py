"""Where does every story stand, as `sprint-status.yaml` has it?"""

from __future__ import annotations

from .board_import import entries_of_list
from .board_lines import SECTION, Board, Layout, lay_out, metadata, read_rows
from .errors import DocumentError
from .workflow_tree import Note

LARGEST = 8_000_000


def read_board(text: str, path: str = "sprint-status.yaml") -> Board:
    """The board in this text, with a note (line, remedy) for everything in it that upstream would not accept.

    Raises:
        DocumentError: the text is larger than any board (8 MB).
    """
    layout = open_layout(text, path)
    meta = metadata(layout)
    project = meta.get("project", "")
    notes = [Note(path, n + 1, f"`{key}:` stands twice; keep one of the two", "error") for key, n in layout.doubles]
    if layout.header is not None:
        entries, more, shape = read_rows(layout, text, path)
        return Board(path, project, tuple(entries), meta, tuple(notes + more), shape)
    if "epics" in layout.top:
        line = layout.top["epics"] + 1
        notes.append(Note(path, line, "is an `epics:` list, not a board; import it with import_epics_list", "error"))
        listed, found = entries_of_list(text, path)
        return Board(path, project, listed, meta, (*notes, *found), "epics")
    message = f"has no `{SECTION}:`; run sprint planning, which adds the section and keeps the rest"
    return Board(path, project, (), meta, (*notes, Note(path, 1, message, "error")), "none")


def open_layout(text: str, path: str) -> Layout:
    """Where things stand in a text that is not too large to be a board."""
    if len(text) > LARGEST:
        size = f"is {len(text):,} characters long, a board has at most {LARGEST:,}"
        raise DocumentError(size, path=path, remedy="Point to the sprint-status.yaml itself.")
    return lay_out(text)
