"""How does a command end when something goes wrong?

0 done, 1 a bug (with a log file to send), 2 bad input or a state that a person must mend (one sentence with the remedy,
no traceback), 3 the work stopped and can go on later, 130 Ctrl-C (the state resumes).
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import NoReturn

import typer

NO_PLACE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free some space, then run the same command again."),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "Make it a place that you may read and write."),
}
"""What a person can do about a file that the system does not let us use; every other OSError is a bug of ours."""
OK, BUG, INPUT, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130


def run_guarded(app: Callable[..., object], environ: Mapping[str, str]) -> int:
    """Run a click or typer application and return its exit code; say on stderr what went wrong."""
    try:
        result = app(standalone_mode=False)
    except typer.Exit as exit_:
        # The command line library may have seen the Ctrl-C before us.
        return interrupted() if exit_.exit_code == INTERRUPTED else exit_.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return interrupted()
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):  # whoever read our output has seen enough
            return OK
        return exit_.code if isinstance(exit_.code, int) else BUG
    except BrokenPipeError:
        return OK
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes an exit code
        show = getattr(error, "show", None)  # a usage error of the command line library, wherever it keeps its class
        if callable(show) and hasattr(error, "exit_code"):
            show()
            return INPUT
        return explain(error, environ)
    if result == INTERRUPTED:  # the command line library makes an exit code of Ctrl-C
        return interrupted()
    return result if isinstance(result, int) else OK


def leave(code: int) -> NoReturn:
    """End the process as Python does, but for its last look for garbage: among all of Prefect that takes seconds."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it may be gone
            stream.flush()
    os._exit(code)


def interrupted() -> int:
    """Say that the work can be gone on with."""
    print("Stopped. Run the same command again to go on where it stopped.", file=sys.stderr)
    return INTERRUPTED


def explain(error: Exception, environ: Mapping[str, str]) -> int:
    """One sentence for what a person can mend; a log file for a bug."""
    from storyloom.domain.errors import StoryloomError

    if isinstance(error, StoryloomError):
        print(f"storyloom: {error}", file=sys.stderr)
        return STOPPED if error.may_pass else INPUT
    if isinstance(error, OSError) and error.filename and error.errno in NO_PLACE:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        print(f"storyloom: {error.filename}: {error.strerror}. {NO_PLACE[error.errno]}", file=sys.stderr)
        return STOPPED if full else INPUT
    path = _write_log(error, environ)
    print(f"storyloom: this is a bug: {type(error).__name__}: {error}\nPlease send {path}.", file=sys.stderr)
    return BUG


def _write_log(error: Exception, environ: Mapping[str, str]) -> str:
    import tempfile
    from importlib.metadata import version
    from pathlib import Path

    from storyloom.domain.redaction import Redactor, secrets_of

    redactor = Redactor(secrets_of(environ))
    text = "".join(traceback.format_exception(error))
    head = f"storyloom {version('storyloom')}, Python {platform.python_version()}, {platform.platform()}\n"
    name = f"storyloom-bug-{time.strftime('%Y%m%d-%H%M%S')}.log"
    for folder in (Path(environ.get("STORYLOOM_HOME", "")) / "logs", Path(tempfile.gettempdir())):
        try:
            path = folder / name
            path.write_text(redactor(head + text), encoding="utf-8")
        except OSError:
            continue
        return str(path)
    return "the text above (no log file could be written)"
