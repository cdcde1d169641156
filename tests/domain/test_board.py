from __future__ import annotations

from datetime import datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.board import (
    merge,
    new_board,
    next_action,
    plan_entries,
    read_board,
    read_stamp,
    set_status,
    settle_epics,
    stamp_of,
    touch,
    validate,
)
from storyloom.domain.errors import DocumentError
from storyloom.domain.keys import story_key
from storyloom.domain.statuses import BACK_EDGES, ORDER, Kind, rank, read_status
from storyloom.domain.stories import Story

STAMP = "05-06-2025 21:30"


def day(number: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2025, 5, number, hour, minute)  # noqa: DTZ001 - the board's stamps have no zone


def story(number: str, title: str) -> Story:
    return Story(key=story_key(number, title), id=number, epic=f"epic-{number.split('.')[0]}", title=title)


SHELF = [story("1.1", "Login"), story("1.2", "Account page"), story("2.1", "Export")]
BOARD = new_board("Shelf", plan_entries(SHELF), STAMP)

WILD = """\
# hand-made header, keep me
generated: 2025-05-06 21:30  # ISO here
project: "Полка: one"
custom_key: [1, 2]   # unknown, stays

development_status:
  # epic one
  epic-1: contexted
  1-1-login: 'done'    # прошло ревью
  1-2-account-page: drafted # waits

  category-tree-root-cause-fix: done
  1-3-odd: included

tail_key: yes
"""


def test_a_new_board_has_the_epic_then_its_stories_then_its_retrospective():
    data = yaml.safe_load(BOARD)
    assert list(data["development_status"]) == [
        "epic-1",
        "1-1-login",
        "1-2-account-page",
        "epic-1-retrospective",
        "epic-2",
        "2-1-export",
        "epic-2-retrospective",
    ]
    assert data["project"] == "Shelf"
    assert data["generated"] == STAMP
    assert validate(BOARD) == ()


@pytest.mark.parametrize("name", ["plain", "a: b", "it's", '"q"', "#hash", "yes", "1", "Полка", "- x", "", "x" * 200])
def test_a_project_of_any_name_is_written_so_that_yaml_gives_it_back(name: str):
    text = new_board(name, plan_entries(SHELF), STAMP)
    assert yaml.safe_load(text)["project"] == name
    assert set_status(text, "1-1-login", "done") != text


def test_changing_a_status_changes_one_word_and_the_epic_that_starts():
    changed = set_status(WILD, "1-2-account-page", "review")
    assert changed == WILD.replace("1-2-account-page: drafted", "1-2-account-page: review")
    fresh = set_status(BOARD, "1-1-login", "in-progress")
    expected = BOARD.replace("epic-1: backlog", "epic-1: in-progress").replace(
        "1-1-login: backlog", "1-1-login: in-progress"
    )
    assert fresh == expected


def test_comments_quotes_and_unknown_rows_stay_byte_for_byte():
    changed = set_status(WILD, "1-1-login", "review", repair=True)
    assert changed == WILD.replace("'done'    # прошло", "'review'    # прошло")


def test_windows_line_ends_and_a_missing_last_line_end_stay():
    text = WILD.replace("\n", "\r\n").rstrip("\r\n")
    changed = set_status(text, "1-2-account-page", "in-progress")
    assert changed == text.replace("drafted", "in-progress")
    assert "\n" not in touch(text, STAMP).replace("\r\n", "")


def test_progress_is_not_lost_by_a_writer_that_comes_late():
    text = set_status(BOARD, "1-1-login", "done")
    for late in ("backlog", "ready-for-dev", "in-progress", "review"):
        assert set_status(text, "1-1-login", late) == text


def test_only_a_review_sends_a_story_back():
    text = set_status(BOARD, "1-1-login", "review")
    assert "1-1-login: in-progress" in set_status(text, "1-1-login", "in-progress", by="code-review")
    assert set_status(text, "1-1-login", "in-progress", by="dev-story") == text


def test_a_repair_may_go_back():
    text = set_status(BOARD, "1-1-login", "done")
    assert "1-1-login: backlog" in set_status(text, "1-1-login", "backlog", repair=True)


@pytest.mark.parametrize("status", ["drafted", "contexted", "Done", "", "optional", "completed"])
def test_legacy_and_foreign_words_are_never_written(status: str):
    with pytest.raises(DocumentError, match="not a status") as caught:
        set_status(BOARD, "1-1-login", status)
    assert "ready-for-dev" in caught.value.remedy


def test_a_legacy_word_becomes_the_modern_one_when_it_is_set_again():
    assert "1-2-account-page: ready-for-dev # waits" in set_status(WILD, "1-2-account-page", "ready-for-dev")


def test_a_row_that_is_not_there_is_named_with_a_remedy():
    with pytest.raises(DocumentError, match="no row `9-9-x`") as caught:
        set_status(BOARD, "9-9-x", "done")
    assert caught.value.remedy


def test_a_key_that_stands_twice_is_reported_and_not_edited():
    text = BOARD + "  1-1-login: done\n"
    note = next(note for note in read_board(text).notes if "twice" in note.message)
    assert note.severity == "error"
    assert note.line == len(text.splitlines())
    with pytest.raises(DocumentError, match="stands on lines"):
        set_status(text, "1-1-login", "review")
    with pytest.raises(DocumentError, match="twice"):
        merge(text, plan_entries(SHELF))


def test_what_upstream_would_reject_is_noted_with_its_line():
    notes = {note.line: note.message for note in validate(WILD)}
    assert "read as `in-progress`" in notes[8]
    assert "read as `ready-for-dev`" in notes[10]
    assert "not epic-N" in notes[12]
    assert "`included` is not a status" in notes[13]
    assert "`last_updated:` is missing" in notes[1]
    assert read_board(WILD).get("1-1-login").status == "done"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("\t1-9-tab: done", "tab"),
        ("    1-9-deep: done", "indented by 2"),
        ("  1-9-map: {a: 1}", "not `key: status`"),
        ("  1-9-block: |", "not `key: status`"),
        ("  - 1-9-list: done", "not `key: status`"),
        ("  1-9-none:", "`` is not a status"),
    ],
)
def test_a_row_that_cannot_be_read_is_reported_and_kept(row: str, said: str):
    text = BOARD + row + "\n"
    (note,) = [note for note in read_board(text).notes if note.severity == "error"]
    assert said in note.message
    assert note.line == len(text.splitlines())
    assert row in set_status(text, "1-1-login", "done")
    assert row.strip() in merge(text, plan_entries(SHELF)).text


def test_the_section_may_be_written_on_one_line_and_is_edited_in_place():
    text = 'project: x\ndevelopment_status: {epic-1: backlog, 1-1-login: "backlog"} # flow\nlast: 1\n'
    board = read_board(text)
    assert board.shape == "flow"
    assert board.get("1-1-login").line == 2
    assert set_status(text, "1-1-login", "review") == (
        'project: x\ndevelopment_status: {epic-1: in-progress, 1-1-login: "review"} # flow\nlast: 1\n'
    )
    with pytest.raises(DocumentError, match="one line"):
        merge(text, plan_entries(SHELF))


@pytest.mark.parametrize(
    "empty", ["development_status:\n", "development_status: {}\n", "development_status: null # none"]
)
def test_an_empty_section_is_filled_by_a_merge(empty: str):
    text = "project: x\n" + empty
    assert any("empty" in note.message for note in validate(text))
    merged = merge(text, plan_entries(SHELF)).text
    assert list(yaml.safe_load(merged)["development_status"])[:2] == ["epic-1", "1-1-login"]


def test_a_board_without_statuses_keeps_what_it_has_and_gets_a_section():
    text = "project:\n  id: x\ncurrent_workflow:\n  name: dev-story\n"
    board = read_board(text)
    assert board.shape == "none"
    assert board.errors
    merged = merge(text, plan_entries(SHELF)).text
    assert merged.startswith(text)
    assert len(yaml.safe_load(merged)["development_status"]) == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "]: [",
        "development_status: [a]\n",
        "development_status: {a: {b: c}, 1-1-x: done\n",
        "- a\n- b\n",
        "\ufeff" + BOARD,
        "development_status: " + "[" * 1000 + "\n",
        "a: &a [x]\nb: &b [*a,*a]\ndevelopment_status: {1-1-x: *b}\n",
        "\x00",
    ],
)
def test_no_text_makes_the_reader_fall_over(text: str):
    board = read_board(text)
    assert board.entries or board.errors or validate(text)


@given(st.text())
def test_any_text_can_be_read(text: str):
    read_board(text)
    read_board("development_status:\n  " + text)
    validate("development_status: {" + text)


def test_a_file_that_is_far_too_large_is_refused():
    with pytest.raises(DocumentError, match="characters long"):
        read_board("#" * 9_000_000)


def test_the_time_is_set_in_the_key_and_in_the_comment():
    later = touch(BOARD, "05-07-2025 08:00")
    assert later == BOARD.replace("last_updated: " + STAMP, "last_updated: 05-07-2025 08:00")
    assert "generated: 2025-05-06 21:30  # ISO here\nlast_updated: x\n" in touch(WILD, "x")
    assert "last_updated: x # why\n" in touch("last_updated: a # why\ndevelopment_status:\n", "x")
    assert yaml.safe_load(touch("development_status:\n  1-1-a: done\n", STAMP))["last_updated"] == STAMP


def test_an_unchanged_board_is_not_touched():
    text = set_status(BOARD, "1-1-login", "done")
    assert set_status(text, "1-1-login", "done", stamp="x") == text
    assert merge(BOARD, plan_entries(SHELF), stamp="x").text == BOARD


def test_epics_follow_their_stories_and_never_go_back():
    text = settle_epics(set_status(BOARD, "2-1-export", "done"))
    assert read_board(text).get("epic-2").status == "done"
    assert read_board(text).get("epic-1").status == "backlog"
    assert settle_epics(text, stamp="x") == text
    assert read_board(settle_epics(WILD)).get("epic-1").status == "in-progress"


# --- merging with a plan -------------------------------------------------------------------------------------------


def test_a_merge_puts_new_stories_where_the_plan_has_them_and_keeps_the_rest():
    text = set_status(BOARD, "1-1-login", "done")
    merged = merge(text, plan_entries([*SHELF[:1], story("1.1a", "Reset"), *SHELF[1:], story("3.1", "Import")]))
    assert [entry.key for entry in read_board(merged.text).entries] == [
        "epic-1",
        "1-1-login",
        "1-1a-reset",
        "1-2-account-page",
        "epic-1-retrospective",
        "epic-2",
        "2-1-export",
        "epic-2-retrospective",
        "epic-3",
        "3-1-import",
        "epic-3-retrospective",
    ]
    assert merged.added == ("1-1a-reset", "epic-3", "3-1-import", "epic-3-retrospective")
    assert read_board(merged.text).get("1-1-login").status == "done"
    assert all(line in merged.text.splitlines() for line in text.splitlines())


def test_a_merge_keeps_the_more_advanced_status_and_raises_what_has_a_file():
    text = set_status(BOARD, "1-2-account-page", "review")
    merged = merge(text, plan_entries(SHELF, on_disk=["1-1-login", "1-2-account-page"]))
    statuses = read_board(merged.text).statuses()
    assert statuses["1-1-login"] == "ready-for-dev"
    assert statuses["1-2-account-page"] == "review"
    assert merged.raised == {"1-1-login": ("backlog", "ready-for-dev")}
    assert not merged.in_sync


def test_an_orphan_leaves_the_section_and_stays_as_a_comment_with_its_status():
    text = set_status(BOARD, "1-2-account-page", "done")
    merged = merge(text, plan_entries([SHELF[0], story("1.3", "Profile"), SHELF[2]]))
    assert merged.dropped == {"1-2-account-page": "done"}
    assert "  # no longer planned: 1-2-account-page: done\n" in merged.text
    assert read_board(merged.text).get("1-3-profile").status == "backlog"
    assert merged.notes[0].message == "`1-2-account-page` (done) is no longer planned and is kept as a comment"


def test_a_story_whose_title_is_corrected_keeps_its_status_and_it_is_said():
    text = set_status(BOARD, "1-2-account-page", "done")
    plan = plan_entries([SHELF[0], story("1.2", "Accounts page"), SHELF[2]])
    merged = merge(text, plan)
    assert merged.renamed == {"1-2-account-page": "1-2-accounts-page"}
    assert merged.dropped == {}
    assert read_board(merged.text).get("1-2-accounts-page").status == "done"
    assert "  # no longer planned: 1-2-account-page: done\n" in merged.text
    assert "`1-2-accounts-page` has its number and takes its status over" in merged.notes[0].message
    assert merge(merged.text, plan).text == merged.text


def test_a_number_that_is_not_one_storys_alone_hands_nothing_over():
    done = set_status(BOARD, "1-2-account-page", "done")
    twice = [SHELF[0], story("1.2", "Accounts"), story("1.2", "Pages"), SHELF[2]]
    assert merge(done, plan_entries(twice)).renamed == {}
    both = merge(done, plan_entries([*SHELF, story("1.2", "Accounts")])).text
    assert merge(both, plan_entries([SHELF[0], story("1.2", "Pages"), SHELF[2]])).renamed == {}
    moved = [SHELF[0], story("1.2", "Login page"), story("1.3", "Account page"), SHELF[2]]
    assert merge(done, plan_entries(moved)).renamed == {"1-2-account-page": "1-3-account-page"}


def test_a_story_that_got_another_number_keeps_its_status():
    text = set_status(BOARD, "1-2-account-page", "review")
    merged = merge(text, plan_entries([SHELF[0], story("1.2", "Reset"), story("1.3", "Account page"), SHELF[2]]))
    assert merged.renamed == {"1-2-account-page": "1-3-account-page"}
    assert merged.dropped == {}
    assert read_board(merged.text).get("1-3-account-page").status == "review"
    assert read_board(merged.text).get("1-2-reset").status == "backlog"


def test_a_word_that_means_nothing_is_replaced_and_stays_as_a_comment():
    merged = merge(WILD, plan_entries([*SHELF, story("1.3", "Odd")]))
    assert "  1-3-odd: backlog  # was: included\n" in merged.text
    assert merged.replaced == {"1-3-odd": "included"}
    assert "  category-tree-root-cause-fix: done\n" in merged.text
    assert "1-1-login: 'done'    # прошло ревью\n" in merged.text


def test_a_row_without_a_status_gets_one_by_a_merge_alone():
    text = BOARD.replace("1-1-login: backlog", "1-1-login:  # new here")
    with pytest.raises(DocumentError, match="no status to change"):
        set_status(text, "1-1-login", "done")
    merged = merge(text, plan_entries(SHELF), stamp="05-07-2025 08:00")
    assert "  1-1-login: backlog  # new here\n" in merged.text
    assert "last_updated: 05-07-2025 08:00\n" in merged.text


def test_a_merge_run_again_changes_nothing():
    plan = plan_entries([*SHELF, story("1.3", "Odd"), story("4.1", "New")])
    once = merge(WILD, plan).text
    again = merge(once, plan)
    assert again.text == once
    assert again.in_sync


def test_planned_epics_without_stories_get_their_rows():
    assert plan_entries([], epics=[2]) == (("epic-2", "backlog"), ("epic-2-retrospective", "optional"))


# --- what is next --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ({}, ("create-story", "1-1-login")),
        ({"1-2-account-page": "ready-for-dev"}, ("dev-story", "1-2-account-page")),
        ({"1-2-account-page": "ready-for-dev", "2-1-export": "review"}, ("code-review", "2-1-export")),
        ({"1-2-account-page": "in-progress", "2-1-export": "review"}, ("dev-story", "1-2-account-page")),
        (
            dict.fromkeys(("1-1-login", "1-2-account-page", "2-1-export"), "done"),
            ("retrospective", "epic-1-retrospective"),
        ),
    ],
)
def test_the_next_action_finishes_before_it_starts(moves: dict[str, str], expected: tuple[str, str]):
    text = BOARD
    for key, status in moves.items():
        text = set_status(text, key, status)
    action = next_action(read_board(text))
    assert (action.workflow, action.key) == expected
    assert action.reason


def test_stories_are_taken_by_number_not_by_alphabet():
    text = new_board("x", (("1-10-b", "backlog"), ("1-9-a", "backlog")), STAMP)
    assert next_action(read_board(text)).key == "1-9-a"


def test_a_story_that_waits_for_its_operator_is_left_alone():
    text = new_board("x", (("epic-1", "in-progress"), ("1-1-a", "awaiting-operator")), STAMP)
    assert read_board(text).get("1-1-a").status == "review"
    assert next_action(read_board(text)).workflow == ""
    assert merge(text, (("epic-1", "backlog"), ("1-1-a", "backlog"))).text.count("1-1-a: backlog") == 0


def test_nothing_is_next_when_all_is_done():
    text = new_board("x", (("epic-1", "done"), ("1-1-a", "done"), ("epic-1-retrospective", "done")), STAMP)
    assert next_action(read_board(text)).reason == "everything is done"
    assert next_action(read_board("")).reason == "the board is empty"


def test_a_board_untouched_for_a_week_is_called_stale():
    assert any("stale" in note.message for note in validate(BOARD, now=day(14)))
    assert validate(BOARD, now=day(13)) == ()


def test_odd_states_of_epics_are_noted():
    text = new_board(
        "x", (("epic-1", "done"), ("1-1-a", "review"), ("epic-2", "in-progress"), ("3-1-c", "done")), STAMP
    )
    said = " | ".join(note.message for note in validate(text))
    assert "`epic-1` is done, but not 1-1-a" in said
    assert "`epic-2` is in progress and has no stories" in said
    assert "no row epic-3" in said


def test_stamps_are_read_in_every_form_met():
    moment = day(6, 21, 30)
    assert stamp_of(moment) == STAMP
    assert read_stamp(STAMP) == read_stamp("2025-05-06 21:30") == read_stamp("2025-05-06T21:30:00Z") == moment
    assert read_stamp("05-06-2-2025 21:30") is None
    assert any("MM-DD" in note.message for note in validate(BOARD.replace(STAMP, "someday")))


# --- properties ----------------------------------------------------------------------------------------------------

words = st.sampled_from(sorted({w for order in ORDER.values() for w in order} | {"drafted", "contexted", "junk"}))
titles = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12)
numbers = st.tuples(st.integers(1, 3), st.integers(1, 5), st.sampled_from(["", "", "a"]))
plans = st.dictionaries(numbers, titles, max_size=8).map(
    lambda rows: [story(f"{epic}.{number}{letter}", title) for (epic, number, letter), title in sorted(rows.items())]
)


@given(plans, st.text(max_size=30))
def test_a_new_board_is_valid_yaml_with_exactly_the_planned_rows(stories: list[Story], project: str):
    name = "".join(sign for sign in project if sign.isprintable())
    text = new_board(name, plan_entries(stories), STAMP)
    data = yaml.safe_load(text)
    assert tuple((data["development_status"] or {}).items()) == plan_entries(stories)
    assert data["project"] == name
    assert read_board(text).notes == ()


rows = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["1-1-login", "1-2-account-page", "epic-1", "epic-1-retrospective", "odd-row"]), words
        ),
        st.sampled_from(["", "  # a comment: here", "# at the margin"]),
    ),
    unique_by=lambda row: row[0] if isinstance(row, tuple) else object(),
)
quotes = st.sampled_from(["", "'", '"'])


@given(rows, st.data())
def test_reading_agrees_with_the_yaml_parser_and_a_change_touches_one_word(lines: list, data: st.DataObject):
    text = "generated: a\nproject: p\ndevelopment_status:\n"
    for row in lines:
        if isinstance(row, str):
            text += row + "\n"
            continue
        quote, tail = data.draw(quotes), data.draw(st.sampled_from(["", "   ", "  # note: it's"]))
        text += f"  {row[0]}: {quote}{row[1]}{quote}{tail}\n"
    text += "other: kept\n"
    board = read_board(text)
    assert {entry.key: entry.raw for entry in board.entries} == (yaml.safe_load(text)["development_status"] or {})
    for entry in board.entries:
        if entry.kind is Kind.UNKNOWN:
            continue
        target = ORDER[entry.kind][-1]
        changed = set_status(text, entry.key, target)
        before, after = text.splitlines(), changed.splitlines()
        assert len(before) == len(after)
        others = [number for number in range(len(before)) if number != entry.line - 1]
        assert all(before[n] == after[n] for n in others if "epic-1: " not in before[n])
        assert read_board(changed).get(entry.key).status == target


@given(
    st.lists(
        st.tuples(
            st.sampled_from([s.key for s in SHELF]),
            words,
            st.sampled_from(["", "dev-story", "code-review", "integrate"]),
        ),
        max_size=25,
    )
)
def test_no_sequence_of_writers_loses_progress_but_by_a_review(writes: list[tuple[str, str, str]]):
    text = BOARD
    for key, status, by in writes:
        before = read_board(text).statuses()
        try:
            text = set_status(text, key, status, by=by)
        except DocumentError:
            assert status not in ORDER[Kind.STORY]
        text = merge(text, plan_entries(SHELF)).text
        text = settle_epics(text)
        for entry in read_board(text).entries:
            old = before[entry.key]
            back = (entry.kind, old, entry.status) in BACK_EDGES and entry.key == key and by != "dev-story"
            assert back or rank(entry.kind, entry.status) >= rank(entry.kind, old)


@given(plans, plans, st.data())
def test_a_merge_is_valid_idempotent_and_never_loses_a_planned_story_s_progress(old, new, data):
    text = new_board("p", plan_entries(old), STAMP)
    for item in old:
        text = set_status(text, item.key, data.draw(st.sampled_from(ORDER[Kind.STORY])))
    before = read_board(text).statuses()
    merged = merge(text, plan_entries(new))
    after = yaml.safe_load(merged.text)["development_status"] or {}
    assert set(after) == {key for key, _ in plan_entries(new)}
    for key, status in after.items():
        kind = read_board(merged.text).get(key).kind
        assert rank(kind, status) >= rank(kind, before.get(key, ORDER[kind][0]))
    assert merge(merged.text, plan_entries(new)).text == merged.text
    assert read_status(Kind.STORY, "drafted").status == "ready-for-dev"
