"""A call ends at its deadline, whatever the other side does."""

from __future__ import annotations

import contextvars
import threading

import pytest
from storyloom.blocks.total_deadline import Aborting, within
from storyloom.domain.errors import ModelTimeout

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME", default="nobody")


class Connection:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_a_result_and_an_exception_come_through() -> None:
    assert within(10, lambda abort: 7) == 7
    with pytest.raises(KeyError, match="gone"):
        within(10, lambda abort: {}["gone"])


def test_the_callers_context_is_the_calls() -> None:
    NAME.set("me")
    assert within(10, lambda abort: NAME.get()) == "me"


def test_at_the_deadline_the_caller_goes_on_and_the_connection_is_closed() -> None:
    connection, seen = Connection(), []

    def call(abort: Aborting) -> None:
        abort.closes(connection)
        connection.closed.wait(30)
        seen.append(abort.aborted)

    with pytest.raises(ModelTimeout) as timeout:
        within(0.05, call)
    assert timeout.value.maybe_billed
    assert connection.closed.wait(30)
    for _ in range(1000):
        if seen:
            break
        threading.Event().wait(0.01)
    assert seen == [True]


def test_what_is_opened_after_the_deadline_is_closed_at_once() -> None:
    aborting, connection = Aborting(), Connection()
    aborting.abort()
    aborting.closes(connection)
    assert connection.closed.is_set()


def test_a_connection_that_cannot_be_closed_is_left_alone() -> None:
    class Stubborn:
        def close(self) -> None:
            raise ValueError("generator already executing")

    aborting = Aborting()
    aborting.closes(Stubborn())
    aborting.closes(object())
    aborting.abort()
    assert aborting.aborted
