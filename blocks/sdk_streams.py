"""What do the anthropic and openai SDKs' streams and errors have in common?  They are generated from one template."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from storyloom.domain.errors import ModelBroken, ModelError, ModelTimeout
from storyloom.domain.failures import may_be_billed, sorted_failure
from storyloom.domain.redaction import Redactor
from storyloom.domain.wire import Abort, RawReply

STALL_S = 300.0  # the longest silence: reasoning models think for minutes before the first word
_KEPT = 20_000  # characters of a strange answer that are worth keeping


class Listening:
    """One stream being read: notes the first event's time and stops when nobody waits any more."""

    def __init__(self, abort: Abort) -> None:
        self._abort, self._began = abort, time.monotonic()
        self.ttft_s: float | None = None

    def events(self, stream: Any) -> Iterator[Any]:
        """The stream's events.

        Raises:
            ModelTimeout: the call was given up.
        """
        self._abort.closes(stream)
        for event in stream:
            if self.ttft_s is None:
                self.ttft_s = time.monotonic() - self._began
            if self._abort.aborted:
                raise ModelTimeout
            yield event


def read(
    stream: Any, abort: Abort, read_stream: Callable[[Any], RawReply], read_whole: Callable[[Any], RawReply]
) -> RawReply:
    """The answer in a stream, or in the whole JSON document that a server sent instead of one; the stream is closed.

    Raises:
        ModelBroken: it is neither; `raw` holds what came.
    """
    with stream:
        kind = stream.response.headers.get("content-type", "")
        if "event-stream" in kind:
            listening = Listening(abort)
            reply = read_stream(listening.events(stream))
            return reply.model_copy(update={"ttft_s": listening.ttft_s})
        abort.closes(stream)
        text = stream.response.read().decode("utf-8", "replace")
    try:
        return read_whole(json.loads(text))
    except (ValueError, ModelBroken) as error:
        broken = ModelBroken(
            f"The server answered with {kind or 'something'} that is no answer of a model: {text[:120]!r}",
            remedy="Check the base URL, and whether a proxy or a login page stands in between.",
        )
        broken.raw = text[:_KEPT]
        raise broken from error


def sorted_sdk_failure(error: Exception, provider: str, redact: Redactor) -> ModelError:
    """Our error for whatever an SDK call raised, the raw answer redacted."""
    if isinstance(error, ModelError):
        error.maybe_billed = True  # only an answer that had begun is judged by ourselves
        error.raw = redact(error.raw)
        return error
    response, status = getattr(error, "response", None), getattr(error, "status_code", None)
    text = redact(_text(error, response))
    if "Timeout" in type(error).__name__:
        failure: ModelError = ModelTimeout(f"{provider} sent nothing for too long.")
    else:
        failure = sorted_failure(
            status if isinstance(status, int) and status >= 400 else None,
            text,
            provider=provider,
            headers=dict(getattr(response, "headers", None) or {}),
        )
    failure.raw, failure.maybe_billed = text, may_be_billed(error, status if isinstance(status, int) else None)
    return failure


def _text(error: Exception, response: Any) -> str:
    body = getattr(error, "body", None)
    if body is not None:
        return body if isinstance(body, str) else json.dumps(body, default=str)
    try:
        return str(response.text)[:_KEPT] or str(error)
    except Exception:  # noqa: BLE001 - a response that was not read has no text; there may be none at all
        return str(error) or repr(error)
