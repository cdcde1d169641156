"""What was asked and what is answered, whatever the wire format says it in?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from ..domain.model_calls import Usage

Role = Literal["tools", "system", "user", "assistant", "tool"]
Stop = Literal["end", "tools", "length", "refusal"]
STOPS: dict[str, Stop] = {  # what a script may write: what it means
    "end": "end",
    "end_turn": "end",
    "stop": "end",
    "completed": "end",
    "tools": "tools",
    "tool_use": "tools",
    "tool_calls": "tools",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "refusal": "refusal",
}


class BadRequest(ValueError):
    """The request cannot be read; the message is what the provider would say."""


@dataclass(frozen=True)
class Block:
    """A piece of the prompt. Blocks of one `message` stand together; `mark` is a prompt-cache mark's lifetime."""

    role: Role
    text: str
    message: int
    mark: Literal["", "5m", "1h"] = ""


@dataclass(frozen=True)
class Asked:
    """A request. Blocks stand in prompt order: tools, system, then the messages."""

    wire: str
    model: str
    blocks: tuple[Block, ...]
    stream: bool = False
    usage_in_stream: bool = True
    max_tokens: int | None = None
    tools: tuple[str, ...] = ()
    forced_tool: str = ""

    @property
    def persona_line(self) -> str:
        """The first line of the system prompt that is not empty."""
        return _first_line("\n".join(block.text for block in self.blocks if block.role == "system"))

    @property
    def subject(self) -> str:
        """The first line of the first user message, without its heading marks."""
        return _first_line(next((block.text for block in self.blocks if block.role == "user"), "")).lstrip("#").strip()

    @cached_property
    def turn(self) -> int:
        """How many messages of the assistant the request holds already."""
        return len({block.message for block in self.blocks if block.role == "assistant"})

    @cached_property
    def news(self) -> str:
        """The text of all that came after the assistant's last message: what this turn is about."""
        last = max((block.message for block in self.blocks if block.role == "assistant"), default=-1)
        return "\n".join(b.text for b in self.blocks if b.message > last and b.role in ("user", "tool"))

    @cached_property
    def digest(self) -> str:
        """Twenty-four hex digits that are equal for equal prompts on the same wire."""
        text = json.dumps([self.wire, self.model, [(b.role, b.text, b.message) for b in self.blocks]])
        return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class ToolUse:
    """A tool that the model asks for."""

    name: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        """The arguments as the wire formats carry them."""
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True)
class Answer:
    """A reply, with the usage it is billed for. `id` is the same for the same answer to the same prompt."""

    id: str
    text: str = ""
    tools: tuple[ToolUse, ...] = ()
    stop: Stop = "end"
    usage: Usage = field(default_factory=Usage)
    latency_s: float = 0.0
    entry: str = ""
    expect_met: bool = True

    def pieces(self) -> list[str]:
        """The text in the pieces in which it is streamed: at least five where there are characters enough."""
        return split(self.text)


def split(text: str) -> list[str]:
    """A text in pieces of at most 64 characters, five or more where there are characters enough."""
    size = max(1, min(64, -(-len(text) // 5)))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
