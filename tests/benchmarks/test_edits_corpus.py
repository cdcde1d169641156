import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def corpus() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2])
        yield importlib.import_module("benchmarks.edits")


def test_hundreds_of_spoiled_edits_are_applied_rightly_or_refused_usefully(corpus: ModuleType):
    ours, naive, faults, _ = corpus.run(corpus.cases(corpus.MODULES[:12], pairs=8))
    outcomes = [(slip, outcome, count) for slip, counts in ours.items() for outcome, count in counts.items()]
    assert faults == []
    assert sum(count for _, _, count in outcomes) >= 300
    assert {outcome for _, outcome, _ in outcomes} == {"right", "refused"}
    right = sum(count for _, outcome, count in outcomes if outcome == "right")
    assert right > sum(counts["right"] for counts in naive.values()) * 2


def test_the_corpus_is_the_same_every_time(corpus: ModuleType):
    once, again = (list(corpus.cases(("textwrap", "shlex"), pairs=4)) for _ in range(2))
    assert once == again


def test_the_judge_sees_a_wrong_edit(corpus: ModuleType):
    _, case = next(corpus.cases(("textwrap",), pairs=1))
    wrong = corpus.EditResult(case.before + "# elsewhere\n", ())
    assert corpus.judge(case, wrong) == "wrong"


def test_the_command_prints_a_table_and_says_by_its_exit_code_how_it_went(corpus: ModuleType, capsys):
    assert corpus.main(["--pairs", "2", "--modules", "textwrap"]) == 0
    assert "applied_already" in capsys.readouterr().out
