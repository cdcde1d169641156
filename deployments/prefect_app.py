"""How does our own Prefect server spare its clients the long wait for SQLite's write lock?

Some of Prefect's requests read before they write. On SQLite such a transaction is refused at once when another one has
written meanwhile (SQLITE_BUSY_SNAPSHOT, https://www.sqlite.org/isolation.html): the server has rolled back and answers
503, and its client tries again after 2, 4, 8 … seconds. Here changes take turns, first come, first served: SQLite has
one writer and the server one processor, so that together they would only all be late. A change that one of the server's
own services got in the way of is tried again after milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from .garbage import collect_apart

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

BUSY = 503
PAUSES_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0)
"""How long before each further attempt; then the client hears of it and waits by its own rule."""
CHANGES = ("POST", "PUT", "PATCH", "DELETE")
READS = ("/filter", "/count", "/history", "/paginate", "/lateness")
"""Ends of paths that only read, although their filter comes by POST: the UI's, and slow when there is much to count."""


def in_turn(app: Asgi, pauses_s: Sequence[float] = PAUSES_S) -> Asgi:
    """The application, with requests that change something made one at a time, and again while the answer is 503."""
    turn = asyncio.Lock()  # first come, first served

    async def patient(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in CHANGES or scope["path"].endswith(READS):
            await app(scope, receive, send)
            return
        body = await _whole(receive)
        async with turn:
            answer, error = await _answer(app, scope, body, receive)
            for pause in pauses_s:
                if not _busy(answer):
                    break
                await asyncio.sleep(pause)
                answer, error = await _answer(app, scope, body, receive)
        for message in answer:  # after its turn: a client that is slow to read holds up nobody
            await send(message)
        if error is not None and not _busy(answer):
            raise error

    return patient


async def _whole(receive: Receive) -> list[Message]:
    """All messages of a request's body, or of its being cut off."""
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


async def _answer(
    app: Asgi, scope: MutableMapping[str, Any], body: list[Message], receive: Receive
) -> tuple[list[Message], Exception | None]:
    """The messages with which the application answers a request, and what it raised: Starlette answers, then raises."""
    left, answer = list(body), list[Message]()

    async def replay() -> Message:
        return left.pop(0) if left else await receive()

    async def collect(message: Message) -> None:
        answer.append(message)

    try:
        await app({**scope, "state": dict(scope.get("state", {}))}, replay, collect)
    except Exception as error:  # noqa: BLE001 - raised again once its answer is sent
        return answer, error
    return answer, None


def _busy(answer: Sequence[Message]) -> bool:
    return any(message["type"] == "http.response.start" and message["status"] == BUSY for message in answer)


def create_app() -> Asgi:
    """Prefect's server for uvicorn's `--factory`, with its background services."""
    from prefect.server.api.server import create_app as prefect_app

    app = in_turn(prefect_app(final=True))
    collect_apart()
    return app
