"""How does a request look in Anthropic's messages format, and what does its event stream say?

Source: the messages API as in the anthropic SDK 2.11 (API version 2026-10-21).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import answer_schema
from .errors import ModelBadUsage, ModelBroken
from .model_calls import Message, ModelRequest, ToolCall
from .unicode_repair import whole, whole_value
from .usage import read_usage
from .wire import STOP_REASONS, Abilities, RawReply, parse_arguments, part, plain

MOST_CACHE_MARKS = 4
MARK = {"type": "ephemeral"}


def body(request: ModelRequest, model: str, abilities: Abilities) -> dict[str, Any]:
    """The request's JSON body, streaming on."""
    schema = None
    if request.schema_ is not None:
        if abilities.schema_native:
            schema = answer_schema.native_schema(request.schema_, drop_checks=True)
        if schema is None:
            request = answer_schema.in_prompt(request)
    config: dict[str, Any] = {}
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    if request.effort and abilities.effort:
        config["effort"] = request.effort
    return {
        "model": model,
        "max_tokens": request.max_output_tokens,
        "stream": True,
        "messages": messages(request),
        **({"system": _system(request)} if request.system else {}),
        **({"tools": [_tool(t) for t in request.tools]} if request.tools else {}),
        **({"output_config": config} if config else {}),
    }


def _system(request: ModelRequest) -> str | list[dict[str, Any]]:
    text = {"type": "text", "text": request.system}
    return [{**text, "cache_control": MARK}] if request.cache_system else request.system


def messages(request: ModelRequest) -> list[dict[str, Any]]:
    """Messages with roles alternating: tool results and neighbouring user texts share one user message."""
    most = MOST_CACHE_MARKS - request.cache_system
    marked = [at for at, message in enumerate(request.messages) if message.cache][-most:]
    turns: list[dict[str, Any]] = []
    for at, message in enumerate(request.messages):
        blocks = _blocks(message)
        if at in marked:
            blocks[-1]["cache_control"] = MARK
        role = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def read_stream(events: Iterable[Any]) -> RawReply:
    """The whole answer that a stream of events adds up to.

    Raises:
        ModelBroken: the stream ended before `message_stop`, or its events make no sense.
    """
    blocks: dict[int, dict[str, Any]] = {}
    usage: dict[str, object] = {}
    counted = ended = False
    stop = model = response_id = ""
    for event in events:
        kind = part(event, "type")
        if kind == "message_start":
            model, response_id = part(event, "message", "model") or "", part(event, "message", "id") or ""
            usage.update(_given(part(event, "message", "usage")))
        elif kind == "content_block_start":
            start = part(event, "content_block")
            blocks[part(event, "index")] = {
                "type": part(start, "type"),
                "id": part(start, "id") or "",
                "name": part(start, "name") or "",
                "text": part(start, "text") or "",
            }
        elif kind == "content_block_delta":
            block = blocks.setdefault(part(event, "index"), {"type": "text", "id": "", "name": "", "text": ""})
            delta = part(event, "delta")
            block["text"] += part(delta, "text") or part(delta, "partial_json") or ""
        elif kind == "message_delta":
            stop = part(event, "delta", "stop_reason") or stop
            given = _given(part(event, "usage"))
            counted = counted or "output_tokens" in given
            usage.update(given)
        elif kind == "message_stop":
            ended = True
    if not ended:
        raise ModelBroken("The answer's stream ended before the answer did.")
    return _reply(list(blocks.values()), stop, usage if counted else None, model, response_id)


def read_whole(message: Any) -> RawReply:
    """The answer in a message that was not streamed (a server that ignores `stream`).

    Raises:
        ModelBroken: it is no message.
    """
    content = part(message, "content")
    if part(message, "type") != "message" or not isinstance(content, list):
        raise ModelBroken("The answer is no message.")
    blocks = [
        {
            "type": part(block, "type"),
            "id": part(block, "id") or "",
            "name": part(block, "name") or "",
            "text": part(block, "text") or "",
            "input": part(block, "input"),
        }
        for block in content
    ]
    return _reply(
        blocks,
        part(message, "stop_reason") or "",
        _given(part(message, "usage")),
        part(message, "model") or "",
        part(message, "id") or "",
    )


def _reply(blocks: list[dict[str, Any]], stop: str, usage: dict[str, object] | None, model: str, id_: str) -> RawReply:
    counts, problem = None, ""
    try:
        counts = read_usage("anthropic", usage)
    except ModelBadUsage as error:
        problem = error.message
    return RawReply(
        content=whole("".join(block["text"] for block in blocks if block["type"] == "text")),
        tool_calls=tuple(
            ToolCall(
                id=block["id"],
                name=block["name"],
                arguments=whole_value(block["input"])
                if block.get("input") is not None
                else parse_arguments(block["text"]),
            )
            for block in blocks
            if block["type"] == "tool_use"
        ),
        stop_reason=STOP_REASONS.get(stop, ""),
        refusal="The model declined to answer." if stop == "refusal" else "",
        usage=counts,
        problem=problem,
        model=model,
        response_id=id_,
    )


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id or "", "content": message.content}]
    blocks: list[dict[str, Any]] = [{"type": "text", "text": message.content}] if message.content.strip() else []
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in message.tool_calls
    ]
    return blocks or [{"type": "text", "text": "(empty)"}]


def _tool(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}


def _given(report: Any) -> dict[str, object]:
    return {key: value for key, value in (plain(report) or {}).items() if value is not None}
