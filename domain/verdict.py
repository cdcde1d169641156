"""Is a provider's answer one that can be used?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import answer_schema
from .errors import ModelBadOutput, ModelBroken, ModelError, ModelRefused, ModelTruncated
from .model_calls import ModelRequest
from .wire import RawReply

Misfits = Callable[[Any, Any], list[str]]  # (schema, value) -> what is wrong with the value

MOST_REPAIRS = 2


def judge(raw: RawReply, request: ModelRequest, misfits: Misfits) -> tuple[Any, ModelError | None]:
    """The parsed answer if a schema was asked for, and the error that makes the answer unusable, if any.

    The reason to stop comes first: a refusal or a truncated answer would otherwise look like broken JSON.
    """
    if raw.stop_reason == "refusal":
        said = raw.refusal or raw.content
        refused = ModelRefused(
            f"{raw.model or request.model} declined: {said[:300]}", remedy="Change the request, or ask another model."
        )
        refused.words = said
        return None, refused
    if raw.stop_reason == "length":
        error = ModelTruncated(
            f"The answer of {raw.model or request.model} ended at its limit of {request.max_output_tokens} tokens.",
            remedy="Raise max_output_tokens, or ask for less at once.",
        )
        error.answer = raw.content
        return None, error
    if not raw.content.strip() and not raw.tool_calls:
        return None, ModelBroken(f"{raw.model or request.model} gave an empty answer.")
    if request.schema_ is None or raw.tool_calls:
        return None, None
    try:
        parsed = answer_schema.json_in(raw.content)
    except ValueError as error:
        return None, _bad(request, raw, [f"not JSON: {error}"])
    faults = misfits(request.schema_, parsed)
    return (None, _bad(request, raw, faults)) if faults else (parsed, None)


def _bad(request: ModelRequest, raw: RawReply, faults: list[str]) -> ModelBadOutput:
    error = ModelBadOutput(
        f"The answer does not fit the schema {request.schema_name or 'asked for'}: {'; '.join(faults)[:500]}",
        remedy="Ask a stronger model, or loosen the schema.",
    )
    error.answer, error.faults = raw.content, tuple(faults)
    return error


def next_question(question: ModelRequest, error: ModelBadOutput, most_output: int) -> ModelRequest | None:
    """What to ask after an unusable answer: with more room, or shown its mistakes; None when nothing would change."""
    if not isinstance(error, ModelTruncated):
        return answer_schema.repaired(question, error.answer, list(error.faults))
    room = min(question.max_output_tokens * 2, most_output or question.max_output_tokens * 2)
    if room <= question.max_output_tokens:
        return None
    return question.model_copy(update={"max_output_tokens": room, "purpose": "repair"})
