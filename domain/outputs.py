"""How does a command's output read the same on every run, and fit?"""

from __future__ import annotations

import re

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
UNIT = r" ?(?:ms|µs|us|ns|s|secs?|seconds?)"
MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"\b(in|after|took|duration:?|elapsed:?|time:?) ?\d+(?:\.\d+)?{UNIT}\b"), r"\1 <time>"),
    (re.compile(rf"\(\d+(?:\.\d+)?{UNIT}\)"), "(<time>)"),
    (re.compile(r"\b(duration_ms:?) \d+(?:\.\d+)?"), r"\1 <time>"),
    (re.compile(r"(?m)^(ok\s+\S+\s+)\d+\.\d+s\b"), r"\1<time>"),
    (re.compile(r"(?m)^(FAIL\s+\S+\s+)\d+\.\d+s$"), r"\1<time>"),
    (re.compile(r"\b\d+\.\d+s (call|setup|teardown)\b"), r"<time> \1"),
    (re.compile(r"\b0x[0-9a-fA-F]{6,16}\b"), "<address>"),
    (re.compile(r"(randomly-seed=|seed[:=] ?)\d+"), r"\1<seed>"),
    (re.compile(r"(?:/private)?(?:/var/tmp|/tmp|/var/folders)/[\w.+-]+(?:/pytest-\d+)?"), "<tmp>"),
    (re.compile(r"\b(pid[ =:]+)\d+", re.IGNORECASE), r"\1<pid>"),
    (re.compile(r"(thread '[^']*') \(\d+\) panicked"), r"\1 panicked"),
)
"""What differs from run to run though nothing happened differently: durations, addresses, seeds, temporary folders."""


def stable(output: str, worktree: str = "") -> str:
    """The output without colours and control signs, its folder as ".", and what changes by chance masked."""
    text = ANSI.sub("", output.replace("\r\n", "\n"))
    text = "\n".join(row.rsplit("\r", 1)[-1] for row in text.split("\n"))  # a progress bar's last state
    text = CONTROL.sub("", text).replace("</output", "<\\/output")  # the output stands between these marks
    if worktree:
        text = text.replace(worktree.rstrip("/") + "/", "").replace(worktree.rstrip("/"), ".")
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return text


def clip(text: str, limit: int, *, tail_share: float = 0.75) -> str:
    """At most about `limit` characters: whole lines of the beginning and the end, and how many were left out."""
    if len(text) <= limit:
        return text
    rows = text.split("\n")
    head: list[str] = []
    tail: list[str] = []
    room = int(limit * (1 - tail_share))
    for row in rows:
        room -= len(row) + 1
        if room < 0:
            break
        head.append(row)
    room = int(limit * tail_share)
    for row in reversed(rows[len(head) :]):
        room -= len(row) + 1
        if room < 0:
            break
        tail.append(row)
    left = len(rows) - len(head) - len(tail)
    if not head and not tail:
        return text[: limit // 4] + f"\n… {len(text) - limit} characters left out …\n" + text[-(limit * 3 // 4) :]
    return "\n".join([*head, f"… {left} lines left out …", *reversed(tail)])
