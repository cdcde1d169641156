"""How many tokens of which class did a vendor's usage report count?

Vendors disagree on what "input" means: Anthropic leaves cache tokens out of `input_tokens`; OpenAI and litellm count
cached and cache-write tokens inside their prompt tokens. Reasoning is part of output everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from .errors import ModelBadUsage
from .model_calls import ModelRequest, Usage

Shape = Literal["anthropic", "openai_chat", "openai_responses", "litellm"]

_MESSAGE_OVERHEAD = 16
_TOOLS_OVERHEAD = 700  # the provider's own system text that explains tool use
_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123)) + b" \n"


def read_usage(shape: Shape, report: Mapping[str, object] | None) -> Usage:
    """The report's tokens in disjoint classes.

    Raises:
        ModelBadUsage: there is no report, a count is negative or no number, or the parts exceed their whole.
    """
    if not report:
        raise ModelBadUsage("The provider's answer has no token counts.", remedy="The call is billed by an estimate.")
    return _READERS[shape](report)


def _from_anthropic(report: Mapping[str, object]) -> Usage:
    write, write_1h = _count(report, "cache_creation_input_tokens"), _count(report, *_ONE_HOUR["anthropic"])
    return _usage(
        input=_count(report, "input_tokens", required=True),
        cache_read=_count(report, "cache_read_input_tokens"),
        cache_write=max(write, _count(report, "cache_creation", "ephemeral_5m_input_tokens") + write_1h),
        cache_write_1h=write_1h,
        output=_count(report, "output_tokens", required=True),
        reasoning=_count(report, "output_tokens_details", "thinking_tokens"),
    )


def _from_openai_chat(report: Mapping[str, object]) -> Usage:
    read = _count(report, "prompt_tokens_details", "cached_tokens")
    write = _count(report, "prompt_tokens_details", "cache_write_tokens")
    return _usage(
        input=_count(report, "prompt_tokens", required=True) - read - write,
        cache_read=read,
        cache_write=write,
        output=_count(report, "completion_tokens", required=True),
        reasoning=_count(report, "completion_tokens_details", "reasoning_tokens"),
    )


def _from_openai_responses(report: Mapping[str, object]) -> Usage:
    read = _count(report, "input_tokens_details", "cached_tokens")
    write = _count(report, "input_tokens_details", "cache_write_tokens")
    return _usage(
        input=_count(report, "input_tokens", required=True) - read - write,
        cache_read=read,
        cache_write=write,
        output=_count(report, "output_tokens", required=True),
        reasoning=_count(report, "output_tokens_details", "reasoning_tokens"),
    )


def _from_litellm(report: Mapping[str, object]) -> Usage:
    read = _count(report, "prompt_tokens_details", "cached_tokens")
    write = _count(report, "prompt_tokens_details", "cache_creation_tokens") or _count(
        report, "prompt_tokens_details", "cache_write_tokens"
    )
    return _usage(
        input=_count(report, "prompt_tokens", required=True) - read - write,
        cache_read=read,
        cache_write=write,
        cache_write_1h=_count(report, *_ONE_HOUR["litellm"]),
        output=_count(report, "completion_tokens", required=True),
        reasoning=_count(report, "completion_tokens_details", "reasoning_tokens"),
    )


_ONE_HOUR = {
    "anthropic": ("cache_creation", "ephemeral_1h_input_tokens"),
    "litellm": ("prompt_tokens_details", "cache_creation_token_details", "ephemeral_1h_input_tokens"),
}
_READERS: Mapping[Shape, Callable[[Mapping[str, object]], Usage]] = {
    "anthropic": _from_anthropic,
    "openai_chat": _from_openai_chat,
    "openai_responses": _from_openai_responses,
    "litellm": _from_litellm,
}


def _count(report: Mapping[str, object], *path: str, required: bool = False) -> int:
    found: object = report
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if found is None and not required:
        return 0
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ModelBadUsage(
            f"The provider reports {'.'.join(path)} = {found!r}.", remedy="The call is billed by an estimate."
        )
    return found


def _usage(
    *, input: int, cache_read: int, cache_write: int, output: int, reasoning: int, cache_write_1h: int = 0
) -> Usage:
    if input < 0 or cache_write_1h > cache_write or reasoning > output:
        raise ModelBadUsage(
            f"The provider's token counts contradict each other: input without cache {input}, cache writes "
            f"{cache_write} (of these for an hour {cache_write_1h}), output {output}, reasoning {reasoning}.",
            remedy="The call is billed by an estimate.",
        )
    return Usage(
        input=input,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=cache_write_1h,
        output=output,
        reasoning=reasoning,
    )


def most_tokens(text: str) -> int:
    """A generous upper estimate of a text's tokens: two letters or one other byte each.

    Words average four letters a token in every current tokenizer; digits, signs and other scripts come close to one
    byte a token at worst. Real English and code is about half of this.
    """
    raw = text.encode("utf-8", "surrogatepass")
    others = len(raw.translate(None, _LETTERS))
    return others + (len(raw) - others + 1) // 2


def most_input_tokens(request: ModelRequest) -> int:
    """A generous upper estimate of a request's input tokens, tools and schema included."""
    total = most_tokens(request.system) + _MESSAGE_OVERHEAD
    for message in request.messages:
        total += most_tokens(message.content) + _MESSAGE_OVERHEAD
        for call in message.tool_calls:
            total += most_tokens(str(call.arguments)) + most_tokens(call.name) + _MESSAGE_OVERHEAD
    for tool in request.tools:
        total += most_tokens(tool.description) + most_tokens(str(tool.parameters)) + most_tokens(tool.name)
    if request.tools:
        total += _TOOLS_OVERHEAD
    if request.schema_ is not None:
        total += 2 * most_tokens(str(request.schema_)) + _TOOLS_OVERHEAD
    return total


def estimated_usage(request: ModelRequest, answer: str | None) -> Usage:
    """What a call without usable counts is billed as; without an answer at its worst case."""
    output = request.max_output_tokens if answer is None else min(most_tokens(answer), request.max_output_tokens)
    return Usage(input=most_input_tokens(request), output=output, source="estimated")
