"""How is a text made one that every file and database takes?  Models and JSON escapes yield halves of characters."""

from __future__ import annotations

import json
from typing import Any


def whole(text: str) -> str:
    """The text with surrogate pairs joined and lone halves replaced by U+FFFD; a clean text is returned as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def loads(text: str) -> Any:
    """The JSON value in a text, its strings whole.

    Raises:
        ValueError: there is none.
    """
    return whole_value(json.loads(whole(text)))


def whole_value(value: Any) -> Any:
    """A JSON value with all its strings whole."""
    written = json.dumps(value, ensure_ascii=False)
    mended = whole(written)
    return value if mended is written else json.loads(mended)
