"""How does a request look in OpenAI's responses format, and what do its events say?

Needed for the models that know no chat completions (pro, codex). Nothing is kept at the provider (`store` false).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import answer_schema
from .errors import ModelBroken
from .model_calls import Message, ModelRequest, ToolCall
from .unicode_repair import whole
from .wire import STOP_REASONS, Abilities, RawReply, arguments_text, parse_arguments, part
from .wire_openai import counted

_ENDS = ("response.completed", "response.incomplete", "response.failed")


def body(request: ModelRequest, model: str, abilities: Abilities) -> dict[str, Any]:
    """The request's JSON body, streaming on."""
    schema = None
    if request.schema_ is not None:
        if abilities.schema_native:
            schema = answer_schema.native_schema(request.schema_, drop_checks=False)
        if schema is None:
            request = answer_schema.in_prompt(request)
    format_ = {
        "type": "json_schema",
        "name": request.schema_name or "answer",
        "schema": schema,
        "strict": answer_schema.strict(schema),
    }
    return {
        "model": model,
        "max_output_tokens": request.max_output_tokens,
        "stream": True,
        "store": False,
        "input": [item for message in request.messages for item in _items(message)],
        **({"instructions": request.system} if request.system else {}),
        **({"tools": [_tool(t) for t in request.tools]} if request.tools else {}),
        **({"text": {"format": format_}} if schema is not None else {}),
        **({"reasoning": {"effort": request.effort}} if request.effort and abilities.effort else {}),
    }


def read_stream(events: Iterable[Any]) -> RawReply:
    """The whole answer, which the last event holds.

    Raises:
        ModelBroken: the stream ended without one, or the provider broke off.
    """
    final: Any = None
    for event in events:
        kind = part(event, "type")
        if kind == "error":
            raise ModelBroken(f"The provider broke off with an error: {str(part(event, 'message'))[:300]}")
        if kind in _ENDS:
            final = part(event, "response")
    if final is None:
        raise ModelBroken("The answer's stream ended before the answer did.")
    return read_whole(final)


def read_whole(response: Any) -> RawReply:
    """The answer in a response object.

    Raises:
        ModelBroken: it is none, or it failed.
    """
    status, output = part(response, "status"), part(response, "output")
    if not isinstance(output, list) or status not in ("completed", "incomplete"):
        said = part(response, "error", "message") or "the answer is no response"
        raise ModelBroken(f"The provider gave no answer: {str(said)[:300]}")
    contents = [c for item in output if part(item, "type") == "message" for c in part(item, "content") or ()]
    refusal = "".join(part(c, "refusal") or "" for c in contents if part(c, "type") == "refusal")
    calls = tuple(
        ToolCall(
            id=part(item, "call_id") or "",
            name=part(item, "name") or "",
            arguments=parse_arguments(part(item, "arguments") or ""),
        )
        for item in output
        if part(item, "type") == "function_call"
    )
    stop = STOP_REASONS.get(part(response, "incomplete_details", "reason") or str(status), "")
    return RawReply(
        content=whole("".join(part(c, "text") or "" for c in contents if part(c, "type") == "output_text")),
        tool_calls=calls,
        stop_reason="refusal" if refusal else "tool_calls" if calls and stop == "stop" else stop,
        refusal=whole(refusal) or ("The provider's filter stopped the answer." if stop == "refusal" else ""),
        model=part(response, "model") or "",
        response_id=part(response, "id") or "",
        **counted(part(response, "usage"), "openai_responses"),
    )


def _items(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "function_call_output", "call_id": message.tool_call_id or "", "output": message.content}]
    said = [{"role": message.role, "content": message.content}] if message.content else []
    return said + [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": arguments_text(call.arguments),
        }
        for call in message.tool_calls
    ]


def _tool(tool: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,
    }
