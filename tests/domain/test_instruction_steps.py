from storyloom.domain.instruction_steps import read_instructions

TAGGED = """# Title
<critical>Keep to it</critical>
Some prose.
<workflow>
<critical>And to this</critical>
<step n="1" goal="One" tag="t"><anchor id="here"/><step n="0.1">nested</step></step>
<step n="0.5" goal="Half" optional="true" if="a == b" repeat="until-approved">x</step>
<action>between</action>
<step n="FINAL" title="End">y</step>
<step n="2a">z</step>
</workflow>
The end.
"""


def test_tagged_steps_run_in_numerical_order_and_nested_ones_stay_inside():
    read = read_instructions(TAGGED, "i.md")
    assert read.tagged
    assert [(s.number, s.title) for s in read.steps] == [
        ("0.5", "Half"), ("", ""), ("1", "One"), ("2a", ""), ("FINAL", "End"),
    ]  # fmt: skip
    half, _, one = read.steps[:3]
    assert (half.condition, half.optional, half.repeat, half.line) == ("a == b", True, "until-approved", 7)
    assert one.anchors == ("here",)
    assert [n.attrs["n"] for n in one.node.walk() if n.kind == "step"] == ["1", "0.1"]


def test_what_stands_around_the_steps_is_kept():
    read = read_instructions(TAGGED, "i.md")
    assert read.critical == ("Keep to it", "And to this")
    assert all(text in read.preamble for text in ("# Title", "Some prose.", "The end.", "Keep to it"))
    assert [(n.line, "outside" in n.message) for n in read.notes] == [(8, True)]


def test_repeated_and_unreadable_numbers_are_noted():
    text = "<workflow><step n='1'>a</step>\n<step n='1'>b</step>\n<step n='x'>c</step></workflow>"
    read = read_instructions(text, "i.md")
    assert [s.node.inner_text() for s in read.steps] == ["a", "b", "c"]
    assert [(n.line, n.message.split(":")[0]) for n in read.notes] == [
        (2, "the step number 1 is given twice"),
        (3, "the step number 'x' has no place in the order"),
    ]


PROSE = """# Work
Intro.
## Prerequisites
- one
## Step 2: Second
b
### Part
c
## Step 1.5: Before - it
a
```md
## Step 9: Example
```
## Afterwards
d
"""


def test_headings_that_say_step_are_the_steps_of_prose():
    read = read_instructions(PROSE, "i.md")
    assert not read.tagged
    assert [(s.number, s.title, s.line) for s in read.steps] == [("1.5", "Before - it", 9), ("2", "Second", 5)]
    assert read.steps[1].node.inner_text() == "## Step 2: Second\nb\n### Part\nc"
    assert "## Step 9: Example" in read.steps[0].node.inner_text()
    assert all(text in read.preamble for text in ("Intro.", "- one", "## Afterwards\nd"))


def test_every_character_of_prose_is_in_a_step_or_around_them():
    read = read_instructions(PROSE, "i.md")
    spans = sorted(n.span for s in read.steps for n in s.node.walk() if n.kind == "text")
    assert sum(b - a for a, b in spans) + len("# Work\nIntro.\n## Prerequisites\n- one\n## Afterwards\nd\n") == len(
        PROSE
    )


def test_without_step_headings_numbered_ones_count_and_then_those_of_level_two():
    numbered = read_instructions("# T\n## 1. First\nx\n## 2. Second\n## Notes\n", "i")
    assert [(s.number, s.title) for s in numbered.steps] == [("1", "First"), ("2", "Second")]
    plain = read_instructions("# T\n## Do\nx\n## Check\ny", "i")
    assert [(s.number, s.title) for s in plain.steps] == [("", "Do"), ("", "Check")]
    whole = read_instructions("Just do it.", "i")
    assert [(s.title, s.node.inner_text()) for s in whole.steps] == [("", "Just do it.")]
    assert read_instructions("  \n", "i").steps == ()


def test_lists_of_steps_that_start_over_keep_the_order_of_the_file():
    text = "## A\n### Step 1: a\n### Step 2: b\n## B\n### Step 1: c\n### Step 2: d\n"
    assert [s.title for s in read_instructions(text, "i").steps] == ["a", "b", "c", "d"]


def test_task_files_are_read_through_their_flow():
    text = '<task id="t"><objective>o</objective><flow><step n="2">b</step><step n="1">a</step></flow></task>'
    assert [s.node.inner_text() for s in read_instructions(text, "t.xml").steps] == ["a", "b"]


def test_tags_without_steps_are_one_step():
    read = read_instructions("<workflow>\n<action>a</action>\n<ask>b</ask>\n</workflow>", "i")
    assert [s.node.inner_text() for s in read.steps] == ["ab"]
