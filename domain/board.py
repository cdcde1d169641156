"""What can be asked of a board, and done to it?  All of it in one place; each part has a module of its own."""

from .board_checks import NextAction, next_action, validate
from .board_edits import set_status, settle_epics, touch
from .board_import import Imported, import_epics_list
from .board_lines import Board, Entry
from .board_merge import Merged, merge
from .board_plan import Planned, new_board, plan_entries, read_stamp, stamp_of
from .board_reading import read_board

__all__ = [
    "Board",
    "Entry",
    "Imported",
    "Merged",
    "NextAction",
    "Planned",
    "import_epics_list",
    "merge",
    "new_board",
    "next_action",
    "plan_entries",
    "read_board",
    "read_stamp",
    "set_status",
    "settle_epics",
    "stamp_of",
    "touch",
    "validate",
]
