"""Where does a person see in the Prefect UI what waits for them?

Two places that never move: the artifact `what-needs-me`, over all projects of this installation, and the tag of runs
that wait, with a saved filter for it. Both are a service to people: nothing of the work depends on them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect import get_client
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.sorting import ArtifactCollectionSort
from prefect.exceptions import Pause
from prefect.settings import PREFECT_API_URL

from .ports import Ports

log = logging.getLogger(__name__)
TAG = "waits-for-person"
ARTIFACT = "what-needs-me"
SAVED_FILTER = "Waits for a person"
DAYS = 90
"""How far back the saved filter looks for runs."""


def show_needs(ports: Ports) -> None:
    """Publish everything that needs a person, as it is now; nothing where no Prefect server is known."""
    if not PREFECT_API_URL.value():  # a command without a server must not start one for this
        return
    try:
        publish_needs(ports.needs())
    except Exception as error:  # noqa: BLE001 - people who look are not helped by a run that ends for it
        log.warning("What needs a person could not be shown: %s", error)


def publish_needs(text: str) -> bool:
    """Publish this Markdown where people look; whether there was news. The first time the filter is saved, too."""
    if not text:
        return False
    with get_client(sync_client=True) as client:
        wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[ARTIFACT]))
        sort = ArtifactCollectionSort.UPDATED_DESC
        before = client.read_latest_artifacts(artifact_filter=wanted, sort=sort, limit=1)
        if before and before[0].data == text:
            return False
        if not before:
            save_filter(client)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # outside of a run it works as well
        create_markdown_artifact(key=ARTIFACT, markdown=text, description="What waits for a person, gravest first")
    return True


@contextmanager
def tagged_as_waiting(run_id: UUID) -> Iterator[None]:
    """The run bears the tag of those that wait, until the block has gone on; a run that is suspended in it keeps it."""
    tag_run(run_id, waits=True)
    try:
        yield
    except Pause:
        raise
    except Exception:
        tag_run(run_id, waits=False)
        raise
    tag_run(run_id, waits=False)


def tag_run(run_id: UUID, *, waits: bool) -> None:
    """Give or take the tag."""
    try:
        with get_client(sync_client=True) as client:
            tags = set(client.read_flow_run(run_id).tags)
            wanted = tags | {TAG} if waits else tags - {TAG}
            if wanted != tags:
                client.update_flow_run(run_id, tags=sorted(wanted))
    except Exception as error:  # noqa: BLE001 - as above
        log.warning("The run could not be tagged: %s", error)


def save_filter(client: SyncPrefectClient) -> None:
    """Keep a filter by the tag under a name, for the page of runs in the UI; the same name is replaced.

    The form of the filters is that of Prefect's own UI (its `SavedSearchCreate`).
    """
    values = {"tag": [TAG], "range": {"type": "span", "seconds": -DAYS * 24 * 3600}}
    filters = [
        {"object": "flowRun", "property": name, "type": "", "operation": "", "value": value}
        for name, value in values.items()
    ]
    client.request("PUT", "/saved_searches/", json={"name": SAVED_FILTER, "filters": filters}).raise_for_status()
