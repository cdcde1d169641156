import json

import pytest
from storyloom.cli.workflow import app
from storyloom.domain.errors import InputError

GOOD = {
    "w/good/workflow.yaml": "name: good\ndescription: Does it\ninstructions: i.md\ntemplate: t.md\n"
    "input_file_patterns: {epics: {whole: '*.md'}}\n",
    "w/good/i.md": "<workflow><step n='2' goal='Second'>x</step>"
    "<step n='1' goal='First' if='a == b' optional='true' repeat='until-done'>y</step></workflow>",
    "w/good/t.md": "# T",
}
BAD = {
    "w/bad/workflow.yaml": "name: bad\ninstructions: i.md\n",
    "w/bad/i.md": "<workflow>\n<step n='1'>\n<goto step='9'/>\n<actoin>x</actoin></step></workflow>",
    "w/worse/workflow.yaml": "name: worse\ninstructions: i\nname: again\n",
}


@pytest.fixture
def folder(tmp_path):
    def make(*parts):
        for files in parts:
            for name, text in files.items():
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return str(tmp_path)

    return make


def run(capsys, *words):
    app([*words], standalone_mode=False)
    return capsys.readouterr()


def test_list_shows_every_workflow_in_a_line_and_marks_the_broken(folder, capsys):
    where = folder(GOOD, BAD)
    lines = run(capsys, "list", where).out.splitlines()
    assert lines[-1] == f"3 workflows in {where}"
    assert [line.split()[:4] for line in lines[:3]] == [
        ["!", "w/bad", "xml", "1"], ["w/good", "xml", "2", "Does"], ["!", "w/worse", "broken", "0"],
    ]  # fmt: skip
    rows = json.loads(run(capsys, "list", where, "--json").out)
    assert rows[1] == {
        "id": "w/good", "kind": "xml", "steps": 2, "persona": "", "path": "w/good/workflow.yaml",
        "description": "Does it", "errors": 0,
    }  # fmt: skip


def test_tasks_are_listed_only_when_asked_for(folder, capsys):
    where = folder(GOOD, {"core/tasks/t.xml": "<task id='t'><flow><step n='1'>x</step></flow></task>"})
    assert "core/t" not in run(capsys, "list", where).out
    assert "core/t" in run(capsys, "list", where, "--tasks").out


def test_an_empty_folder_is_said_to_be_empty(folder, capsys):
    assert "no workflows" in run(capsys, "list", folder()).out


def test_show_prints_the_steps_in_their_order(folder, capsys):
    shown = run(capsys, "show", "good", "--in", folder(GOOD)).out
    assert "w/good  (xml, w/good/workflow.yaml)" in shown
    assert "has: template, inputs epics" in shown
    first, second = (line for line in shown.splitlines() if "First" in line or "Second" in line)
    assert first.split() == ["1", "First", "[if", "a", "==", "b,", "optional,", "repeat", "until-done]"]
    assert second.split() == ["2", "Second"]


def test_show_as_json_has_everything(folder, capsys):
    data = json.loads(run(capsys, "show", "w/good", "--in", folder(GOOD), "--json").out)
    assert (data["name"], data["template"], data["input_patterns"]) == ("good", True, {"epics": {"whole": "*.md"}})
    assert [(s["number"], s["condition"], s["optional"]) for s in data["steps"]] == [
        ("1", "a == b", True),
        ("2", "", False),
    ]


def test_validate_is_silent_about_good_workflows(folder, capsys):
    assert run(capsys, "validate", "--in", folder(GOOD)).out == "1 workflows and 0 agents: 0 errors, 0 warnings\n"


def test_validate_lists_problems_with_file_and_line_and_ends_as_bad_input(folder, capsys):
    where = folder(GOOD, BAD, {"a/agents/x.agent.yaml": "agent: 1\n"})
    with pytest.raises(InputError, match=r"3 errors in .*a/agents/x.agent.yaml:1"):
        run(capsys, "validate", "--in", where)
    assert capsys.readouterr().out.splitlines() == [
        "a/agents/x.agent.yaml:1: error: agent must be a map",
        "w/bad/i.md:3: error: goto '9' leads nowhere: no step and no anchor has this name",
        "w/bad/i.md:4: warning: unknown tag <actoin>: read as text (did you mean <action>?)",
        "w/worse/workflow.yaml:3: error: the key 'name' is given twice",
        "3 workflows and 0 agents: 3 errors, 1 warnings",
    ]


def test_validate_one_workflow_as_json(folder, capsys):
    where = folder(GOOD, BAD)
    with pytest.raises(InputError, match="1 error in"):
        run(capsys, "validate", "bad", "--in", where, "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["workflows"], told["errors"], len(told["notes"])) == (1, 1, 2)
    assert run(capsys, "validate", "good", "--in", where).out.startswith("1 workflows: 0 errors")


def test_validate_finds_workflows_that_start_each_other(folder, capsys):
    files = {}
    for name, other in (("a", "b"), ("b", "a")):
        files[f"w/{name}/workflow.yaml"] = f"name: {name}\ninstructions: i.md\n"
        files[f"w/{name}/i.md"] = f"<workflow><step n='1'><invoke-workflow path='../{other}'/></step></workflow>"
    with pytest.raises(InputError):
        run(capsys, "validate", "--in", folder(files))
    assert "a → b → a" in capsys.readouterr().out


def test_without_a_folder_the_project_here_is_shown_and_else_our_own_method(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "planning/prd" in run(capsys, "list").out
    folder({"_bmad/" + name: text for name, text in GOOD.items()})
    assert [line.split()[0] for line in run(capsys, "list").out.splitlines()[:-1]] == ["w/good"]


def test_a_workflow_that_is_not_there_is_bad_input(folder, capsys):
    with pytest.raises(InputError, match="no workflow 'none'"):
        run(capsys, "show", "none", "--in", folder(GOOD))
