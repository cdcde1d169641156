"""How does a request look in OpenAI's chat-completions format, and what do its chunks say?

litellm speaks the same format for every vendor, with `cache_control` marks where the vendor takes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import answer_schema
from .errors import ModelBadUsage, ModelBroken
from .model_calls import Message, ModelRequest, ToolCall
from .unicode_repair import whole
from .usage import Shape, read_usage
from .wire import STOP_REASONS, Abilities, RawReply, arguments_text, parse_arguments, part, plain

MOST_CACHE_MARKS = 4


def body(request: ModelRequest, model: str, abilities: Abilities) -> dict[str, Any]:
    """The request's JSON body, streaming on, with the token counts asked for at the end of the stream."""
    schema = None
    if request.schema_ is not None:
        if abilities.schema_native:
            schema = answer_schema.native_schema(request.schema_, drop_checks=abilities.cache_marks)
        if schema is None:
            request = answer_schema.in_prompt(request)
    format_ = {
        "type": "json_schema",
        "json_schema": {
            "name": request.schema_name or "answer",
            "schema": schema,
            "strict": answer_schema.strict(schema),
        },
    }
    return {
        "model": model,
        "max_completion_tokens": request.max_output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": messages(request, cache_marks=abilities.cache_marks),
        **({"tools": [_tool(t) for t in request.tools]} if request.tools else {}),
        **({"response_format": format_} if schema is not None else {}),
        **({"reasoning_effort": request.effort} if request.effort and abilities.effort else {}),
    }


def messages(request: ModelRequest, *, cache_marks: bool = False) -> list[dict[str, Any]]:
    """The conversation, system text first."""
    most = MOST_CACHE_MARKS - request.cache_system
    marked = [at for at, message in enumerate(request.messages) if message.cache][-most:]
    system: Any = request.system
    if cache_marks and request.cache_system:
        system = [{"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}]
    first = [{"role": "system", "content": system}] if request.system else []
    return first + [_message(m, cache_marks and at in marked) for at, m in enumerate(request.messages)]


def read_stream(chunks: Iterable[Any], shape: Shape = "openai_chat") -> RawReply:
    """The whole answer that a stream of chunks adds up to.

    Raises:
        ModelBroken: the stream ended without a reason to stop.
    """
    text: list[str] = []
    refusal: list[str] = []
    calls: dict[int, dict[str, str]] = {}
    finish = model = response_id = ""
    usage: Any = None
    for chunk in chunks:
        if part(chunk, "error") is not None:
            raise ModelBroken(f"The provider broke off with an error: {str(part(chunk, 'error'))[:300]}")
        model, response_id = part(chunk, "model") or model, part(chunk, "id") or response_id
        usage = part(chunk, "usage") or usage
        for choice in (part(chunk, "choices") or ())[:1]:
            finish = part(choice, "finish_reason") or finish
            text.append(part(choice, "delta", "content") or "")
            refusal.append(part(choice, "delta", "refusal") or "")
            for call in part(choice, "delta", "tool_calls") or ():
                _grow(calls, call)
    if not finish:
        raise ModelBroken("The answer's stream ended before the answer did.")
    return _reply("".join(text), "".join(refusal), list(calls.values()), finish, usage, shape, model, response_id)


def read_whole(completion: Any, shape: Shape = "openai_chat") -> RawReply:
    """The answer in a completion that was not streamed (a server that ignores `stream`).

    Raises:
        ModelBroken: it is no completion.
    """
    choices = part(completion, "choices")
    if not isinstance(choices, list) or not choices:
        raise ModelBroken("The answer is no completion.")
    message = part(choices[0], "message")
    calls = [
        {
            "id": part(call, "id") or "",
            "name": part(call, "function", "name") or "",
            "arguments": part(call, "function", "arguments") or "",
        }
        for call in part(message, "tool_calls") or ()
    ]
    return _reply(
        part(message, "content") or "",
        part(message, "refusal") or "",
        calls,
        part(choices[0], "finish_reason") or "",
        part(completion, "usage"),
        shape,
        part(completion, "model") or "",
        part(completion, "id") or "",
    )


def counted(usage: Any, shape: Shape) -> dict[str, Any]:
    """The reply's fields that hold the counts, or why there are none."""
    try:
        return {"usage": read_usage(shape, plain(usage))}
    except ModelBadUsage as error:
        return {"usage": None, "problem": error.message}


def _reply(
    content: str,
    refusal: str,
    calls: list[dict[str, str]],
    finish: str,
    usage: Any,
    shape: Shape,
    model: str,
    response_id: str,
) -> RawReply:
    stop = STOP_REASONS.get(finish, "")
    return RawReply(
        content=whole(content),
        tool_calls=tuple(
            ToolCall(id=call["id"], name=call["name"], arguments=parse_arguments(call["arguments"])) for call in calls
        ),
        stop_reason="refusal" if refusal else "tool_calls" if calls and stop == "stop" else stop,
        refusal=whole(refusal) or ("The provider's filter stopped the answer." if stop == "refusal" else ""),
        model=model,
        response_id=response_id,
        **counted(usage, shape),
    )


def _grow(calls: dict[int, dict[str, str]], piece: Any) -> None:
    at = part(piece, "index")
    call = calls.setdefault(at if isinstance(at, int) else len(calls), {"id": "", "name": "", "arguments": ""})
    call["id"] = part(piece, "id") or call["id"]
    call["name"] = part(piece, "function", "name") or call["name"]
    call["arguments"] += part(piece, "function", "arguments") or ""


def _message(message: Message, mark: bool) -> dict[str, Any]:
    content: Any = message.content
    if mark:
        content = [{"type": "text", "text": message.content or "(empty)", "cache_control": {"type": "ephemeral"}}]
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": content}
    if not message.tool_calls:
        return {"role": message.role, "content": content}
    return {
        "role": "assistant",
        "content": content or None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
            }
            for call in message.tool_calls
        ],
    }


def _tool(tool: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }
