import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storyloom.domain.instruction_scanner import MAX_DEPTH, VOCABULARY, leaf_spans, scan


def kinds(text):
    return [n.kind for n in scan(text, "x")[0].walk() if n.kind not in ("root", "text")]


def find(text, kind):
    return [n for n in scan(text, "x")[0].walk() if n.kind == kind]


def messages(text):
    return [(n.line, n.message) for n in scan(text, "x")[1]]


def steps(*bodies):
    return "<workflow>" + "".join(f"<step n='{n}'>{body}</step>" for n, body in enumerate(bodies, 1)) + "</workflow>"


def assert_every_character_has_a_home(text):
    root, _ = scan(text, "x")
    at = 0
    for start, end in leaf_spans(root):
        assert start in (at, end)
        at = max(at, end)
    assert at == len(text)
    assert "".join(text[a:b] for a, b in leaf_spans(root)) == text
    assert all(n.text == text[n.span[0] : n.span[1]] for n in root.walk() if n.kind == "text")


pieces = st.one_of(
    st.sampled_from(sorted(VOCABULARY)).flatmap(
        lambda k: st.sampled_from(
            [f"<{k}>", f"</{k}>", f"<{k}/>", f'<{k} if="a > \'b\'" n="1">', f"<{k} n=1", f"<{k} a='"]
        )
    ),
    st.sampled_from(
        ["`", "``", "```", "\n```xml\n", "\n````\n", "\n~~~\n", "<!--", "-->", "\n", "\n\n", "  ", "<", ">", "é"]
    ),
    st.text(max_size=8),
)


@settings(max_examples=600, deadline=None)
@given(st.one_of(st.text(), st.lists(pieces, max_size=60).map("".join)))
def test_any_text_is_read_and_no_character_is_lost(text):
    assert_every_character_has_a_home(text)


def test_tags_become_a_tree_with_lines_and_attributes():
    text = (
        'intro\n<workflow>\n<step n="1" goal="a &amp; b">\n'
        " <check if=\"x < 2 and 'y' > 1\">\n  <action>go</action>\n </check>\n</step></workflow>"
    )
    (step,), (check,), (action,) = find(text, "step"), find(text, "check"), find(text, "action")
    assert (step.line, dict(step.attrs)) == (3, {"n": "1", "goal": "a & b"})
    assert check.attrs["if"] == "x < 2 and 'y' > 1"
    assert (action.inner_text(), action.line, text[slice(*action.open_span)]) == ("go", 5, "<action>")
    assert messages(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "<workflow><step n='1'>use `<action>` here</step></workflow>",
        "<workflow><step n='1'><!-- <action>no</action> --></step></workflow>",
        "<workflow><step n='1'>\n```xml\n<action>no</action>\n```\n</step></workflow>",
        "<workflow><step n='1'>\n~~~\n<action>\n~~~\n</step></workflow>",
    ],
)
def test_code_comments_and_fences_hide_tags(text):
    assert [k for k in kinds(text) if k != "comment"] == ["workflow", "step"]
    assert messages(text) == []


def test_bodies_of_critical_and_output_are_text():
    text = steps("<critical>save after <template-output></critical><output>a <action> b</output>")
    assert kinds(text) == ["workflow", "step", "critical", "output"]
    assert find(text, "output")[0].inner_text() == "a <action> b"
    assert messages(text) == []


def test_a_fence_around_the_whole_workflow_is_looked_into():
    body = steps("\n```\n<action>x</action>\n```\n<action>y</action>")
    text = f"# T\n````xml\n{body}\n````\n"
    assert [a.inner_text() for a in find(text, "action")] == ["y"]


def test_a_fence_example_beside_a_real_workflow_is_text():
    text = "```xml\n<workflow><step n='9'></step></workflow>\n```\n<workflow><step n='1'></step></workflow>"
    assert [s.attrs["n"] for s in find(text, "step")] == ["1"]


def test_a_fence_that_is_never_closed_does_not_swallow_the_next_step():
    text = steps("\n```\ncode\n", "\n```\n<action>no</action>\n```\n<action>yes</action>")
    assert [s.attrs["n"] for s in find(text, "step")] == ["1", "2"]
    assert [a.inner_text() for a in find(text, "action")] == ["yes"]


def test_an_unclosed_output_ends_at_the_next_tag():
    text = "<workflow><step n='1'>\n<output>done {{x}}\n<action>HALT</action>\n</step></workflow>"
    (output,) = find(text, "output")
    assert (output.inner_text(), output.closed) == ("done {{x}}", False)
    assert messages(text) == [(2, "<output> is never closed: taken to end at line 3")]


def test_an_unclosed_check_ends_with_its_step():
    text = "<workflow><step n='1'><check if='a'><action>x</action></step><step n='2'></step></workflow>"
    root, notes = scan(text, "f.md")
    workflow = root.children[0]
    assert [c.kind for c in workflow.children] == ["step", "step"]
    assert [(n.path, n.line) for n in notes] == [("f.md", 1)]


def test_an_unclosed_step_ends_where_the_next_begins():
    text = "<workflow>\n<step n='1'>a\n<step n='2'>b</step>\n<step n='3'>c</step>\n</workflow>"
    assert [(c.attrs["n"], c.closed) for c in scan(text, "x")[0].children[0].children if c.kind == "step"] == [
        ("1", False), ("2", True), ("3", True)
    ]  # fmt: skip


def test_steps_nest_when_they_are_closed_or_are_parts():
    nested = "<workflow><step n='3'><step n='4'>x</step></step></workflow>"
    part = "<workflow><step n='13'><step n='13a'>x</step>\n</workflow>"
    for text in (nested, part):
        (outer,) = [c for c in scan(text, "x")[0].children[0].children if c.kind == "step"]
        assert [c.kind for c in outer.children if c.kind != "text"] == ["step"]


def test_an_unclosed_action_does_not_hold_the_next_one():
    text = steps("<action>one\n<action>two</action>\n<action>three <goto step='2'>x</goto></action>")
    (step,) = find(text, "step")
    assert [c.inner_text() for c in step.children if c.kind == "action"] == ["one", "two", "three x"]


def test_tags_that_a_sentence_mentions_are_text():
    text = steps("\n<action>explain:\n- Uses <action> tags\n- and <ask> tags\n</action>\n")
    assert kinds(text) == ["workflow", "step", "action"]
    assert [line for line, _ in messages(text)] == [3, 4]


def test_placeholders_in_prose_are_text():
    assert kinds("<workflow><step n='1'><action>print <error> and <note></action></step></workflow>") == [
        "workflow",
        "step",
        "action",
    ]


def test_generics_of_code_are_text():
    assert kinds("<workflow><step n='1'>Promise<Error></Error> Array<Step></step></workflow>") == ["workflow", "step"]


def test_void_tags_stand_alone():
    text = steps('<anchor id="here"><action>x</action><invoke-protocol name="discover_inputs" /><break>')
    assert kinds(text) == ["workflow", "step", "anchor", "action", "invoke-protocol", "break"]
    assert messages(text) == []


def test_stray_ends_are_noted_with_their_line():
    assert messages("<workflow>\n<step n='1'>\n</ask></step>\n</step></workflow>") == [
        (3, "</ask> ends nothing: read as text"),
        (4, "</step> ends nothing: read as text"),
    ]


def test_a_mistyped_tag_is_named_with_what_was_meant():
    assert messages("<workflow><step n='1'>\n<actoin>x</actoin></step></workflow>") == [
        (2, "unknown tag <actoin>: read as text (did you mean <action>?)")
    ]


def test_broken_attributes_are_read_as_well_as_possible():
    text = '<workflow><step n="1" goal="say "hi" now" n="2"><action>x</action></step></workflow>'
    assert find(text, "step")[0].attrs["n"] == "1"
    assert kinds(text) == ["workflow", "step", "action"]
    assert len(messages(text)) == 1


def test_an_unclosed_comment_hides_nothing():
    text = "<workflow><!-- oops\n<step n='1'></step></workflow>"
    assert kinds(text) == ["workflow", "step"]
    assert messages(text)[0][0] == 1


def test_words_of_task_files_are_tags_only_there():
    assert "flow" in kinds('<task id="x"><flow><step n="1"><mandate>m</mandate></step></flow></task>')
    assert kinds("<flow><mandate>m</mandate></flow>") == []


def test_nesting_is_bounded():
    text = "<check>" * 5000 + "</check>" * 5000
    root, notes = scan(text, "x")
    assert max(len(n.message) for n in notes) < 200
    assert sum(1 for n in root.walk() if n.kind == "check") == MAX_DEPTH
    assert_every_character_has_a_home(text)


HOSTILE = {
    "unclosed": "<action>" * 20_000, "ticks": "`" * 50_000, "runs": "` `` " * 10_000, "comments": "<!--" * 25_000,
    "quotes": "<check if='" * 10_000, "fences": "```\n" * 10_001, "openers": "```a\n" * 10_000,
    "ends": "</step>" * 15_000,
    "attributes": "<a b=" * 15_000, "blanks": "<step " + " " * 100_000,
    "unknown": "".join(f"<x{n}>\n</x{n}>\n" for n in range(2_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_read_in_linear_time(name):
    assert_every_character_has_a_home(HOSTILE[name])
