"""How are all flows served, so that a person can start them from the Prefect UI?"""

from __future__ import annotations

import os

from storyloom.deployments.environment import prefect_settings, read_environment
from storyloom.deployments.server import prefect_server


def serve_all(*, port: int, limit: int) -> None:
    """Serve every deployment until Ctrl-C; start a Prefect server on `port` unless PREFECT_API_URL names one."""
    environment = read_environment()
    if environment.prefect_api_url:
        _serve(environment.prefect_api_url, limit)
        return
    with prefect_server(environment.home, port) as url:
        _serve(url, limit)


def _serve(url: str, limit: int) -> None:
    os.environ.update(prefect_settings(read_environment().home, url), PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="INFO")
    from rich.console import Console
    from storyloom.deployments.catalog import serve

    Console().print(f"Prefect UI: [link]{url.removesuffix('/api')}[/link]  (Ctrl-C ends)")
    serve(limit=limit)
