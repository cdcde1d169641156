"""A small real repository, made by a person with settings of their own."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace

PERSON = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def git(folder: Path | str, *arguments: str) -> str:
    """What the person's own git says in a folder."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | PERSON
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "a project é"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "README.md").write_text("# Shelf\n")
    (folder / "app.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Start")
    return folder


@pytest.fixture
def workspace(repository: Path, tmp_path: Path) -> GitWorkspace:
    return GitWorkspace(repository, tmp_path / "state", "storyloom/main")


@pytest.fixture
def story(workspace: GitWorkspace) -> Callable[..., str]:
    """Make a story's worktree, write files in it, and return the checkpoint's commit id."""

    def make(name: str, base: str = "", **files: str) -> str:
        tree = Path(workspace.open(name, f"storyloom/{name}", base or workspace.tip()))
        for path, text in files.items():
            (tree / path.replace("__", "/")).parent.mkdir(parents=True, exist_ok=True)
            (tree / path.replace("__", "/")).write_text(text)
        return workspace.checkpoint(str(tree), f"Work on {name}")

    return make
