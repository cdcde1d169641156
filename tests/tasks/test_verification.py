"""A report of the tests is used again only for what was tested, and under the same limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import ProjectConfig
from storyloom.tasks import verification
from storyloom.tasks.ports import Ports, use

BASE = {"commands": {"test": "make test"}, "settings": {"command_wall_s": 60}}


def key(workspace: GitWorkspace, tmp_path: Path, config: dict[str, Any]) -> str:
    project = ProjectRef(repository=str(tmp_path / "repo"))
    ports = Ports(project, config=ProjectConfig.model_validate(config), workspace=workspace)
    asked = {"project": project, "commit": workspace.tip(), "since": ""}
    with use(lambda _project: ports):
        return verification._key(None, asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        {**BASE, "settings": {"command_wall_s": 600}},
        {**BASE, "commands": {"test": "make check"}},
        {**BASE, "commands": {"test": "make test", "setup": "make deps"}},
    ],
)
def test_another_limit_or_command_is_another_test(workspace: GitWorkspace, tmp_path: Path, other: dict[str, Any]):
    assert key(workspace, tmp_path, BASE) == key(workspace, tmp_path, dict(BASE))
    assert key(workspace, tmp_path, BASE) != key(workspace, tmp_path, other)


def test_other_files_are_another_test_but_not_the_board(workspace: GitWorkspace, tmp_path: Path):
    before = key(workspace, tmp_path, BASE)
    workspace.commit_files({"docs/sprint-status.yaml": "development_status: {}\n"}, "board", "board")
    assert key(workspace, tmp_path, BASE) == before
    workspace.commit_files({"code.py": "X = 1\n"}, "code", "code")
    assert key(workspace, tmp_path, BASE) != before
