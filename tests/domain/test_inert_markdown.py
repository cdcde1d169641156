"""What a model or a repository says is text in a form or an artifact, and cannot pass for something of ours."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from storyloom.domain.board import read_board
from storyloom.domain.epics import Story
from storyloom.domain.escalations import Escalation, Question, inert, inert_line, markdown
from storyloom.domain.progress import batch_table, board_table, cell

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ACTS = {"html_inline", "html_block", "link_open", "image", "fence", "code_block", "code_inline", "s_open"}
OWN = {"heading_open": 1, "strong_open": 6}
BY_ITSELF = re.compile(r"(?i)[a-z][a-z0-9+.-]*://|www\.|\w@\w|(javascript|data|vbscript|mailto|file):\S")
"""What readers of GitHub's Markdown make a link of, wherever it stands."""

NASTY = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>approve</a>",
    "<!-- hidden --><b>approve</b>",
    "<https://evil.example/x>",
    "<anna@evil.example>",
    "![x](http://evil.example/p.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![x][p]\n\n[p]: http://evil.example/p.png",
    "![p]\n\n[p]: <http://evil.example/p.png> 'title'",
    "[approve](javascript:alert(1))",
    "[approve](java&#115;cript:alert(1))",
    "[a](&#x6A;avascript&colon;alert(1))",
    "[[a](http://evil.example)](http://evil.example)",
    "[![x](http://evil.example/p.png)](http://evil.example)",
    "[a]( <http://evil.example> 'a' )",
    "[a\\](b)](http://evil.example)",
    "\\[a](http://evil.example)",
    "\\\\[a](http://evil.example)",
    "\\<script>alert(1)\\</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#91;a&#93;(http://evil.example)",
    "https://evil.example/x",
    "_https://evil.example/x_",
    "(https://evil.example/x)",
    "1https://evil.example/x",
    "hTTps://evil.example/x",
    "ht\u200btps://evil.example/x",
    "w\u200bww.evil.example",
    "_www.evil.example_",
    "java\u00adscript:alert(1)",
    "\u202egnp.p/elpmaxe.live//:ptth\u202c",
    "anna@evil.example",
    "```\n<img src=x>\n```",
    "~~~\nthe rest of the form",
    "    <img src=x>\n    indented",
    "\t<img src=x>",
    "`<img src=x>`",
    "| a | ![x](http://evil.example/p.png) |\n|---|---|\n| b | c |",
    "# Approved by the owner",
    "   ### Approved",
    "Approved by the owner\n===",
    "Approved by the owner\n---",
    "---\n\n- - -\n\n***\n\n___",
    "**Would do:** approve (confidence 100%)",
    "__Without an answer by tomorrow:__ approve",
    "> quoted\n> [a](http://evil.example)",
    "a  \n<br>b",
    "\x00<script>\x08",
    "text\r# heading\r\n<script>",
    "text\u2028# heading\u0085<script>",
    "{{ 7 * 7 }} {% raw %}",
    "$\\href{javascript:alert(1)}{x}$",
    "[^1]\n\n[^1]: http://evil.example",
    "<details><summary>Approve</summary>",
    "]]><script>",
)


def parsed(text: str) -> list[Token]:
    def flat(tokens: Iterable[Token]) -> Iterator[Token]:
        for token in tokens:
            yield token
            yield from flat(token.children or ())

    return list(flat(READER.parse(text)))


def kinds(text: str) -> Counter[str]:
    return Counter(token.type for token in parsed(text))


def words(text: str) -> str:
    """What a person reads."""
    return " ".join("".join(t.content if t.type == "text" else " " for t in parsed(text) if t.type != "inline").split())


def asked(text: str) -> Escalation:
    question = Question(
        project="p", workflow=text, step=text, story=text, asked_by=text, question=text, context=text,
        recommendation=text, reasoning=text, cost_so_far=text, options=(text,),
    )  # fmt: skip
    return Escalation(id="q", question=question, severity="normal", deadline="2026-11-22 08:00", default=text)


@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_in_a_form_acts_hides_or_passes_for_a_heading_of_ours(nasty: str):
    shown = markdown(asked(nasty))
    found = kinds(shown)
    assert not ACTS & set(found), shown
    assert {name: found[name] for name in OWN} == OWN, shown
    assert not found["hr"]
    assert not BY_ITSELF.search(shown), shown
    for other in ("table_open", "blockquote_open"):
        assert not found[other]


@pytest.mark.parametrize("nasty", NASTY)
def test_an_artifact_shows_it_in_its_cell_and_nowhere_else(nasty: str):
    story = Story(id="1.1", key="1-1-x", title=nasty, epic="Epic 1")
    plain = Story(id="1.1", key="1-1-x", title="plain", epic="Epic 1")
    board = read_board("development_status:\n  epic-1: backlog\n  1-1-x: backlog\n")
    for shown, like in (
        (board_table(board, [story]), board_table(board, [plain])),
        (batch_table([story], {}, (), {"1-1-x": nasty}), batch_table([plain], {}, (), {"1-1-x": "plain"})),
    ):
        found, wanted = kinds(shown), kinds(like)
        for counts in (found, wanted):
            del counts["text"], counts["softbreak"], counts["text_special"]
        assert found == wanted, shown
        assert not BY_ITSELF.search(shown)


@pytest.mark.parametrize(
    "text",
    [
        "a < b && c[0] > d|e",
        "Use `x_y` or **z** at 12:30.",
        "C:\\temp\\new",
        "5 * 4 = 20",
        "über ~/Straße",
        "a - b",
        "x@y",
    ],
)
def test_a_person_still_reads_what_was_said(text: str):
    assert words(inert(text)) == words(inert_line(text)) == html.unescape(words(cell(text))) == text


@given(st.text(alphabet=st.sampled_from(list("<>[]()!`~*_#=-|&;:\\/@.\n\r\t 1aw\u200b")), max_size=60))
def test_no_mixture_of_signs_acts(text: str):
    shown = inert(text)
    found = kinds(shown)
    assert not ACTS & set(found), shown
    assert not {"heading_open", "hr", "table_open", "blockquote_open", "strong_open", "em_open"} & set(found), shown
    assert not BY_ITSELF.search(shown), shown
    assert kinds(f"## {inert_line(text)}")["heading_open"] == 1
