"""A project can replace one file of the method, or add its own."""

from pathlib import Path

from storyloom.blocks.method_texts import MethodTexts


def test_a_projects_file_replaces_the_shipped_one_and_others_stay(tmp_path: Path):
    own = tmp_path / ".bmad" / "method" / "personas"
    own.mkdir(parents=True)
    (own / "mine.md").write_text("hello")
    texts = MethodTexts(tmp_path)
    assert texts.read("personas/mine.md") == "hello"
    assert "personas/mine.md" in texts.names("personas")


def test_paths_that_climb_out_are_not_there(tmp_path: Path):
    assert MethodTexts(tmp_path).read("../pyproject.toml") is None
    assert MethodTexts(tmp_path).read("nothing/here.md") is None
