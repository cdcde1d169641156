"""The fake worktree answers like the real one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from storyloom.blocks.project_files import ProjectFiles
from storyloom.domain.errors import InputError, UnsafePath
from storyloom.domain.fakes import MemoryFiles
from storyloom.domain.ports import FilesIn

TEXTS = {"a.py": "one\ntwo\n", "pkg/b.py": "two\r\nthree", "pkg/deep/c.py": "", "pkg/deep/er/d.py": "\ufefffour\n"}


def real(folder: Path) -> FilesIn:
    files = ProjectFiles(folder)
    for path, text in TEXTS.items():
        files.write(path, text)
    return files


def fake(folder: Path) -> FilesIn:
    return MemoryFiles(TEXTS)


@pytest.fixture(params=[real, fake])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FilesIn:
    make: Callable[[Path], FilesIn] = request.param
    return make(tmp_path)


def test_it_is_the_port(files: FilesIn):
    assert isinstance(files, FilesIn)


def test_texts_are_read_as_they_are(files: FilesIn):
    assert {path: files.read(path) for path in TEXTS} == TEXTS
    assert files.read("nowhere.py") is None


def test_texts_are_written_and_deleted(files: FilesIn):
    files.write("new/x.py", "y\r\n")
    assert files.read("new/x.py") == "y\r\n"
    assert files.delete("new/x.py") is True
    assert files.delete("new/x.py") is False
    assert files.read("new/x.py") is None


def test_files_and_folders_exist(files: FilesIn):
    assert [files.exists(path) for path in (".", "a.py", "pkg", "pkg/deep", "pk", "a")] == [True] * 4 + [False] * 2


@pytest.mark.parametrize(
    ("path", "depth", "names"),
    [
        (".", 1, ["a.py", "pkg/"]),
        (".", 2, ["a.py", "pkg/", "pkg/b.py", "pkg/deep/"]),
        ("pkg", 1, ["pkg/b.py", "pkg/deep/"]),
        ("pkg/deep", 3, ["pkg/deep/c.py", "pkg/deep/er/", "pkg/deep/er/d.py"]),
        ("nowhere", 2, []),
    ],
)
def test_folders_are_listed(files: FilesIn, path: str, depth: int, names: list[str]):
    assert list(files.list(path, depth)) == names


def test_lines_are_found(files: FilesIn):
    found = files.search("t[wh]")
    assert [(hit.path, hit.line, hit.text) for hit in found] == [
        ("a.py", 2, "two"),
        ("pkg/b.py", 1, "two"),
        ("pkg/b.py", 2, "three"),
    ]
    assert [hit.path for hit in files.search("two", "pkg")] == ["pkg/b.py"]
    assert [hit.path for hit in files.search("two", "a.py")] == ["a.py"]
    assert len(files.search("t", limit=2)) == 2


@pytest.mark.parametrize("pattern", ["needle", "needl[e]"])
def test_only_a_line_feed_ends_a_line_that_is_searched(files: FilesIn, pattern: str):
    files.write("odd.py", "one\n\x0c\ntwo\u2028\x0b\x85\rtwo\r\nneedle\r\n")
    assert [(hit.line, hit.text) for hit in files.search(pattern, "odd.py")] == [(4, "needle")]


def test_a_file_has_as_many_lines_to_search_as_to_read(files: FilesIn):
    for text, count in (("", 0), ("\n", 1), ("a", 1), ("a\n\n", 2), ("\ra\r", 1)):
        files.write("odd.py", text)
        assert [hit.line for hit in files.search(".*", "odd.py")] == list(range(1, count + 1))


def test_what_is_no_expression_is_refused(files: FilesIn):
    with pytest.raises(InputError):
        files.search("(")


@pytest.mark.parametrize("path", ["../a.py", "/etc/passwd", ".git/config", ".GIT/HEAD"])
def test_paths_outside_are_refused(files: FilesIn, path: str):
    with pytest.raises(UnsafePath):
        files.read(path)
    with pytest.raises(UnsafePath):
        files.write(path, "x")
