"""Which failed tasks does Prefect try again?  Only those that waiting may help."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State, TaskRun

from ..domain.errors import StoryloomError


def may_pass(task: Any, task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    """Whether the failure says of itself that the same call may succeed later."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, StoryloomError) and failure.may_pass
