"""How does a person record a model, play it back, or serve a script, from the command line?"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .failures import INTERRUPTED

if TYPE_CHECKING:
    from ..rehearsal.server import RehearsalServer

app = typer.Typer(help="Record a model's answers, play them back, or serve a script of them.", no_args_is_help=True)

CassetteFile = Annotated[Path, typer.Argument(help="The cassette: JSON lines, without secrets.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Loopback port; 0 picks a free one.")]
ReadyFile = Annotated[Path | None, typer.Option(help="Written, as JSON, once the server listens.")]
Command = Annotated[
    list[str] | None,
    typer.Argument(help="After --: a command to run with OPENAI_BASE_URL and ANTHROPIC_BASE_URL set."),
]
Ignore = Annotated[
    list[str] | None, typer.Option(help="A regular expression for what differs from run to run; may be repeated.")
]
OPENAI_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
ANTHROPIC_VARIABLES = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE")
KEY_VARIABLES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")


@app.command()
def record(
    cassette: CassetteFile,
    command: Command = None,
    openai: Annotated[str, typer.Option(help="Where OpenAI's formats go, without /v1.")] = "https://api.openai.com",
    anthropic: Annotated[
        str, typer.Option(help="Where Anthropic's format goes, without /v1.")
    ] = "https://api.anthropic.com",
    port: Port = 0,
    ready_file: ReadyFile = None,
    ignore: Ignore = None,
) -> None:
    """Stand between a client and its provider, and keep what both say."""
    from ..rehearsal.cassette import Cassette
    from ..rehearsal.recorder_proxy import Recorder
    from ..rehearsal.server import RehearsalServer

    keys = [os.environ[name] for name in KEY_VARIABLES if name in os.environ]
    tape = Cassette(cassette, known_secrets=keys, ignore=ignore or ())
    recorder = Recorder(tape, {"openai": openai, "anthropic": anthropic})
    _run(RehearsalServer(recorder, port, on_miss=_say), command, ready_file)


@app.command()
def replay(
    cassette: Annotated[Path, typer.Argument(help="The cassette to play.", exists=True, dir_okay=False)],
    command: Command = None,
    strict: Annotated[bool, typer.Option(help="A request that comes more often than recorded is a miss.")] = False,
    speed: Annotated[float, typer.Option(min=0, help="1 keeps the recorded times, 0 answers at once.")] = 0,
    port: Port = 0,
    ready_file: ReadyFile = None,
    ignore: Ignore = None,
) -> None:
    """Answer a client from a cassette; what was not recorded is refused, with the difference."""
    from ..rehearsal.cassette import Cassette, Player
    from ..rehearsal.server import RehearsalServer

    player = Player(Cassette(cassette, ignore=ignore or ()), strict=strict, speed=speed)
    _run(RehearsalServer(player, port, on_miss=_say), command, ready_file, keyless=True)


@app.command()
def serve(
    conversation: Annotated[Path, typer.Argument(help="Folder of conversation files (YAML).", file_okay=False)],
    command: Command = None,
    strict: Annotated[bool, typer.Option(help="An expectation that is not met is a miss.")] = False,
    latency: Annotated[float, typer.Option(min=0, help="Seconds a reply takes unless its entry says.")] = 0,
    port: Port = 0,
    ready_file: ReadyFile = None,
) -> None:
    """Answer a client from a hand-written conversation."""
    from ..rehearsal.conversation import Conversation
    from ..rehearsal.server import RehearsalServer

    script = Conversation.load(conversation, strict=strict, latency_s=latency)
    _run(RehearsalServer(script, port, on_miss=_say), command, ready_file, keyless=True)


def _run(server: RehearsalServer, command: list[str] | None, ready_file: Path | None, *, keyless: bool = False) -> None:
    """Serve until told to stop, or while a command runs; exit with the command's code, 1 if a request was missed.

    Standard output belongs to the command; without one it gets the server's address, as JSON.

    Raises:
        InputError: the command cannot be run.
    """
    from ..rehearsal.serve import Told, announce

    if command:
        _require_program(command[0])
    with server:
        if command:
            announce(server, ready_file, told=False)
            code = _outcome(command, _environment(server, keyless))
        else:
            told = Told()  # before anybody can know where to send a signal
            announce(server, ready_file)
            code = INTERRUPTED if told.wait() else 0
        calls = server.calls
        missed = sum(call["entry"] == "rehearsal_miss" for call in calls)
        _say(f"{len(calls)} {'call' if len(calls) == 1 else 'calls'}, {missed} of them missed")
    raise typer.Exit(code or (1 if missed else 0))


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _require_program(name: str) -> None:
    from ..domain.errors import InputError

    if shutil.which(name) is None:
        there = Path(name).exists()
        raise InputError(
            f"The command {name!r} {'is no program that may be run' if there else 'was not found'}.",
            remedy="Give a program and its arguments after --, such as: -- python ask.py",
        )


def _outcome(command: list[str], environment: dict[str, str]) -> int:
    """The command's exit code, as a shell tells it: 128 and the signal's number when a signal ended it."""
    from ..domain.errors import InputError

    try:
        code = subprocess.run(command, env=environment, check=False).returncode
    except OSError as error:
        raise InputError(
            f"The command {command[0]!r} cannot be run ({error.strerror}).",
            remedy="A script needs a first line such as #!/bin/sh.",
        ) from error
    return code if code >= 0 else 128 - code


def _environment(server: RehearsalServer, keyless: bool) -> dict[str, str]:
    """The environment in which a client finds the server; `keyless` stands in for keys that are not set."""
    bases = dict.fromkeys(OPENAI_VARIABLES, server.openai_base) | dict.fromkeys(ANTHROPIC_VARIABLES, server.url)
    keys = dict.fromkeys(KEY_VARIABLES, "rehearsal") if keyless else {}
    return {**keys, **os.environ, **bases}
