"""Each fault looks to a client as the real one does, and hits exactly the calls it was scripted for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.faults import Fault
from storyloom.rehearsal.server import RehearsalServer

TEXT = "One two three four five six seven eight nine ten. " * 4
HEADERS = {"authorization": "Bearer sk-test-000"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RehearsalServer]:
    script = f"- {{text: '{TEXT}'}}\n- {{turn: 1, text: next}}"
    (tmp_path / "talk.yaml").write_text(script, encoding="utf-8")
    with RehearsalServer(Conversation.load(tmp_path)) as running:
        yield running


def chat(server: RehearsalServer, **more: Any) -> Any:
    client = openai.OpenAI(base_url=server.openai_base, api_key="sk-test-000", max_retries=0, timeout=5)
    subject = more.pop("subject", "s")
    said = [
        {"role": "system", "content": f"You are {more.pop('persona', 'Amelia')}, x"},
        {"role": "user", "content": f"# {subject}"},
    ]
    return client.chat.completions.create(**{"model": "gpt-6-luna", "messages": said, **more})


def messages(server: RehearsalServer, **more: Any) -> Any:
    client = anthropic.Anthropic(base_url=server.url, api_key="sk-test-000", max_retries=0, timeout=5)
    said = [{"role": "user", "content": "# s"}]
    return client.messages.create(**{"model": "claude-haiku-5-5", "max_tokens": 500, "messages": said, **more})


def responses(server: RehearsalServer, **more: Any) -> Any:
    client = openai.OpenAI(base_url=server.openai_base, api_key="sk-test-000", max_retries=0, timeout=5)
    return client.responses.create(**{"model": "gpt-6-luna", "input": "# s", **more})


STATUSES = [
    ("rate_limit", 429, openai.RateLimitError, anthropic.RateLimitError),
    ("quota", 429, openai.RateLimitError, anthropic.RateLimitError),
    ("overloaded", 529, openai.InternalServerError, anthropic.InternalServerError),
    ("server_error", 500, openai.InternalServerError, anthropic.InternalServerError),
    ("unavailable", 503, openai.InternalServerError, anthropic.APIStatusError),
    ("unauthorised", 401, openai.AuthenticationError, anthropic.AuthenticationError),
    ("not_found", 404, openai.NotFoundError, anthropic.NotFoundError),
    ("too_long", 400, openai.BadRequestError, anthropic.BadRequestError),
    ("bad_request", 400, openai.BadRequestError, anthropic.BadRequestError),
    ("html", 502, openai.InternalServerError, anthropic.InternalServerError),
]


@pytest.mark.parametrize(("kind", "status", "gpt_error", "claude_error"), STATUSES)
def test_an_error_status_reaches_each_client_as_its_own_error(
    server: RehearsalServer, kind: Any, status: int, gpt_error: Any, claude_error: Any
):
    server.fault(kind, times=3, retry_after=7)
    for ask, error in ((chat, gpt_error), (responses, gpt_error), (messages, claude_error)):
        with pytest.raises(error) as raised:
            ask(server)
        assert raised.value.status_code == status
        if kind == "rate_limit":
            assert raised.value.response.headers["retry-after"] == "7"
    assert [call["fault"] for call in server.calls] == [kind] * 3
    assert server.totals()["output"] == 0
    assert chat(server).choices[0].message.content == TEXT


def test_the_two_kinds_of_429_and_a_full_window_can_be_told_apart(server: RehearsalServer):
    for kind in ("rate_limit", "quota", "too_long"):
        server.fault(kind)
    codes = []
    for _ in range(3):
        with pytest.raises(openai.APIStatusError) as raised:
            chat(server)
        codes.append(raised.value.code)
    assert codes == ["rate_limit_exceeded", "insufficient_quota", "context_length_exceeded"]
    server.fault("too_long")
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        messages(server)


@pytest.mark.parametrize("kind", ["malformed", "empty"])
def test_a_body_that_is_not_json_cannot_be_read(server: RehearsalServer, kind: Any):
    server.fault(kind, times=2)
    for ask in (chat, messages):
        with pytest.raises((json.JSONDecodeError, openai.OpenAIError, anthropic.AnthropicError)):
            ask(server)


def test_a_page_with_status_200_is_no_message(server: RehearsalServer):
    server.fault("html_ok", times=2)
    assert "<html>" in messages(server)  # the SDK hands the page on as a text
    reply = httpx.post(f"{server.openai_base}/chat/completions", json=body(), headers=HEADERS)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html")


def body(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "# s"}], **more}


@pytest.mark.parametrize("kind", ["drop", "cut"])
def test_a_broken_connection_is_a_connection_error(server: RehearsalServer, kind: Any):
    server.fault(kind, times=2)
    with pytest.raises(openai.APIConnectionError):
        chat(server)
    with pytest.raises(anthropic.APIConnectionError):
        messages(server)


CUT = (httpx.TransportError, httpx2.TransportError, openai.APIConnectionError, anthropic.APIConnectionError)


@pytest.mark.parametrize("ask", [chat, responses, messages])
def test_a_stream_can_be_cut_after_some_of_it(server: RehearsalServer, ask: Any):
    server.fault("cut")
    got = []
    with pytest.raises(CUT):
        got.extend(event for event in ask(server, stream=True))
    whole = list(ask(server, stream=True))
    assert len(got) < len(whole)
    assert server.calls[0]["usage"] == server.calls[1]["usage"]  # a cut stream is billed


def test_a_stream_that_ends_early_by_closing_looks_whole_but_has_no_stop_reason(server: RehearsalServer):
    server.fault("early_end")
    client = anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=0)
    with client.messages.stream(
        model="claude-haiku-5-5", max_tokens=500, messages=[{"role": "user", "content": "# s"}]
    ) as stream:
        said = stream.get_final_message()
    assert said.stop_reason is None
    assert TEXT.startswith(said.content[0].text)


def test_an_error_can_come_in_the_middle_of_a_stream(server: RehearsalServer):
    server.fault("stream_error", times=4)
    with pytest.raises(openai.APIError):
        list(chat(server, stream=True))
    assert list(responses(server, stream=True))[-1].type == "error"  # the SDK hands it on as an event
    with pytest.raises(anthropic.APIStatusError) as raised:
        list(messages(server, stream=True))
    assert raised.value.status_code == 200
    with pytest.raises(openai.InternalServerError):
        chat(server)


def test_a_malformed_event_spoils_a_stream(server: RehearsalServer):
    server.fault("malformed")
    with pytest.raises((json.JSONDecodeError, openai.APIError)):
        list(chat(server, stream=True))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_stall_and_a_slow_answer_run_into_a_clients_time_out(server: RehearsalServer, streamed: bool):
    server.fault("stall", delay_s=30)
    server.fault("slow", delay_s=30)
    for _ in range(2):
        with (
            pytest.raises(httpx.ReadTimeout),
            httpx.Client(timeout=0.3) as client,
            client.stream("POST", f"{server.openai_base}/chat/completions", json=body(stream=streamed)) as reply,
        ):
            reply.read()


def test_a_drip_never_trips_a_read_time_out_and_arrives_whole(server: RehearsalServer):
    server.fault("drip", delay_s=0.001)
    assert chat(server).choices[0].message.content == TEXT


def test_a_refusal_a_truncated_and_an_empty_answer_are_valid(server: RehearsalServer):
    for kind in ("refusal", "truncated", "no_content"):
        server.fault(kind, times=3)
    refused = chat(server), responses(server), messages(server)
    assert refused[0].choices[0].message.refusal
    assert refused[1].output[0].content[0].type == "refusal"
    assert refused[2].stop_reason == "refusal"
    cut = chat(server), responses(server), messages(server)
    assert cut[0].choices[0].finish_reason == "length"
    assert cut[1].incomplete_details.reason == "max_output_tokens"
    assert cut[2].stop_reason == "max_tokens"
    assert cut[2].content[0].text == TEXT[: len(TEXT) // 2]
    nothing = chat(server), responses(server), messages(server)
    assert (nothing[0].choices[0].message.content, nothing[1].output_text, nothing[2].content) == ("", "", [])


@pytest.mark.parametrize("streamed", [False, True])
def test_usage_can_be_missing_negative_or_of_a_wrong_type(server: RehearsalServer, streamed: bool):
    def documents(path: str, **more: Any) -> list[Any]:
        text = httpx.post(server.url + path, json=body(stream=streamed, max_tokens=500, **more)).text
        lines = [line.removeprefix("data: ") for line in text.splitlines()]
        return [json.loads(line) for line in lines if line.startswith("{")]

    server.fault("no_usage", times=2)
    for path in ("/v1/messages", "/v1/chat/completions"):
        assert '"usage"' not in json.dumps(documents(path))
    server.fault("negative_usage")
    stated = [
        place["usage"]
        for document in documents("/v1/messages")
        for place in (document, document.get("message") or {})
        if "usage" in place
    ]
    assert stated
    assert all(usage["output_tokens"] < 0 for usage in stated)
    server.fault("wrong_types")
    assert any(d.get("choices") == "hello" for d in documents("/v1/chat/completions"))


def test_a_fault_hits_the_nth_of_the_calls_that_match(server: RehearsalServer):
    server.fault("server_error", subject="Story *", persona="amelia", turn=0, nth=2, times=2)

    def status(**more: Any) -> int:
        try:
            chat(server, **more)
        except openai.APIStatusError as error:
            return error.status_code
        return 200

    assert [status(subject="Story 1") for _ in range(2)] == [200, 500]
    assert status(subject="Epic 1") == status(subject="Story 1", persona="Mary") == 200
    assert [status(subject="Story 2") for _ in range(3)] == [500, 200, 200]


def test_faults_by_probability_are_the_same_in_any_order(tmp_path: Path):
    (tmp_path / "talk.yaml").write_text("- {text: x}", encoding="utf-8")

    def hit(order: list[int]) -> dict[int, bool]:
        fault = Fault(kind="overloaded", probability=0.5, seed=4, times=0)
        found = {}
        with RehearsalServer(Conversation.load(tmp_path), faults=[fault]) as server:
            for number in order:
                reply = httpx.post(f"{server.openai_base}/chat/completions", json={**body(), "model": f"m{number}"})
                found[number] = reply.status_code == 529
        return found

    forth, back = hit(list(range(24))), hit(list(reversed(range(24))))
    assert forth == back
    assert 4 <= sum(forth.values()) <= 20


def test_a_provider_can_be_down_while_the_other_answers(server: RehearsalServer):
    server.down("anthropic")
    with pytest.raises(anthropic.APIStatusError):
        messages(server)
    assert chat(server).choices[0].message.content == TEXT
    server.down("openai")
    assert messages(server).stop_reason == "end_turn"
    for ask in (chat, responses):
        with pytest.raises(openai.InternalServerError):
            ask(server)
    server.down()
    assert chat(server).choices[0].message.content == TEXT


def test_faults_are_scripted_over_http_too(server: RehearsalServer):
    armed = httpx.post(f"{server.url}/_rehearsal/faults", json=[{"kind": "quota", "provider": "openai"}]).json()
    assert armed["faults"][0]["kind"] == "quota"
    with pytest.raises(openai.RateLimitError):
        chat(server)
    assert httpx.get(f"{server.url}/_rehearsal/faults").json()["faults"][0]["hit"] == 1
    assert httpx.post(f"{server.url}/_rehearsal/faults", json={"kind": "gremlins"}).status_code == 400
    assert httpx.post(f"{server.url}/_rehearsal/down", json={"providers": ["openai"]}).json()["down"] == ["openai"]
    assert httpx.delete(f"{server.url}/_rehearsal/faults").json() == {"faults": [], "down": []}
    assert chat(server).choices[0].message.content == TEXT
