"""How is a model of any vendor asked through litellm?"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from storyloom.domain import wire_openai
from storyloom.domain.errors import ModelBroken, ModelError, ModelRefused, ModelTimeout
from storyloom.domain.failures import may_be_billed, sorted_failure
from storyloom.domain.model_calls import ModelRequest
from storyloom.domain.redaction import Redactor
from storyloom.domain.unicode_repair import whole
from storyloom.domain.wire import Abilities, Abort, Endpoint, RawReply, part, provider_of

# Before the import: without these it fetches prices and headers over the network and loads a `.env` file's keys.
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
}
# litellm keeps one client per timeout: a few fixed values, or every call would make a client of its own.
READ_TIMEOUTS_S = (5.0, 30.0, 120.0, 300.0)


@cache
def _litellm() -> Any:
    os.environ.update(QUIET)
    import litellm  # 2 to 6 s and 170 MB: only when a call is made

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.disable_streaming_logging = True  # else each chunk is a job for a thread that logs nothing
    return litellm


def warm_up() -> None:
    """Import litellm now, for instance while something else is waited for."""
    _litellm()


class LitellmRoute:
    """Asks any vendor through litellm, one request a call. `endpoints` by provider; others use litellm's own."""

    name = "litellm"

    def __init__(self, endpoints: Mapping[str, Endpoint] | None = None) -> None:
        self._endpoints = dict(endpoints or {})
        self._redact = Redactor(key for point in self._endpoints.values() if (key := point.key()))

    def send(
        self, request: ModelRequest, model: str, *, deadline_s: float, abilities: Abilities, abort: Abort
    ) -> RawReply:
        """Ask `model` ("provider/name") once, streaming.

        Raises:
            ModelError: sorted, with the redacted raw answer.
        """
        litellm, provider, name = _litellm(), provider_of(model), model.removeprefix("litellm/")
        endpoint = self._endpoints.get(provider, Endpoint())
        if request.tools and name in litellm.model_cost and not litellm.supports_function_calling(name):
            raise ModelRefused(f"{name} takes no tools.", remedy="Name another model for this persona.")
        if abilities.schema_native is None and request.schema_ is not None:
            abilities = abilities.model_copy(update={"schema_native": bool(litellm.supports_response_schema(name))})
        began, first, refusal, stream = time.monotonic(), list[float](), list[str](), None
        try:
            stream = litellm.completion(
                **wire_openai.body(request, name, abilities),
                api_key=endpoint.key(),
                api_base=endpoint.base_url or None,
                timeout=next((t for t in READ_TIMEOUTS_S if t >= deadline_s), READ_TIMEOUTS_S[-1]),
                max_retries=0,
                num_retries=0,
                drop_params=True,
            )
            _overhear(stream, refusal)
            reply = wire_openai.read_stream(_watched(stream, abort, first, began), "litellm")
            if getattr(stream, "received_finish_reason", reply.stop_reason) is None:
                raise ModelBroken("The answer's stream ended before the answer did.")  # litellm invents a "stop"
            if refusal:
                reply = reply.model_copy(update={"refusal": whole("".join(refusal)), "stop_reason": "refusal"})
            if not any(part(chunk, "usage") for chunk in getattr(stream, "chunks", None) or [reply]):
                said = "The provider's answer has no token counts; litellm made up some of its own."
                reply = reply.model_copy(update={"usage": None, "problem": said})
        except ModelError as error:
            error.maybe_billed = True
            raise
        except Exception as error:  # noqa: BLE001 - whatever the library raises is sorted here, in one place
            raise self._sorted(error, provider or "litellm") from None
        finally:
            close_stream(stream)
        return reply.model_copy(update={"ttft_s": first[0] if first else None})

    def _sorted(self, error: Exception, provider: str) -> ModelError:
        litellm = _litellm()
        cause = getattr(error, "original_exception", None) or error
        status, text = getattr(cause, "status_code", None), self._redact(str(cause) or repr(cause))
        if isinstance(cause, litellm.Timeout) or "timeout" in type(cause).__name__.lower():
            failure: ModelError = ModelTimeout(f"{provider} sent nothing for too long.")
        elif isinstance(cause, litellm.ContextWindowExceededError):
            failure = sorted_failure(400, f"context_length_exceeded: {text}", provider=provider)
        elif isinstance(cause, litellm.APIConnectionError) or not isinstance(status, int):
            failure = sorted_failure(None, text, provider=provider)
        else:
            failure = sorted_failure(status, text, provider=provider, headers=_headers(cause))
        failure.raw, failure.maybe_billed = text, may_be_billed(error, status if isinstance(status, int) else None)
        return failure


def _headers(error: Any) -> dict[str, str]:
    found = getattr(error, "litellm_response_headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )
    return dict(found) if found else {}


def _watched(stream: Any, abort: Abort, first: list[float], began: float) -> Iterator[Any]:
    abort.closes(_Closing(stream))
    for chunk in stream:
        if not first:
            first.append(time.monotonic() - began)
        if abort.aborted:
            raise ModelTimeout
        yield chunk


class _Overheard:
    """A stream of chunks that hears words of refusal, which litellm leaves out of its own."""

    def __init__(self, inner: Any, refusal: list[str]) -> None:
        self._inner, self._each, self._refusal = inner, iter(inner), refusal

    def __iter__(self) -> _Overheard:
        return self

    def __next__(self) -> Any:
        chunk = next(self._each)
        if said := _refusal_in(chunk):
            self._refusal.append(said)
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _overhear(stream: Any, refusal: list[str]) -> None:
    """Listen to what the provider sends, be it a client library's chunks or lines of text that litellm reads."""
    inner: Any = getattr(stream, "completion_stream", None)
    if getattr(inner, "response_iterator", None) is not None:
        inner.response_iterator = _Overheard(inner.response_iterator, refusal)
    elif hasattr(inner, "__iter__") and not isinstance(inner, str | bytes | list | tuple):
        stream.completion_stream = _Overheard(inner, refusal)


def _refusal_in(chunk: Any) -> str:
    if isinstance(chunk, str | bytes):
        line = chunk.decode("utf-8", "replace") if isinstance(chunk, bytes) else chunk
        if '"refusal"' not in line:
            return ""
        try:
            chunk = json.loads(line[line.index("{") :])
        except ValueError:
            return ""
    choices = part(chunk, "choices")
    said = part(choices[0], "delta", "refusal") if isinstance(choices, list) and choices else None
    return said if isinstance(said, str) else ""


class _Closing:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def close(self) -> None:
        close_stream(self._stream)


_INSIDE = ("completion_stream", "streaming_response", "response_iterator", "response")


def close_stream(stream: Any, depth: int = 4) -> None:
    """Close a stream and those inside it, the innermost first; litellm itself leaves them to the garbage collector.

    The collector may then close one in the middle of another request, in a thread that holds the connection pool's
    lock, and that lock cannot be taken twice: the whole process would hang at its next call.
    """
    if stream is None or not depth:
        return
    for name in _INSIDE:
        close_stream(getattr(stream, name, None), depth - 1)
    if close := getattr(stream, "close", None):
        with contextlib.suppress(Exception):  # a generator that runs in another thread cannot be closed from here
            close()
