"""A brief is a text of a few pages in UTF-8; what else is given is refused with the way on."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from storyloom.cli.brief import MOST_BYTES, read_brief
from storyloom.domain.errors import InputError

LARGE = "ü" * MOST_BYTES


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "brief.md is empty. Write"),
        (b"\xef\xbb\xbf \n\t\n", "brief.md is empty. Write"),
        ("An idea:\na café".encode("latin-1"), "brief.md:2: the file is not UTF-8. Save it as UTF-8."),
        ("An idea".encode("utf-16"), "brief.md:1: the file is not UTF-8"),
        (b"\0" * 30, "brief.md:1: a control character is not allowed. Give a Markdown"),
        (b"An idea\n\x1b[31mred", "brief.md:2: a control character"),
        (LARGE.encode(), "brief.md is larger than 256 KiB. A brief is half a page"),
    ],
)
def test_what_is_no_brief_is_refused_with_line_and_remedy(tmp_path: Path, content: bytes, complaint: str):
    path = tmp_path / "brief.md"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_brief(path)
    assert complaint in str(raised.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"is a folder\. Give a Markdown"):
        read_brief(tmp_path)
    with pytest.raises(InputError, match=r"does not exist\. Give the brief's path with --brief"):
        read_brief(tmp_path / "none.md")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device without an end")
def test_a_device_without_an_end_is_refused_and_not_read_into_memory():
    with pytest.raises(InputError, match="larger than"):
        read_brief(Path("/dev/zero"))


def test_a_brief_may_come_out_of_a_pipe_with_its_byte_order_mark_and_line_ends(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"\xef\xbb\xbfAn idea\r\n\tof two lines\n",))
    writer.start()
    assert read_brief(pipe) == "An idea\r\n\tof two lines\n"
    writer.join()
