"""How is a model made to answer in a given JSON shape, and what is it told when it did not?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from .model_calls import Message, ModelRequest
from .unicode_repair import loads, whole_value

Schema = dict[str, JsonValue]

# Keywords that Anthropic's grammar does not take; our own validation of the answer holds them instead.
_ONLY_CHECKED = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
        *("default", "examples", "title", "$schema"),
    }
)
_NOT_NATIVE = frozenset(
    {"patternProperties", "not", "if", "then", "else", "oneOf", "dependentSchemas", "unevaluatedProperties"}
)


def native_schema(schema: Schema, *, drop_checks: bool) -> Schema | None:
    """The schema as providers with native structured output take it; None if they cannot.

    Objects are closed. An object with free keys (a dictionary) has no native form: Anthropic's grammar would turn it
    into one that allows no keys at all.
    """
    try:
        closed = _closed(schema, drop_checks)
    except _NotNative:
        return None
    return closed if closed.get("type") == "object" or "$ref" in closed else None


def text(schema: Schema) -> str:
    """The schema as one line, the same for equal schemas."""
    return json.dumps(schema, sort_keys=True, ensure_ascii=False)


def strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes a native schema: every property of every object is required."""
    if isinstance(schema, list):
        return all(strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict) and set(properties) != set(schema.get("required") or ()):
        return False
    return all(strict(value) for value in schema.values())


def in_prompt(request: ModelRequest) -> ModelRequest:
    """The request with its schema written out at the end of the system text."""
    wanted = json.dumps(request.schema_, ensure_ascii=False)
    rule = (
        "Answer with one JSON value that fits this JSON schema, and with nothing else: no words before or after it, "
        f"no code fence.\n{wanted}"
    )
    return request.model_copy(update={"system": f"{request.system}\n\n{rule}".strip()})


def json_in(text: str) -> Any:
    """The JSON value in an answer, code fence or words around it tolerated.

    Raises:
        ValueError: there is none, or it nests too deeply.
    """
    try:
        return _json_in(text.strip())
    except RecursionError:
        raise ValueError("The JSON value nests too deeply.") from None


def _json_in(stripped: str) -> Any:
    if stripped.startswith("```"):
        stripped = stripped.split("\n", 1)[-1].rsplit("```", 1)[0].strip()
    try:
        return loads(stripped)
    except ValueError:
        start = min((at for at in (stripped.find("{"), stripped.find("[")) if at >= 0), default=-1)
        if start < 0:
            raise
        value, _ = json.JSONDecoder().raw_decode(stripped[start:])
        return whole_value(value)


def repaired(request: ModelRequest, answer: str, faults: list[str]) -> ModelRequest:
    """The follow-up that shows the model its own answer and what is wrong with it."""
    why = "\n".join(f"- {fault}" for fault in faults[:20])
    told = f"Your JSON was rejected:\n{why}\nReturn the whole corrected JSON value and nothing else."
    messages = (
        *request.messages,
        Message(role="assistant", content=answer or "(no answer)"),
        Message(role="user", content=told),
    )
    return request.model_copy(update={"messages": messages, "purpose": "repair"})


class _NotNative(ValueError):
    pass


def _closed(schema: Any, drop_checks: bool) -> Any:
    if isinstance(schema, list):
        return [_closed(item, drop_checks) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if _NOT_NATIVE & schema.keys():
        raise _NotNative
    kept = {
        key: value
        if key in ("enum", "const", "required")
        else _named(value, drop_checks)
        if key in ("properties", "$defs", "definitions")
        else _closed(value, drop_checks)
        for key, value in schema.items()
        if not (drop_checks and key in _ONLY_CHECKED)
    }
    if schema.get("type") == "object" or "properties" in schema:
        if not schema.get("properties") or schema.get("additionalProperties") not in (None, False):
            raise _NotNative
        kept["additionalProperties"] = False
    return kept


def _named(schemas: Any, drop_checks: bool) -> Any:
    return {name: _closed(schema, drop_checks) for name, schema in schemas.items()}
