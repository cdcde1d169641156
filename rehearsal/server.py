"""How does a client on this machine talk to a rehearsed model?

Loopback only. Speaks OpenAI's chat completions and responses and Anthropic's messages, whole and streamed, plus
count_tokens and models. `/_rehearsal/calls` is the server's own ledger, `/_rehearsal/faults` arms faults,
`/_rehearsal/down` takes providers down.
"""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from ..domain.errors import InputError
from ..domain.model_calls import Usage
from .conversation import Conversation, Miss
from .exchange import (
    Alter,
    Exchange,
    Ledger,
    Response,
    Source,
    answer_response,
    body_response,
    miss,
)
from .fault_bodies import alteration, damaged, instead
from .faults import FAULTS, Fault, FaultScript, Kind
from .listener import LOOPBACK, Listener, handler_for
from .talk import BadRequest
from .tokens import prompt_usage

NO_USAGE = Usage().model_dump(exclude={"source"})


class Scripted:
    """A source that answers from a hand-written conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation

    def respond(self, exchange: Exchange, alter: Alter | None) -> Response:
        """The conversation's answer in the request's format, or a miss with the nearest entry."""
        if exchange.asked is None:
            try:
                exchange = replace(exchange, asked=exchange.wire.read(json.loads(exchange.body)))
            except BadRequest as mistake:
                return body_response(400, exchange.wire.error("invalid_request_error", str(mistake)))
        assert exchange.asked is not None
        if exchange.is_count:
            return body_response(200, {"input_tokens": prompt_usage(exchange.asked).total})
        sample = exchange.headers.get("x-rehearsal-sample")
        answer = self.conversation.reply(exchange.asked, int(sample) if sample else None)
        if isinstance(answer, Miss):
            return miss(exchange.wire, answer.message)
        return answer_response(exchange.wire, exchange.asked, alter(answer) if alter else answer)


class RehearsalServer:
    """A model on loopback while the `with` block lasts.

    `source` is a Conversation, or anything with `respond` (a Cassette's player, a recorder). `models` are the names
    that `/v1/models` lists; with `only_listed` any other name is a 404. With `keep_bodies` the ledger holds requests.
    With `keys` a request that brings none of them is a 401. `on_miss` is told why nothing answered a request.

    Raises:
        InputError: the port is taken, not allowed, or there is none of that number.
    """

    def __init__(
        self,
        source: Conversation | Source,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        models: Sequence[str] = ("rehearsal-1",),
        only_listed: bool = False,
        keep_bodies: bool = False,
        faults: Sequence[Fault] = (),
        keys: Collection[str] = (),
        on_miss: Callable[[str], object] | None = None,
    ) -> None:
        if host not in LOOPBACK:
            raise InputError(f"the rehearsal server listens on loopback only, not on {host!r}", remedy="Use 127.0.0.1.")
        self.source: Source = Scripted(source) if isinstance(source, Conversation) else source
        self.models, self.only_listed, self.keep_bodies = tuple(models), only_listed, keep_bodies
        self.keys, self.on_miss = frozenset(keys), on_miss
        self.faults = FaultScript()
        self.faults.add(*faults)
        self.ledger = Ledger()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._count = 0
        try:
            self._http = Listener((host, port), handler_for(self))
        except OverflowError as error:
            raise InputError(
                f"There is no port {port}.", remedy="Ports go from 1 to 65535; 0 is any free one."
            ) from error
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be listened on ({error.strerror})"
            raise InputError(
                f"Port {port} on {host} {why}.", remedy="Choose another with --port, or 0 for any free one."
            ) from error
        self.port: int = self._http.server_port
        self.url = f"http://{host}:{self.port}"
        self.openai_base = f"{self.url}/v1"
        self.anthropic_base = self.url

    def __enter__(self) -> RehearsalServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), name="rehearsal", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The ledger so far: one record a request to a model."""
        with self._lock:
            return list(self.ledger.calls)

    def totals(self) -> dict[str, int]:
        """Tokens by class over all calls, as the server billed them."""
        with self._lock:
            return self.ledger.totals()

    def fault(self, kind: Kind, **matching: Any) -> None:
        """Arm one fault; see `Fault` for what it can match."""
        self.faults.add(Fault(kind=kind, **matching))

    def down(self, *providers: str, kind: Kind = "unavailable") -> None:
        """Take exactly these providers (openai, anthropic) down; none brings all up."""
        self.faults.down(*providers, kind=kind)

    def next_number(self) -> int:
        """The number of a request, from 1."""
        with self._lock:
            self._count += 1
            return self._count

    def respond(self, exchange: Exchange) -> Response:
        """The response to one request to a model, its faults applied, and the ledger's record of it written."""
        fault = None if exchange.is_count else self.faults.take(exchange)
        response = instead(fault, exchange) if fault else None
        if response is None:
            response = self._unfaulted(exchange, alteration(fault) if fault else None)
            if fault and response.status == 200:
                response = damaged(fault, response, exchange)
        if not exchange.is_count:
            self._record(exchange, response, fault)
        if response.missed and self.on_miss:
            self.on_miss(response.missed)
        name = f"req_{exchange.number:06d}"
        return replace(response, headers={"request-id": name, "x-request-id": name, **response.headers})

    def _unfaulted(self, exchange: Exchange, alter: Alter | None) -> Response:
        asked = exchange.asked
        if self.keys and _key(exchange.headers) not in self.keys:
            return body_response(401, exchange.wire.error("authentication_error", "invalid key", "invalid_api_key"))
        if asked and self.only_listed and asked.model not in self.models:
            return body_response(
                404, exchange.wire.error("not_found_error", f"model: {asked.model}", "model_not_found")
            )
        return self.source.respond(exchange, alter)

    def _record(self, exchange: Exchange, response: Response, fault: Fault | None) -> None:
        asked, answer = exchange.asked, response.answer
        has_key = "authorization" in exchange.headers or "x-api-key" in exchange.headers
        record = {
            "number": exchange.number,
            "path": exchange.path,
            "wire": exchange.wire.NAME,
            "model": asked.model if asked else "",
            "system": asked.persona_line if asked else "",
            "subject": asked.subject if asked else "",
            "turn": asked.turn if asked else 0,
            "stream": bool(asked and asked.stream),
            "status": response.status,
            "fault": fault.kind if fault else "",
            "entry": answer.entry if answer else response.note,
            "expect_met": answer.expect_met if answer else True,
            "usage": response.usage.model_dump(exclude={"source"}) if response.usage else dict(NO_USAGE),
            "key": "<redacted>" if has_key else "",
        }
        if self.keep_bodies:
            record["body"] = json.loads(exchange.body or b"{}")
        with self._lock:
            self.ledger.calls.append(record)

    def control(self, method: str, path: str, body: bytes) -> Response:
        """The response to a request about the rehearsal itself."""
        if path == "/_rehearsal/health":
            return body_response(200, {"ok": True})
        if path == "/_rehearsal/calls":
            if method == "DELETE":
                with self._lock:
                    self.ledger.calls.clear()
            return body_response(200, {"calls": self.calls, "totals": self.totals()})
        if path == "/_rehearsal/faults":
            if method == "POST":
                given = json.loads(body)
                self.faults.add(*FAULTS.validate_python(given if isinstance(given, list) else [given]))
            elif method == "DELETE":
                self.faults.clear()
            return body_response(200, self.faults.state())
        if path == "/_rehearsal/down" and method == "POST":
            given = json.loads(body)
            self.faults.down(*given["providers"], kind=given.get("kind", "unavailable"))
            return body_response(200, self.faults.state())
        return body_response(404, {"error": f"there is no {method} {path}"})

    def list_models(self, path: str, *, anthropic: bool) -> Response:
        """The models' list, or one of them, as either provider says it."""
        found = [_model(name, anthropic) for name in self.models]
        name = path.partition("/models/")[2]
        if name:
            one = next((model for model in found if model["id"] == name), None)
            kind = "not_found_error"
            error = {"type": "error", "error": {"type": kind, "message": f"model: {name}", "code": "model_not_found"}}
            return body_response(200 if one else 404, one or error)
        ends = {"has_more": False, "first_id": self.models[0], "last_id": self.models[-1]} if self.models else {}
        return body_response(200, {"data": found, **(ends if anthropic else {"object": "list"})})


def _key(headers: Mapping[str, str]) -> str:
    return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")


def _model(name: str, anthropic: bool) -> dict[str, Any]:
    if anthropic:
        return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 0, "owned_by": "rehearsal"}
