"""About how many tokens is a text?"""

from __future__ import annotations


def estimate_tokens(text: str) -> int:
    """One token for 3.5 UTF-8 bytes: code and prose lie between 3.3 and 4.5, and counting too many is the safe side."""
    return -(-len(text.encode("utf-8", "surrogatepass")) * 2 // 7)
