import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storyloom.domain import frontmatter
from storyloom.domain.errors import DocumentError

PAGE = "---\nname: 'a'  # why\nsteps: [1]\n# about the list\nlist:\n  - x\n  - y\n\n# the end\n---\nBody\r\n---\nmore\n"


def test_head_and_body_are_the_source_character_for_character():
    parts = frontmatter.split(PAGE, "p.md")
    assert parts.head + parts.body == PAGE
    assert parts.body == "Body\r\n---\nmore\n"
    assert parts.body_line == 11
    assert parts.values == {"name": "a", "steps": [1], "list": ["x", "y"]}
    assert parts.lines == {"name": 2, "steps": 3, "list": 5}


@settings(deadline=None)
@given(st.text())
def test_any_text_is_split_without_loss(text):
    try:
        parts = frontmatter.split(text, "x")
    except DocumentError:
        return
    assert parts.head + parts.body == text
    assert frontmatter.body_of(text)[0] == parts.body


@pytest.mark.parametrize("text", ["", "no frontmatter", "---\nopened and never closed\n", "text\n---\na: 1\n---\n"])
def test_a_text_without_frontmatter_is_all_body(text):
    parts = frontmatter.split(text, "x")
    assert (parts.head, parts.body, dict(parts.values)) == ("", text, {})


def test_windows_line_ends_and_a_byte_order_mark_are_read():
    text = "\ufeff---\r\na: 1\r\n---\r\nbody\r\n"
    parts = frontmatter.split(text, "x")
    assert (parts.values, parts.body, parts.body_line) == ({"a": 1}, "body\r\n", 4)
    assert frontmatter.update(text, {"b": 2}, "x") == "\ufeff---\r\na: 1\r\nb: 2\r\n---\r\nbody\r\n"


def test_what_is_no_map_is_refused_with_its_line():
    for text in ("---\n- a\n---\n", "---\na: 1\na: 2\n---\n"):
        with pytest.raises(DocumentError) as caught:
            frontmatter.split(text, "p.md")
        assert caught.value.line in (2, 3)


def test_an_update_touches_only_the_lines_of_its_keys():
    changed = frontmatter.update(PAGE, {"steps": [1, 2], "list": ["z"], "new": "a: b"}, "p.md")
    assert changed == (
        "---\nname: 'a'  # why\nsteps: [1, 2]\n# about the list\nlist: [z]\n\n# the end\nnew: 'a: b'\n---\n"
        "Body\r\n---\nmore\n"
    )
    assert frontmatter.split(changed, "p.md").values == {"name": "a", "steps": [1, 2], "list": ["z"], "new": "a: b"}
    assert frontmatter.update(PAGE, {}, "p.md") == PAGE


def test_a_first_frontmatter_is_put_before_the_body():
    assert frontmatter.update("body\n", {"steps": ["a"], "deep": {"x": 1}}, "x") == (
        "---\nsteps: [a]\ndeep:\n  x: 1\n---\nbody\n"
    )
    assert frontmatter.join({}, "body") == "body"


names = st.from_regex(r"[a-z][a-zA-Z_]{0,8}", fullmatch=True)
values = st.one_of(st.text(max_size=20), st.integers(-5, 5), st.booleans(), st.lists(st.text(max_size=8), max_size=3))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, values, max_size=4), st.dictionaries(names, values, min_size=1, max_size=3), st.text())
def test_an_update_can_be_read_back_and_leaves_the_body(first, then, body):
    page = frontmatter.join({"id": 1, **first}, body)
    changed = frontmatter.update(page, then, "x")
    parts = frontmatter.split(changed, "x")
    assert parts.values == {"id": 1, **first, **then}
    assert parts.body == body
