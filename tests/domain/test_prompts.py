from storyloom.domain.prompts import (
    PERSONAS,
    Setting,
    Source,
    fitting,
    judge_request,
    question_request,
    section_request,
)
from storyloom.domain.run_state import RunState, Told

SETTING = Setting(
    workflow="prd",
    description="Turns a brief into requirements",
    persona=PERSONAS["john"],
    rules=("One id per requirement.",),
    documents=(Source("docs/brief.md", "A shelf for books."),),
    language="English",
    project="Shelf",
    project_level=2,
)
STATE = RunState(
    workflow="prd",
    told=(
        Told(kind="action", text="List the users"),
        Told(kind="action", text="List the users"),
        Told(kind="guidance", text="Be brief"),
        Told(kind="answer", text="Who pays?", answer="the owner"),
    ),
    history=(Told(kind="answer", text="Size?", answer="small"),),
)


def test_a_section_is_asked_for_with_all_that_its_step_said():
    request = section_request(
        SETTING, STATE, "target_users", "step 2 Users", "docs/prd.md", "# Shelf\n\n{{target_users}}"
    )
    assert request.system.startswith(
        "You are John, Product Manager.\n\nYou work on the project Shelf of level 2, in the workflow “prd”: "
        "Turns a brief into requirements\n\nRules of this workflow:\n- One id per requirement.\n\nWrite in English.\n\n"
    )
    assert request.system.endswith('<document name="docs/brief.md">\nA shelf for books.\n</document>')
    assert request.messages[0].content.startswith(
        "# prd · target_users\n\nWrite the section “Target Users” of `docs/prd.md`. It belongs to step 2 Users.\n\n"
        "## What to do\n\n- List the users\n\n## Guidance\n\nBe brief\n\n## Answers\n\n- Who pays? → the owner\n\n"
        "## Known from earlier steps\n\n- Size? → small\n\n"
        '<document name="The document so far">\n# Shelf\n\n{{target_users}}\n</document>\n\n'
    )


def test_subjects_are_on_one_line_and_a_questions_subject_is_cut():
    judged = judge_request(SETTING, STATE, "the brief\nis thin", "step 1")
    assert judged.messages[0].content.splitlines()[0] == "# prd · condition · the brief is thin"
    asked = question_request(SETTING, STATE, "Which\n" + "very " * 30 + "long?", "step 1", ())
    first = asked.messages[0].content.splitlines()[0]
    assert first.startswith("# prd · question · Which very")
    assert len(first.removeprefix("# prd · question · ")) <= 80


def test_documents_that_do_not_fit_are_cut_the_longest_first():
    sources = [Source("a", "a" * 100), Source("b", "b" * 4000), Source("c", "c" * 5000)]
    cut = fitting(sources, 1_000)
    assert cut[0] == sources[0]
    assert [len(source.text.split("\n")[0]) for source in cut] == [100, 1950, 1950]
    assert cut[2].text.endswith("[… 3050 more characters]")
    assert fitting(sources, 10_000) == tuple(sources)
