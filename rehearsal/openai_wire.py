"""How does OpenAI's chat-completions format say a request, a reply, a stream and an error?

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from ..domain.model_calls import Usage
from .talk import Answer, Asked, BadRequest, Block, Role, split

NAME = "openai"
FINISH = {"end": "stop", "tools": "tool_calls", "length": "length", "refusal": "stop"}


def read(body: dict[str, Any]) -> Asked:
    """The request that a body holds.

    Raises:
        BadRequest: when a field is missing or of the wrong type.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list that is not empty")
    blocks: list[Block] = []
    if body.get("tools"):
        blocks.append(Block("tools", json.dumps(body["tools"], ensure_ascii=False), -1))
    for number, message in enumerate(messages):
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            raise BadRequest(
                f"messages[{number}].role: {role!r} is not one of system, developer, user, assistant, tool"
            )
        text = _text(message.get("content"))
        for call in message.get("tool_calls") or ():
            text += f"\n{call['function']['name']} {call['function']['arguments']}"
        kind: Role = "system" if role in ("system", "developer") else role
        blocks.append(Block(kind, text, number))
    choice = body.get("tool_choice")
    return Asked(
        wire=NAME,
        model=str(body.get("model", "")),
        blocks=tuple(blocks),
        stream=bool(body.get("stream")),
        usage_in_stream=bool((body.get("stream_options") or {}).get("include_usage")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        tools=tuple(tool["function"]["name"] for tool in body.get("tools") or () if "function" in tool),
        forced_tool=choice.get("function", {}).get("name", "") if isinstance(choice, dict) else "",
    )


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def usage(answer: Answer) -> dict[str, Any]:
    """Usage as OpenAI states it: prompt tokens include what was read from and written to the cache."""
    u = answer.usage
    prompt = u.input + u.cache_read + u.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": u.output,
        "total_tokens": prompt + u.output,
        "prompt_tokens_details": {
            "cached_tokens": u.cache_read,
            "cache_write_tokens": u.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": u.reasoning, "audio_tokens": 0},
    }


def read_usage(stated: dict[str, Any]) -> Usage:
    """Usage in disjoint classes from what OpenAI states."""
    inside, out = stated.get("prompt_tokens_details") or {}, stated.get("completion_tokens_details") or {}
    read, written = inside.get("cached_tokens") or 0, inside.get("cache_write_tokens") or 0
    return Usage(
        input=stated.get("prompt_tokens", 0) - read - written,
        cache_read=read,
        cache_write=written,
        output=stated.get("completion_tokens", 0),
        reasoning=out.get("reasoning_tokens") or 0,
    )


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{answer.id[:20]}{index}",
            "type": "function",
            "function": {"name": tool.name, "arguments": tool.json},
        }
        for index, tool in enumerate(answer.tools)
    ]


def write(asked: Asked, answer: Answer) -> dict[str, Any]:
    """The body of a reply that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.tools:
        message["tool_calls"] = _calls(answer)
    elif answer.stop == "refusal":
        message |= {"content": None, "refusal": answer.text}
    elif not answer.text:
        message["content"] = ""
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "service_tier": "default",
        "choices": [{"index": 0, "message": message, "finish_reason": FINISH[answer.stop], "logprobs": None}],
        "usage": usage(answer),
    }


def stream(asked: Asked, answer: Answer) -> Iterator[str]:
    """The frames of a streamed reply; usage comes only if it was asked for, as with OpenAI."""
    head = {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": asked.model,
        "service_tier": "default",
    }

    def frame(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _frame({**head, "choices": [choice]})

    yield frame({"role": "assistant", "content": ""})
    for piece in answer.pieces():
        yield frame({"refusal" if answer.stop == "refusal" else "content": piece})
    for index, call in enumerate(_calls(answer)):
        function = call["function"]
        yield frame({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
        for piece in split(function["arguments"]):
            yield frame({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield frame({}, FINISH[answer.stop])
    if asked.usage_in_stream:
        yield _frame({**head, "choices": [], "usage": usage(answer)})
    yield "data: [DONE]\n\n"


def _frame(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def error(kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    """The body of an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def stream_error(message: str) -> str:
    """An error that arrives in the middle of a stream."""
    return _frame(error("server_error", message))
