"""How does OpenAI's responses format say a request, a reply, a stream and an error?

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from ..domain.model_calls import Usage
from .openai_wire import error
from .talk import Answer, Asked, BadRequest, Block, Role, split

NAME = "responses"
__all__ = ["NAME", "error", "read", "read_usage", "stream", "stream_error", "write"]


def read(body: dict[str, Any]) -> Asked:
    """The request that a body holds. What the model said between two messages of others counts as one message.

    Raises:
        BadRequest: when a field is missing or of the wrong type, or when the server is asked to remember.
    """
    if body.get("previous_response_id"):
        raise BadRequest("previous_response_id: this server keeps no responses; send the whole input")
    items = body.get("input")
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    if not isinstance(items, list) or not items:
        raise BadRequest("'input' must be a text or a list that is not empty")
    tools = body.get("tools") or []
    blocks: list[Block] = []
    if tools:
        blocks.append(Block("tools", json.dumps(tools, ensure_ascii=False), -2))
    if body.get("instructions"):
        blocks.append(Block("system", str(body["instructions"]), -1))
    number = 0
    for item in items:
        role, text = _item(item)
        if not (role == "assistant" and blocks and blocks[-1].role == "assistant"):
            number += 1
        blocks.append(Block(role, text, number))
    choice = body.get("tool_choice")
    return Asked(
        wire=NAME,
        model=str(body.get("model", "")),
        blocks=tuple(blocks),
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_output_tokens"),
        tools=tuple(tool.get("name", "") for tool in tools),
        forced_tool=choice.get("name", "") if isinstance(choice, dict) else "",
    )


def _item(item: dict[str, Any]) -> tuple[Role, str]:
    kind = item.get("type", "message")
    if kind == "function_call":
        return "assistant", f"{item.get('name')} {item.get('arguments')}"
    if kind == "function_call_output":
        return "tool", _text(item.get("output"))
    if kind == "reasoning":
        return "assistant", ""
    if kind != "message":
        raise BadRequest(f"input item of type {kind!r} is not supported")
    role = item.get("role")
    if role in ("system", "developer"):
        return "system", _text(item.get("content"))
    return ("assistant" if role == "assistant" else "user"), _text(item.get("content"))


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def usage(answer: Answer) -> dict[str, Any]:
    """Usage as OpenAI states it: input tokens include what was read from and written to the cache."""
    u = answer.usage
    total_in = u.input + u.cache_read + u.cache_write
    return {
        "input_tokens": total_in,
        "input_tokens_details": {"cached_tokens": u.cache_read, "cache_write_tokens": u.cache_write},
        "output_tokens": u.output,
        "output_tokens_details": {"reasoning_tokens": u.reasoning},
        "total_tokens": total_in + u.output,
    }


def read_usage(stated: dict[str, Any]) -> Usage:
    """Usage in disjoint classes from what OpenAI states."""
    inside, out = stated.get("input_tokens_details") or {}, stated.get("output_tokens_details") or {}
    read, written = inside.get("cached_tokens") or 0, inside.get("cache_write_tokens") or 0
    return Usage(
        input=stated.get("input_tokens", 0) - read - written,
        cache_read=read,
        cache_write=written,
        output=stated.get("output_tokens", 0),
        reasoning=out.get("reasoning_tokens") or 0,
    )


def _output(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.usage.reasoning:
        items.append({"id": f"rs_{answer.id}", "type": "reasoning", "summary": []})
    if answer.text or not answer.tools:
        part: dict[str, Any] = {"type": "output_text", "text": answer.text, "annotations": []}
        if answer.stop == "refusal":
            part = {"type": "refusal", "refusal": answer.text}
        items.append(_message(answer, [part], "incomplete" if answer.stop == "length" else "completed"))
    for index, tool in enumerate(answer.tools):
        items.append(
            {
                "id": f"fc_{answer.id[:20]}{index}",
                "type": "function_call",
                "call_id": f"call_{answer.id[:20]}{index}",
                "name": tool.name,
                "arguments": tool.json,
                "status": "completed",
            }
        )
    return items


def _message(answer: Answer, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _response(asked: Asked, answer: Answer, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": int(time.time()),
        "model": asked.model,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "service_tier": "default",
        "text": {"format": {"type": "text"}},
        **changes,
    }


def write(asked: Asked, answer: Answer) -> dict[str, Any]:
    """The body of a reply that is not streamed."""
    whole = {"output": _output(answer), "usage": usage(answer)}
    if answer.stop == "length":
        reason = {"reason": "max_output_tokens"}
        return _response(asked, answer, status="incomplete", incomplete_details=reason, **whole)
    return _response(asked, answer, status="completed", **whole)


def stream(asked: Asked, answer: Answer) -> Iterator[str]:
    """The frames of a streamed reply."""
    number = iter(range(1 << 30))

    def frame(kind: str, **data: Any) -> str:
        return _frame(kind, sequence_number=next(number), **data)

    started = _response(asked, answer, status="in_progress", output=[], usage=None)
    yield frame("response.created", response=started)
    yield frame("response.in_progress", response=started)
    for index, item in enumerate(_output(answer)):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            part = item["content"][0]
            refused = part["type"] == "refusal"
            word, leaf = ("refusal", "refusal") if refused else ("output_text", "text")
            extra: dict[str, Any] = {} if refused else {"logprobs": []}
            yield frame("response.output_item.added", output_index=index, item=_message(answer, [], "in_progress"))
            yield frame("response.content_part.added", **place, content_index=0, part={**part, leaf: ""})
            for piece in answer.pieces():
                yield frame(f"response.{word}.delta", **place, content_index=0, delta=piece, **extra)
            yield frame(f"response.{word}.done", **place, content_index=0, **{leaf: answer.text}, **extra)
            yield frame("response.content_part.done", **place, content_index=0, part=part)
        elif item["type"] == "function_call":
            empty = {**item, "arguments": "", "status": "in_progress"}
            yield frame("response.output_item.added", output_index=index, item=empty)
            for piece in split(item["arguments"]):
                yield frame("response.function_call_arguments.delta", **place, delta=piece)
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield frame("response.function_call_arguments.done", **place, **done)
        else:
            yield frame("response.output_item.added", output_index=index, item=item)
        yield frame("response.output_item.done", output_index=index, item=item)
    last = write(asked, answer)
    yield frame(f"response.{last['status']}", response=last)


def _frame(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data}, ensure_ascii=False)}\n\n"


def stream_error(message: str) -> str:
    """An error that arrives in the middle of a stream."""
    return _frame("error", code="server_error", message=message, param=None, sequence_number=999)
