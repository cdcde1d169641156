"""How often is a model's slip in an edit mended or refused with a useful reply, and is one ever applied wrongly?

Real edits are made by mechanical refactorings of the standard library's own modules, then spoiled in the ways in which
models spoil them. The same cases go through `apply_edits` and through a naive `str.replace`. Nothing is random: the
same Python gives the same cases.

    python -m benchmarks.edits            # some 2,000 cases
    python -m benchmarks.edits --pairs 15 --modules textwrap shlex
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from storyloom.domain.edits import EditResult, apply_edits

from benchmarks.edit_corpus import MODULES, Case, real_edits
from benchmarks.edit_slips import SLIPS


def cases(modules: Sequence[str] = MODULES, pairs: int = 60) -> Iterator[tuple[str, Case]]:
    """(slip, case) for every real edit and every slip that makes sense for it."""
    for case in real_edits(modules, pairs):
        for slip in SLIPS:
            spoiled = slip(case)
            if spoiled.name:
                yield slip.__name__, spoiled


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
