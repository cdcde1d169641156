"""Which real edits does the standard library's own code give, by mechanical refactorings?"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

MODULES = (
    "argparse", "ast", "base64", "bisect", "calendar", "cmd", "configparser", "contextlib", "csv", "dataclasses",
    "difflib", "dis", "enum", "filecmp", "fileinput", "fnmatch", "fractions", "functools", "getpass", "gettext", "glob",
    "gzip", "hashlib", "heapq", "hmac", "inspect", "ipaddress", "json.decoder", "json.encoder", "linecache", "logging",
    "mailbox", "mimetypes", "netrc", "numbers", "optparse", "pathlib", "pdb", "pickle", "plistlib", "pprint", "queue",
    "random", "sched", "selectors", "shelve", "shlex", "shutil", "socketserver", "statistics", "string", "tabnanny",
    "tarfile", "tempfile", "textwrap", "timeit", "tokenize", "trace", "traceback", "urllib.parse", "uuid", "wave",
    "weakref", "zipfile",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One edit as a model sends it. `after` is the only right outcome; None if refusing is."""

    name: str
    before: str
    search: str
    new: str
    after: str | None
    first: int  # where the block stands in `before`, 1-based
    last: int


def functions(text: str) -> list[tuple[int, int]]:
    """First and last line index (excluded) of plain functions of 4 to 40 lines."""
    return sorted(
        (node.lineno - 1, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and 4 <= (node.end_lineno or 0) - node.lineno + 1 <= 40
    )


Change = Callable[[list[str]], list[str] | None]


def _body(rows: list[str]) -> int:
    """The index of the first line after the signature."""
    return next(n for n, row in enumerate(rows) if row.split("#")[0].rstrip().endswith(":")) + 1


def indent_of(row: str) -> str:
    """The white space at a line's beginning."""
    return row[: len(row) - len(row.lstrip())]


def add_statement(rows: list[str]) -> list[str]:
    """Insert a line before the last."""
    return [*rows[:-1], indent_of(rows[-1]) + "checked = True", rows[-1]]


def add_guard(rows: list[str]) -> list[str] | None:
    """Insert a two-line `if` as the function's first statement."""
    at = _body(rows)
    inner = indent_of(rows[at])
    guard = [f"{inner}if self is None:", f"{inner}    raise ValueError('nothing to work on')"]
    return [*rows[:at], *guard, *rows[at:]]


def rename(rows: list[str]) -> list[str] | None:
    """Rename the most frequent local name."""
    names = Counter(re.findall(r"\b([a-z_]{3,})\b(?=\s*=[^=])", "\n".join(rows[_body(rows) :])))
    if not names:
        return None
    name = names.most_common(1)[0][0]
    return [re.sub(rf"(?<![.\w]){name}\b(?!\s*=[^=].*\))", f"renamed_{name}", row) for row in rows]


def drop_line(rows: list[str]) -> list[str] | None:
    """Delete the last line."""
    return rows[:-1] if len(rows) > 5 else None


def wrap_last(rows: list[str]) -> list[str]:
    """Put the last line below an `if`."""
    inner = indent_of(rows[-1])
    return [*rows[:-1], f"{inner}if ready:", f"    {rows[-1]}"]


def add_parameter(rows: list[str]) -> list[str] | None:
    """Give the signature another parameter."""
    if ")" not in rows[0] or "()" in rows[0]:
        return None
    at = rows[0].rindex(")")
    return [rows[0][:at] + ", *, strict=False" + rows[0][at:], *rows[1:]]


def add_after(rows: list[str]) -> list[str]:
    """Follow the function with another."""
    outer = indent_of(rows[0])
    return [*rows, "", f"{outer}def added_after():", f'{outer}    return "added"']


CHANGES: tuple[Change, ...] = (
    add_statement, add_guard, rename, drop_line, wrap_last, add_parameter, add_after,
)  # fmt: skip


def real_edits(modules: Sequence[str], pairs: int) -> Iterator[Case]:
    """`pairs` edits, taken in turn from the modules and from the refactorings; the block is unique in its file."""
    pools = [pool for module in modules if (pool := list(_of_module(module)))]
    taken = 0
    while taken < pairs and pools:
        for pool in list(pools):
            if pool and taken < pairs:
                yield pool.pop(0)
                taken += 1
        pools = [pool for pool in pools if pool]


def _of_module(module: str) -> Iterator[Case]:
    spec = importlib.util.find_spec(module)
    assert spec
    assert spec.origin
    text = Path(spec.origin).read_text(encoding="utf-8")
    rows = text.split("\n")
    changes = cycle(CHANGES[len(module) % len(CHANGES) :] + CHANGES[: len(module) % len(CHANGES)])
    for low, high in functions(text):
        block = rows[low:high]
        loose = [row.strip() for row in block]
        places = sum([r.strip() for r in rows[n : n + len(block)]] == loose for n in range(len(rows)))
        change = next(changes)
        new = change(block)
        if new is None or new == block or places != 1 or "\t" in "".join(block) or "```" in "".join(block):
            continue
        whole = Edit(low, high, tuple(new))
        small = narrow(rows, whole)
        for size, edit in (("", whole), (" narrow", small)):
            if edit is not None:
                name = f"{module}:{low + 1} {change.__name__}{size}"
                old = "\n".join(rows[edit.low : edit.high]) + "\n"
                after = "\n".join([*rows[: edit.low], *edit.new, *rows[edit.high :]])
                yield Case(name, text, old, "".join(f"{row}\n" for row in edit.new), after, edit.low + 1, edit.high)


@dataclass(frozen=True)
class Edit:
    """Lines `low` to `high` (excluded) become `new`."""

    low: int
    high: int
    new: tuple[str, ...]


def narrow(rows: Sequence[str], edit: Edit) -> Edit | None:
    """The same edit with one line around what changes; None if that is not unique, or all of the block."""
    old = rows[edit.low : edit.high]
    head = next(
        n for n, (mine, theirs) in enumerate(zip([*old, None], [*edit.new, None], strict=False)) if mine != theirs
    )
    pairs = zip([*old[head:][::-1], None], [*edit.new[head:][::-1], None], strict=False)
    tail = next(n for n, (mine, theirs) in enumerate(pairs) if mine != theirs)
    low, end = max(0, head - 1), max(0, tail - 1)
    small = Edit(edit.low + low, edit.high - end, edit.new[low : len(edit.new) - end])
    loose = [row.strip() for row in rows[small.low : small.high]]
    places = sum([r.strip() for r in rows[n : n + len(loose)]] == loose for n in range(len(rows)))
    return small if places == 1 and len(loose) < len(old) and any(loose) else None
