from storyloom.domain.context import Context, Material, assemble, split_sections, story_text
from storyloom.domain.developer_prompts import data
from storyloom.domain.stories import Story
from storyloom.domain.tokens import estimate_tokens

STORY = Story(
    key="1-2-cart-total",
    id="1.2",
    epic="1",
    title="The cart shows its total",
    text="As a customer I see what I pay.",
    acceptance_criteria=("The total includes tax", "An empty cart shows zero"),
    depends_on=("1-1-cart",),
    files=("shop/cart.py",),
)
ARCHITECTURE = """\
# Architecture

Two parts.

## Cart and totals

The cart computes its total with tax.

## Mail delivery

Mails are queued.

### Queue

Redis.
"""
FILES = {
    "shop/cart.py": "class Cart:\n    def total(self): ...\n",
    "shop/mail.py": "def send_mail(): ...\n",
}


def material(**given: object) -> Material:
    return Material(**{"story": STORY, "files": FILES, "test_command": "make test", **given})  # type: ignore[arg-type]


def names(context: Context) -> list[str]:
    return [f"{section.kind}:{section.name}" for section in context.sections]


def entry(context: Context, name: str):
    return next(each for each in context.report if each.name == name)


def test_everything_that_matters_goes_in_when_there_is_room():
    context = assemble(
        material(
            architecture={"docs/architecture.md": ARCHITECTURE},
            conventions={"CONTRIBUTING.md": "Write tests first."},
            notes=[("1-1-cart", "Prices are in cents.")],
            documents={"docs/prd.md": "# Totals\n\nThe total must include tax.\n"},
        ),
        20_000,
    )
    assert names(context) == [
        "story:1.2",
        "conventions:CONTRIBUTING.md",
        "documents:docs/prd.md § Totals",
        "architecture:docs/architecture.md § Cart and totals",
        "notes:1-1-cart",
        "map:repository",
        "files:shop/cart.py",
    ]
    assert all(section.text for section in context.sections)


def test_the_report_says_what_went_in_and_why():
    context = assemble(material(architecture={"a.md": ARCHITECTURE}, notes=[("1-1-cart", "Cents.")]), 20_000)
    assert entry(context, "a.md § Cart and totals").included == "whole"
    assert entry(context, "a.md § Cart and totals").why == "shares total, cart"
    assert entry(context, "1-1-cart").why == "this story depends on it"
    assert entry(context, "shop/cart.py").why == "the story names it"
    assert entry(context, "repository").why == "3 of 3 definitions, 2 of 2 files by relevance"
    assert "| notes | 1-1-cart | 2 | whole | this story depends on it |" in context.table()


def test_the_estimate_adds_up_and_stays_within_the_budget():
    big = {f"docs/{n}.md": ARCHITECTURE * 30 for n in range(3)}
    many = {f"shop/module_{n}.py": f"def cart_total_{n}(): ...\n" * 40 for n in range(30)}
    for budget in (300, 1_000, 4_000):
        context = assemble(material(architecture=big, files={**FILES, **many}), budget)
        included = sum(each.tokens for each in context.report if each.included != "left out")
        assert context.tokens <= budget
        assert abs(context.tokens - included) <= estimate_tokens("make test")
        assert sum(estimate_tokens(section.text) for section in context.sections) <= budget


def test_many_small_pieces_fit_with_the_tags_around_them():
    rules = "".join(f"### Cart rule {n}\n\ncart {n}\n\n" for n in range(500))
    notes = [(f"1-{n}-some-story", f"Note {n}.") for n in range(500)]
    for budget in (300, 1_000, 4_000):
        context = assemble(material(architecture={"docs/planning/architecture.md": rules}, notes=notes), budget)
        told = "\n\n".join(data(each.mark, each.text, name=each.name) for each in context.sections)
        assert estimate_tokens(told) <= budget


def test_a_file_that_the_story_names_twice_goes_in_once():
    context = assemble(Material(story=STORY.model_copy(update={"files": ("shop/cart.py",) * 2}), files=FILES), 20_000)
    assert [section.name for section in context.sections if section.kind == "files"] == ["shop/cart.py"]


def test_the_story_goes_in_whatever_the_budget():
    context = assemble(material(), 1)
    assert names(context) == ["story:1.2"]
    assert "An empty cart shows zero" in context.sections[0].text


def test_what_does_not_fit_is_reported_as_left_out():
    context = assemble(material(architecture={"a.md": "## Cart\n\n" + "cart total tax " * 500}), 1_000)
    assert entry(context, "a.md § Cart").included == "left out"


def test_a_long_file_goes_in_with_its_beginning():
    long = "".join(f"line_{n} = {n}\n" for n in range(5_000))
    context = assemble(material(files={"shop/cart.py": long}), 4_000)
    section = next(each for each in context.sections if each.kind == "files")
    assert section.text.startswith("line_0 = 0\n")
    assert section.text.endswith("more lines]")
    assert entry(context, "shop/cart.py").included == "part"


def test_what_one_kind_leaves_over_goes_to_the_next():
    notes = [("1-1-cart", "Prices are in cents. " * 100)]
    tokens = estimate_tokens(notes[0][1])
    context = assemble(material(files={}, notes=notes), tokens * 2)
    assert entry(context, "1-1-cart").included == "whole"


def test_the_architecture_of_a_project_in_another_language_goes_in():
    story = Story(key="1-1-x", id="1.1", epic="1", title="购物车显示总价", acceptance_criteria=("总价含税",))
    text = "# 架构\n\n## 总价\n\n购物车计算含税总价。\n\n## 邮件\n\n邮件排队。\n"
    context = assemble(Material(story=story, architecture={"a.md": text}), 20_000)
    assert names(context) == ["story:1.1", "architecture:a.md § 总价"]


def test_sections_that_share_no_word_with_the_story_stay_out():
    context = assemble(material(architecture={"a.md": ARCHITECTURE}), 20_000)
    assert "a.md § Queue" not in [each.name for each in context.report]


def test_notes_of_prerequisites_come_before_the_latest_others():
    notes = [("1-1-cart", "a"), ("2-1-x", "b"), ("2-2-y", "c"), ("2-3-z", " ")]
    context = assemble(material(notes=notes), 20_000)
    assert [section.name for section in context.sections if section.kind == "notes"] == ["1-1-cart", "2-2-y", "2-1-x"]


def test_the_same_material_gives_the_same_context():
    given = material(architecture={"a.md": ARCHITECTURE}, notes=[("1-1-cart", "x")])
    assert assemble(given, 3_000) == assemble(given, 3_000)


def test_a_story_document_is_read_instead_with_the_criteria_that_it_lacks():
    text = story_text(STORY, "# Story 1.2\n\n1. The total includes tax\n")
    assert text.count("The total includes tax") == 1
    assert text.endswith("## Acceptance criteria\n\n1. An empty cart shows zero")


def test_a_document_is_cut_at_its_headings_outside_of_fences():
    text = "intro\n\n# One\n\na\n```\n# no heading\n```\n## Two\n\n#### Deep\n\nb\n"
    assert [(heading, body.split("\n")[0]) for heading, body in split_sections(text)] == [
        ("", "intro"),
        ("One", "# One"),
        ("Two", "## Two"),
    ]
    assert split_sections("no heading\n") == [("", "no heading")]
    assert split_sections("") == []
