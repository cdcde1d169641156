"""Which project does a command work on, with which ports, and who is typing?"""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storyloom.tasks.ports import Ports


def ports_of(project: Path) -> Ports:
    """The ports of the project at this path; the Prefect API of this installation, if one is known.

    Raises:
        InputError: there is no git repository.
    """
    from storyloom.deployments.composition import compose
    from storyloom.domain.ports import ProjectRef

    from .init import repository_root

    return compose(ProjectRef(repository=str(repository_root(project))))


def me(ports: Ports, given: str = "") -> str:
    """Who is typing: the name given, the account's own name if the project knows it, else the owner."""
    from storyloom.domain.approvals import OWNER

    if given or not ports.config.people:
        return given or OWNER
    return os.environ.get("STORYLOOM_USER") or getpass.getuser()


def find_api() -> str:
    """The Prefect API's address: PREFECT_API_URL, else of this installation's own server, or ""."""
    from storyloom.deployments.environment import prefect_settings, read_environment

    environment = read_environment()
    url = environment.prefect_api_url
    if not url:
        note = environment.home / "prefect-server.json"
        try:
            url = str(json.loads(note.read_text())["url"])
        except (OSError, ValueError, KeyError):
            return ""
    for name, value in prefect_settings(environment.home, url).items():
        os.environ.setdefault(name, value)
    return url
