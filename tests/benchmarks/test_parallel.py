"""The widths of a measurement begin with the one that all are compared with; what was possible is not flattered."""

from __future__ import annotations

import importlib
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def parallel(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).resolve().parents[2]), *sys.path])
    return importlib.import_module("benchmarks.parallel")


@pytest.mark.parametrize(("text", "expected"), [("8,4,2,1", [1, 2, 4, 8]), ("4", [1, 4]), ("1", [1]), ("2,2", [1, 2])])
def test_one_lane_is_always_run_first(parallel: Any, text: str, expected: list[int]):
    assert parallel.widths(text) == expected


@pytest.mark.parametrize(
    ("lengths", "lanes", "expected"),
    [([3, 1, 2], 1, 6), ([3, 1, 2], 2, 3), ([1, 1, 3], 2, 4), ([3, 1, 2], 8, 3), ([], 4, 0)],
)
def test_each_story_goes_to_the_lane_that_is_free_first(
    parallel: Any, lengths: list[float], lanes: int, expected: float
):
    assert parallel.makespan(lengths, lanes) == expected


def test_cores_that_wait_do_not_work(parallel: Any, monkeypatch: pytest.MonkeyPatch):
    times = namedtuple("times", "user system idle iowait guest guest_nice")(5.0, 2.0, 100.0, 50.0, 0.75, 0.25)
    monkeypatch.setattr(parallel.psutil, "cpu_times", lambda: times)
    assert parallel.cores_worked() == 7.0  # the time of guests is part of the user's
