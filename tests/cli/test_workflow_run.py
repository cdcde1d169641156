import json

import pytest
from storyloom.cli import workflow_run
from storyloom.cli.workflow import app
from storyloom.domain.errors import InputError
from storyloom.domain.run_state import Asked, Assumption, DecidedCondition, Outcome
from typer.testing import CliRunner

INSTRUCTIONS = """<workflow>
<step n="2" goal="Write"><check if="mode == fast"><action>hurry</action></check><check if="the idea is thin">
<ask response="more">What else?</ask></check><template-output>text</template-output></step>
<step n="1" goal="Look" optional="true"><action>look</action></step>
</workflow>
"""


@pytest.fixture
def folder(tmp_path):
    own = tmp_path / "workflows" / "note"
    own.mkdir(parents=True)
    (own / "workflow.yaml").write_text("name: note\ninstructions: i.md\ntemplate: false\n")
    (own / "i.md").write_text(INSTRUCTIONS)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_plan_shows_the_sequence_who_decides_and_the_calls_at_most(folder):
    shown = call("plan", "note", "--in", folder, "--conditions")
    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        "note (xml)",
        "",
        "       1  Look  [optional]",
        "          1 action; calls at most 1",
        "       2  Write",
        "          1 section, 1 question, 1 action, 2 conditions; calls at most 3",
        "          code   expression  mode == fast",
        "          model  prose       the idea is thin",
        "",
        "2 conditions, 1 decided by code, 50 %",
        "model calls at most 4, each step taken once",
    ]


def test_a_plan_is_json_too_and_knows_its_inputs(folder):
    shown = call("plan", "note", "--in", folder, "--json", "-i", "more=nothing")
    planned = json.loads(shown.output)
    assert [step["title"] for step in planned["steps"]] == ["Look", "Write"]
    assert (planned["by_code"], planned["most_calls"]) == (1, 3)


def test_inputs_are_pairs():
    assert workflow_run.pairs(["a=1=2", " b ="]) == {"a": "1=2", "b": ""}
    with pytest.raises(InputError, match="is not NAME=VALUE"):
        workflow_run.pairs(["a"])


OUTCOME = Outcome(
    workflow="note",
    status="partial",
    reason="the checklist failed",
    artefacts=("docs/note.md",),
    assumptions=(Assumption(question="Tone?", answer="dry"), Assumption(question="", answer="small")),
    open_questions=("When?",),
    decisions=(
        DecidedCondition(condition="x", held=True, by="model"),
        DecidedCondition(condition="y", held=True, by="code"),
    ),
    checks={"a": "PASS", "b": "FAIL"},
    steps_done=("step 1", "step 2"),
    model_calls=7,
)


def test_an_outcome_is_told_in_a_few_lines():
    assert workflow_run.describe(OUTCOME).splitlines() == [
        "note: partial (the checklist failed)",
        "  wrote docs/note.md",
        "  2 steps, 7 model calls, 2 conditions (1 decided by code)",
        "  assumed: Tone? → dry",
        "  assumed: small",
        "  open: When?",
        "  checklist: 1 of 2 passed",
        "  FAIL: b",
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": "complete"}, 0),
        ({}, 3),
        ({"status": "blocked"}, 2),
        ({"status": "blocked", "question": Asked(question="Tone?")}, 3),
        ({"status": "blocked", "interrupted": True}, 3),
    ],
)
def test_the_exit_code_says_how_a_run_ended(monkeypatch, changes, code):
    seen = []

    def run(*arguments, **more):
        seen.append((arguments, more))
        return OUTCOME.model_copy(update=changes)

    monkeypatch.setattr(workflow_run, "_run", run)
    ended = call("run", "note", "-i", "tone=dry", "--questions", "person", "--fresh", "--json")
    assert ended.exit_code == code
    assert json.loads(ended.output)["workflow"] == "note"
    assert seen[0][0][1:] == ("note", {"tone": "dry"}, None, "person")
    assert seen[0][1] == {"fresh": True, "port": 0}


def test_a_wrong_policy_is_refused_before_anything_starts():
    assert call("run", "note", "--questions", "guess").exit_code == 2
