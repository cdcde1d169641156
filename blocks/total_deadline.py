"""How does a call end in time when the other side drips, stalls or never answers?

A client library's timeout bounds each read, not their sum. So the call runs in a thread of its own; at the deadline
the caller goes on, the connection is closed, and the thread ends at its next byte or its own read timeout.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from storyloom.domain.errors import ModelTimeout

T = TypeVar("T")


class Aborting:
    """Tells the one who calls the provider that nobody waits any more."""

    def __init__(self) -> None:
        self._flag = threading.Event()
        self._closers: list[Any] = []

    @property
    def aborted(self) -> bool:
        """Whether to stop at the next chance."""
        return self._flag.is_set()

    def closes(self, close: Any) -> None:
        """Name something with `close()` that ends the connection when the deadline passes."""
        self._closers.append(close)
        if self.aborted:
            self._close()

    def abort(self) -> None:
        """Stop the call."""
        self._flag.set()
        self._close()

    def _close(self) -> None:
        for closer in self._closers:
            if close := getattr(closer, "close", None):
                with contextlib.suppress(Exception):  # it may be closing itself, in its own thread
                    close()


def within(seconds: float, call: Callable[[Aborting], T]) -> T:
    """The call's result, or its exception.

    Raises:
        ModelTimeout: `seconds` passed first.
    """
    aborting, done = Aborting(), threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call(aborting))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)
        finally:
            done.set()

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="model-call", daemon=True).start()
    try:
        in_time = done.wait(seconds)
    except BaseException:
        aborting.abort()
        raise
    if not in_time:
        threading.Thread(target=aborting.abort, name="model-call-abort", daemon=True).start()  # closing may block
        error = ModelTimeout(f"The model did not answer within {seconds:.0f} s.")
        error.maybe_billed = True
        raise error
    if errors:
        raise errors[0]
    return results[0]
