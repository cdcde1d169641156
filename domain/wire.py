"""What passes between the door and a route to a provider, whatever the provider's own format is?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import JsonValue, SecretStr

from .model_calls import ModelRequest, ToolCall, Usage, Value
from .unicode_repair import loads, whole

StopReason = Literal["stop", "tool_calls", "length", "refusal", ""]

NESTED = 100  # levels of a tool call's arguments; pydantic takes some 250 with all that is around them

STOP_REASONS: Mapping[str, StopReason] = {
    # Anthropic's words, then OpenAI's chat completions', then its responses'
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    "stop": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "content_filter": "refusal",
    "completed": "stop",
    "max_output_tokens": "length",
}


class RawReply(Value):
    """A provider's answer as one route read it. `usage` None: the counts were missing or impossible (`problem`)."""

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    stop_reason: StopReason = ""
    refusal: str = ""
    usage: Usage | None = None
    problem: str = ""
    model: str = ""
    response_id: str = ""
    ttft_s: float | None = None
    http_status: int = 200


class Abilities(Value):
    """What a model takes, as far as is known; `None` leaves it to the route to find out."""

    schema_native: bool | None = None
    effort: bool = False
    responses_only: bool = False
    cache_marks: bool = False


@runtime_checkable
class Abort(Protocol):
    """How a route learns that nobody waits for its answer any more."""

    @property
    def aborted(self) -> bool:
        """Whether to stop at the next chance."""
        ...

    def closes(self, close: Any) -> None:
        """Name something with `close()` that ends the connection when the deadline passes."""
        ...


@runtime_checkable
class Route(Protocol):
    """One way to providers. It never retries, never waits for a limit and never prices."""

    name: str

    def send(
        self, request: ModelRequest, model: str, *, deadline_s: float, abilities: Abilities, abort: Abort
    ) -> RawReply:
        """Ask `model` (the name as routing knows it) once and return the whole answer.

        Raises:
            ModelError: sorted, with `http_status` and the redacted `raw` answer.
        """
        ...


def parse_arguments(text: str) -> dict[str, JsonValue]:
    """A tool call's arguments as an object; {"_raw": text} when they are no JSON object, or one nested too deeply."""
    try:
        parsed = loads(text or "{}")
    except (ValueError, RecursionError):
        return {"_raw": whole(text)}
    return parsed if isinstance(parsed, dict) and not _too_deep(parsed) else {"_raw": whole(text)}


def _too_deep(value: JsonValue) -> bool:
    """Whether a value nests deeper than values can be checked and written again."""
    level = [value]
    for _ in range(NESTED):
        level = [inner for each in level for inner in _inner(each)]
    return bool(level)


def _inner(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def arguments_text(arguments: Mapping[str, JsonValue]) -> str:
    """A tool call's arguments as JSON text. What was no JSON stays wrapped: clients and servers parse it again."""
    return json.dumps(arguments, ensure_ascii=False)


def part(whole: Any, *path: str) -> Any:
    """What stands at `path` in nested mappings or objects, None where it ends early."""
    for name in path:
        whole = whole.get(name) if isinstance(whole, Mapping) else getattr(whole, name, None)
        if whole is None:
            return None
    return whole


def plain(report: Any) -> Mapping[str, object] | None:
    """A vendor's report object as nested mappings."""
    if report is None or isinstance(report, Mapping):
        return report
    dump = getattr(report, "model_dump", None)
    return dump() if dump else None


class Endpoint(Value):
    """Where a provider is reached and with which key; empty means the client library's own default."""

    api_key: SecretStr | None = None
    base_url: str = ""

    def key(self) -> str | None:
        """The key in plain text; only a route may ask."""
        return self.api_key.get_secret_value() if self.api_key else None


PROVIDERS_BY_NAME = (
    ("claude", "anthropic"),
    ("gpt", "openai"),
    ("chatgpt", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
)


def provider_of(model: str) -> str:
    """The provider that a model's name stands for: its prefix, or whose family it belongs to; "" if unknown."""
    name = model.removeprefix("litellm/")
    if "/" in name:
        return name.split("/", 1)[0]
    return next((provider for start, provider in PROVIDERS_BY_NAME if name.startswith(start)), "")


def bare(model: str) -> str:
    """The model's name as its own provider knows it."""
    name = model.removeprefix("litellm/")
    return name.split("/", 1)[1] if name.split("/", 1)[0] in ("anthropic", "openai") and "/" in name else name
