import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storyloom.domain.errors import DocumentError
from storyloom.domain.safe_yaml import MAX_CHARACTERS, MAX_DEPTH, load_yaml, load_yaml_with_lines


def refused(text):
    with pytest.raises(DocumentError) as caught:
        load_yaml(text, "w.yaml")
    assert caught.value.path == "w.yaml"
    assert str(caught.value).startswith("w.yaml:")
    return caught.value.line, caught.value.message


def test_values_follow_the_core_schema_of_yaml_1_2():
    text = "a: true\nb: on\nc: 12:30\nd: 2024-01-02\ne: 3\nf: 1.5\ng: ~\nh:\ni: 'x'\nj: [1, y]\nk: 007\n"
    assert load_yaml(text, "x") == {
        "a": True, "b": "on", "c": "12:30", "d": "2024-01-02", "e": 3, "f": 1.5, "g": None, "h": None, "i": "x",
        "j": [1, "y"], "k": "007",
    }  # fmt: skip


def test_lines_are_known_for_keys_and_items():
    _, lines = load_yaml_with_lines("a:\n  - x\n  - b: 1\n\nc: 2", "x", first_line=10)
    assert (lines["a",], lines["a", 1], lines["a", 1, "b"], lines["c",]) == (10, 12, 12, 14)


def test_an_empty_text_is_nothing():
    assert load_yaml("", "x") is None
    assert load_yaml("# only a comment\n", "x") is None


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: &x [1]\nb: *x", 2, "alias *x"),
        ("a: 1\nb:\n  c: 1\n  c: 2", 4, "'c' is given twice"),
        ("a:\n\tb: 1", 2, "tab"),
        ("a: [1, 2\nb: 3", 2, "not YAML"),
        ("a: !!python/object/apply:os.system ['x']", 1, "not allowed"),
        ("a: !mine x", 1, "not allowed"),
        ("a: 1\nb: \x00", 2, "control character"),
        ("? [1, 2]\n: x", 1, "plain word"),
        ("a: 1\n---\nb: 2", 2, "single document"),
    ],
)
def test_what_is_not_safe_or_not_yaml_is_refused_with_its_line(text, line, says):
    where, message = refused(text)
    assert where == line
    assert says in message


def test_a_bomb_of_aliases_is_refused_before_it_grows():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert refused("\n".join(levels))[0] == 2


def test_depth_and_size_are_bounded():
    assert f"more than {MAX_DEPTH} deep" in refused("[" * 100_000)[1]
    assert "more than" in refused("a: " + "x" * MAX_CHARACTERS)[1]
    assert load_yaml("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), "x") is not None


@settings(deadline=None)
@given(st.text(max_size=100))
def test_any_text_is_read_or_refused_and_nothing_else_happens(text):
    with contextlib.suppress(DocumentError):
        load_yaml(text, "x")


def test_lines_are_counted_as_an_editor_counts_them():
    assert load_yaml_with_lines("a: 'x\u2028y'\nb: 1", "x")[1]["b",] == 2
