"""What is done beside a flow is done in its context, in order, and fails it."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar

import pytest
from storyloom.flows.beside import beside

RUN = ContextVar("RUN", default="none")


def test_it_is_done_in_order_in_another_thread_in_the_context_of_the_call():
    done, may = list[tuple[str, str]](), threading.Event()

    def work() -> None:
        assert may.wait(10)
        done.append((RUN.get(), threading.current_thread().name.split("_")[0]))

    token = RUN.set("first")
    with beside("board") as do:
        do(work)
        assert done == []  # the caller goes on
        may.set()
        RUN.set("second")
        do(work)
    RUN.reset(token)
    assert done == [("first", "board"), ("second", "board")]


def test_what_fails_is_raised_at_the_end():
    with pytest.raises(OSError, match="no server"), beside("board") as do:
        do(_fail)


def test_what_failed_is_raised_at_later_work():
    tried = list[int]()

    def flow() -> None:
        with beside("board") as do:
            do(_fail)
            for number in range(1000):
                tried.append(number)
                time.sleep(0.01)
                do(_nothing)

    with pytest.raises(OSError, match="no server"):
        flow()
    assert len(tried) < 1000


def test_the_flows_own_error_is_the_one_that_is_told():
    def flow() -> None:
        with beside("board") as do:
            do(_fail)
            raise KeyError("story")

    with pytest.raises(KeyError, match="story"):
        flow()


def _fail() -> None:
    raise OSError("no server")


def _nothing() -> None:
    pass
