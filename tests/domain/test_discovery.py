import pytest
from storyloom.domain.discovery import discover, relative
from storyloom.domain.fakes import MemoryDocuments

DOCS = MemoryDocuments({
    "docs/PRD.md": "whole",
    "docs/prd/index.md": "[Users](users.md) and [Out](../../etc/passwd.md) and [Gone](gone.md)",
    "docs/prd/users.md": "u",
    "docs/prd/api.md": "a",
    "docs/epics/epic-1.md": "1",
    "docs/epics/epic-2.md": "2",
    "docs/architecture.md": "own",
})  # fmt: skip
BOTH = {"whole": "{output_folder}/prd.md", "sharded": "{output_folder}/prd/*.md"}


def found(group, **more):
    known = {"output_folder": "docs", **more.pop("known", {})}
    return discover({"g": group}, known, DOCS.glob, DOCS.read, **more)["g"]


def test_everything_that_matches_is_read_the_index_first_whatever_the_case():
    assert found({"whole": "./docs/*prd.md"}) == ("docs/PRD.md",)
    assert found({"sharded": "docs/prd/*.md"}) == ("docs/prd/index.md", "docs/prd/api.md", "docs/prd/users.md")


def test_sharded_comes_first_unless_the_workflow_is_of_the_older_kind():
    assert found(BOTH)[0] == "docs/prd/index.md"
    assert found(BOTH, whole_first=True) == ("docs/PRD.md",)


def test_an_index_guides_to_what_it_links_inside_its_folder():
    group = {"sharded": "docs/prd/*.md", "load_strategy": "INDEX_GUIDED"}
    assert found(group) == ("docs/prd/index.md", "docs/prd/users.md")
    assert found({"sharded": "docs/epics/*.md", "load_strategy": "INDEX_GUIDED"}) == (
        "docs/epics/epic-1.md",
        "docs/epics/epic-2.md",
    )


def test_one_shard_is_selected_by_its_variable_and_all_are_read_when_it_is_not_known():
    group = {
        "sharded": "docs/epics/*.md",
        "sharded_single": "docs/epics/epic-{{epic_num}}.md",
        "load_strategy": "SELECTIVE_LOAD",
    }
    assert found(group, known={"epic_num": 2}) == ("docs/epics/epic-2.md",)
    assert len(found(group)) == 2


def test_the_workflows_own_document_is_no_input_and_nothing_found_is_no_error():
    assert found({"whole": "docs/arch*.md"}, own="docs/architecture.md") == ()
    assert found({"whole": "docs/ux*.md"}) == ()


@pytest.mark.parametrize(("path", "clean"), [("./docs//a.md", "docs/a.md"), ("/docs/a.md", "docs/a.md"), ("", "")])
def test_paths_are_relative_to_the_project(path, clean):
    assert relative(path) == clean
