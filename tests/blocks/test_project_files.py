"""A model's reads and writes touch its worktree and nothing else."""

import ctypes
import os
import socket
import threading
from pathlib import Path

import pytest
from storyloom.blocks.project_files import ProjectFiles
from storyloom.domain.errors import InputError, UnsafePath
from storyloom.domain.ports import FilesIn

from .conftest import git


@pytest.fixture(params=[False, True], ids=["kernel", "portable"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> ProjectFiles:
    """A folder with every trap in it, next to an outside that must stay as it is."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "target").write_text("untouched")
    (root / "plain.txt").write_text("plain\n")
    (root / "link").symlink_to(outside)
    (root / "deep/link").symlink_to("../../outside")
    (root / "linked.txt").symlink_to(outside / "target")
    (root / "dangling").symlink_to(outside / "new")
    (root / "loop").symlink_to("loop")
    os.link(outside / "target", root / "hard")
    os.mkfifo(root / "pipe")
    return ProjectFiles(root, portable=request.param)


def outside(files: ProjectFiles) -> dict[str, str]:
    return {path.name: path.read_text() for path in (files.root.parent / "outside").iterdir()}


TRAPS = ["link/new", "link/target", "deep/link/new", "linked.txt", "dangling", "loop", "loop/x", "hard", "pipe"]


@pytest.mark.parametrize("path", TRAPS)
def test_nothing_is_written_or_read_through_a_trap(files: ProjectFiles, path: str):
    with pytest.raises(UnsafePath):
        files.write(path, "EVIL")
    with pytest.raises(UnsafePath):
        files.read(path)
    assert outside(files) == {"target": "untouched"}


def test_a_socket_is_no_file(files: ProjectFiles, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(files.root)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        with pytest.raises(UnsafePath):
            files.read("sock")
        with pytest.raises(UnsafePath):
            files.write("sock", "x")


def test_a_link_is_deleted_and_not_what_it_points_at(files: ProjectFiles):
    assert files.delete("linked.txt")
    assert not (files.root / "linked.txt").is_symlink()
    assert outside(files) == {"target": "untouched"}
    with pytest.raises(UnsafePath):
        files.delete("link/target")


def test_a_text_comes_back_exactly(files: ProjectFiles):
    assert isinstance(files, FilesIn)
    for text in ("", "a\r\nb\n", "\ufeffx", "no newline", "tab\tüñ日本 🎉\n", "\u2028"):
        files.write("src/new/file.txt", text)
        assert files.read("src/new/file.txt") == text
        assert (files.root / "src/new/file.txt").read_bytes() == text.encode()


def test_a_file_keeps_its_mode_and_a_new_one_is_ordinary(files: ProjectFiles):
    (files.root / "plain.txt").chmod(0o755)
    files.write("plain.txt", "changed")
    files.write("new.txt", "new")
    assert (files.root / "plain.txt").stat().st_mode & 0o777 == 0o755
    assert (files.root / "new.txt").stat().st_mode & 0o777 == 0o644
    assert not list(files.root.rglob(".storyloom*"))


def test_what_is_no_text_is_refused_with_the_reason(files: ProjectFiles):
    (files.root / "latin").write_bytes(b"caf\xe9")
    (files.root / "binary").write_bytes(b"a\0b")
    (files.root / "large").write_bytes(b"x" * (5 << 20))
    for path, reason in (("latin", "UTF-8"), ("binary", "NUL"), ("large", "bytes"), ("deep", "folder")):
        with pytest.raises(InputError, match=reason):
            files.read(path)
    with pytest.raises(InputError, match="UTF-8"):
        files.write("lone", "a\ud800")
    assert not files.exists("lone")
    with pytest.raises(InputError, match="at most"):
        files.write("large2", "x" * (5 << 20))


def test_a_folder_or_a_file_in_the_way_is_told(files: ProjectFiles):
    with pytest.raises(InputError, match="is a folder"):
        files.write("deep", "x")
    with pytest.raises(InputError, match="where a folder should be"):
        files.write("plain.txt/x", "x")
    with pytest.raises(InputError, match="is a folder"):
        files.delete("deep")


def test_what_is_not_there_is_said_quietly(files: ProjectFiles):
    assert files.read("nothing") is None
    assert files.read("nothing/at/all") is None
    assert files.read("plain.txt/x") is None
    assert not files.delete("nothing")
    assert not files.delete("nothing/x")
    assert not files.exists("nothing")
    assert files.exists("plain.txt")
    assert files.exists("deep")
    assert files.exists(".")
    assert files.delete("plain.txt")
    assert not files.exists("plain.txt")


def test_a_listing_goes_down_as_far_as_asked_and_not_through_links(files: ProjectFiles):
    files.write("a/b/c/d.txt", "x")
    files.write(".hidden", "x")
    (files.root / ".env").write_text("SECRET=1")
    assert files.list(".", 1) == [".hidden", "a/", "hard", "plain.txt"]
    assert files.list(".", 2) == [".hidden", "a/", "a/b/", "hard", "plain.txt"]
    assert files.list("a", 3) == ["a/b/", "a/b/c/", "a/b/c/d.txt"]
    assert files.list("nothing") == []
    assert files.list("a", 0) == ["a/b/"]
    with pytest.raises(UnsafePath):
        files.list("link")


def test_what_git_ignores_is_neither_listed_nor_searched(files: ProjectFiles):
    git(files.root, "init", "-q")
    (files.root / ".gitignore").write_text("build/\n*.log\n")
    files.write("build/x.py", "needle")
    files.write("x.log", "needle")
    files.write("src/x.py", "needle")
    assert "build/" not in files.list()
    assert "src/x.py" in files.list()
    assert [hit.path for hit in files.search("needle")] == ["src/x.py"]
    assert ".git/" not in files.list()
    (files.root / ".git/HEAD").write_text("broken")
    assert "src/x.py" in files.list()


@pytest.mark.parametrize("pattern", ["needle", r"n[e]{2}dle\b", "^needle$"])
def test_a_search_finds_lines_by_path_and_number(files: ProjectFiles, pattern: str):
    files.write("b.txt", "x\nneedle\nneedle\n")
    files.write("a/a.txt", "needle\r\nx")
    found = [(hit.path, hit.line, hit.text) for hit in files.search(pattern)]
    assert found == [("a/a.txt", 1, "needle"), ("b.txt", 2, "needle"), ("b.txt", 3, "needle")]
    assert len(files.search(pattern, limit=2)) == 2
    assert [hit.path for hit in files.search(pattern, "a")] == ["a/a.txt"]
    assert [hit.line for hit in files.search(pattern, "b.txt")] == [2, 3]
    assert files.search("untouched") == []


def test_a_pattern_that_never_ends_is_ended(files: ProjectFiles, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("storyloom.blocks.project_files.SEARCH_S", 0.5)
    files.write("a.txt", "a" * 60 + "!")
    with pytest.raises(InputError, match="took more than"):
        files.search("(a+)+$")
    for pattern in ("(", "a{99999999999}", "(" * 5000 + ")" * 5000):
        with pytest.raises(InputError, match=r"not a regular expression|failed"):
            files.search(pattern)


def test_a_folder_swapped_for_a_link_never_leads_out(files: ProjectFiles):
    (files.root / "race").mkdir()
    (files.root / "swap").symlink_to(files.root.parent / "outside")
    libc, stop = ctypes.CDLL(None), threading.Event()

    def swap() -> None:
        one, other = os.fsencode(files.root / "race"), os.fsencode(files.root / "swap")
        while not stop.is_set():
            libc.syscall(316, -100, one, -100, other, 2)  # renameat2(RENAME_EXCHANGE) on x86-64

    if os.uname().machine != "x86_64":
        pytest.skip("the exchange of two names is asked for by its number on x86-64")
    swapper = threading.Thread(target=swap)
    swapper.start()
    written = refused = 0
    try:
        for _ in range(1500):
            try:
                files.write("race/new", "EVIL")
                written += 1
            except (UnsafePath, InputError, OSError):
                refused += 1
    finally:
        stop.set()
        swapper.join()
    assert outside(files) == {"target": "untouched"}
    assert written
    assert refused
