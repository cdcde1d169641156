"""The widths of a measurement begin with the one that all are compared with."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("text", "expected"), [("8,4,2,1", [1, 2, 4, 8]), ("4", [1, 4]), ("1", [1]), ("2,2", [1, 2])])
def test_one_lane_is_always_run_first(monkeypatch: pytest.MonkeyPatch, text: str, expected: list[int]):
    monkeypatch.setattr(sys, "path", [str(Path(__file__).resolve().parents[2]), *sys.path])
    assert importlib.import_module("benchmarks.parallel").widths(text) == expected
