"""How does a run stay paused though the Prefect server goes away for a while?

Prefect's own `pause_flow_run` ends with an error when it cannot ask the server whether the run goes on. Called again
while the run is still paused it ends the run's process without a word (measured on Prefect 3.8.8), so this waits until
the server is back and the run is not paused any more; then the same pause, by its key, gives what was filled in.
"""

from __future__ import annotations

import time
from uuid import UUID

import httpx
from prefect import State, get_client, pause_flow_run
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import RunInput, keyset_from_paused_state
from prefect.logging import get_run_logger
from prefect.runtime import flow_run


def pause(form: type[RunInput], *, key: str, timeout_s: int, poll_s: int) -> RunInput | None:
    """What the form was filled in with; None when the run was resumed without any input."""
    while True:
        try:
            _until_not_paused(form, poll_s)
            return pause_flow_run(wait_for_input=form, timeout=timeout_s, poll_interval=poll_s, key=key)
        except httpx.TransportError:
            pass
        except PrefectHTTPStatusError as error:
            if not error.response.is_server_error:
                raise
        get_run_logger().warning("The Prefect server does not answer; the question goes on waiting.")
        time.sleep(poll_s)


def _until_not_paused(form: type[RunInput], poll_s: int) -> None:
    """Return when this run is not, or no longer, paused; its form is there meanwhile, though the server was away."""
    run_id = UUID(flow_run.get_id())
    shown = False
    while True:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(run_id).state
        if state is None or not state.is_paused():
            return
        if not shown:
            _show(form, state)
            shown = True
        time.sleep(poll_s)


def _show(form: type[RunInput], state: State) -> None:
    try:
        form.save(keyset_from_paused_state(state))
    except PrefectHTTPStatusError as error:
        if error.response.status_code != httpx.codes.CONFLICT:  # there already
            raise
