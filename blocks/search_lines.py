"""Which lines of these files match a pattern?  A program of its own, so that a pattern that never ends can be ended.

Standard input: a JSON object with root, paths, pattern, limit, line_signs and file_bytes. Standard output: a JSON list
of [path, line, text], or a text that says what is wrong with the pattern. Run by its path, isolated: it imports nothing
of ours.
"""

from __future__ import annotations

import json
import os
import re
import resource
import stat
import sys


def lines_matching(
    root: str, paths: list[str], pattern: str, *, limit: int, line_signs: int, file_bytes: int
) -> list[tuple[str, int, str]]:
    """The first `limit` matching lines as (path, 1-based line, text cut at `line_signs`), in the order of `paths`."""
    matches = re.compile(pattern).search
    found: list[tuple[str, int, str]] = []
    for path in paths:
        text = _text(root, path, file_bytes)
        for number, line in enumerate(_rows(text), 1):
            if matches(line):
                found.append((path, number, line[:line_signs]))
                if len(found) >= limit:
                    return found
    return found


def _rows(text: str) -> list[str]:
    """A text's lines, counted as they are when a file is read: only a line feed ends one."""
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _text(root: str, path: str, file_bytes: int) -> str:
    """A plain file's text, "" for anything else; opened folder by folder and never through a link."""
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        parts = path.split("/")
        for part in parts:
            kind = os.O_NONBLOCK if part is parts[-1] else os.O_DIRECTORY
            following = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=current)
            os.close(current)
            current = following
        told = os.fstat(current)
        if not stat.S_ISREG(told.st_mode) or told.st_nlink > 1 or told.st_size > file_bytes:
            return ""
        with os.fdopen(os.dup(current), "rb") as file:
            data = file.read(file_bytes)
        return "" if b"\0" in data[:8192] else data.decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(current)


def main() -> None:
    """Answer one request."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    try:
        json.dump(lines_matching(**json.load(sys.stdin)), sys.stdout)
    except (re.error, RecursionError, OverflowError) as error:
        json.dump(str(error), sys.stdout)


if __name__ == "__main__":
    main()
