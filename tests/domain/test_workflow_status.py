from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import DocumentError
from storyloom.domain.workflow_items import judge_value
from storyloom.domain.workflow_status import mark_done, mark_skipped, read_workflow_status, set_field

FLAT = """\
# tracking, keep me
generated: "2025-11-01"
project: Shelf
selected_track: method
workflow_status:
  # Phase 1
  product-brief: docs/brief.md   # by Mary
  research: skipped
  prd: required
  create-design: "conditional"   # if_has_ui
  architecture: recommended

tail: kept
"""
PHASES = """\
project: Shelf
workflow_status:
  - phase: 1
    name: Planning
    workflows:
      - id: prd
        status: docs/prd.md
        agent: pm
      - id: create-architecture
        status: required   # next
        note: "x"
  - phase: 2
    name: Solutioning
    workflows:
      - {id: epics, optional: true, status: optional}
      - id: readiness
        status:
"""
KEYS = """\
# Status

PROJECT_NAME: Shelf
PROJECT_LEVEL: 2
CURRENT_PHASE: 2-Planning
CURRENT_WORKFLOW: brief - Complete
PHASE_1_COMPLETE: true
PHASE_2_COMPLETE: false
STORIES_SEQUENCE: [1.1, 1.2, 1.3]
IN_PROGRESS_STORY: story-1.2.md
STORIES_DONE: [1.1]
NEXT_COMMAND: prd
"""
TOLD = """\
# Project Workflow Status

**Project:** Shelf
- **Project Level:** 3 (large)

**Current Phase:** 2-Plan
**Current Workflow:** ux-spec - Complete

- [ ] **1-Analysis** - Research (optional) - SKIPPED
- [x] **2-Plan** - PRD - COMPLETED
- [ ] **3-Solutioning** - Architecture - IN PROGRESS

| Phase | Step | Agent | Description | Status |
| ----- | ---- | ----- | ----------- | ------ |
| 2-Plan | ux-spec | PM | Wire\\|frames | Complete |
| 3-Solutioning | solution-architecture | Architect | Planned in June | Planned |
| 3-Solutioning | tech-spec (iterative) | Architect | per epic | Optional |

#### BACKLOG (Not Yet Drafted)

| Epic | Story | ID | Title | File |
| --- | --- | --- | --- | --- |
| Epic 1 | Story 3 | MP-3 | Proxy | story-1.3.md |

#### DONE (Completed Stories)

| Story ID | File | Points |
| --- | --- | --- |
| 1.1 | story-1.1.md | 8 |
"""


def states(text: str, path: str = "x.yaml") -> dict[str, str]:
    return {item.id: item.state for item in read_workflow_status(text, path).items}


def test_the_flat_shape_is_read():
    status = read_workflow_status(FLAT)
    assert (status.shape, status.project, status.notes) == ("flat", "Shelf", ())
    assert states(FLAT) == {
        "product-brief": "done", "research": "skipped", "prd": "pending", "create-design": "pending",
        "architecture": "pending",
    }  # fmt: skip
    assert status.get("product-brief").file == "docs/brief.md"
    assert status.get("design").need == "conditional"
    assert status.next.id == "prd"


def test_the_shape_by_phases_is_read():
    status = read_workflow_status(PHASES)
    assert status.shape == "phases"
    assert [(item.id, item.state, item.need, item.phase, item.agent) for item in status.items] == [
        ("prd", "done", "", "Planning", "pm"),
        ("create-architecture", "pending", "required", "Planning", ""),
        ("epics", "pending", "optional", "Solutioning", ""),
        ("readiness", "pending", "", "Solutioning", ""),
    ]
    assert status.next.id == "create-architecture"


def test_nested_maps_met_in_the_wild_are_read():
    text = "workflow_status:\n  planning:\n    prd: docs/prd.md\n    epics: {status: complete, file: docs/epics.md}\n"
    status = read_workflow_status(text)
    assert [(item.id, item.state, item.file) for item in status.items] == [
        ("prd", "done", "docs/prd.md"),
        ("epics", "done", "docs/epics.md"),
    ]


def test_marking_a_workflow_done_changes_its_value_alone():
    done = mark_done(FLAT, "prd", "docs/prd.md")
    assert done == FLAT.replace("prd: required", "prd: docs/prd.md")
    assert mark_done(done, "prd", "docs/prd.md") == done
    assert mark_done(FLAT, "design", "docs/a b.md") == FLAT.replace('"conditional"', '"docs/a b.md"')
    crlf = FLAT.replace("\n", "\r\n")
    assert mark_done(crlf, "prd", "docs/prd.md") == crlf.replace("prd: required", "prd: docs/prd.md")


def test_marking_works_in_the_shape_by_phases_too():
    done = mark_done(PHASES, "architecture", "docs/architecture.md")
    assert done == PHASES.replace("status: required   # next", "status: docs/architecture.md   # next")
    filled = mark_done(PHASES, "readiness", "docs/r.md")
    assert read_workflow_status(filled).get("readiness").file == "docs/r.md"
    assert mark_done(PHASES, "epics", "docs/epics.md") == PHASES.replace("status: optional}", "status: docs/epics.md}")


def test_a_workflow_that_is_not_listed_is_added_to_a_flat_file_and_refused_elsewhere():
    added = mark_done(FLAT, "test-design", "docs/tests: all.md")
    assert yaml.safe_load(added)["workflow_status"]["test-design"] == "docs/tests: all.md"
    assert added.replace('  test-design: "docs/tests: all.md"\n', "") == FLAT
    with pytest.raises(DocumentError, match="does not list") as caught:
        mark_done(PHASES, "test-design", "x.md")
    assert "create-architecture" in caught.value.remedy


def test_a_done_workflow_is_not_skipped_any_more():
    assert mark_skipped(FLAT, "product-brief") == FLAT
    assert mark_skipped(FLAT, "architecture") == FLAT.replace("recommended", "skipped")


@pytest.mark.parametrize(
    "text", ["", "a: [", "- a", "workflow_status: x", "project: y", "workflow_status: " + "[" * 1000]
)
def test_a_file_that_cannot_be_read_is_reported_and_not_changed(text: str):
    status = read_workflow_status(text, "s.yaml")
    assert status.shape == "none"
    assert status.notes[0].severity == "error"
    with pytest.raises(DocumentError):
        mark_done(text, "prd", "x.md", path="s.yaml")


def test_odd_values_and_doubles_are_noted():
    status = read_workflow_status("workflow_status:\n  prd: whenever\n  a: required\n  a: done\n")
    assert [note.line for note in status.notes] == [2, 4]
    with pytest.raises(DocumentError, match="twice"):
        mark_done("workflow_status:\n  a: required\n  a: done\n", "a", "x.md")


def test_a_huge_file_is_refused():
    with pytest.raises(DocumentError):
        read_workflow_status("#" * 3_000_000)


@pytest.mark.parametrize(
    ("value", "state", "need", "file"),
    [
        ("required", "pending", "required", ""),
        ("conditional (if_has_ui)", "pending", "conditional", ""),
        ("Optional", "pending", "optional", ""),
        ("done", "done", "", ""),
        ("docs/prd.md", "done", "", "docs/prd.md"),
        ("PRD.md", "done", "", "PRD.md"),
        ("completed - docs/prd.md", "done", "", "docs/prd.md"),
        ("skipped", "skipped", "", ""),
        ("in_progress", "pending", "", ""),
        ("", "pending", "", ""),
    ],
)
def test_values_are_understood(value: str, state: str, need: str, file: str):
    assert judge_value(value) == (state, need, file)


# --- Markdown ------------------------------------------------------------------------------------------------------


def test_the_key_lines_are_read():
    status = read_workflow_status(KEYS, "s.md")
    assert (status.shape, status.project, status.fields["project_level"]) == ("keys", "Shelf", "2")
    assert states(KEYS, "s.md") == {"phase-1": "done", "phase-2": "pending"}
    assert status.stories == {"1.1": "done", "1.2": "in-progress", "1.3": "backlog"}


def test_a_key_line_is_changed_alone():
    assert set_field(KEYS, "CURRENT_PHASE", "3-Solutioning") == KEYS.replace("2-Planning", "3-Solutioning")
    done = mark_done(KEYS, "prd", "docs/prd.md", path="s.md")
    assert done == KEYS.replace("brief - Complete", "prd - Complete (docs/prd.md)")
    assert mark_done(done, "prd", "docs/prd.md", path="s.md") == done
    with pytest.raises(DocumentError, match="no line"):
        set_field(KEYS, "NO_SUCH", "x")
    with pytest.raises(DocumentError, match="does not list"):
        mark_skipped(KEYS, "prd", path="s.md")


def test_the_told_form_is_read_by_its_tables_and_lines():
    status = read_workflow_status(TOLD, "s.md")
    assert (status.shape, status.project, status.fields["current_phase"]) == ("narrative", "Shelf", "2-Plan")
    assert status.fields["project_level"] == "3 (large)"
    assert states(TOLD, "s.md") == {
        "ux-spec": "done", "solution-architecture": "pending", "tech-spec (iterative)": "pending",
        "phase-1-Analysis": "skipped", "phase-2-Plan": "done", "phase-3-Solutioning": "pending",
    }  # fmt: skip
    assert status.get("tech-spec").need == "optional"
    assert status.next.id == "solution-architecture"
    assert status.stories == {"1.3": "backlog", "1.1": "done"}


def test_the_told_form_is_marked_in_its_row_and_its_current_line():
    done = mark_done(TOLD, "solution-architecture", "docs/architecture.md", path="s.md")
    expected = TOLD.replace("Planned in June | Planned |", "Planned in June | Complete |").replace(
        "ux-spec - Complete", "solution-architecture - Complete (docs/architecture.md)"
    )
    assert done == expected
    skipped = mark_skipped(TOLD, "tech-spec", path="s.md")
    assert skipped == TOLD.replace("per epic | Optional |", "per epic | Skipped |")


def test_a_text_about_something_else_is_no_status_file():
    assert read_workflow_status("# Hello\n\nworld\n", "s.md").shape == "none"


@given(st.text())
def test_any_text_is_read_without_a_fall(text: str):
    for path in ("s.md", "s.yaml"):
        read_workflow_status(text, path)
        read_workflow_status(FLAT + text, path)
        read_workflow_status(TOLD + text, path)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=30))
def test_every_file_name_comes_back_from_the_yaml(name: str):
    for workflow in ("prd", "create-design", "research", "new-one"):
        data = yaml.safe_load(mark_done(FLAT, workflow, f"docs/{name}.md"))
        assert data["workflow_status"][workflow] == f"docs/{name}.md"
        assert data["tail"] == "kept"


@pytest.mark.parametrize("workflow", ["brief", "prd"])
def test_a_value_that_others_share_is_not_changed(workflow: str):
    text = "workflow_status:\n  brief: &need required\n  prd: *need\n"
    with pytest.raises(DocumentError, match=f"`{workflow}` has no value to change"):
        mark_done(text, workflow, "docs/x.md")
