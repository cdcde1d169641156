"""All workers see the same health and share the same limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storyloom.blocks.provider_traffic import ProviderTraffic
from storyloom.domain.rate_limit import RateLimit
from storyloom.domain.routing import Health, after_success


def test_health_is_shared_and_a_provider_that_is_well_is_not_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    one, other = ProviderTraffic(url), ProviderTraffic(url)
    assert one.health() == {}
    one.update("openai", lambda health: health.model_copy(update={"failures": health.failures + 1}))
    other.update("openai", lambda health: health.model_copy(update={"failures": health.failures + 1, "until": 7.0}))
    assert one.health() == {"openai": Health(failures=2, until=7.0)}
    other.update("openai", after_success)
    assert one.health() == {}
    one.close()
    other.close()


def test_updates_at_once_lose_none(tmp_path: Path) -> None:
    traffic = ProviderTraffic(f"sqlite:///{tmp_path}/ledger.db")

    def fail(_: int) -> None:
        traffic.update("openai", lambda health: health.model_copy(update={"failures": health.failures + 1}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(40)))
    assert traffic.health()["openai"].failures == 40
    traffic.close()


def test_workers_share_a_rate_limit_and_queue_up(tmp_path: Path) -> None:
    url, limits = f"sqlite:///{tmp_path}/ledger.db", {"openai": RateLimit(requests=60)}
    workers = [ProviderTraffic(url, limits, wall=lambda: 1000.0) for _ in range(2)]
    waits = [workers[n % 2].admit("openai", 10, most_wait_s=60) for n in range(62)]
    assert waits == [0.0] * 60 + [1.0, 2.0]
    assert workers[0].admit("openai", 10, most_wait_s=1) == 3
    assert workers[1].admit("anthropic", 10**9, most_wait_s=0) == 0
    for worker in workers:
        worker.close()
