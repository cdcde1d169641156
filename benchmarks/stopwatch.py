"""Where does the time of a run go, by story, step and port?"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from storyloom.tasks.ports import Ports


@dataclass
class Span:
    """One step: when it began, how long it took, and how much of that was spent in which port, in seconds."""

    what: str
    seconds: float = 0.0
    began: float = 0.0
    parts: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def own(self, *others: str) -> float:
        """The seconds that were not spent in `others`."""
        return self.seconds - sum(self.parts[name] for name in others)


class Stopwatch:
    """Collects spans from many threads; a port's time counts in every open span of its thread."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._lock = threading.Lock()
        self._mine = threading.local()

    @contextlib.contextmanager
    def span(self, what: str) -> Iterator[Span]:
        """Measure a block as one step."""
        open_ = self._open()
        began = time.perf_counter()
        mine = Span(what, began=began)
        open_.append(mine)
        try:
            yield mine
        finally:
            mine.seconds = time.perf_counter() - began
            open_.remove(mine)
            with self._lock:
                self.spans.append(mine)

    def add(self, part: str, seconds: float) -> None:
        """Count time for a part of the steps that are open in this thread."""
        for span in self._open():
            span.parts[part] += seconds

    def _open(self) -> list[Span]:
        if not hasattr(self._mine, "open"):
            self._mine.open = []
        open_: list[Span] = self._mine.open
        return open_

    def of(self, what: str) -> list[Span]:
        """All steps of one kind."""
        return [span for span in self.spans if span.what == what]

    def timed(self, part: str, thing: Any) -> Any:
        """The same thing, its methods' time counted for `part`."""
        return _Timed(self, part, thing)

    def around(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, each call measured as a step."""

        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.span(what):
                return function(*args, **kwargs)

        return measured

    def waiting(self, part: str, lane: Callable[[], AbstractContextManager[Any]]) -> Callable[[], Any]:
        """The lane, with the wait for it counted for `part` and kept as a step of its own."""

        @contextlib.contextmanager
        def held() -> Iterator[None]:
            with contextlib.ExitStack() as stack:
                began = time.perf_counter()
                stack.enter_context(lane())
                self._waited(part, began)
                yield

        return held

    def wait(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted for `part` and kept as a step of its own."""

        @functools.wraps(function)
        def waited(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._waited(part, began)

        return waited

    def _waited(self, part: str, began: float) -> None:
        seconds = time.perf_counter() - began
        self.add(part, seconds)
        with self._lock:
            self.spans.append(Span(part, seconds, began))

    def watch(self, ports: Ports) -> Ports:
        """The ports, each timed under its own name."""
        parts = {"models": "door", "workspace": "git", "sandbox": "sandbox", "recorder": "spool", "shelf": "shelf"}
        timed = {name: self.timed(part, getattr(ports, name)) for name, part in parts.items()}
        lanes = {name: self.waiting("lane wait", getattr(ports, name)) for name in ("lane", "integrating")}
        return replace(ports, **lanes, **timed)


class _Timed:
    def __init__(self, watch: Stopwatch, part: str, thing: Any) -> None:
        self._watch, self._part, self._thing = watch, part, thing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            mine = self._watch._mine
            if getattr(mine, "inside", ""):  # a port that calls another counts once, for the outer one
                return found(*args, **kwargs)
            mine.inside = self._part
            began, answered = time.perf_counter(), 0.0
            try:
                result = found(*args, **kwargs)
                if self._part == "door" and not getattr(result, "cached", True):
                    answered = result.latency_s  # the provider's own time, as the door measured it
                return result
            finally:
                mine.inside = ""
                self._watch.add(self._part, time.perf_counter() - began - answered)
                if answered:
                    self._watch.add("model", answered)

        return call


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of all values lies; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
