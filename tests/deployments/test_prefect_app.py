"""A request that Prefect's server refuses because SQLite was busy is answered after milliseconds, once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from storyloom.deployments.prefect_app import in_turn
from storyloom.deployments.server import prefect_server

NO_PAUSE = (0.0, 0.0, 0.0)


class Server:
    """Answers 503 as often as told, then 201 with the request's body; raises after each 503, as Starlette does."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.bodies = refusals, list[bytes]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        busy = len(self.bodies) <= self.refusals
        await send({"type": "http.response.start", "status": 503 if busy else 201, "headers": []})
        await send({"type": "http.response.body", "body": b"busy" if busy else body})
        if busy:
            raise RuntimeError("database is locked")


def ask(app: Any, method: str = "POST", content: Any = b"a run") -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, "/", content=content)

    return asyncio.run(asked())


def test_a_change_that_was_refused_is_tried_again_with_the_same_body():
    server = Server(refusals=3)

    async def parts():
        yield b"a "
        yield b"run"

    answer = ask(in_turn(server, NO_PAUSE), content=parts())
    assert (answer.status_code, answer.content) == (201, b"a run")
    assert server.bodies == [b"a run"] * 4


def test_a_server_that_stays_busy_says_so_in_the_end():
    server = Server(refusals=99)
    answer = ask(in_turn(server, NO_PAUSE))
    assert (answer.status_code, answer.content) == (503, b"busy")
    assert len(server.bodies) == 1 + len(NO_PAUSE)


def test_a_question_is_not_asked_again():
    server = Server(refusals=1)
    assert ask(in_turn(server, NO_PAUSE), "GET").status_code == 503
    assert len(server.bodies) == 1


def test_changes_take_turns_and_questions_do_not_wait_for_them():
    inside, most, seen = 0, 0, list[str]()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        nonlocal inside, most
        changes = scope["method"] == "POST" and not scope["path"].endswith("/filter")
        inside += changes
        most = max(most, inside)
        await asyncio.sleep(0.01 if changes else 0)
        seen.append(f"{scope['method']} {scope['path']}")
        inside -= changes
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def all_at_once() -> None:
        transport = httpx.ASGITransport(in_turn(slow))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            changes = [client.post(f"/flow_runs/{number}/set_state") for number in range(5)]
            await asyncio.gather(*changes, client.get("/flows/1"), client.post("/flow_runs/filter"))

    asyncio.run(all_at_once())
    assert most == 1
    assert set(seen[:2]) == {"GET /flows/1", "POST /flow_runs/filter"}
    assert seen[2:] == [f"POST /flow_runs/{number}/set_state" for number in range(5)]


def test_an_error_of_the_application_is_its_own():
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(in_turn(broken)({"type": "http", "method": "POST", "path": "/"}, _nothing, _nothing))


def test_what_is_said_of_an_error_is_passed_on_before_it_is_raised():
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"a bug"})
        raise RuntimeError("a bug")

    answer = ask(in_turn(broken))
    assert (answer.status_code, answer.content) == (500, b"a bug")


async def _nothing(*message: Any) -> dict[str, Any]:
    return {"type": "http.request", "body": b""}


def test_sixteen_lanes_may_open_their_runs_at_once(tmp_path: Path):
    with prefect_server(tmp_path) as url, httpx.Client(base_url=url, timeout=60) as client:
        flow = client.post("/flows/", json={"name": "batch"}).json()["id"]
        run = client.post("/flow_runs/", json={"flow_id": flow, "state": {"type": "RUNNING"}}).json()["id"]

        def open_one(number: int) -> int:
            task = {"flow_run_id": run, "task_key": "develop-story", "dynamic_key": str(uuid4()), "name": str(number)}
            return client.post("/task_runs/", json={**task, "state": {"type": "PENDING"}}).status_code

        with ThreadPoolExecutor(16) as lanes:
            assert set(lanes.map(open_one, range(48))) == {201}
        counted = client.post("/task_runs/count", json={"flow_runs": {"id": {"any_": [run]}}}).json()
        assert counted == 48
