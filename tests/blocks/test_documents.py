"""Documents are staged over the main line."""

from pathlib import Path

import pytest
from storyloom.blocks.documents import StagedDocuments
from storyloom.domain.errors import UnsafePath


class Tip:
    texts = {"docs/prd.md": "old", "README.md": "r"}

    def tip(self) -> str:
        return "c1"

    def files(self, commit: str) -> list[str]:
        return sorted(self.texts)

    def read(self, commit: str, path: str) -> str | None:
        return self.texts.get(path)


@pytest.fixture
def documents(tmp_path: Path) -> StagedDocuments:
    return StagedDocuments(Tip(), tmp_path / "staged")


def test_a_staged_text_hides_the_main_lines(documents: StagedDocuments):
    documents.write("docs/prd.md", "new\r\n")
    assert documents.read("docs/prd.md") == "new\r\n"
    assert list(documents.staged()) == ["docs/prd.md"]
    documents.clear()
    assert documents.read("docs/prd.md") == "old"


def test_globs_see_both_without_regard_to_case(documents: StagedDocuments):
    documents.write("docs/PRD-2.md", "x")
    assert documents.glob(["docs/*prd*.md"]) == ["docs/PRD-2.md", "docs/prd.md"]
    assert documents.glob(["readme*"]) == ["README.md"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "", "a/../../b", ".git/config", "a\0b"])
def test_a_path_outside_the_project_is_refused(documents: StagedDocuments, path: str):
    with pytest.raises(UnsafePath):
        documents.write(path, "x")


def test_folders_exist_when_a_file_is_below_them(documents: StagedDocuments):
    assert documents.exists("docs")
    assert not documents.exists("doc")
    documents.write("new/place/x.md", "x")
    assert documents.exists("new/place")
