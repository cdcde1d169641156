"""A repository of any kind becomes a project, or the person is told what to do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from storyloom.blocks.project_config import read_project_config
from storyloom.cli.init import DEFAULT_TEST, guess_test, init_project, repository_root
from storyloom.domain.errors import InputError, RepositoryError


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.invalid"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "päth mit Räumen ☕"
    root.mkdir()
    git(root, "init", "-q", "-b", "master")
    git(root, "commit", "-q", "--allow-empty", "-m", "Start")
    return root


def test_init_says_what_was_guessed_where_state_is_kept_and_what_comes_next(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("STORYLOOM_HOME", str(repository.parent / "state"))
    init_project(repository)
    said = capsys.readouterr().out
    assert f"{DEFAULT_TEST}  (a guess" in said
    assert str(repository.parent / "state") in said
    assert "commit it" in said
    assert "storyloom doctor" in said
    assert read_project_config(repository).project.name == repository.name


def test_init_in_a_folder_below_makes_the_whole_repository_the_project(repository: Path):
    (repository / "packages" / "web").mkdir(parents=True)
    assert init_project(repository / "packages" / "web").parent.parent == repository


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"package.json": json.dumps({"scripts": {"test": "node test.js"}})}, "npm test"),
        ({"package.json": json.dumps({"scripts": {"test": "vitest"}}), "pnpm-lock.yaml": ""}, "pnpm test"),
        ({"package.json": json.dumps({"scripts": {"build": "tsc"}})}, DEFAULT_TEST),
        ({"package.json": "[]"}, DEFAULT_TEST),
        ({"package.json": "{", "Makefile": "all:\n\ntest: all\n\ttrue\n"}, "make test"),
        ({"Makefile": "test := x\n"}, DEFAULT_TEST),
        ({"pyproject.toml": "", "Makefile": "test:\n"}, "python -m pytest -q"),
        ({"go.mod": "module x"}, "go test ./..."),
    ],
)
def test_the_test_command_is_guessed_from_what_lies_at_the_root(tmp_path: Path, files: dict[str, str], command: str):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert guess_test(tmp_path)[0] == command


def test_a_bare_repository_is_named_as_such(tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", ".")
    with pytest.raises(RepositoryError, match=r"bare git repository.*Clone it"):
        repository_root(tmp_path)


def test_a_file_where_the_settings_folder_should_be_is_told(repository: Path):
    (repository / ".bmad").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        init_project(repository)


def test_a_settings_file_that_is_a_link_to_nowhere_is_not_written_through(repository: Path):
    (repository / ".bmad").mkdir()
    (repository / ".bmad" / "project-config.yaml").symlink_to(repository / "nowhere.yaml")
    with pytest.raises(InputError, match="cannot be written"):
        init_project(repository)
    assert not (repository / "nowhere.yaml").exists()
