from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import DocumentError
from storyloom.domain.spec_file import read_spec, set_spec_status
from storyloom.domain.statuses import SPEC_BLOCKED, SPEC_ORDER

SPEC = """\
---
title: 'Limit: the rate'
type: feature # feature | bugfix
status: 'in-review' # draft | …
baseline_revision: 0123abc
review_loop_iteration: 1
followup_review_recommended: true
context: ["{project-root}/docs/std.md"]
warnings: []
deferred:
  - summary: Slow under load
    evidence: one second per call
    location: src/a.py:4
    severity: medium
  - summary: No place
  - nonsense
---

<intent-contract>

## Intent

**Problem:** too many calls.

</intent-contract>

## Tasks & Acceptance

**Execution:**
- `src/a.py` -- add

**Acceptance Criteria:**
- Given a call, when it is the tenth, then 429
- Given a minute, when it has passed, then 200

## Auto Run Result

Status: blocked
Blocking condition: matrix test audit failed
"""


def test_a_spec_is_read_with_everything_an_orchestrator_needs():
    spec = read_spec(SPEC)
    assert (spec.title, spec.kind, spec.status, spec.story_status) == (
        "Limit: the rate",
        "feature",
        "in-review",
        "review",
    )
    assert (spec.baseline, spec.review_round, spec.follow_up_wanted) == ("0123abc", 1, True)
    assert spec.context == ("{project-root}/docs/std.md",)
    assert spec.intent.startswith("## Intent")
    assert spec.acceptance_criteria[1] == "Given a minute, when it has passed, then 200"
    first, second = spec.deferred
    assert (first.severity, first.title, first.file, first.line) == ("medium", "Slow under load", "src/a.py", 4)
    assert (second.severity, second.file, second.line) == ("low", "", None)
    assert [note.message for note in spec.notes] == ["a deferred finding has no summary and is not counted: 'nonsense'"]


def test_the_blocking_condition_counts_only_while_the_spec_is_blocked():
    assert read_spec(SPEC).blocking_condition == ""
    assert read_spec(SPEC.replace("'in-review'", "blocked")).blocking_condition == "matrix test audit failed"


def test_only_the_status_changes_and_never_backwards():
    done = set_spec_status(SPEC, "done")
    assert read_spec(done).status == "done"
    assert done.splitlines()[4:] == SPEC.splitlines()[4:]
    assert set_spec_status(done, "in-review") == done
    assert read_spec(set_spec_status(done, "draft", repair=True)).status == "draft"


def test_a_blocked_spec_stays_blocked_but_for_a_repair():
    blocked = set_spec_status(SPEC, "blocked")
    assert set_spec_status(blocked, "done") == blocked
    assert read_spec(set_spec_status(blocked, "ready-for-dev", repair=True)).status == "ready-for-dev"


@pytest.mark.parametrize("status", ["", "finished", "review"])
def test_an_unknown_status_is_noted_and_never_written(status: str):
    spec = read_spec(SPEC.replace("'in-review'", repr(status)))
    assert (spec.status, spec.story_status) == ("", "")
    assert spec.notes[0].line == 4
    with pytest.raises(DocumentError, match="not a status"):
        set_spec_status(SPEC, status)


def test_frontmatter_that_is_no_yaml_is_noted():
    spec = read_spec("---\nstatus: [\n---\nbody")
    assert spec.status == ""
    assert spec.notes[0].severity == "error"
    assert read_spec("no frontmatter").status == ""


@given(st.lists(st.sampled_from((*SPEC_ORDER, SPEC_BLOCKED))))
def test_no_sequence_of_writers_loses_progress(statuses: list[str]):
    text, order = "---\nstatus: draft\nother: kept\n---\nbody\n", (*SPEC_ORDER, SPEC_BLOCKED)
    for status in statuses:
        before = read_spec(text).status
        text = set_spec_status(text, status)
        assert order.index(read_spec(text).status) >= order.index(before)
        assert text.endswith("other: kept\n---\nbody\n")


@given(st.text())
def test_any_text_is_read_without_a_fall(text: str):
    read_spec(text)
    read_spec("---\nstatus: done\ndeferred: " + text + "\n---\n" + text)
