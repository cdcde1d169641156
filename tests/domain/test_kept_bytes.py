"""What we do not change in a file stays byte for byte, whatever encoding it has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.board import set_status
from storyloom.domain.kept_bytes import keep_bytes

BOARD = (
    "# café\r\ndevelopment_status:\r\n  epic-1: in-progress # é\r\n  1-1-naïve: backlog  # jusqu'à mardi\r\n# fin: ü"
)


@given(st.binary(max_size=60))
def test_a_text_that_was_only_read_keeps_every_byte(old: bytes):
    assert keep_bytes(old, old.decode(errors="replace")) == old


@given(st.binary(max_size=40), st.binary(max_size=40), st.sampled_from(["", "x", "ü\n", "\n\n"]))
def test_what_stands_before_and_after_a_change_keeps_its_bytes(before: bytes, after: bytes, put: str):
    lines = [before, b"done", after]
    new = "\n".join([before.decode(errors="replace"), put + "changed", after.decode(errors="replace")])
    kept = keep_bytes(b"\n".join(lines), new)
    assert kept == before + b"\n" + put.encode() + b"changed\n" + after


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8"])
def test_a_board_in_another_encoding_changes_in_its_status_alone(encoding: str):
    old = BOARD.encode(encoding)
    new = set_status(old.decode(errors="replace"), "1-1-na\ufffdve" if encoding != "utf-8" else "1-1-naïve", "done")
    assert keep_bytes(old, new) == BOARD.replace("backlog", "done").encode(encoding)
