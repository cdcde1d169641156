"""A repository of one commit, for steps that only need that there is one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace


@pytest.fixture
def workspace(tmp_path: Path) -> GitWorkspace:
    repository = tmp_path / "repo"
    repository.mkdir()
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for line in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "Start"]):
        subprocess.run(["git", *who, *line], cwd=repository, check=True)
    return GitWorkspace(repository, tmp_path / "state")
