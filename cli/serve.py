"""How are all flows served, so that a person can start them from the Prefect UI?"""

from __future__ import annotations

import os
from collections.abc import Mapping

from storyloom.deployments.environment import Environment, own_server_settings, prefect_settings, read_environment
from storyloom.deployments.server import prefect_server


def serve_all(*, port: int, limit: int) -> None:
    """Serve every deployment until Ctrl-C; start a Prefect server on `port` unless PREFECT_API_URL names one."""
    environment = read_environment()
    if environment.prefect_api_url:
        url = environment.prefect_api_url
        _serve(environment, url, prefect_settings(environment.home, url), limit)
        return
    with prefect_server(environment.home, port) as url:
        _serve(environment, url, own_server_settings(environment.home, url), limit)


def _serve(environment: Environment, url: str, settings: Mapping[str, str], limit: int) -> None:
    os.environ.update(settings, PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="INFO")
    from rich.console import Console
    from storyloom.deployments.catalog import entries, serve
    from storyloom.deployments.watch import look_after_all, show
    from storyloom.tasks.waiting import ARTIFACT

    Console().print(f"Prefect UI: [link]{url.removesuffix('/api')}[/link]  (Ctrl-C ends)")
    Console().print(f"What needs you: {url.removesuffix('/api')}/artifacts/key/{ARTIFACT}")
    for line in look_after_all(environment):  # what became due while nobody was here
        Console().print(line)
    show(environment)
    names = ", ".join(entry.name for entry in entries())
    print(f"Start any of these under Deployments: {names}", flush=True)
    serve(limit=limit)
