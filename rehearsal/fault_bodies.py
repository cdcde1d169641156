"""How does a fault look on the wire?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .exchange import Alter, Chunk, Exchange, Response, body_response
from .faults import Fault
from .talk import Answer

CLAUDE, GPT = "anthropic", "openai"
ERRORS: dict[str, tuple[int, dict[str, tuple[str, str, str | None]]]] = {  # kind: status, provider: type, message, code
    "rate_limit": (
        429,
        {
            CLAUDE: ("rate_limit_error", "This request would exceed your rate limit.", None),
            GPT: ("rate_limit_exceeded", "Rate limit reached for requests.", "rate_limit_exceeded"),
        },
    ),
    "quota": (
        429,
        {
            CLAUDE: ("rate_limit_error", "You have reached your specified API usage limits.", None),
            GPT: ("insufficient_quota", "You exceeded your current quota.", "insufficient_quota"),
        },
    ),
    "overloaded": (529, {CLAUDE: ("overloaded_error", "Overloaded", None), GPT: ("server_error", "Overloaded", None)}),
    "server_error": (
        500,
        {CLAUDE: ("api_error", "Internal server error", None), GPT: ("server_error", "Internal server error", None)},
    ),
    "unavailable": (
        503,
        {CLAUDE: ("api_error", "Service unavailable", None), GPT: ("server_error", "Service unavailable", None)},
    ),
    "unauthorised": (
        401,
        {
            CLAUDE: ("authentication_error", "invalid x-api-key", None),
            GPT: ("invalid_request_error", "Incorrect API key provided.", "invalid_api_key"),
        },
    ),
    "not_found": (
        404,
        {
            CLAUDE: ("not_found_error", "model: there is no such model", None),
            GPT: (
                "invalid_request_error",
                "The model does not exist or you do not have access to it.",
                "model_not_found",
            ),
        },
    ),
    "too_long": (
        400,
        {
            CLAUDE: ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", None),
            GPT: (
                "invalid_request_error",
                "This model's maximum context length is 128000 tokens; your messages resulted in 210000.",
                "context_length_exceeded",
            ),
        },
    ),
    "bad_request": (
        400,
        {
            CLAUDE: ("invalid_request_error", "temperature: Extra inputs are not permitted", None),
            GPT: ("invalid_request_error", "Unsupported parameter: 'temperature'", "unsupported_parameter"),
        },
    ),
}
PAGE = b"<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
DRIP_BYTES = 24


def instead(fault: Fault, exchange: Exchange) -> Response | None:
    """The response that a fault gives without asking for an answer; None when there must be one first."""
    if fault.kind in ERRORS:
        status, forms = ERRORS[fault.kind]
        kind, message, code = forms[exchange.provider]
        headers = {"retry-after": f"{fault.retry_after:g}"} if fault.kind == "rate_limit" else {}
        return body_response(status, exchange.wire.error(kind, message, code), headers)
    if fault.kind in ("html", "html_ok"):
        status = 502 if fault.kind == "html" else 200
        return Response(status, {"content-type": "text/html"}, [(0.0, PAGE)], length=len(PAGE))
    if fault.kind == "drop":
        return Response(0, {}, [], end="drop")
    return None


def alteration(fault: Fault) -> Alter | None:
    """How a fault changes what the model says, None when it does not."""
    changes: dict[str, Alter] = {
        "no_content": lambda answer: replace(answer, text="", tools=(), stop="end"),
        "refusal": lambda answer: replace(answer, text="I can't help with that.", tools=(), stop="refusal"),
        "truncated": lambda answer: replace(answer, text=_half_text(answer), tools=(), stop="length"),
    }
    return changes.get(fault.kind)


def _half_text(answer: Answer) -> str:
    text = answer.text or "".join(tool.json for tool in answer.tools)
    return text[: max(1, len(text) // 2)]


def damaged(fault: Fault, response: Response, exchange: Exchange) -> Response:
    """The response as it arrives under a fault that spoils a good one."""
    spoil = _SPOILS.get(fault.kind)
    return spoil(fault, response, exchange) if spoil else response


def _halves(response: Response) -> tuple[list[Chunk], list[Chunk]]:
    chunks = response.pieces()
    if len(chunks) > 1:
        middle = len(chunks) // 2
        return chunks[:middle], chunks[middle:]
    wait, data = chunks[0] if chunks else (0.0, b"")
    middle = len(data) // 2
    return [(wait, data[:middle])], [(0.0, data[middle:])]


def _slow(fault: Fault, response: Response, _: Exchange) -> Response:
    chunks = response.pieces() or [(0.0, b"")]
    return replace(response, chunks=[(chunks[0][0] + fault.delay_s, chunks[0][1]), *chunks[1:]])


def _stall(fault: Fault, response: Response, _: Exchange) -> Response:
    first, rest = _halves(response)
    return replace(response, chunks=[*first, (rest[0][0] + fault.delay_s, rest[0][1]), *rest[1:]])


def _drip(fault: Fault, response: Response, _: Exchange) -> Response:
    data = b"".join(part for _, part in response.pieces())
    drops = [data[start : start + DRIP_BYTES] for start in range(0, len(data), DRIP_BYTES)]
    return replace(response, chunks=[(fault.delay_s, drop) for drop in drops])


def _cut(_: Fault, response: Response, __: Exchange) -> Response:
    return replace(response, chunks=_halves(response)[0], end="drop")


def _early_end(_: Fault, response: Response, __: Exchange) -> Response:
    return replace(response, chunks=_halves(response)[0], length=None, end="close")


def _empty(_: Fault, response: Response, __: Exchange) -> Response:
    return replace(response, chunks=[], length=0)


def _malformed(_: Fault, response: Response, __: Exchange) -> Response:
    if response.length is not None:
        return response.with_chunks(_halves(response)[0])
    first, rest = _halves(response)
    half = rest[0][1].rstrip()
    return replace(response, chunks=[*first, (0.0, half[: len(half) // 2] + b"\n\n"), *rest[1:]])


def _stream_error(_: Fault, response: Response, exchange: Exchange) -> Response:
    if response.length is not None:
        return body_response(500, exchange.wire.error("api_error", "Internal server error"))
    frame = exchange.wire.stream_error("Overloaded").encode()
    return replace(response, chunks=[*_halves(response)[0], (0.0, frame)])


def _rewriting(change: Callable[[Any], Any]) -> Callable[[Fault, Response, Exchange], Response]:
    """A fault that changes each JSON document of a response: the body, or each event's data."""

    def spoil(_: Fault, response: Response, __: Exchange) -> Response:
        return response.with_chunks([(wait, _rewrite(data, change)) for wait, data in response.pieces()])

    return spoil


def _rewrite(data: bytes, change: Callable[[Any], Any]) -> bytes:
    lines = []
    for line in data.decode().split("\n"):
        head, text = ("data: ", line[6:]) if line.startswith("data: ") else ("", line)
        lines.append(head + json.dumps(change(json.loads(text))) if text.startswith("{") else line)
    return "\n".join(lines).encode()


def _without_usage(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_usage(part) for key, part in value.items() if key != "usage"}
    return value


def _negative_usage(value: Any, inside: bool = False) -> Any:
    if isinstance(value, dict):
        return {key: _negative_usage(part, inside or key == "usage") for key, part in value.items()}
    return -value - 1 if inside and isinstance(value, int) else value


def _wrong_types(value: Any) -> Any:
    wrong = {"content": "hello", "choices": "hello", "output": "hello", "delta": 7}
    if isinstance(value, dict):
        return {key: wrong[key] if key in wrong else _wrong_types(part) for key, part in value.items()}
    return value


_SPOILS: dict[str, Callable[[Fault, Response, Exchange], Response]] = {
    "slow": _slow,
    "stall": _stall,
    "drip": _drip,
    "cut": _cut,
    "early_end": _early_end,
    "empty": _empty,
    "malformed": _malformed,
    "stream_error": _stream_error,
    "no_usage": _rewriting(_without_usage),
    "negative_usage": _rewriting(_negative_usage),
    "wrong_types": _rewriting(_wrong_types),
}
