"""Which tests are run: those of a change, or all?"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .settings import Commands

MARK = "{changed}"
MOST_PATHS = 500


def suite_command(commands: Commands, changed: Sequence[str]) -> str:
    """The command that tests a change of these paths; the one for all tests where the project has no other.

    `{changed}` in `commands.test_changed` becomes the paths, quoted for the shell, never an option. All tests are run
    when nothing is known to have changed, and when more has than a command line should hold.
    """
    quick = commands.test_changed.strip()
    if not quick or not changed or len(changed) > MOST_PATHS:
        return commands.test
    return quick.replace(MARK, shlex.join(f"./{path}" if path.startswith("-") else path for path in sorted(changed)))


def whole_is_due(commands: Commands, every: int, merged_since: int, merging: int = 1) -> bool:
    """Whether the next merges must be proven by all tests, when `merged_since` merges were proven by fewer."""
    return not commands.test_changed.strip() or merged_since + merging >= every
