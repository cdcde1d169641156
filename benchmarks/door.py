"""How much of a model call's time is ours, beside litellm alone and the vendors' SDKs alone?

A rehearsed model answers on loopback from a process of its own. Each round makes one streamed call in each way, one
after the other, so that all ways meet the same machine. "Ours" writes its journal and its ledger to the disk, twice
with fsync, reserves and settles the budget and records an event, as in production. Beside the time on the clock stands
the processor's time of this process and the fastest tenth of the calls, which other work on the machine changes less.

    python -m benchmarks.door               # target: at most 15 ms more at the median
    python -m benchmarks.door --rounds 500
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from storyloom.blocks.call_journal import CallJournal
from storyloom.blocks.ledger import Ledger
from storyloom.blocks.litellm_route import QUIET, close_stream
from storyloom.blocks.model_door import Door
from storyloom.blocks.provider_traffic import ProviderTraffic
from storyloom.blocks.routes import routes
from storyloom.blocks.spool import Spool
from storyloom.domain.budget import Cap
from storyloom.domain.model_calls import CallTags, Message, ModelRequest
from storyloom.domain.prices import bundled_prices
from storyloom.domain.routing import RoutingPolicy
from storyloom.domain.wire import Endpoint

TARGET_MS = 15.0
KEY = "sk-benchmark-0123456789abcdef"
CLAUDE, GPT = "claude-haiku-5-5", "gpt-6-luna"
SYSTEM = "You are Amelia, a developer.\n" + "What the project's documents say about its architecture. " * 70
TALK = """
- subject: "*"
  text: |
    I read the story, looked at the module and at its tests, and changed two functions.
    The tests pass, and the acceptance criteria are met one by one as listed below.
  usage: {input: 1200, output: 60}
"""


def _request(number: int, model: str) -> ModelRequest:
    return ModelRequest(
        persona="amelia",
        model=model,
        system=SYSTEM,
        messages=(Message(role="user", content=f"# Story {number}\nDevelop it."),),
        max_output_tokens=1024,
        deadline_s=60,
        tags=CallTags(project="benchmark", run="r1", phase="implementation", story=str(number), agent="developer"),
    )


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    (folder / "talk").mkdir()
    (folder / "talk" / "talk.yaml").write_text(TALK, encoding="utf-8")
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "storyloom.rehearsal.serve", "--conversation", str(folder / "talk")]
    server = subprocess.Popen([*command, "--ready-file", str(ready)], stdout=subprocess.DEVNULL)
    try:
        while not ready.exists() or not ready.read_text(encoding="utf-8"):
            if server.poll() is not None:
                raise SystemExit("the rehearsed model did not start")
            time.sleep(0.05)
        yield str(json.loads(ready.read_text(encoding="utf-8"))["url"])
    finally:
        server.terminate()
        server.wait(10)


def _ways(url: str, folder: Path) -> tuple[dict[str, Callable[[int], None]], Callable[[], None]]:
    """What is timed, by name: bare ways and ours in pairs; and how to close what they opened."""
    os.environ.update(QUIET)
    import anthropic
    import litellm
    import openai

    claude = anthropic.Anthropic(api_key=KEY, base_url=url, max_retries=0)
    gpt = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    ends = {
        "anthropic": Endpoint(api_key=SecretStr(KEY), base_url=url),
        "openai": Endpoint(api_key=SecretStr(KEY), base_url=f"{url}/v1"),
    }
    database = f"sqlite:///{folder / 'ledger.sqlite'}"
    book, traffic = (
        Ledger(database, {"run": Cap(usd=Decimal(1000)), "story": Cap(usd=Decimal(5))}),
        ProviderTraffic(database),
    )
    door = Door(
        routes(ends),
        CallJournal(folder / "journal"),
        book,
        Spool(folder / "spool"),
        RoutingPolicy(),
        bundled_prices(),
        traffic=traffic,
    )

    def user(number: int) -> Any:
        return {"role": "user", "content": f"# Story {number}\nDevelop it."}

    def by_anthropic(number: int) -> None:
        with claude.messages.stream(model=CLAUDE, max_tokens=1024, system=SYSTEM, messages=[user(number)]) as stream:
            assert stream.get_final_text()

    def by_openai(number: int) -> None:
        messages: Any = [{"role": "system", "content": SYSTEM}, user(number)]
        with gpt.chat.completions.create(model=GPT, messages=messages, stream=True) as stream:
            assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    def by_litellm(model: str, base: str) -> Callable[[int], None]:
        def ask(number: int) -> None:
            stream = litellm.completion(
                model=model,
                messages=[{"role": "system", "content": SYSTEM}, user(number)],
                max_tokens=1024,
                stream=True,
                stream_options={"include_usage": True},
                api_key=KEY,
                api_base=base,
                max_retries=0,
            )
            assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
            close_stream(stream)  # or a later call hangs: see there

        return ask

    def ours(model: str) -> Callable[[int], None]:
        def ask(number: int) -> None:
            assert not door.complete(_request(number, model)).cached

        return ask

    def close() -> None:
        book.close()
        traffic.close()

    return {
        "anthropic SDK": by_anthropic,
        "ours, by the anthropic SDK": ours(f"anthropic/{CLAUDE}"),
        "openai SDK": by_openai,
        "ours, by the openai SDK": ours(f"openai/{GPT}"),
        "litellm to Anthropic": by_litellm(f"anthropic/{CLAUDE}", url),
        "ours, by litellm to Anthropic": ours(f"litellm/anthropic/{CLAUDE}"),
        "litellm to OpenAI": by_litellm(f"openai/{GPT}", f"{url}/v1"),
        "ours, by litellm to OpenAI": ours(f"litellm/openai/{GPT}"),
    }, close


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--folder", type=Path, default=None, help="where to write; its disk is part of what is timed")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name, _server(Path(name)) as url:
        ways, close = _ways(url, Path(name))
        times: dict[str, list[float]] = {way: [] for way in ways}
        busy: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(-5, chosen.rounds):  # the first five warm up
            for way, ask in ways.items():
                began, used = time.perf_counter(), time.process_time()
                ask(number)
                if number >= 0:
                    times[way].append((time.perf_counter() - began) * 1000)
                    busy[way].append((time.process_time() - used) * 1000)
        close()
    load = os.getloadavg()[0]
    print(f"{chosen.rounds} rounds of one streamed call in each way, in ms; load {load:.1f} on {os.cpu_count()} cores")
    names = ("fastest 10th", "median", "p95", "processor")
    print(f"{'':32}" + "".join(f"{name:>14}" for name in (*names, *(f"+{name}" for name in names))))
    worst, bare = 0.0, [0.0] * 4
    for way, each in times.items():
        tenths = statistics.quantiles(each, n=20)
        figures = [tenths[1], statistics.median(each), tenths[-1], statistics.median(busy[way])]
        shown = list(figures)
        if way.startswith("ours"):
            shown += [ours - theirs for ours, theirs in zip(figures, bare, strict=True)]
            worst = max(worst, shown[5])
        else:
            bare = figures
        print(f"{way:32}" + "".join(f"{figure:>14.1f}" for figure in shown))
    met = worst <= TARGET_MS
    print(f"target: at most {TARGET_MS:.0f} ms more at the median: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
