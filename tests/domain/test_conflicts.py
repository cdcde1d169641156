"""What a person is asked about a conflict, and what an answer means."""

import pytest
from storyloom.domain.conflicts import (
    AGAIN,
    BACK,
    SHOWN_LINES,
    SHOWN_PLACES,
    Clash,
    branch_meant,
    clashes,
    conflict_question,
)
from storyloom.domain.escalations import GATES, Question
from storyloom.domain.stories import Story, StoryOutcome

STORY = Story(key="1-2-a", id="1.2", epic="epic-1", title="A")
OUTCOME = StoryOutcome(story="1-2-a", status="blocked", commit="c2", conflicts=("a.py", "b.py"))
MARKED = "one\n<<<<<<< main\nours\n=======\ntheirs\nmore\n>>>>>>> story\nend\n"


def ask(texts: dict[str, str], attempt: int = 2, outcome: StoryOutcome = OUTCOME) -> Question:
    return conflict_question(STORY, outcome, texts, project="/p", attempt=attempt, most=3, asked_by="amelia")


def test_both_sides_of_each_place_are_found():
    found = clashes({"a.py": MARKED + MARKED, "b.py": ""})
    assert found == (
        Clash(path="a.py", main=("ours",), story=("theirs", "more")),
        Clash(path="a.py", main=("ours",), story=("theirs", "more")),
        Clash(path="b.py"),
    )


def test_marks_that_are_no_conflict_and_a_place_without_an_end_are_left_out():
    assert clashes({"a.md": "Title\n=======\n>>>>>>> quoted\n"}) == (Clash(path="a.md"),)
    assert clashes({"a.md": "<<<<<<< main\nx\n"}) == (Clash(path="a.md"),)


def test_the_question_shows_the_files_and_the_lines_of_both_sides():
    question = ask({"b.py": "", "a.py": MARKED})
    assert "Both change a.py, b.py." in question.context
    assert "a.py:\n\n- main line: ours\n- story: theirs\n- story: more\n\nb.py:" in question.context
    assert question.options == (AGAIN, BACK, "it is resolved on resolved/1-2-a")
    assert question.kind not in GATES  # the deadline may answer it


def test_long_sides_and_many_places_are_cut():
    rows = "".join(f"{n}{'x' * 500}\n" for n in range(30))
    text = f"<<<<<<< m\n{rows}=======\n>>>>>>> s\n"
    context = ask({"a.py": text * (SHOWN_PLACES + 3)}).context
    assert context.count("more lines") == SHOWN_PLACES
    assert context.count("- main line: ") == SHOWN_PLACES * (SHOWN_LINES + 1)
    assert context.count("- story: (nothing)") == SHOWN_PLACES
    assert "… and 3 more places." in context
    assert len(context) < 20_000


def test_another_attempt_is_recommended_until_there_were_as_many_as_the_settings_allow():
    assert [ask({}, attempt).recommendation for attempt in (2, 3, 4)] == [AGAIN, BACK, BACK]


def test_the_same_change_is_asked_about_once_whatever_the_main_line_became():
    moved = OUTCOME.model_copy(update={"conflicts": ("a.py",)})
    assert ask({"a.py": MARKED}).id == ask({}, outcome=moved).id
    assert ask({}).id != ask({}, outcome=OUTCOME.model_copy(update={"commit": "c3"})).id


@pytest.mark.parametrize(
    ("answer", "notes", "branch"),
    [
        (AGAIN, "mine", ""),
        (BACK, "", ""),
        ("it is resolved on resolved/1-2-a", "", "resolved/1-2-a"),
        ("it is resolved on resolved/1-2-a", " mine/fix \n", "mine/fix"),
        ("it is resolved on resolved/1-2-a", "kept both sides", "resolved/1-2-a"),
    ],
)
def test_an_answer_names_the_proposed_branch_or_another_in_its_notes(answer: str, notes: str, branch: str):
    assert branch_meant(answer, notes) == branch
