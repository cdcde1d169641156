"""What is asked of a model, and what comes back?

Money is in Decimal US dollars, times in seconds, tokens in four disjoint classes (reasoning is inside output).
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Value(BaseModel):
    """A frozen value that may cross a file, the network or a Prefect result."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolSpec(Value):
    """A tool that the model may call; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, JsonValue]


class ToolCall(Value):
    """One call the model asks for; `arguments` is the parsed JSON object, {"_raw": text} if it did not parse."""

    id: str
    name: str
    arguments: dict[str, JsonValue]


class Message(Value):
    """One message of a conversation. A `tool` message answers the call named by `tool_call_id`."""

    role: Literal["user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    cache: bool = False  # the prefix up to here is stable: worth a prompt-cache mark


class CallTags(Value):
    """Where a call belongs; every field lands in the journal and the warehouse, none is sent to the provider."""

    project: str = ""
    run: str = ""
    phase: str = ""
    workflow: str = ""
    step: str = ""
    epic: str = ""
    story: str = ""
    agent: str = ""
    attempt: int = 1
    turn: int = 0


class ModelRequest(Value):
    """One question to a model.

    `model` is a model name ("anthropic/claude-sonnet-5-5", "openai/gpt-6-luna") or a class ("light", "standard",
    "heavy") that routing resolves. `schema_` is a JSON schema the answer must fit; the reply then has `parsed`.
    `deadline_s` bounds the whole call, streaming included. `sample` tells two deliberate samples of one question apart.
    """

    purpose: Literal["work", "repair", "review", "judge", "decide", "summarise", "retry"] = "work"
    persona: str
    model: str
    system: str
    cache_system: bool = False  # the system text is stable and long: worth a prompt-cache mark of its own
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema_name: str = ""
    schema_: dict[str, JsonValue] | None = None
    max_output_tokens: int = 8192
    deadline_s: float = 600.0
    effort: Literal["", "low", "medium", "high"] = ""
    sample: int = 0
    tags: CallTags = Field(default_factory=CallTags)

    def content_key(self) -> str:
        """The sha256 hex digest of all that can change the answer: everything but tags, deadline and cache marks."""
        body = self.model_dump(mode="json", exclude={"tags", "deadline_s", "cache_system"})
        for message in body["messages"]:
            message.pop("cache", None)
        return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Usage(Value):
    """Tokens of one call in disjoint classes; `reasoning` is a part of `output`, `cache_write_1h` of `cache_write`."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    source: Literal["provider", "estimated", "none"] = "provider"

    @property
    def total(self) -> int:
        """All tokens, each counted once."""
        return self.input + self.cache_read + self.cache_write + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
            source=self.source if self.source == other.source else "estimated",
        )


class ModelReply(Value):
    """The answer to a ModelRequest. `cached` replies were paid for earlier: their cost is what they cost then."""

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: Any = None
    usage: Usage = Field(default_factory=Usage)
    cost: Decimal = Decimal(0)
    model: str = ""
    provider: str = ""
    stop_reason: str = ""
    attempt: int = 1
    latency_s: float = 0.0
    cached: bool = False
    call_id: str = ""

    def as_message(self) -> Message:
        """The assistant's message that continues the conversation."""
        return Message(role="assistant", content=self.content, tool_calls=self.tool_calls)
