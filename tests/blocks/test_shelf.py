"""Small values stay as they were put, whoever dies meanwhile."""

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.blocks.atomic_files import MARK, create_atomic, sweep, write_atomic
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.errors import InputError
from storyloom.domain.ports import Shelf


def test_a_value_is_what_was_put_last(tmp_path: Path):
    shelf = FileShelf(tmp_path / "shelf")
    assert isinstance(shelf, Shelf)
    assert shelf.get("answers/1") is None
    shelf.put("answers/1", "yes\r\n")
    shelf.put("answers/1", "no – nein\n")
    assert shelf.get("answers/1") == "no – nein\n"
    assert (tmp_path / "shelf").joinpath("answers%2F1").stat().st_mode & 0o077 == 0


def test_a_new_value_is_put_once(tmp_path: Path):
    shelf = FileShelf(tmp_path)
    assert shelf.put_new("a", "first")
    assert not shelf.put_new("a", "second")
    assert shelf.get("a") == "first"


def _race(folder: str) -> str:
    return str(os.getpid()) if FileShelf(folder).put_new("winner", str(os.getpid())) else ""


def test_of_many_processes_exactly_one_puts_a_new_value(tmp_path: Path):
    with ProcessPoolExecutor(4) as pool:
        for number in range(5):
            folder = str(tmp_path / str(number))
            winners = [name for name in pool.map(_race, [folder] * 8) if name]
            assert winners == [FileShelf(folder).get("winner")]


@given(st.lists(st.text(min_size=1).filter(lambda name: "\0" not in name), unique=True, max_size=5))
def test_names_come_back_as_they_were_given(names: list[str]):
    import tempfile

    names = [name for name in names if name.isprintable() or name.isascii()]
    with tempfile.TemporaryDirectory() as folder:
        shelf = FileShelf(folder)
        for name in names:
            shelf.put_new(name, name)
        assert shelf.names("") == sorted(names)
        assert all(shelf.get(name) == name for name in names)


def test_odd_names_stay_in_the_folder_and_apart(tmp_path: Path):
    shelf = FileShelf(tmp_path / "shelf")
    names = [
        "../x",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a%2Fb",
        "a+/b",
        "+",
        "x" * 1000,
        "x" * 1001,
        "日本" * 100,
        f"{MARK}-1-x",
    ]
    for name in names:
        shelf.put(name, name)
    assert shelf.names("") == sorted(names)
    assert {name: shelf.get(name) for name in names} == {name: name for name in names}
    assert [path.name for path in tmp_path.iterdir()] == ["shelf"]
    assert shelf.names("x") == ["x" * 1000, "x" * 1001]
    for name in ("", "a\0b"):
        with pytest.raises(InputError):
            shelf.put(name, "x")


def test_an_atomic_write_keeps_the_mode_and_syncs_nothing_for_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "deep/er/x"
    write_atomic(file, b"\x00\xff", mode=0o640)
    file.chmod(0o755)
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("a cache needs no sync"))
    write_atomic(file, "text", durable=False)
    assert file.read_text() == "text"
    assert file.stat().st_mode & 0o777 == 0o755
    assert create_atomic(tmp_path / "y", "y", durable=False)
    assert list(tmp_path.rglob(f"{MARK}*")) == []


def test_a_write_that_fails_leaves_the_old_text_and_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "x"
    write_atomic(file, "old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomic(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_temporary_files_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getpid(), os.getppid()):
        (tmp_path / f"{MARK}-{pid}-0").touch()
    assert [Path(path).name for path in sweep(tmp_path)] == [f"{MARK}-{dead.pid}-0"]
    assert FileShelf(tmp_path).sweep() == []
