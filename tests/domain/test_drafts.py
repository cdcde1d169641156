from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.drafts import compose, open_placeholders, put, tidy, title
from storyloom.domain.run_state import Draft

TEMPLATE = "# {{project_name}}\n\n## Overview\n\n{{overview}}\n\n## Risks\n\n{{risks}}\n"


def test_a_section_fills_its_placeholder_and_others_are_appended_in_the_order_of_their_first_writing():
    draft = put(put(put(Draft(template=TEMPLATE), "extra_notes", "E"), "overview", "O"), "other", "### Own heading\nX")
    draft = put(draft, "extra_notes", "E2")
    assert compose(draft, {"project_name": "Shelf"}).text == (
        "# Shelf\n\n## Overview\n\nO\n\n## Risks\n\n{{risks}}\n\n## Extra Notes\n\nE2\n\n### Own heading\nX\n"
    )


def test_what_nothing_fills_is_listed():
    draft = put(Draft(template=TEMPLATE), "overview", "O")
    assert compose(draft, {}).missing == ("project_name", "risks")
    assert open_placeholders(draft, {"project_name": "x"}) == ("risks",)


def test_a_section_that_repeats_its_heading_loses_the_repetition():
    draft = put(Draft(template=TEMPLATE), "overview", "## Overview\n\nThe text.")
    assert "## Overview\n\nThe text.\n" in compose(draft, {}).text


def test_a_section_is_never_rendered_again():
    draft = put(Draft(template=TEMPLATE), "overview", "{{risks}} {% if x %}")
    assert "{{risks}} {% if x %}" in compose(put(draft, "risks", "R"), {}).text


def test_a_text_that_was_there_stays_and_sections_are_added_to_it():
    draft = put(Draft(base="# Old {{x}}\n\ntext\n"), "more", "new")
    assert compose(draft, {"x": 1}).text == "# Old {{x}}\n\ntext\n\n## More\n\nnew\n"


def test_the_head_goes_into_the_frontmatter_and_an_unreadable_one_stays():
    draft = put(Draft(template="---\nstepsCompleted: []\nkind: prd\n---\n\n{{a}}\n"), "a", "A")
    assert compose(draft, {}, head={"stepsCompleted": ["step-01"]}).text == (
        "---\nstepsCompleted: [step-01]\nkind: prd\n---\n\nA\n"
    )
    broken = Draft(base="---\na: [\n---\nx\n")
    assert compose(broken, {}, head={"stepsCompleted": ["x"]}).text == "---\na: [\n---\nx\n"


def test_an_empty_draft_is_an_empty_document():
    assert compose(Draft(), {}).text == ""


def test_a_fence_around_the_whole_of_a_text_goes_and_one_inside_it_stays():
    assert tidy("```markdown\n# A\n\nx  \n```\n") == "# A\n\nx"
    assert tidy("```\na\n```\nand\n```\nb\n```") == "```\na\n```\nand\n```\nb\n```"


def test_headings_are_made_of_names():
    assert title("functional_requirements") == "Functional Requirements"
    assert title("NFR list") == "NFR List"


@given(
    st.dictionaries(st.sampled_from(["overview", "risks", "more", "x y"]), st.text(max_size=30)), st.text(max_size=10)
)
def test_writing_the_same_sections_again_gives_the_same_bytes(sections, again):
    draft = Draft(template=TEMPLATE)
    for name, text in sections.items():
        draft = put(draft, name, text)
    first = compose(draft, {"project_name": "P"}).text
    for name in sections:
        draft = put(draft, name, again)
    for name, text in sections.items():
        draft = put(draft, name, text)
    assert compose(draft, {"project_name": "P"}).text == first
