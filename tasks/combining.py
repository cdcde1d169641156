"""How do many threads get served by one of them?  They wait in a line, and whoever is served first serves all.

Work that needs a lock and costs nearly the same for one as for many is asked for together: a thread puts its request
into a line, and the one that gets the lock takes all that stand there. An answer is given as soon as it is known. When
serving many fails, those without an answer are served one by one, so that each fails, or not, for reasons of its own.
A line lives in one process; between processes the lock that is held decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

LOOK_S = 1.0
"""How often a waiting thread wakes up, so that an exception that was sent to it from outside can reach it."""


class Waiting(Generic[Item, Answer]):
    """One request in a line."""

    def __init__(self, item: Item, line: Line[Item, Answer]) -> None:
        self.item, self.alone = item, False
        self._line, self._answers = line, list[Answer]()

    @property
    def done(self) -> bool:
        """Whether the answer is there."""
        return bool(self._answers)

    @property
    def answered(self) -> Answer:
        """The answer.

        Raises:
            LookupError: it is not there yet.
        """
        if not self._answers:
            raise LookupError("whoever served this line left out a request")
        return self._answers[0]

    def answer(self, answer: Answer) -> None:
        """Give the answer; the thread that waits for it goes on at once."""
        with self._line.change:
            self._answers.append(answer)
            self._line.change.notify_all()


Serve = Callable[[Sequence[Waiting[Item, Answer]]], None]


class Line(Generic[Item, Answer]):
    """Requests of many threads, served together by one of them, in the order in which they came."""

    def __init__(self) -> None:
        self.change = threading.Condition()
        self._standing: list[Waiting[Item, Answer]] = []
        self._serving = False

    def ask(
        self,
        item: Item,
        serve: Serve[Item, Answer],
        *,
        most: int = 1_000_000,
        hold: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Answer:
        """The answer to `item`, from another thread that served it, or from serving up to `most` that wait.

        `serve` runs in one thread at a time, while `hold` is held, and answers everything that it is given.
        """
        mine = Waiting(item, self)
        with self.change:
            self._standing.append(mine)
        try:
            while not self._served_by_another(mine):
                taken: list[Waiting[Item, Answer]] = []
                try:
                    with hold():
                        taken = self._take(mine, most)
                        serve(taken)
                    break
                except Exception:
                    if len(taken) < 2:
                        raise
                finally:
                    self._end_serving(taken)
            return mine.answered
        finally:
            with self.change:
                self._standing = [one for one in self._standing if one is not mine]
                self.change.notify_all()

    def _served_by_another(self, mine: Waiting[Item, Answer]) -> bool:
        """Wait for the answer, or until this thread is to serve: the first in the line is."""
        with self.change:
            while not mine.done and (self._serving or self._standing[0] is not mine):
                self.change.wait(LOOK_S)
            if not mine.done:
                self._serving = True
            return mine.done

    def _take(self, mine: Waiting[Item, Answer], most: int) -> list[Waiting[Item, Answer]]:
        """This thread's own request and those that wait with it, in order."""
        with self.change:
            beside = [] if mine.alone else [one for one in self._standing if one is not mine and not one.alone]
            chosen = {id(one) for one in (mine, *beside[: most - 1])}
            taken = [one for one in self._standing if id(one) in chosen]
            self._standing = [one for one in self._standing if id(one) not in chosen]
            return taken

    def _end_serving(self, taken: Sequence[Waiting[Item, Answer]]) -> None:
        """Let the next one serve; what was taken and has no answer stands in front again, each for itself."""
        with self.change:
            left = [one for one in taken if not one.done]
            for one in left:
                one.alone = True
            self._standing = [*left, *self._standing]
            self._serving = False
            self.change.notify_all()
