"""Stories whose titles are in any script are developed and merged like others."""

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.method_texts import MethodTexts
from storyloom.blocks.project_files import ProjectFiles
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.fakes import ScriptedModels, ScriptedSandbox
from storyloom.domain.model_calls import ModelReply, ToolCall
from storyloom.domain.ports import CommandResult
from storyloom.tasks.ports import use

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

TITLES = ["Größe ändern", "本を借りる" * 12, "1³ + 2³ = 9", "🚀 🎉", "Ｆｕｌｌ & 𝒜𝒷𝒸" * 8]
EPICS = "## Epic 1: Parts\n\n" + "\n".join(
    f"### Story 1.{n}: {title}\n\n**Prerequisites:** None\n\n**Files:** `part{n}.py`\n"
    for n, title in enumerate(TITLES, 1)
)


def model(request):
    if request.purpose == "review":
        return ModelReply(parsed={"verdict": "approve", "summary": "fine", "criteria": [], "findings": []})
    write = {"path": f"part{request.tags.story.split('-')[1]}.py", "content": "X = 1\n"}
    calls = [("write_file", write), ("run_tests", {}), ("finish", {"summary": "done"})]
    return ModelReply(
        tool_calls=tuple(ToolCall(id=str(i), name=name, arguments=a) for i, (name, a) in enumerate(calls))
    )


def test_titles_in_any_script_become_merged_stories(tmp_path):
    from storyloom.flows.implementation import implementation

    repository = tmp_path / "repo"
    (repository / "docs").mkdir(parents=True)
    (repository / "docs" / "epics.md").write_text(EPICS)
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", *who, *arguments], cwd=repository, check=True, env=dict(os.environ))
    workspace = GitWorkspace(str(repository), tmp_path / "state", "storyloom/main")
    ports = people.project_ports(
        repository,
        {"settings": {"max_concurrent_agents": 2}},
        models=ScriptedModels(model),
        workspace=workspace,
        sandbox=ScriptedSandbox(lambda *_: CommandResult(exit_code=0, output="Ran 1 test in 0.001s\n\nOK\n")),
        files=ProjectFiles,
        texts=MethodTexts(),
        shelf=FileShelf(tmp_path / "shelf"),
    )
    with use(lambda project: ports):
        report = implementation(ports.project)
    assert {outcome.story: outcome.reason for outcome in report.stories if outcome.status != "merged"} == {}
    assert len(report.did) == len(TITLES)
    tip = workspace.tip()
    assert all(workspace.read(tip, f"part{n}.py") == "X = 1\n" for n in range(1, len(TITLES) + 1))
    assert workspace.leftovers() == []
