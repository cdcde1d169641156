"""How many tokens is a talk billed for, whoever asks and in whatever order?"""

from __future__ import annotations

from dataclasses import replace

from ..domain.model_calls import Usage
from .talk import Answer, Asked, ToolUse

CHARACTERS_PER_TOKEN = 4


def tokens(text: str) -> int:
    """About how many tokens a text has."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def prompt_usage(asked: Asked) -> Usage:
    """What the prompt costs, with a prompt cache that remembers each earlier request of the same conversation.

    The request before this one was the same prompt up to the assistant's last message, so that much counts as read
    from the cache, whatever else the server did meanwhile: the figure depends on the request alone. OpenAI caches by
    itself and bills no writes; Anthropic caches what stands before the last mark and bills what it writes.
    """
    blocks = asked.blocks
    sizes = [tokens(block.text) for block in blocks]
    last_said = max((block.message for block in blocks if block.role == "assistant"), default=None)
    seen = 0 if last_said is None else next(i for i, b in enumerate(blocks) if b.message == last_said)
    if asked.wire != "anthropic":
        return Usage(input=sum(sizes[seen:]), cache_read=sum(sizes[:seen]))
    marked = max((i + 1 for i, block in enumerate(blocks) if block.mark), default=0)
    read = min(seen, marked)
    written = sum(sizes[read:marked])
    hour = marked > 0 and blocks[marked - 1].mark == "1h"
    return Usage(
        input=sum(sizes[marked:]),
        cache_read=sum(sizes[:read]),
        cache_write=written,
        cache_write_1h=written if hour else 0,
    )


def answer_tokens(text: str, tools: tuple[ToolUse, ...]) -> int:
    """What a reply costs; at least one."""
    return max(1, tokens(text) + sum(tokens(tool.name + tool.json) for tool in tools))


def bill(asked: Asked, answer: Answer) -> Answer:
    """The answer with its usage counted, and cut where the request's own limit cuts it, as providers do."""
    output = answer_tokens(answer.text, answer.tools)
    if asked.max_tokens is not None and output > asked.max_tokens:
        text = answer.text[: asked.max_tokens * CHARACTERS_PER_TOKEN]
        answer = replace(answer, text=text, tools=(), stop="length")
        output = max(1, tokens(text))
    return replace(answer, usage=prompt_usage(asked).model_copy(update={"output": output}))
