"""How does a rehearsed model run in a process of its own?

    python -m storyloom.rehearsal.serve --conversation DIR --port 0 --ready-file F

Ends on SIGTERM, on Ctrl-C, and when the process that started it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ..domain.errors import InputError, StoryloomError
from .conversation import Conversation
from .server import RehearsalServer

PARENT_CHECK_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; 0 then, 2 when the input cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m storyloom.rehearsal.serve", description=__doc__)
    parser.add_argument("--conversation", required=True, type=Path, help="folder of conversation files")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1", help="loopback only")
    parser.add_argument("--ready-file", type=Path, help="written, as JSON, once the server listens")
    parser.add_argument("--strict", action="store_true", help="an expectation that is not met is a miss")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a reply takes unless its entry says")
    parser.add_argument("--model", action="append", default=[], help="a name for /v1/models; may be repeated")
    given = parser.parse_args(arguments)
    try:
        conversation = Conversation.load(given.conversation, strict=given.strict, latency_s=given.latency)
        models = tuple(given.model) or ("rehearsal-1",)
        with RehearsalServer(conversation, given.port, host=given.host, models=models) as server:
            told = Told()  # before anybody can know where to send a signal
            announce(server, given.ready_file)
            told.wait()
    except (StoryloomError, OSError) as mistake:
        sys.stderr.write(f"{mistake}\n")
        return 2
    return 0


class Told:
    """What ends a server: SIGTERM, Ctrl-C, or the end of the process that started it; heard from now on."""

    def __init__(self) -> None:
        self._stop, self._signals = threading.Event(), list[int]()
        self._parent = os.getppid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _: object) -> None:
        self._signals.append(number)
        self._stop.set()

    def wait(self) -> bool:
        """Return once told to end; whether it was Ctrl-C."""
        while not self._stop.wait(PARENT_CHECK_S) and os.getppid() == self._parent:
            pass
        return self._signals[:1] == [signal.SIGINT]


def announce(server: RehearsalServer, ready_file: Path | None, *, told: bool = True) -> None:
    """Say where the server is: on standard output unless `told` is false, and in a file that appears whole.

    Raises:
        InputError: the file cannot be written.
    """
    where = {
        "url": server.url,
        "openai_base": server.openai_base,
        "anthropic_base": server.anthropic_base,
        "pid": os.getpid(),
    }
    text = json.dumps(where)
    if ready_file:
        half = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
        try:
            half.write_text(text, encoding="utf-8")
            half.replace(ready_file)
        except OSError as error:
            half.unlink(missing_ok=True)
            raise InputError(
                f"{ready_file} cannot be written ({error.strerror}).",
                remedy="Name a file in a folder that you may write to.",
            ) from error
    if told:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
