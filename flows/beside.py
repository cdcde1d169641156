"""What need not hold a flow up is done beside it, in its run, one thing after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context


@contextmanager
def beside(name: str) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Give a way to have work done in a thread of that name; its errors are raised at later work or at the end."""
    given = list[Future[None]]()

    def do(work: Callable[[], None]) -> None:
        while given and given[0].done():
            given.pop(0).result()
        given.append(thread.submit(copy_context().run, work))

    with ThreadPoolExecutor(1, thread_name_prefix=name) as thread:
        yield do
    for future in given:
        future.result()
