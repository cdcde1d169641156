"""Which old tool outputs need not be sent again?

The answer is a fold over the conversation: masking happens in steps, and what was masked for one turn is masked for all
later ones. So the beginning of a conversation stays the same for several turns, and a provider's prompt cache holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from .model_calls import Message, ToolCall
from .tokens import estimate_tokens

LOW_WATER = 0.6
SMALL_TOKENS = 60
KEPT_ARGUMENTS = ("path", "command", "pattern", "start", "end")


def message_tokens(message: Message) -> int:
    """What a message costs in the next request, estimated."""
    calls = sum(estimate_tokens(f"{call.name} {call.model_dump_json()}") for call in message.tool_calls)
    return estimate_tokens(message.content) + calls + 4


def mask_old(messages: Sequence[Message], keep_last: int, budget: int) -> tuple[Message, ...]:
    """The conversation with old tool outputs replaced by one-line notes, as far as `budget` estimated tokens need it.

    Whenever the conversation grew past the budget, the oldest outputs were masked until it was at most 0.6 of it; those
    that no model has seen yet only until it was within it. The last `keep_last` messages of that moment, short outputs,
    and all that is not a tool's output stay as they are.
    """
    sent: list[Message] = []
    made_by: list[ToolCall | None] = []
    calls: dict[str, ToolCall] = {}  # of the latest turn: there are providers that give every turn the same ids
    total = seen = 0
    for message in messages:
        if message.role == "assistant":
            calls, seen = {call.id: call for call in message.tool_calls}, len(sent)
        sent.append(message)
        made_by.append(calls.get(message.tool_call_id or ""))
        total += message_tokens(message)
        if total <= budget:
            continue
        for at in range(max(0, len(sent) - keep_last)):
            old = sent[at]
            if total <= budget * (LOW_WATER if at < seen else 1):
                break
            if old.role == "tool" and estimate_tokens(old.content) > SMALL_TOKENS:
                sent[at] = old.model_copy(update={"content": _note(old, made_by[at])})
                total -= message_tokens(old) - message_tokens(sent[at])
    return tuple(sent)


def _note(message: Message, call: ToolCall | None) -> str:
    what = "a tool"
    if call is not None:
        given = [
            f"{key}={_short(call.arguments[key])}" for key in KEPT_ARGUMENTS if call.arguments.get(key) is not None
        ]
        what = f"{call.name}({', '.join(given)})"
    lines = message.content.count("\n") + 1
    return f"[output of {what} left out here, {lines} lines; call it again if you need it]"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
