"""How do documents enter the main line?  In one commit, once, under the lane's lock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from ..domain.escalations import inert_line
from ..domain.ports import ProjectRef
from .ports import Ports, ports_for
from .recording import event_key


def commit_texts(ports: Ports, texts: Mapping[str, str | None], message: str, what: str, *, once: bool = False) -> str:
    """Commit texts to the main line unless its tip holds them; the commit id, the tip's when nothing changed.

    `once`: what was committed before is not committed again either when somebody has changed it since.
    """
    with ports.lane():
        tip = ports.workspace.tip()
        now = ports.workspace.texts(tip, list(texts))
        if all(now.get(path) == text for path, text in texts.items()):
            return tip
        parts = (f"{path}\0{text}" for path, text in sorted(texts.items()))
        digest = event_key(what, *parts) if once else event_key(what, tip, *parts)
        return ports.workspace.commit_files(texts, message, f"{what}-{digest[:20]}")


def show_documents(ports: Ports) -> None:
    """Publish links to the method's documents as they stand in the integration worktree."""
    tip, folder = ports.workspace.tip(), ports.config.settings.planning_folder
    names = [p for p in ports.workspace.files(tip) if p.startswith(f"{folder}/") and p.endswith((".md", ".yaml"))]
    place = Path(ports.workspace.integration())
    rows = [f"| [{inert_line(name)}]({(place / name).as_uri()}) |" for name in names]
    table = "\n".join([f"Main line at `{tip[:12]}`", "", "| document |", "|---|", *rows])
    create_markdown_artifact(key="documents", markdown=table, description="What was written, where it stands")


@task(name="commit-documents", task_run_name="commit {what}", cache_policy=NO_CACHE)
def commit_documents(project: ProjectRef, what: str) -> list[str]:
    """Move all staged documents into the main line and return their paths."""
    ports = ports_for(project)
    staged = dict(ports.documents.staged())
    if staged:
        commit_texts(ports, staged, f"docs: {what}", f"docs-{what}", once=True)  # staged until it is committed
        ports.documents.clear()
        show_documents(ports)
    return sorted(staged)
