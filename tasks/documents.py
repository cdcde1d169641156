"""How do documents enter the main line?  In one commit, once, under the lane's lock."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from ..domain.ports import ProjectRef
from .ports import Ports, ports_for
from .recording import event_key


def commit_texts(ports: Ports, texts: Mapping[str, str | None], message: str, what: str) -> str:
    """Commit texts to the main line once for their content; the commit id, the tip's when nothing changed."""
    digest = event_key(what, *(f"{path}\0{text}" for path, text in sorted(texts.items())))[:20]
    with ports.lane():
        return ports.workspace.commit_files(texts, message, f"{what}-{digest}")


@task(name="commit-documents", task_run_name="commit {what}", cache_policy=NO_CACHE, tags=["git"])
def commit_documents(project: ProjectRef, what: str) -> list[str]:
    """Move all staged documents into the main line and return their paths."""
    ports = ports_for(project)
    staged = dict(ports.documents.staged())
    if staged:
        commit_texts(ports, staged, f"docs: {what}", f"docs-{what}")
        ports.documents.clear()
    return sorted(staged)
