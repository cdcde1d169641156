"""How does Anthropic's messages format say a request, a reply, a stream and an error?

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from ..domain.model_calls import Usage
from .talk import Answer, Asked, BadRequest, Block, Role, split

NAME = "anthropic"
Mark = Literal["", "5m", "1h"]
NO_MARK: Mark = ""
STOP_REASON = {"end": "end_turn", "tools": "tool_use", "length": "max_tokens", "refusal": "refusal"}


def read(body: dict[str, Any]) -> Asked:
    """The request that a body holds.

    Raises:
        BadRequest: when a field is missing or of the wrong type.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages: at least one message is required")
    blocks: list[Block] = []
    tools = body.get("tools") or []
    if tools:
        mark = next((mark for mark in map(_mark, reversed(tools)) if mark), NO_MARK)
        bare = [{key: value for key, value in tool.items() if key != "cache_control"} for tool in tools]
        blocks.append(Block("tools", json.dumps(bare, ensure_ascii=False), -2, mark))
    blocks.extend(_blocks("system", body.get("system"), -1))
    for number, message in enumerate(messages):
        role = message.get("role")
        if role not in ("user", "assistant"):
            raise BadRequest(f"messages.{number}.role: Input should be 'user' or 'assistant', not {role!r}")
        blocks.extend(_blocks(role, message.get("content"), number))
    choice = body.get("tool_choice")
    return Asked(
        wire=NAME,
        model=str(body.get("model", "")),
        blocks=tuple(blocks),
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_tokens"),
        tools=tuple(tool.get("name", "") for tool in tools),
        forced_tool=choice.get("name", "") if isinstance(choice, dict) and choice.get("type") == "tool" else "",
    )


def _mark(block: dict[str, Any]) -> Mark:
    control = block.get("cache_control")
    if not control:
        return ""
    return "1h" if control.get("ttl") == "1h" else "5m"


def _blocks(role: Role, content: object, number: int) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Block(role, content, number)]
    if not isinstance(content, list):
        raise BadRequest(f"messages.{number}.content: Input should be a string or a list of blocks")
    found: list[Block] = []
    for part in content:
        kind = part.get("type")
        if kind == "tool_result":
            found.append(Block("tool", _result(part.get("content")), number, _mark(part)))
        elif kind == "tool_use":
            text = f"{part.get('name')} {json.dumps(part.get('input'), ensure_ascii=False)}"
            found.append(Block(role, text, number, _mark(part)))
        else:
            found.append(Block(role, str(part.get("text") or part.get("thinking") or ""), number, _mark(part)))
    return found or [Block(role, "", number)]


def _result(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def usage(answer: Answer) -> dict[str, Any]:
    """Usage as Anthropic states it: input tokens are without what was read from or written to the cache."""
    u = answer.usage
    return {
        "input_tokens": u.input,
        "output_tokens": u.output,
        "cache_creation_input_tokens": u.cache_write,
        "cache_read_input_tokens": u.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": u.cache_write - u.cache_write_1h,
            "ephemeral_1h_input_tokens": u.cache_write_1h,
        },
        "output_tokens_details": {"thinking_tokens": u.reasoning},
        "service_tier": "standard",
    }


def read_usage(stated: dict[str, Any]) -> Usage:
    """Usage in disjoint classes from what Anthropic states."""
    return Usage(
        input=stated.get("input_tokens") or 0,
        cache_read=stated.get("cache_read_input_tokens") or 0,
        cache_write=stated.get("cache_creation_input_tokens") or 0,
        cache_write_1h=(stated.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0,
        output=stated.get("output_tokens") or 0,
        reasoning=(stated.get("output_tokens_details") or {}).get("thinking_tokens") or 0,
    )


def _content(answer: Answer) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
    for index, tool in enumerate(answer.tools):
        name = f"toolu_{answer.id[:20]}{index}"
        content.append({"type": "tool_use", "id": name, "name": tool.name, "input": tool.arguments})
    return content


def _head(asked: Asked, answer: Answer) -> dict[str, Any]:
    return {"id": f"msg_{answer.id}", "type": "message", "role": "assistant", "model": asked.model}


def write(asked: Asked, answer: Answer) -> dict[str, Any]:
    """The body of a reply that is not streamed."""
    return {
        **_head(asked, answer),
        "content": _content(answer),
        "stop_reason": STOP_REASON[answer.stop],
        "stop_sequence": None,
        "usage": usage(answer),
    }


def stream(asked: Asked, answer: Answer) -> Iterator[str]:
    """The frames of a streamed reply."""
    counted = usage(answer)
    empty: dict[str, Any] = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**counted, "output_tokens": 1},
    }
    yield _frame("message_start", message={**_head(asked, answer), **empty})
    for index, block in enumerate(_content(answer)):
        if block["type"] == "text":
            yield _frame("content_block_start", index=index, content_block={"type": "text", "text": ""})
            for piece in answer.pieces():
                yield _frame("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        else:
            yield _frame("content_block_start", index=index, content_block={**block, "input": {}})
            for piece in split(json.dumps(block["input"], ensure_ascii=False)):
                delta = {"type": "input_json_delta", "partial_json": piece}
                yield _frame("content_block_delta", index=index, delta=delta)
        yield _frame("content_block_stop", index=index)
    yield _frame(
        "message_delta",
        delta={"stop_reason": STOP_REASON[answer.stop], "stop_sequence": None},
        usage={key: counted[key] for key in counted if key.endswith("tokens")},
    )
    yield _frame("message_stop")


def _frame(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data}, ensure_ascii=False)}\n\n"


def error(kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    """The body of an error."""
    detail = {"type": kind, "message": message} | ({"code": code} if code else {})
    return {"type": "error", "error": detail}


def stream_error(message: str) -> str:
    """An error that arrives in the middle of a stream."""
    return _frame("error", error={"type": "overloaded_error", "message": message})
