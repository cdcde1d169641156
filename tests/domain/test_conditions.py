import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.condition_answers import matches_answer
from storyloom.domain.condition_facts import Facts, Probe
from storyloom.domain.conditions import classify, decide

KNOWN = {
    "mode": "fast",
    "project_level": 2,
    "user_skill_level": "expert",
    "empty_one": "",
    "epics": ["a"],
    "has_api": True,
    "has_ui": "no",
    "sprint_status": "docs/sprint-status.yaml",
    "field_type": "greenfield",
    "selected_track": "method",
    "epic": {"status": "done"},
}
THERE = {"docs/sprint-status.yaml", "index.md"}


def holds(condition, **more):
    facts = {"variables": KNOWN, "exists": lambda path: path in THERE, "loaded": {"prd": True, "ux_spec": False}}
    return decide(condition, Facts(**{**facts, **more})).value


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("mode == fast", True),
        ("{{mode}} == 'slow'", False),
        ("mode != 'slow'", True),
        ("mode is fast", True),
        ("mode is not 'fast'", False),
        ("project_level <= 1", False),
        ("project_level gt 1", True),
        ("{project_level} >= 2 AND mode == fast", True),
        ("mode == slow OR mode == fast", True),
        ("mode == slow || project_level == 2", True),
        ("not (mode == fast)", False),
        ("field_type == greenfield AND selected_track in [method, enterprise]", True),
        ("mode not in [a, b]", True),
        ("mode is one of: fast, slow", True),
        ("mode is neither fast nor slow", False),
        ("epic.status == done", True),
        ("mode", True),
        ("has_api", True),
        ("!has_ui", True),
        ("has_api AND has_ui", False),
        ("mode < 3", None),
    ],
)
def test_expressions_over_known_values_are_decided(condition, expected):
    assert holds(condition) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{{epics}} is not empty", True),
        ("{empty_one} is empty", True),
        ("{{never_set}} is provided", False),
        ("{{never_set}} not set", True),
        ("{prd_content} is not empty", True),
        ("{ux_spec_content} is empty", True),
        ("{sprint_status} file exists", True),
        ("{sprint_status} file does NOT exist", False),
        ("sprint status file exists", True),
        ("index.md exists", True),
        ("theme.json does not exist", True),
        ("prd found", True),
        ("ux spec document not found", True),
        ("ux_spec_found", False),
        ("PRD_not_found", False),
        ("story key not found in sprint status", None),
        ("a great idea exists", None),
    ],
)
def test_existence_is_looked_up(condition, expected):
    assert holds(condition) is expected


@pytest.mark.parametrize("condition", ["status file found", "exists", "file exists", "workflow status file found"])
def test_the_file_that_was_looked_for_last_is_meant_by_file_found(condition):
    assert holds(condition, probe=Probe("docs/bmm-workflow-status.yaml", True)) is True
    assert holds(condition, probe=Probe("docs/bmm-workflow-status.yaml", False)) is False


def test_a_file_of_another_name_is_not_meant():
    assert holds("retro file found", probe=Probe("docs/bmm-workflow-status.yaml", True)) is None


@pytest.mark.parametrize(
    ("condition", "answer", "expected"),
    [
        ("y", "Yes, please", True),
        ("n", "yes", False),
        ("yes or y", "y", True),
        ("choice == 2", "[2] run it", True),
        ("choice == 2", "12", False),
        ("choice != 2", "1", True),
        ("user selects 2", "Option 2: the second", True),
        ("user chooses '1'", "1", True),
        ("user selects 1 OR user presses enter", "", True),
        ("selection is 2 or 4", "4", True),
        ("user selects finalize (option 4 or 5)", "5", True),
        ("user says no", "no", True),
        ("user confirms", "ok", True),
        ("user confirms 'n'", "y", False),
        ("yes the proposal is approved by the user", "yes", True),
        ("user declines", "no thanks", True),
        ("user provides story file path", "docs/stories/1-1.md", True),
        ("user provides story file path", "2", False),
        ("user provides epic-story number", "2-4", True),
        ("user asks for a recommendation", "1", None),
    ],
)
def test_an_answer_decides_what_is_said_about_it(condition, answer, expected):
    assert holds(condition, answer=answer) is expected


def test_nothing_about_an_answer_holds_before_anything_was_asked():
    assert holds("choice == 2") is None
    assert holds("y") is None


def test_an_unknown_name_is_false_unless_something_meant_to_set_it():
    assert holds("standalone_mode != true") is True
    assert holds("resume_mode == true") is False
    assert holds("resume_mode == true", touched=frozenset({"resume_mode"})) is None
    assert holds("{{story_path}} is provided", touched=frozenset({"story_path"})) is None


def test_an_else_holds_when_no_check_before_it_was_taken():
    assert holds("else", otherwise=True) is True
    assert holds("otherwise", otherwise=False) is False


def test_one_known_part_can_decide_a_whole_that_is_otherwise_prose():
    assert holds("mode == fast OR the moon is full") is True
    assert holds("mode == slow AND the moon is full") is False
    assert holds("mode == fast AND the moon is full") is None


@pytest.mark.parametrize(
    "prose", ["ALL requirements clear", "validation fails (exit code 1)", "tests fail", "new tests fail"]
)
def test_plain_language_needs_judgement(prose):
    verdict = decide(prose, Facts())
    assert (verdict.value, verdict.kind) == (None, "prose")


def test_a_condition_is_classified_without_values():
    kinds = {
        "mode == x": "expression", "index.md exists": "existence", "choice == 1": "answer", "has_api": "flag",
        "else": "else", "tests fail": "prose",
    }  # fmt: skip
    assert {condition: classify(condition) for condition in kinds} == kinds
    assert classify("has_api", frozenset({"has_api"})) == "expression"


def test_an_empty_condition_holds():
    assert holds("") is True


def test_answers_are_matched_by_their_first_word():
    assert matches_answer("1. start", "1")
    assert not matches_answer("10", "1")
    assert not matches_answer("", "y")


@given(st.text(alphabet="abco nristyNOTAR{}[]()'\"=!<>|&.,?_0123", max_size=60))
def test_any_text_is_decided_or_left_open_without_an_error(text):
    verdict = decide(text, Facts(variables=KNOWN, answer="y", exists=lambda _path: True))
    assert verdict.value in (True, False, None)
    classify(text)
