"""How often is a model's slip in an edit mended or refused with a useful reply, and is one ever applied wrongly?

Real edits are made by mechanical refactorings of the standard library's own modules, then spoiled in the ways in which
models spoil them. The same cases go through `apply_edits` and through a naive `str.replace`. Nothing is random: the
same Python gives the same cases.

    python benchmarks/edits.py            # some 2,000 cases
    python benchmarks/edits.py --pairs 15 --modules textwrap shlex
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from storyloom.domain.edits import EditResult, apply_edits

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


# ---------------------------------------------------------------------------------------------------------------------
# Real edits: what a mechanical refactoring does to one function


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


def _indent(row: str) -> str:
    return row[: len(row) - len(row.lstrip())]


def add_statement(rows: list[str]) -> list[str]:
    """Insert a line before the last."""
    return [*rows[:-1], _indent(rows[-1]) + "checked = True", rows[-1]]


def add_guard(rows: list[str]) -> list[str] | None:
    """Insert a two-line `if` as the function's first statement."""
    at = _body(rows)
    inner = _indent(rows[at])
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
    inner = _indent(rows[-1])
    return [*rows[:-1], f"{inner}if ready:", f"    {rows[-1]}"]


def add_parameter(rows: list[str]) -> list[str] | None:
    """Give the signature another parameter."""
    if ")" not in rows[0] or "()" in rows[0]:
        return None
    at = rows[0].rindex(")")
    return [rows[0][:at] + ", *, strict=False" + rows[0][at:], *rows[1:]]


def add_after(rows: list[str]) -> list[str]:
    """Follow the function with another."""
    outer = _indent(rows[0])
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


# ---------------------------------------------------------------------------------------------------------------------
# Slips


def _each(text: str, how: Callable[[str], str]) -> str:
    return "\n".join(how(row) if row.strip() else row for row in text.split("\n"))


def _margin(case: Case) -> str:
    rows = [row for row in (case.search + case.new).split("\n") if row.strip()]
    return min((_indent(row) for row in rows), key=len)


def exact(case: Case) -> Case:
    """As it should be."""
    return case


def trailing_spaces(case: Case) -> Case:
    """The search text has spaces at its lines' ends."""
    return replace(case, search=_each(case.search, lambda row: row + "  "))


def trailing_spaces_both(case: Case) -> Case:
    """Every line of the answer has a space at its end, also those that change."""
    return replace(case, search=_each(case.search, lambda row: row + " "))


def trailing_spaces_in_file(case: Case) -> Case:
    """The file's unchanged lines have spaces at their ends, the answer does not."""
    if case.search.count("\n") < 2:
        return replace(case, name="")
    rows = case.before.split("\n")
    at = case.first - 1
    rows[at + 1] += "   "
    done = (case.after or "").split("\n")
    kept = [n for n, row in enumerate(done[at : at + 6], at) if row == case.before.split("\n")[at + 1]]
    if len(kept) != 1 or not rows[at + 1].strip():
        return replace(case, name="")
    done[kept[0]] += "   "
    return replace(case, before="\n".join(rows), after="\n".join(done))


def tabs_for_spaces(case: Case) -> Case:
    """The answer is indented with tabs, the file with spaces."""
    return replace(case, search=_each(case.search, _tabbed), new=_each(case.new, _tabbed))


def _tabbed(row: str) -> str:
    wide = len(_indent(row))
    return "\t" * (wide // 4) + " " * (wide % 4) + row.lstrip()


def spaces_for_tabs(case: Case) -> Case:
    """The file is indented with tabs, the answer with spaces."""
    return replace(case, before=_each(case.before, _tabbed), after=_each(case.after or "", _tabbed))


def lost_indentation(case: Case) -> Case:
    """The whole answer lost the block's common indentation."""
    margin = _margin(case)
    if not margin:
        return replace(case, name="")
    return replace(
        case,
        search=_each(case.search, lambda row: row.removeprefix(margin)),
        new=_each(case.new, lambda row: row.removeprefix(margin)),
    )


def added_indentation(case: Case) -> Case:
    """The whole answer stands four columns too deep."""
    return replace(
        case, search=_each(case.search, lambda row: "    " + row), new=_each(case.new, lambda row: "    " + row)
    )


def flattened(case: Case) -> Case:
    """Every line of the answer lost all of its indentation."""
    return replace(case, search=_each(case.search, str.lstrip), new=_each(case.new, str.lstrip))


def dedented_each(case: Case) -> Case:
    """Search text and replacement were each dedented by themselves."""
    return replace(case, search=textwrap.dedent(case.search), new=textwrap.dedent(case.new))


def dedented_search(case: Case) -> Case:
    """Only the search text lost its indentation."""
    return replace(case, search=textwrap.dedent(case.search))


def first_line_trimmed(case: Case) -> Case:
    """The answer's first line lost its indentation."""
    return replace(case, search=case.search.lstrip(" "), new=case.new.lstrip(" "))


def trimmed(case: Case) -> Case:
    """Both texts were stripped at both ends."""
    if case.new.endswith("\n\n") or not case.new.strip():
        return replace(case, name="")  # the blank line that it loses is nowhere to be seen
    return replace(case, search=case.search.strip(), new=case.new.strip())


def crlf_file(case: Case) -> Case:
    """The file has CRLF line ends."""
    return replace(case, before=case.before.replace("\n", "\r\n"), after=(case.after or "").replace("\n", "\r\n"))


def crlf_answer(case: Case) -> Case:
    """The answer has CRLF line ends."""
    return replace(case, search=case.search.replace("\n", "\r\n"), new=case.new.replace("\n", "\r\n"))


def mixed_ends(case: Case) -> Case:
    """The file's first lines end in CRLF, the rest in LF."""
    head = "# -*- made elsewhere -*-\r\n# with other line ends\r\n"
    return replace(
        case, before=head + case.before, after=head + (case.after or ""), first=case.first + 2, last=case.last + 2
    )


def byte_order_mark(case: Case) -> Case:
    """The file begins with a byte order mark."""
    return replace(case, before="\ufeff" + case.before, after="\ufeff" + (case.after or ""))


def no_final_newline(case: Case) -> Case:
    """The block is the file's end, which has no line end."""
    low, high = case.first - 1, case.last
    rows = case.before.split("\n")[:high]
    return replace(case, before="\n".join(rows), after="\n".join(rows[:low]) + "\n" + case.new.removesuffix("\n"))


def search_lost_newline(case: Case) -> Case:
    """The search text lost its last line end, the replacement did not."""
    return replace(case, search=case.search.removesuffix("\n"))


def replacement_lost_newline(case: Case) -> Case:
    """The replacement lost its last line end, the search text did not."""
    if case.new.endswith("\n\n") or not case.new.strip():
        return replace(case, name="")
    return replace(case, new=case.new.removesuffix("\n"))


def stale_line(case: Case) -> Case:
    """One line of the search text is not what the file has."""
    if sum(bool(row.strip()) for row in case.search.split("\n")) < 2:
        return replace(case, name="")
    rows = case.search.split("\n")
    rows[len(rows) // 2] = _indent(rows[len(rows) // 2]) + "remembered = otherwise(than_it_is)"
    return replace(case, search="\n".join(rows), after=None)


def file_moved_on(case: Case) -> Case:
    """The last line of the block has got more code since it was read."""
    if case.search.count("\n") < 2:
        return replace(case, name="")  # part of a line may be meant
    rows = case.before.split("\n")
    rows[case.last - 1] += "  + 1"
    return replace(case, before="\n".join(rows), search=case.search.removesuffix("\n"), after=None)


def line_gone(case: Case) -> Case:
    """The file has lost a line of the block since it was read."""
    if case.search.count("\n") < 3:
        return replace(case, name="")
    rows = case.before.split("\n")
    middle = (case.first + case.last) // 2
    return replace(case, before="\n".join(rows[: middle - 1] + rows[middle:]), after=None, last=case.last - 1)


def line_added(case: Case) -> Case:
    """The file has got a line inside the block since it was read."""
    if case.search.count("\n") < 3:
        return replace(case, name="")
    rows = case.before.split("\n")
    middle = (case.first + case.last) // 2
    return replace(
        case,
        before="\n".join([*rows[:middle], "    arrived = 'since'", *rows[middle:]]),
        after=None,
        last=case.last + 1,
    )


def duplicated(case: Case) -> Case:
    """The block stands twice in the file."""
    return replace(case, before=case.before + "\n" + case.search, after=None)


def duplicated_deeper(case: Case) -> Case:
    """The block stands a second time, deeper; the answer lost its indentation and fits both."""
    deeper = _each(case.search, lambda row: "        " + row)
    if not _margin(case):
        return replace(case, name="")
    return replace(lost_indentation(case), before=case.before + "\nif True:\n" + deeper, after=None)


def elided(case: Case) -> Case:
    """The answer leaves the middle out with `...`."""
    if case.search.count("\n") < 5 or case.new.count(chr(10)) < 4:
        return replace(case, name="")
    rows, new = case.search.split("\n"), case.new.split("\n")
    dots = _indent(rows[1]) + "..."
    return replace(
        case, search="\n".join([rows[0], dots, *rows[-2:]]), new="\n".join([new[0], dots, *new[-2:]]), after=None
    )


def elided_replacement(case: Case) -> Case:
    """The replacement stands for unchanged code with a comment."""
    if case.search.count("\n") < 3 or case.new.count(chr(10)) < 4:
        return replace(case, name="")
    new = case.new.split("\n")
    mark = _indent(new[1]) + "# ... rest of the function unchanged ..."
    return replace(case, new="\n".join([new[0], mark, *new[-2:]]), after=None)


def fenced(case: Case) -> Case:
    """Both texts stand in code fences."""
    return replace(case, search=f"```python\n{case.search}```", new=f"```python\n{case.new}```")


def fenced_search(case: Case) -> Case:
    """Only the search text stands in a code fence."""
    return replace(case, search=f"```\n{case.search}```\n")


def numbered(case: Case) -> Case:
    """Both texts carry the line numbers that reading shows."""
    return replace(case, search=_numbered(case.search, case.first), new=_numbered(case.new, case.first))


def numbered_search(case: Case) -> Case:
    """Only the search text carries line numbers."""
    return replace(case, search=_numbered(case.search, case.first))


def numbered_tabs(case: Case) -> Case:
    """Both texts carry line numbers set off by a tab."""
    return replace(
        case,
        search=re.sub(r"\| ?", "\t", _numbered(case.search, case.first)),
        new=re.sub(r"\| ?", "\t", _numbered(case.new, case.first)),
    )


def _numbered(text: str, first: int) -> str:
    rows = text.removesuffix("\n").split("\n")
    return "\n".join(f"{n:>5}| {row}" for n, row in enumerate(rows, first)) + "\n"


def typographic_quotes(case: Case) -> Case:
    """The search text has typographic quotes."""
    search = case.search.replace("'", "\u2019").replace('"', "\u201c")
    return replace(case, name="" if search == case.search else case.name, search=search, after=None)


def joined_lines(case: Case) -> Case:
    """The search text has two lines in one."""
    if case.search.count("\n") < 3:
        return replace(case, name="")
    rows = case.search.split("\n")
    rows[1:3] = [rows[1] + " " + rows[2].strip()]
    return replace(case, search="\n".join(rows), after=None)


def inner_spaces(case: Case) -> Case:
    """The search text has other spaces inside a line."""
    rows = case.search.split("\n")
    rows[0] = re.sub(r",\s*", " ,", rows[0], count=1)
    return replace(case, name="" if "\n".join(rows) == case.search else case.name, search="\n".join(rows), after=None)


def blank_edges(case: Case) -> Case:
    """Both texts begin with a blank line that the file does not have."""
    return replace(case, search="\n" + case.search, new="\n" + case.new)


def lost_blank_lines(case: Case) -> Case:
    """The search text lost the blank lines inside it."""
    search = re.sub(r"(?<=[^\n])\n\n+(?=[^\n])", "\n", case.search)
    return replace(case, name="" if search == case.search else case.name, search=search, after=None)


def applied_already(case: Case) -> Case:
    """The edit has been applied before."""
    if not case.new.strip():
        return replace(case, name="")  # nothing is left that could tell
    return replace(case, before=case.after or "")


def half(case: Case) -> Case:
    """The answer broke off: the search text ends inside its last line."""
    if case.search.count("\n") < 2:
        return replace(case, name="")
    rows = case.search.removesuffix("\n").split("\n")
    rows[-1] = rows[-1][: len(rows[-1]) - max(2, len(rows[-1].strip()) // 2)]
    return replace(case, search="\n".join(rows), after=None, name="" if not rows[-1].strip() else case.name)


def empty_search(case: Case) -> Case:
    """The search text is empty though the file is not."""
    return replace(case, search="", after=None)


SLIPS: tuple[Callable[[Case], Case], ...] = (
    exact, trailing_spaces, trailing_spaces_both, trailing_spaces_in_file, tabs_for_spaces, spaces_for_tabs,
    lost_indentation, added_indentation, flattened, dedented_each, dedented_search, first_line_trimmed, trimmed,
    crlf_file, crlf_answer, mixed_ends, byte_order_mark, no_final_newline, search_lost_newline,
    replacement_lost_newline, stale_line, file_moved_on, line_gone, line_added, duplicated, duplicated_deeper, elided,
    elided_replacement, fenced, fenced_search, numbered, numbered_search, numbered_tabs, typographic_quotes,
    joined_lines, inner_spaces, blank_edges, lost_blank_lines, applied_already, half, empty_search,
)  # fmt: skip


def cases(modules: Sequence[str] = MODULES, pairs: int = 60) -> Iterator[tuple[str, Case]]:
    """(slip, case) for every real edit and every slip that makes sense for it."""
    for case in real_edits(modules, pairs):
        for slip in SLIPS:
            spoiled = slip(case)
            if spoiled.name:
                yield slip.__name__, spoiled


# ---------------------------------------------------------------------------------------------------------------------
# Judging


def judge(case: Case, result: EditResult) -> str:
    """What came of a case: right, refused (usefully), useless (a refusal that does not help) or wrong."""
    if result.ok:
        return "right" if result.text == case.after else "wrong"
    if result.text != case.before:
        return "wrong"
    return "refused" if useful(case, result) else "useless"


def useful(case: Case, result: EditResult) -> bool:
    """Whether a refusal shows lines of the right place with their numbers, or says which slip it was."""
    said = "\n".join(result.refusals)
    shown = [int(number) for number in re.findall(r"^\s*(\d+)\| ", said, re.MULTILINE)]
    near = any(case.first - 1 <= number <= case.last + 1 for number in shown)
    listed = re.findall(r"stands at lines? ([\d, ]+\d)", said)
    named = {int(number) for row in listed for number in row.split(", ")}
    return (
        near
        or bool(named & set(range(case.first, case.last + 1)))
        or "leaves lines out" in said
        or "only for an empty file" in said
    )


def judge_naive(case: Case) -> str:
    """What comes of `str.replace`: a search text that is not there changes nothing, without a word."""
    if case.search not in case.before:
        return "silent" if case.before != case.after else "right"
    text = case.before.replace(case.search, case.new)
    return "right" if text == case.after else "wrong"


def run(found: Iterator[tuple[str, Case]]) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]], list[str], float]:
    """Outcomes by slip for ours and for the naive way, what went wrong, and seconds spent in ours."""
    ours: dict[str, Counter[str]] = {}
    naive: dict[str, Counter[str]] = {}
    faults = []
    seconds = 0.0
    for slip, case in found:
        began = time.perf_counter()
        result = apply_edits(case.before, [(case.search, case.new)])
        seconds += time.perf_counter() - began
        outcome = judge(case, result)
        ours.setdefault(slip, Counter())[outcome] += 1
        naive.setdefault(slip, Counter())[judge_naive(case)] += 1
        if outcome in ("wrong", "useless"):
            faults.append(f"{outcome}: {slip}: {case.name}")
    return ours, naive, faults, seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; exit code 1 if an edit was applied wrongly or refused uselessly."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=60, help="how many real edits (each is spoiled in every way)")
    parser.add_argument("--modules", nargs="*", default=MODULES)
    parser.add_argument("--json", type=Path, help="also write the counts here")
    parser.add_argument("--faults", type=int, default=20, help="how many faults to list")
    given = parser.parse_args(arguments)
    ours, naive, faults, seconds = run(cases(given.modules, given.pairs))
    print("slip                       cases | right refused useless wrong | naive: right silent wrong")
    for slip, counts in ours.items():
        print(_row(slip, counts, naive[slip]))
    total = Counter[str]()
    baseline = Counter[str]()
    for slip in ours:
        total.update(ours[slip])
        baseline.update(naive[slip])
    print(_row("all", total, baseline))
    count = sum(total.values())
    print(f"{count} cases, {seconds / max(count, 1) * 1000:.2f} ms an edit")
    for fault in islice(faults, given.faults):
        print(fault)
    if given.json:
        given.json.write_text(json.dumps({"ours": total, "naive": baseline, "by_slip": ours}, indent=1) + "\n")
    return 1 if total["wrong"] or total["useless"] else 0


def _row(slip: str, ours: Counter[str], naive: Counter[str]) -> str:
    return (
        f"{slip:26} {sum(ours.values()):>5} | {ours['right']:>5} {ours['refused']:>7} {ours['useless']:>7} "
        f"{ours['wrong']:>5} | {'':6} {naive['right']:>5} {naive['silent']:>6} {naive['wrong']:>5}"
    )


if __name__ == "__main__":
    sys.exit(main())
