"""How is a Claude model asked through Anthropic's own SDK?

Used for what litellm loses: generally available structured output, the current API version, 529 and Retry-After.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from storyloom.domain import wire_anthropic
from storyloom.domain.model_calls import ModelRequest
from storyloom.domain.redaction import Redactor
from storyloom.domain.wire import Abilities, Abort, Endpoint, RawReply, bare

from .sdk_streams import STALL_S, read, sorted_sdk_failure


class AnthropicRoute:
    """Asks Anthropic, one request a call, streaming. The SDK's own retries are off."""

    name = "anthropic"

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        self._endpoint = endpoint or Endpoint()
        self._redact = Redactor([key] if (key := self._endpoint.key()) else [])

    @cached_property
    def _client(self) -> Any:
        import anthropic  # 1.4 s: only when a call is made

        return anthropic.Anthropic(
            api_key=self._endpoint.key(), base_url=self._endpoint.base_url or None, max_retries=0
        )

    def send(
        self, request: ModelRequest, model: str, *, deadline_s: float, abilities: Abilities, abort: Abort
    ) -> RawReply:
        """Ask `model` once.

        Raises:
            ModelError: sorted, with the redacted raw answer.
        """
        try:
            body = wire_anthropic.body(request, bare(model), abilities)
            stream = self._client.messages.create(**body, timeout=min(deadline_s, STALL_S))
            return read(stream, abort, wire_anthropic.read_stream, wire_anthropic.read_whole)
        except Exception as error:  # noqa: BLE001 - whatever the library raises is sorted here, in one place
            raise sorted_sdk_failure(error, "anthropic", self._redact) from None
