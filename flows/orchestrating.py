"""Which flows work on a project alone?  Those that hold its lease; a second process learns who the first is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from ..domain.ports import ProjectRef
from ..tasks.ports import ports_for

Work = TypeVar("Work", bound=Callable[..., Any])


def orchestrating(work: Work) -> Work:
    """The work on a project, done while this process holds its lease; flows that it calls hold it with it.

    Raises:
        LeaseTaken: another process works on the project.
    """

    @wraps(work)
    def held(project: ProjectRef, *args: Any, **kwargs: Any) -> Any:
        with ports_for(project).lease():
            return work(project, *args, **kwargs)

    return cast(Work, held)
