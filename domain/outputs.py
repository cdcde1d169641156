"""How does a command's output read the same on every run, and fit?"""

from __future__ import annotations

import re

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
TIME = r"\d+(?:\.\d+)? ?(?:ms|µs|us|ns|s|secs?|seconds?)\b"
PYTEST = r"(?:=+ )?(?:(?:\d+ [a-z]+(?:, )?)+|no tests (?:ran|collected)[^\n]*?)"
DONE = "finished|done|compiled|built|bundled|resolved|prepared|installed|uninstalled|audited|added|removed|up to date"
TIMED = (
    r"Ran \d+ tests? in ",  # unittest
    r"test result: .*; finished in ",  # cargo
    rf"[ \t]*(?:[✓✔] )?(?i:{DONE})\b[^'\"=\n]*? in ",  # cargo, rspec, builders, installers
    r"[ \t]*(?:Time:|(?:\[INFO\] )?Total time:|Duration )[ \t]*",  # jest, maven, vitest
    r"(?:\[\w+\] )?(?:Tests run: |\S+ -- ).*Time elapsed: ",  # maven
    r"BUILD \w+ in ",  # gradle
    r"(?:ok|FAIL)[ \t]+\S+[ \t]+",  # go
    r"[ \t]*(?:---|[✓✔✕✖✗×√▶]|PASS|FAIL|\d+ (?:passing|pending|failing)\b).* \(",  # go, node, jest, mocha
    r"[ \t]*[✓✔×❯] .*\(\d+ tests?[^)\n]*\) ",  # vitest
)
"""How the lines begin in which a runner says how long a test, or all of it, took."""
SEEDED = (
    r"Using --(?:randomly|random-order)-seed=",  # pytest
    r"Run options: .*--seed ",  # minitest
    r"Randomized with seed ",  # rspec
    r"Using random seed:? ",  # Python's own tests
    r"Seed:[ \t]+",  # jest
)
"""How the lines begin in which a runner says by which seed it has mixed the tests."""
MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"(?m)^((?:{'|'.join(TIMED)})){TIME}"), r"\1<time>"),
    (re.compile(rf"(?m)^({PYTEST} in )\d+\.\d+s(?: \(\d[\d:]*\))?(?=(?: =+)?$)"), r"\1<time>"),
    (re.compile(r"(?m)^([ \t]*(?:[#ℹ] )?duration_ms:? )\d+(?:\.\d+)?"), r"\1<time>"),
    (re.compile(r"(?m)^\d+\.\d+s (call|setup|teardown)\b"), r"<time> \1"),
    (re.compile(rf"\(files took {TIME} to load\)"), "(files took <time> to load)"),
    (re.compile(r" at 0x[0-9a-fA-F]{6,16}(?=>)"), " at <address>"),
    (re.compile(r"(?m)^((?:Current t|T)hread )0x[0-9a-fA-F]{6,16}\b"), r"\1<address>"),
    (re.compile(rf"(?m)^({'|'.join(SEEDED)})-?\d+"), r"\1<seed>"),
    (re.compile(r"(?:/private)?(?:/var/tmp|/tmp|/var/folders)/[\w.+-]+(?:/pytest-\d+)?"), "<tmp>"),
    (re.compile(r"\b(pid[ =:]+)\d+", re.IGNORECASE), r"\1<pid>"),
    (re.compile(r"(thread '[^']*') \(\d+\) panicked"), r"\1 panicked"),
)
"""What differs from run to run though nothing happened differently: durations, addresses, seeds, temporary folders.

Times, addresses and seeds only where a runner or the interpreter tells them: in what a test compares, they may be all
that is wrong.
"""


def stable(output: str, worktree: str = "") -> str:
    """The output without colours and control signs, its folder as ".", and what changes by chance masked."""
    text = ANSI.sub("", output.replace("\r\n", "\n"))
    text = "\n".join(row.rstrip("\r").rsplit("\r", 1)[-1] for row in text.split("\n"))  # a progress bar's last state
    text = CONTROL.sub("", text).replace("</output", "<\\/output")  # the output stands between these marks
    if worktree:
        text = text.replace(worktree.rstrip("/") + "/", "").replace(worktree.rstrip("/"), ".")
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return text


def clip(text: str, limit: int, *, tail_share: float = 0.75) -> str:
    """At most about `limit` characters: whole lines of the beginning and the end, and how many were left out.

    Where lines are so long that whole ones would fill less than half of it, they are cut.
    """
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
    if sum(len(row) + 1 for row in (*head, *tail)) < limit // 2:
        return text[: limit // 4] + f"\n… {len(text) - limit} characters left out …\n" + text[-(limit * 3 // 4) :]
    return "\n".join([*head, f"… {left} lines left out …", *reversed(tail)])
