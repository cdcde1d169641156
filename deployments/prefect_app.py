"""How does our own Prefect server spare its clients the long wait for SQLite's write lock?

Some of Prefect's requests read before they write. On SQLite such a transaction is refused at once when another one has
written meanwhile (SQLITE_BUSY_SNAPSHOT, https://www.sqlite.org/isolation.html): the server has rolled back and answers
503, and its client tries again after 2, 4, 8 … seconds. Here the same request is tried again after milliseconds, and
new changes let it go first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

BUSY = 503
PAUSES_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0)
"""How long before each further attempt; then the client hears of it and waits by its own rule."""
CHANGES = ("POST", "PUT", "PATCH", "DELETE")


def try_again_soon(app: Asgi, pauses_s: Sequence[float] = PAUSES_S) -> Asgi:
    """The application, with requests that change something tried again while the answer is 503."""
    refused = asyncio.Lock()  # first come, first served

    async def patient(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in CHANGES:
            await app(scope, receive, send)
            return
        body = await _whole(receive)
        if refused.locked():
            async with refused:
                pass
        if not await _attempt(app, scope, body, receive, send):
            return
        async with refused:
            for pause in pauses_s:
                await asyncio.sleep(pause)
                if not await _attempt(app, scope, body, receive, send):
                    return
        await _attempt(app, scope, body, receive, send, last=True)

    return patient


async def _whole(receive: Receive) -> list[Message]:
    """All messages of a request's body, or of its being cut off."""
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


async def _attempt(
    app: Asgi, scope: MutableMapping[str, Any], body: list[Message], receive: Receive, send: Send, *, last: bool = False
) -> bool:
    """Have the request answered; True if the answer was 503, which is passed on only at the `last` attempt."""
    left, busy = list(body), False

    async def replay() -> Message:
        return left.pop(0) if left else await receive()

    async def filtered(message: Message) -> None:
        nonlocal busy
        if message["type"] == "http.response.start" and message["status"] == BUSY and not last:
            busy = True
        if not busy:
            await send(message)

    try:
        await app({**scope, "state": dict(scope.get("state", {}))}, replay, filtered)
    except Exception:
        if not busy:  # Starlette raises again what it has answered; the answer is all that counts here
            raise
    return busy


def create_app() -> Asgi:
    """Prefect's server for uvicorn's `--factory`, with its background services."""
    from prefect.server.api.server import create_app as prefect_app

    return try_again_soon(prefect_app(final=True))
