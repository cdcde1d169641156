"""What needs a person is found in the state that the projects really keep, and shown by `storyloom status`."""

import dataclasses
import re
from decimal import Decimal

import pytest
from storyloom.blocks.ledger import Ledger
from storyloom.blocks.project_config import CONFIG_PATH
from storyloom.blocks.shelf import FileShelf
from storyloom.cli.status import show_status
from storyloom.deployments.environment import project_folder, read_environment
from storyloom.deployments.needs import needs, needs_markdown
from storyloom.domain.escalations import Escalation, Question
from storyloom.domain.model_calls import CallTags
from storyloom.domain.phases import Phase
from storyloom.domain.stories import Lane, StoryOutcome
from storyloom.tasks.delivery import PhaseEnd

SETTINGS = "project:\n  name: shortlinks\nsettings:\n  llm_budget_usd: 10\n"


class Installation:
    """One project of an installation, as its runs leave it: a settings file, a ledger, a shelf."""

    def __init__(self, folder, settings=SETTINGS):
        self.repository = folder / "project"
        (self.repository / CONFIG_PATH).parent.mkdir(parents=True)
        (self.repository / CONFIG_PATH).write_text(settings)
        self.environment = read_environment({"STORYLOOM_HOME": str(folder / "home")})
        self.state = project_folder(self.environment.home, self.repository)
        self.state.mkdir(parents=True)
        (self.state / "repository").write_text(str(self.repository))
        self.shelf = FileShelf(self.state / "shelf")

    def spend(self, usd, tokens=1000, reserved="0"):
        ledger = Ledger(f"sqlite:///{self.state / 'ledger.sqlite'}")
        tags = CallTags(project="shortlinks", run="r", story="1-1-x")
        ledger.reserve("one", tags, usd=Decimal(usd), tokens=tokens)
        ledger.settle("one", usd=Decimal(usd), tokens=tokens)
        if Decimal(reserved):
            ledger.reserve("two", tags, usd=Decimal(reserved), tokens=0)
        ledger.close()

    def end(self, **outcome):
        outcome = StoryOutcome(story=outcome.pop("story", "1-1-x"), **outcome)
        self.shelf.put(f"stories/{outcome.story}/outcome.json", outcome.model_dump_json())

    def ask(self):
        question = Question(project=str(self.repository), question="Which [alphabet](http://evil.example)?")
        one = Escalation(
            id=question.id, question=question, severity="important", created="2026-01-05T08:00:00+00:00",
            project_name="shop", link="http://127.0.0.1:4200/runs/flow-run/1",
        )  # fmt: skip
        self.shelf.put(f".bmad-escalations/{one.id}.json", one.model_dump_json())
        return one

    def found(self):
        return [(need.severity, need.project, need.what) for need in needs(self.environment)]


@pytest.fixture
def installed(tmp_path):
    return Installation(tmp_path)


@pytest.mark.parametrize(
    ("spent", "reserved", "shown"),
    [
        ("7.99", "0", []),
        ("8", "0", [("important", "shortlinks", "budget: $8.00 of $10.00 are spent")]),
        ("6", "2.5", [("important", "shortlinks", "budget: $8.50 of $10.00 are spent")]),
        ("10", "0", [("critical", "shortlinks", "budget: $10.00 of $10.00 are spent")]),
    ],
)
def test_a_budget_is_shown_from_eighty_per_cent_on_and_is_critical_when_it_is_spent(installed, spent, reserved, shown):
    installed.spend(spent, reserved=reserved)
    assert installed.found() == shown


def test_budgets_in_tokens_and_of_the_day_are_shown_too(tmp_path):
    settings = SETTINGS + "  llm_budget_tokens: 1000\n  budgets: {day: {usd: 4}}\n"
    installed = Installation(tmp_path, settings)
    installed.spend("4", tokens=900)
    assert installed.found() == [
        ("critical", "shortlinks", "budget of this day: $4.00 of $4.00 are spent"),
        ("important", "shortlinks", "budget: 900 of 1,000 tokens are spent"),
    ]


def test_a_budget_that_cannot_be_read_is_told_and_hides_nothing_else(installed):
    (installed.state / "ledger.sqlite").write_text("this is no database, whatever its name says" * 40)
    installed.end(status="failed", reason="No test passes.")
    (_, _, budget), (_, _, failure) = installed.found()
    assert budget.startswith("budget: it cannot be read: ")
    assert failure == "1-1-x failed: No test passes."


def test_stories_that_need_a_person_are_shown_and_the_others_not(installed):
    installed.end(story="1-1-a", status="failed", reason="No test passes.")
    installed.end(story="1-2-b", status="waiting", lane=Lane.BUDGET, reason="The money is spent.")
    installed.end(story="1-3-c", status="blocked", reason="It needs 1-1-a.")
    installed.end(story="1-4-d", status="waiting", lane=Lane.PERSON, reason="Its question is shown.")
    installed.end(story="1-5-e", status="merged")
    assert installed.found() == [
        ("critical", "project", "1-2-b waiting: The money is spent."),
        ("normal", "project", "1-1-a failed: No test passes."),
        ("normal", "project", "1-3-c blocked: It needs 1-1-a."),
    ]


def test_the_command_prints_what_to_do_and_its_exit_code_says_that_something_waits(installed, monkeypatch, capsys):
    monkeypatch.setenv("STORYLOOM_HOME", str(installed.environment.home))
    assert show_status(as_json=False) == 0
    assert capsys.readouterr().out == "Nothing needs you.\n"
    installed.spend("10")
    assert show_status(as_json=False) == 3
    printed = capsys.readouterr().out
    assert "critical" in printed
    assert "shortlinks: budget: $10.00 of $10.00 are spent" in printed
    assert "raise settings.llm_budget_usd, or stop" in printed


def test_a_phase_that_failed_is_shown_and_one_that_waits_for_an_open_question_is_not_told_twice(installed):
    def end(phase, state, detail=""):
        found = PhaseEnd(phase=phase, state=state, detail=detail)
        installed.shelf.put(f"phases/{phase.value}.json", found.model_dump_json())

    end(Phase.ANALYSIS, "done")
    end(Phase.PLANNING, "waiting", "create-prd is blocked: no brief")
    end(Phase.QUALITY, "failed", "The quality gate says fail.")
    assert sorted(installed.found()) == [
        ("important", "project", "planning waiting: create-prd is blocked: no brief"),
        ("important", "project", "quality failed: The quality gate says fail."),
    ]
    installed.ask()
    assert [what for _, _, what in installed.found()] == [
        "clarification: Which [alphabet](http://evil.example)?",
        "quality failed: The quality gate says fail.",
    ]
    end(Phase.QUALITY, "started")
    end(Phase.IMPLEMENTATION, "failed", "1-1-x: No test passes.")
    installed.end(status="failed", reason="No test passes.")
    assert [what for _, _, what in installed.found()][1:] == ["1-1-x failed: No test passes."]


def test_the_page_for_the_ui_says_the_same_with_links_to_our_runs_and_nothing_else_active(installed):
    assert needs_markdown(needs(installed.environment)) == "# What needs me\n\nNothing needs you.\n"
    one = installed.ask()
    installed.spend("10")
    found = needs(installed.environment)
    page = needs_markdown(found)
    assert page.startswith("# What needs me (2)\n\n### critical · shortlinks\n\nbudget: $10.00 of $10.00 are spent\n")
    assert "### important · shop · since 2026-01-05 08:00 UTC" in page
    assert f"`storyloom escalations show {one.id} -C {installed.repository}`" in page
    assert re.findall(r"\]\(([^)]*)\)", page) == ["http://127.0.0.1:4200/runs/flow-run/1"]
    assert "http://evil" not in page
    bad = dataclasses.replace(found[1], link="javascript:alert(1)")
    assert "](" not in needs_markdown([bad])
