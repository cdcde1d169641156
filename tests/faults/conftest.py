"""A small real repository, and a workspace on it."""

import os
import subprocess
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "README.md").write_text("# Shelf\n")
    (folder / "app.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    person = {f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for line in ("init -q -b main", "add -A", "commit -qm Start"):
        subprocess.run(["git", *line.split()], cwd=folder, env=os.environ | person, check=True)
    return folder


@pytest.fixture
def workspace(repository: Path, tmp_path: Path) -> GitWorkspace:
    return GitWorkspace(repository, tmp_path / "state")
