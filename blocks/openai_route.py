"""How is a GPT model, or one behind a server that speaks OpenAI's format, asked through OpenAI's own SDK?"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from storyloom.domain import wire_openai, wire_responses
from storyloom.domain.model_calls import ModelRequest
from storyloom.domain.redaction import Redactor
from storyloom.domain.wire import Abilities, Abort, Endpoint, RawReply, bare

from .sdk_streams import STALL_S, read, sorted_sdk_failure


class OpenAIRoute:
    """Asks OpenAI, one request a call, streaming: chat completions, or responses for models that have nothing else.

    The SDK's own retries are off.
    """

    name = "openai"

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        self._endpoint = endpoint or Endpoint()
        self._redact = Redactor([key] if (key := self._endpoint.key()) else [])

    @cached_property
    def _client(self) -> Any:
        import openai  # 0.6 s: only when a call is made

        return openai.OpenAI(api_key=self._endpoint.key(), base_url=self._endpoint.base_url or None, max_retries=0)

    def send(
        self, request: ModelRequest, model: str, *, deadline_s: float, abilities: Abilities, abort: Abort
    ) -> RawReply:
        """Ask `model` once.

        Raises:
            ModelError: sorted, with the redacted raw answer.
        """
        wire: Any = wire_responses if abilities.responses_only else wire_openai
        try:
            client = self._client
            ask = client.responses.create if abilities.responses_only else client.chat.completions.create
            stream = ask(**wire.body(request, bare(model), abilities), timeout=min(deadline_s, STALL_S))
            return read(stream, abort, wire.read_stream, wire.read_whole)
        except Exception as error:  # noqa: BLE001 - whatever the library raises is sorted here, in one place
            raise sorted_sdk_failure(error, "openai", self._redact) from None
