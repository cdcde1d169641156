"""Which way leads to which provider?  The vendors' own SDKs where litellm loses something, litellm for all others."""

from __future__ import annotations

from collections.abc import Mapping

from storyloom.domain.wire import Endpoint, Route

from .anthropic_route import AnthropicRoute
from .litellm_route import LitellmRoute
from .openai_route import OpenAIRoute


def routes(endpoints: Mapping[str, Endpoint]) -> dict[str, Route]:
    """The routes for a door, by provider; nothing is imported or connected before the first call."""
    return {
        "anthropic": AnthropicRoute(endpoints.get("anthropic")),
        "openai": OpenAIRoute(endpoints.get("openai")),
        "*": LitellmRoute(endpoints),
    }
