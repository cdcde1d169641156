"""A text is committed when the main line does not hold it, however often it stood there before."""

from __future__ import annotations

from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.domain.ports import ProjectRef
from storyloom.tasks.documents import commit_texts
from storyloom.tasks.ports import Ports


@pytest.fixture
def ports(tmp_path: Path, workspace: GitWorkspace) -> Ports:
    return Ports(ProjectRef(repository=str(tmp_path / "repo")), workspace=workspace)


def committed(ports: Ports, text: str | None, *, once: bool = False) -> str | None:
    commit_texts(ports, {"brief.md": text}, "docs: brief", "docs-brief", once=once)
    return ports.workspace.read(ports.workspace.tip(), "brief.md")


def test_an_earlier_brief_may_come_back(ports: Ports):
    assert [committed(ports, text) for text in ("A\n", "B\n", "A\n", None, "A\n")] == ["A\n", "B\n", "A\n", None, "A\n"]


def test_what_stands_there_is_not_committed_again(ports: Ports):
    committed(ports, "A\n")
    tip = ports.workspace.tip()
    assert committed(ports, "A\n") == "A\n"
    assert committed(ports, "A\n", once=True) == "A\n"
    assert ports.workspace.tip() == tip


def test_what_a_person_has_changed_since_stays_changed_where_it_is_committed_once(ports: Ports):
    committed(ports, "A\n", once=True)
    ports.workspace.commit_files({"brief.md": "A person's\n"}, "Change it", "person")
    assert committed(ports, "A\n", once=True) == "A person's\n"
