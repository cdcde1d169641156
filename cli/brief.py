"""What does the file say that a person gave as the brief?"""

from __future__ import annotations

import re
from pathlib import Path

from storyloom.domain.errors import InputError

MOST_BYTES = 256 * 1024
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
TEXT = "Give a Markdown or text file."


def read_brief(path: Path) -> str:
    """The brief's text. No more is read than a brief may have, so that a device or pipe may stand there, too.

    Raises:
        InputError: it is not there, empty, too large, or no text in UTF-8; with the line where there is one.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.", remedy="Give the brief's path with --brief.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder.", remedy=TEXT) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).", remedy=TEXT) from None
    if len(raw) > MOST_BYTES:
        raise InputError(
            f"{path} is larger than {MOST_BYTES >> 10} KiB.", remedy="A brief is half a page to a few pages."
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: the file is not UTF-8.", remedy="Save it as UTF-8.") from None
    if found := CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise InputError(f"{path}:{line}: a control character is not allowed.", remedy=TEXT)
    if not text.strip():
        raise InputError(f"{path} is empty.", remedy="Write the idea down in a few sentences.")
    return text
