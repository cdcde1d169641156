import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from storyloom.tasks.combining import Line, Waiting


class Crowd:
    """Threads that ask one line, and what each got."""

    def __init__(self, line: Line[int, str], serve: Callable[..., None]) -> None:
        self.line, self.serve, self.got = line, serve, dict[int, Any]()
        self.threads: list[threading.Thread] = []

    def come(self, item: int, **how: Any) -> None:
        def ask() -> None:
            try:
                self.got[item] = self.line.ask(item, self.serve, **how)
            except ValueError as error:
                self.got[item] = error

        self.threads.append(threading.Thread(target=ask))
        self.threads[-1].start()
        until = time.monotonic() + 10
        while item not in self.got and not self.seen(item):
            assert time.monotonic() < until, f"{item} never came"
            time.sleep(0.001)

    def seen(self, item: int) -> bool:
        with self.line.change:
            return any(one.item == item for one in self.line._standing)

    def end(self) -> dict[int, Any]:
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        return self.got


def closed_door() -> tuple[threading.Lock, Callable[[], AbstractContextManager[object]]]:
    """A lock that is held already, and how to wait for it."""
    lock = threading.Lock()
    lock.acquire()
    return lock, lambda: lock


def test_all_that_wait_are_served_together_in_the_order_in_which_they_came():
    served: list[list[int]] = []

    def serve(waiting: list[Waiting[int, str]]) -> None:
        served.append([one.item for one in waiting])
        for one in waiting:
            one.answer(f"answer {one.item}")

    lock, door = closed_door()
    crowd = Crowd(Line(), serve)
    for item in range(5):
        crowd.come(item, hold=door)
    lock.release()
    assert crowd.end() == {item: f"answer {item}" for item in range(5)}
    assert served == [[0, 1, 2, 3, 4]]


def test_no_more_are_taken_than_are_wanted_and_the_rest_is_served_next():
    served: list[list[int]] = []

    def serve(waiting: list[Waiting[int, str]]) -> None:
        served.append([one.item for one in waiting])
        for one in waiting:
            one.answer("")

    lock, door = closed_door()
    crowd = Crowd(Line(), serve)
    for item in range(5):
        crowd.come(item, hold=door, most=2)
    lock.release()
    assert set(crowd.end()) == set(range(5))
    assert served == [[0, 1], [2, 3], [4]]


def test_an_answer_is_there_as_soon_as_it_is_given():
    lock, door = closed_door()
    go_on = threading.Event()

    def serve(waiting: list[Waiting[int, str]]) -> None:
        for one in reversed(waiting):
            one.answer("early")
            if one.item:
                assert go_on.wait(10)

    crowd = Crowd(Line(), serve)
    crowd.come(0, hold=door)
    crowd.come(1, hold=door)
    lock.release()
    crowd.threads[1].join(10)
    assert crowd.got == {1: "early"}
    go_on.set()
    assert crowd.end() == {0: "early", 1: "early"}


def test_a_request_that_cannot_be_served_does_not_take_the_others_along():
    served: list[list[int]] = []

    def serve(waiting: list[Waiting[int, str]]) -> None:
        served.append([one.item for one in waiting])
        for one in waiting:
            if one.item == 2:
                raise ValueError("two")
            one.answer("fine")

    lock, door = closed_door()
    crowd = Crowd(Line(), serve)
    for item in (3, 0, 1, 2, 4):
        crowd.come(item, hold=door)
    lock.release()
    got = crowd.end()
    assert isinstance(got.pop(2), ValueError)
    assert got == {0: "fine", 1: "fine", 3: "fine", 4: "fine"}
    assert served == [[3, 0, 1, 2, 4], [2], [4]]


def test_the_one_that_serves_does_not_fail_for_another():
    def serve(waiting: list[Waiting[int, str]]) -> None:
        for one in reversed(waiting):
            if one.item == 1:
                raise ValueError("one")
            one.answer("fine")

    lock, door = closed_door()
    crowd = Crowd(Line(), serve)
    for item in (0, 1, 2):
        crowd.come(item, hold=door)
    lock.release()
    got = crowd.end()
    assert isinstance(got.pop(1), ValueError)
    assert got == {0: "fine", 2: "fine"}


def test_a_lock_that_cannot_be_had_fails_only_the_one_that_wanted_it():
    class Broken:
        def __enter__(self) -> None:
            raise ValueError("no lock")

        def __exit__(self, *_: object) -> None: ...

    line = Line[int, str]()
    with pytest.raises(ValueError, match="no lock"):
        line.ask(1, lambda _waiting: None, hold=Broken)
    assert line.ask(2, lambda waiting: [one.answer("fine") for one in waiting]) == "fine"


def test_a_request_that_was_left_out_says_so():
    with pytest.raises(LookupError):
        Line[int, str]().ask(1, lambda _waiting: None)
