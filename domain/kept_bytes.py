"""What of a file that is not UTF-8 must stay, when its text was read with replacement signs and changed?"""

from __future__ import annotations

import difflib

SIGN = "\ufffd"


def keep_bytes(old: bytes, new: str) -> bytes:
    """The new text as bytes, with the old file's own where the text is as it was read (`errors="replace"`).

    Lines that stayed keep all their bytes; lines that were changed keep those before and after the change.
    """
    rows, lines = old.split(b"\n"), new.split("\n")
    shown = [row.decode(errors="replace") for row in rows]
    kept: list[bytes] = []
    for what, first, last, start, end in difflib.SequenceMatcher(None, shown, lines, autojunk=False).get_opcodes():
        if what == "equal":
            kept += rows[first:last]
        elif what == "replace" and last - first == end - start:
            kept += map(_keep_line, rows[first:last], lines[start:end])
        else:
            kept += (line.encode() for line in lines[start:end])
    return b"\n".join(kept)


def _keep_line(old: bytes, new: str) -> bytes:
    if SIGN not in new:
        return new.encode()
    signs = _signs(old)
    most = min(len(signs), len(new))
    head = next((at for at in range(most) if signs[at][0] != new[at]), most)
    tail = next((at for at in range(most - head) if signs[-1 - at][0] != new[-1 - at]), most - head)
    before, after = signs[:head], signs[len(signs) - tail :]
    middle = new[head : len(new) - tail].encode()
    return b"".join(raw for _, raw in before) + middle + b"".join(raw for _, raw in after)


def _signs(raw: bytes) -> list[tuple[str, bytes]]:
    """Each sign as it is read, with the bytes that it stands for."""
    signs: list[tuple[str, bytes]] = []
    while raw:
        try:
            good, bad = raw.decode(), 0
        except UnicodeDecodeError as error:
            good, bad = raw[: error.start].decode(), error.end
        signs += [(sign, sign.encode()) for sign in good]
        if not bad:
            break
        signs.append((SIGN, raw[len(good.encode()) : bad]))
        raw = raw[bad:]
    return signs
