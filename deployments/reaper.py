"""Which runs say that they are running although their process is gone, and who ends them?

A process that was killed leaves its flow runs `Running` for ever, and a cancelled or crashed parent leaves its
in-process subflows so. `reap_children` is the hook for parents that a worker watches. `end_orphans` is called by
whoever holds the project's lease, and so knows that no other orchestrator of the project is alive.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateType as StateType
from prefect.client.schemas.objects import StateType as Type
from prefect.states import Cancelled, Crashed
from storyloom.domain.ports import ProjectRef

OPEN = [Type.RUNNING, Type.PENDING, Type.PAUSED, Type.CANCELLING]


def reap_children(flow: Any, flow_run: Any, state: Any) -> None:  # noqa: ARG001 - Prefect calls hooks by these names
    """End every subflow of a run that has ended, over all levels."""
    with get_client(sync_client=True) as client:
        _end_below(client, flow_run.id)


def _end_below(client: SyncPrefectClient, parent: UUID) -> int:
    ended = 0
    below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent]))
    for child in client.read_flow_runs(flow_run_filter=below):
        ended += _end_below(client, child.id)
        if child.state is None or not child.state.is_final():
            client.set_flow_run_state(child.id, Cancelled(message="Its parent has ended."), force=True)
            ended += 1
    return ended


def end_orphans(project: ProjectRef) -> int:
    """End runs of a project that a killed process left open, and return how many; workers see to deployments' runs."""
    ended = 0
    with get_client(sync_client=True) as client:
        open_runs = FlowRunFilter(state=FlowRunFilterState(type=StateType(any_=OPEN)))
        for run in client.read_flow_runs(flow_run_filter=open_runs):
            mine = run.parameters.get("project")
            if not isinstance(mine, dict) or mine.get("repository") != project.repository:
                continue
            if run.deployment_id is None and run.parent_task_run_id is None:
                ended += _end_below(client, run.id)
                client.set_flow_run_state(run.id, Crashed(message="Its process is gone."), force=True)
                ended += 1
    return ended
