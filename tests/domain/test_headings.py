from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.headings import headings


def test_sections_end_at_the_next_heading_of_their_level_or_above():
    text = "# A\nx\n## B ##\n### C\ny\n## D\n"
    found = headings(text)
    assert [(h.level, h.title, h.line) for h in found] == [(1, "A", 1), (2, "B", 3), (3, "C", 4), (2, "D", 6)]
    assert text[found[1].start : found[1].end] == "## B ##\n### C\ny\n"
    assert found[0].end == len(text)


def test_fenced_code_holds_no_headings():
    text = "```md\n# no\n```\n# yes\n~~~~\n# no\n~~~\n# no\n~~~~\n## yes"
    assert [h.title for h in headings(text)] == ["yes", "yes"]


def test_a_hash_without_a_blank_is_no_heading():
    assert headings("#tag\n    # code") == ()


@given(st.text(alphabet="# `\nab~", max_size=200))
def test_sections_nest(text):
    found = headings(text)
    for a in found:
        assert text[a.start :].lstrip(" ").startswith("#" * a.level)
        assert all(b.end <= a.end for b in found if a.start < b.start < a.end)
