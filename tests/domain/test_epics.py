from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.board import new_board, plan_entries, read_board
from storyloom.domain.epics import read_epic_files, read_epics
from storyloom.domain.keys import read_key, slug, split_story_id, story_key
from storyloom.domain.prerequisites import read_needs
from storyloom.domain.statuses import Kind
from storyloom.domain.story_text import labelled, mentioned_paths, read_files, split_criteria

EPICS = """\
---
stepsCompleted: []
---
# Shelf - Epic Breakdown

## Epic List

### Epic 1: Reading
A summary.

## Epic 1: Reading

Readers find what they want.

<!-- Repeat for each story -->

### Story 1.1: User Authentication

As a reader,
I want to log in,
So that my books are mine.

**Acceptance Criteria:**

**Given** an account
**When** I log in
**Then** I see my shelf
**And** nobody else's

**Given** no account
**When** I log in
**Then** I am asked to register

**Prerequisites:** None (first story)

**Technical Notes:** Python 3.11, see `src/auth/login.py`

**Files:** `src/auth/login.py` (NEW), src/app.py, CHANGELOG.md (append-only)

### Story 1.2: Account page

**Acceptance Criteria:**

1. The name can be changed
   - also by an admin
2. AC2: The mail is shown

**Prerequisites:** Story 1.1, PostgreSQL 15.2
**Story Points:** 5
**Priority:** 2

## Epic 2 - Sharing

### Story 2.1: Export
**Depends on:** Stories 1.1-1.2 and Story 7.7
**Independent:** no

### Story 2.2: Import
"""


def plan():
    return read_epics(EPICS)


def by_id(number: str):
    return next(story for story in plan().stories if story.id == number)


def test_epics_and_stories_get_upstream_s_keys():
    assert [story.key for story in plan().stories] == [
        "1-1-user-authentication", "1-2-account-page", "2-1-export", "2-2-import",
    ]  # fmt: skip
    assert [(epic.key, epic.title, epic.goal) for epic in plan().epics] == [
        ("epic-1", "Reading", "Readers find what they want."),
        ("epic-2", "Sharing", ""),
    ]
    assert by_id("2.1").epic == "epic-2"


def test_given_when_then_groups_become_one_criterion_each():
    assert by_id("1.1").acceptance_criteria == (
        "Given an account When I log in Then I see my shelf And nobody else's",
        "Given no account When I log in Then I am asked to register",
    )


def test_numbered_criteria_keep_their_sub_points_and_lose_their_numbers():
    assert by_id("1.2").acceptance_criteria == ("The name can be changed also by an admin", "The mail is shown")


def test_prerequisites_become_keys_and_none_is_a_declaration():
    assert by_id("1.1").independent
    assert by_id("1.2").depends_on == ("1-1-user-authentication",)
    assert by_id("2.1").depends_on == ("1-1-user-authentication", "1-2-account-page", "Story 7.7")
    assert not by_id("2.2").independent
    assert by_id("2.2").depends_on == ()


def test_files_points_and_priority_are_read():
    assert by_id("1.1").files == ("src/auth/login.py", "src/app.py")
    assert by_id("1.1").appends == ("CHANGELOG.md",)
    assert (by_id("1.2").points, by_id("1.2").priority) == (5.0, 2)


def test_the_whole_text_of_a_story_is_kept():
    assert by_id("1.1").text.startswith("As a reader,")
    assert by_id("1.1").text.endswith("CHANGELOG.md (append-only)")


def test_what_a_prerequisite_names_in_vain_is_noted_with_its_line():
    lines = EPICS.splitlines()
    notes = {note.line: note for note in plan().notes}
    vague, unknown = (next(n for n, line in enumerate(lines, 1) if text in line) for text in ("PostgreSQL", "7.7"))
    assert "names no story" in notes[vague].message
    assert "Story 7.7, which is not planned" in notes[unknown].message
    assert notes[unknown].severity == "warning"
    assert set(notes) == {vague, unknown}


def test_a_number_used_twice_is_an_error_and_loses_no_story():
    read = read_epics("## Epic 1: A\n### Story 1.1: x\n### Story 1.1: y\n### Story 1.1: y\n")
    assert [story.key for story in read.stories] == ["1-1-x", "1-1-y"]
    assert [note.line for note in read.notes] == [3, 4]
    assert all(note.severity == "error" for note in read.notes)


def test_headings_that_almost_fit_are_noted_and_fenced_ones_ignored():
    read = read_epics("## Epic One: A\n### Story 1: x\n```\n### Story 1.1: y\n```\n## Story List\n### Story 2.1: z\n")
    assert [note.line for note in read.notes if "looks like" in note.message] == [1, 2]
    assert [story.key for story in read.stories] == ["2-1-z"]
    assert any("under no `Epic 2:`" in note.message for note in read.notes)


def test_a_story_ends_at_the_next_heading_of_its_rank():
    read = read_epics("## Epic 1: A\n### Story 1.1: x\nbody\n#### Notes\nmore\n## FR Coverage Matrix\n| FR1 |\n")
    assert read.stories[0].text == "body\n#### Notes\nmore"


def test_a_story_that_needs_itself_is_freed_and_noted():
    read = read_epics("## Epic 1: A\n### Story 1.1: x\n**Prerequisites:** Story 1.1\n")
    assert read.stories[0].depends_on == ()
    assert "itself" in read.notes[0].message


def test_parts_of_a_sharded_document_are_one_plan():
    read = read_epic_files({
        "epics/epic-2.md": "# Epic 2: B\n## Story 2.1: y\n**Prerequisites:** Story 1.1\n",
        "epics/epic-1.md": "# Epic 1: A\n## Story 1.1: x\n",
    })  # fmt: skip
    assert [story.key for story in read.stories] == ["1-1-x", "2-1-y"]
    assert read.stories[1].depends_on == ("1-1-x",)


@pytest.mark.parametrize(
    ("text", "depends"),
    [
        ("previous story", ("1-2-b",)),
        ("All previous stories", ("1-1-a", "1-2-b")),
        ("Epic 1 complete", ("1-1-a", "1-2-b", "1-3-c")),
        ("1-1-a", ("1-1-a",)),
        ("#1.1 & 1.2", ("1-1-a", "1-2-b")),
        ("Story 1.2 (the second); Story 1.1", ("1-1-a", "1-2-b")),
    ],
)
def test_prerequisites_are_understood_in_many_forms(text: str, depends: tuple[str, ...]):
    heading = "## Epic 2: B\n### Story 2.1: d\n" if "Epic" in text else ""
    stories = "### Story 1.1: a\n### Story 1.2: b\n### Story 1.3: c\n"
    read = read_epics(f"## Epic 1: A\n{stories}{heading}**Prerequisites:** {text}\n")
    assert read.stories[-1].depends_on == depends
    assert read.notes == ()


@pytest.mark.parametrize(
    ("text", "items", "none"),
    [
        ("None", (), True),
        ("N/A", (), True),
        ("-", (), True),
        ("None.", (), True),
        ("", (), False),
        ("Story 1.1", ("1.1",), False),
        ("Stories 1.1, 1.2 and 1.3a", ("1.1", "1.2", "1.3a"), False),
        ("Story 1.1 through Story 1.4", ("range:1.1-1.4",), False),
        ("Epics 1 and 2", ("epic-1", "epic-2"), False),
        ("Python 3.11 installed", ("Python 3.11 installed",), False),
        ("1.1, 1.2", ("1.1", "1.2"), False),
        ("- Story 1.1\n- Redis 7.2", ("1.1", "Redis 7.2"), False),
        ("**Story 1.1** (`login`)", ("1.1",), False),
        ("Story 1.1.2", ("Story 1.1.2",), False),
    ],
)
def test_needs_are_read_from_free_text(text: str, items: tuple[str, ...], none: bool):
    needs = read_needs(text)
    assert (needs.items, needs.none) == (items, none)


@pytest.mark.parametrize(
    ("lines", "criteria"),
    [
        (["- Given a, when b", "- Given d, when e"], ["Given a, when b", "Given d, when e"]),
        (["- **Given** a", "- **When** b", "- **Then** c", "- **Given** d"], ["Given a When b Then c", "Given d"]),
        (["When b, then c", "When d, then e"], ["When b, then c", "When d, then e"]),
        (["A first paragraph", "over two lines", "", "A second"], ["A first paragraph over two lines", "A second"]),
        (["- [ ] one", "- [x] two"], ["one", "two"]),
        (["**AC1:** one", "**AC2:** two"], ["one", "two"]),
        (["AC #1 - one", "AC #2 - two"], ["one", "two"]),
        (["<!-- for each -->", "", "---"], []),
    ],
)  # fmt: skip
def test_criteria_are_split_by_the_forms_met_in_the_wild(lines: list[str], criteria: list[str]):
    assert split_criteria(lines) == criteria


def test_bold_words_that_are_no_labels_end_a_field_but_steps_do_not():
    fields = labelled(["**Acceptance Criteria:**", "**Given** a", "**Then** b", "**Something else:**", "x"])
    assert [(field.name, field.text) for field in fields] == [("criteria", "**Given** a\n**Then** b")]


def test_files_are_read_with_their_marks_and_odd_ones_left_out():
    claims = read_files(
        ["- `src/a.py` (NEW)", "- src/b/: the folder", "- docs/index.md - append a link", "- ../etc/passwd", "- a word"]
    )
    assert claims.files == ("src/a.py", "src/b/")
    assert claims.appends == ("docs/index.md",)


def test_paths_that_a_text_mentions_are_found_and_versions_are_not():
    text = "See `src/a.py`, `b.ts`, `3.11`, `json.dumps`, `GET /api/x`, `Makefile`, `docs/x.md`, `../up.py`"
    assert mentioned_paths(text) == ("src/a.py", "b.ts", "Makefile", "docs/x.md")


# --- keys ----------------------------------------------------------------------------------------------------------

titles = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=80)


@given(st.integers(0, 99), st.integers(0, 99), st.sampled_from(["", "a", "z"]), titles)
def test_a_story_s_key_tells_its_number_and_has_a_bounded_slug(epic: int, number: int, letter: str, title: str):
    key = story_key(f"{epic}.{number}{letter}", title)
    parts = read_key(key)
    assert parts is not None
    assert (parts.kind, parts.story_id) == (Kind.STORY, f"{epic}.{number}{letter}")
    assert 0 < len(slug(title)) <= 60
    assert slug(title) == slug(title.upper().lower()) or title.upper().lower() != title.lower()


heads = st.lists(
    st.tuples(
        st.integers(1, 4), st.integers(1, 6), st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)
    ),
    unique_by=lambda head: head[:2],
    max_size=8,
)


@given(heads)
def test_written_epics_come_back_as_the_same_stories_and_board(rows: list[tuple[int, int, str]]):
    text = "# P\n" + "".join(f"## Epic {e}: E{e}\n" for e in sorted({row[0] for row in rows}))
    text += "".join(f"### Story {e}.{n}: {title}\nbody\n" for e, n, title in rows)
    read = read_epics(text)
    assert read.notes == ()
    assert {story.key for story in read.stories} == {story_key(f"{e}.{n}", title) for e, n, title in rows}
    entries = plan_entries(read.stories, [epic.number for epic in read.epics])
    board = read_board(new_board("p", entries, "05-06-2025 21:30"))
    assert tuple(board.statuses().items()) == entries
    assert {read_key(entry.key).story_id for entry in board.of(Kind.STORY)} == {s.id for s in read.stories}


@given(st.text())
def test_any_text_is_read_without_a_fall(text: str):
    read_epics(text)
    read_epics("## Epic 1: a\n### Story 1.1: b\n**Prerequisites:** " + text)
    read_epics("## Epic 1: a\n### Story 1.1: b\n**Acceptance Criteria:**\n" + text)


def test_numbers_are_split_and_other_text_is_not():
    assert split_story_id("1.2a") == (1, 2, "a")
    assert split_story_id("1.2.3") is None
    assert read_key("1-2") is None
    assert read_key("epic-x") is None


@pytest.mark.parametrize("mark", ["**", "__"])
def test_headings_in_bold_are_read(mark: str):
    plan = read_epics(f"## {mark}Epic 1: A{mark}\n\n### {mark}Story 1.1: First{mark} ##\n\nx\n")
    assert [epic.title for epic in plan.epics] == ["A"]
    assert [(story.id, story.title, story.text) for story in plan.stories] == [("1.1", "First", "x")]
    assert plan.notes == ()


def test_a_story_in_a_comment_is_not_planned():
    text = (
        "## Epic 1: A\n<!-- one line -->\n<!--\n### Story 1.4: hidden\n```\n-->\n### Story 1.1: First\n"
        "x <!-- begins\n### Story 1.5: hidden\n--> ends <!-- a -->\n### Story 1.2: Second\n```html\n<!--\n```\n"
        "### Story 1.3: Third\n"
    )
    assert [story.id for story in read_epics(text).stories] == ["1.1", "1.2", "1.3"]
