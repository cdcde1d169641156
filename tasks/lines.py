"""Which line does a thread stand in?  One for each project and purpose in this process."""

from __future__ import annotations

import threading
from typing import Any

from ..domain.ports import ProjectRef
from .combining import Line

_lines: dict[tuple[str, str], Line[Any, Any]] = {}
_lock = threading.Lock()


def line_of(project: ProjectRef, purpose: str) -> Line[Any, Any]:
    """The line of a project for a purpose, the same for all threads."""
    with _lock:
        return _lines.setdefault((project.model_dump_json(), purpose), Line())
