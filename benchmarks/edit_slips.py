"""In which ways do models spoil an edit?

Each slip is a function from a right edit to a spoiled one; one without a name makes no sense for that edit. `after` is
None where refusing is the only right outcome.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import replace

from benchmarks.edit_corpus import Case, indent_of


def _each(text: str, how: Callable[[str], str]) -> str:
    return "\n".join(how(row) if row.strip() else row for row in text.split("\n"))


def _margin(case: Case) -> str:
    rows = [row for row in (case.search + case.new).split("\n") if row.strip()]
    return min((indent_of(row) for row in rows), key=len)


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
    wide = len(indent_of(row))
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
    rows[len(rows) // 2] = indent_of(rows[len(rows) // 2]) + "remembered = otherwise(than_it_is)"
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
    dots = indent_of(rows[1]) + "..."
    return replace(
        case, search="\n".join([rows[0], dots, *rows[-2:]]), new="\n".join([new[0], dots, *new[-2:]]), after=None
    )


def elided_replacement(case: Case) -> Case:
    """The replacement stands for unchanged code with a comment."""
    if case.search.count("\n") < 3 or case.new.count(chr(10)) < 4:
        return replace(case, name="")
    new = case.new.split("\n")
    mark = indent_of(new[1]) + "# ... rest of the function unchanged ..."
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
