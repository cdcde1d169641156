"""What comes of the calls that a developer's turn asks for, in one worktree?

Outcomes depend on the files and the commands alone: durations, temporary folders and addresses are masked, so that a
turn that is played again from recorded replies asks the next question with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..domain.agent_tools import (
    Action,
    Ask,
    DeleteFile,
    EditFile,
    Finish,
    ListFiles,
    ReadFile,
    Refusal,
    Run,
    RunTests,
    Search,
    ToolOutcome,
    WriteFile,
    parse_call,
)
from ..domain.edit_places import Lines, numbered
from ..domain.edits import apply_edits
from ..domain.errors import InputError, SetUpFailed, UnsafePath
from ..domain.model_calls import ToolCall
from ..domain.outputs import clip, stable
from ..domain.ports import FilesIn, Limits, Sandbox
from ..domain.protected_paths import clean_path, why_protected
from ..domain.settings import Commands
from ..domain.stories import TestReport
from ..domain.test_choice import suite_command
from ..domain.test_reports import describe_tests, report_tests

READ_LINES = 400
READ_SIGNS = 24_000
LISTED = 300
FOUND = 100
LINE_SIGNS = 400
OUTPUT_SIGNS = 8_000
WRITE_SIGNS = 1_000_000
CHANGES = ("edit_file", "write_file", "delete_file")


@dataclass(frozen=True)
class Bench:
    """Where a developer works: one worktree's files, the sandbox, the project's commands and what is off limits.

    `planned` are the paths that the story names; they may open the CI configuration. `changed` tells what the story has
    changed so far.
    """

    files: FilesIn
    sandbox: Sandbox
    worktree: str
    commands: Commands = field(default_factory=Commands)
    limits: Limits = field(default_factory=Limits)
    stories_folder: str = "docs/stories"
    planned: tuple[str, ...] = ()
    changed: Callable[[], Sequence[str]] = tuple


def apply_tools(calls: Sequence[ToolCall], bench: Bench) -> tuple[ToolOutcome, ...]:
    """One outcome per call, in order. A second question is not accepted, nor a `finish` beside a question or a change
    that failed, whichever comes first.

    Raises:
        SandboxMissing: a command was asked for, and no sandbox works here.
    """
    outcomes: list[ToolOutcome] = []
    for call in calls:
        action = parse_call(call)
        if isinstance(action, Ask) and any(outcome.question is not None for outcome in outcomes):
            action = Refusal(message="Not asked: one question a turn. Ask it next turn if it is still open.")
        outcomes.append(_outcome(call, action, bench))
    why = _why_unfinished(outcomes)
    held = {"ok": False, "finish": None, "content": f"Not finished: {why}"}
    return tuple(done.model_copy(update=held) if why and done.finish is not None else done for done in outcomes)


def _why_unfinished(outcomes: Sequence[ToolOutcome]) -> str:
    """Why no `finish` of this turn can hold, "" if it can."""
    if any(not outcome.ok and outcome.name in CHANGES for outcome in outcomes):
        return "a change of this turn failed. Look at it first."
    if any(outcome.question is not None for outcome in outcomes):
        return "you asked in this turn. Read the answer first."
    return ""


def _outcome(call: ToolCall, action: Action | Refusal, bench: Bench) -> ToolOutcome:
    try:
        done = _carry_out(action, bench)
    except (InputError, SetUpFailed) as error:  # it succeeded at the story's start: what the story has changed broke it
        done = Done(stable(str(error), bench.worktree), ok=False)
    return ToolOutcome(
        call_id=call.id,
        name=call.name,
        ok=done.ok,
        content=done.content,
        changed=done.changed,
        tests=done.tests,
        question=action if isinstance(action, Ask) else None,
        finish=action if isinstance(action, Finish) else None,
    )


@dataclass(frozen=True)
class Done:
    """What one action came to, before it has the call's name."""

    content: str
    ok: bool = True
    changed: bool = False
    tests: TestReport | None = None


def _carry_out(action: Action | Refusal, bench: Bench) -> Done:
    match action:
        case Refusal(message=message):
            return Done(message, ok=False)
        case ListFiles(path=path, depth=depth):
            return _list(path, depth, bench)
        case ReadFile():
            return _read(action, bench)
        case Search(pattern=pattern, path=path):
            return _search(pattern, path, bench)
        case EditFile(path=path):
            return _edit(action, path, bench)
        case WriteFile(path=path, content=content):
            return _write(path, content, bench)
        case DeleteFile(path=path):
            return _delete(path, bench)
        case Run(command=command):
            return _run(command, bench)
        case RunTests():
            return _run_tests(bench)
        case Ask():
            return Done("Your question was put to a person.")
        case Finish():
            return Done("Noted: the tests are run again, then the change is reviewed.")


def _list(path: str, depth: int, bench: Bench) -> Done:
    where = _inside(path)
    if where != "." and not bench.files.exists(where):
        return Done(f"There is no folder {where}.", ok=False)
    names = bench.files.list(where, depth)
    if not names:
        is_file = where != "." and bench.files.read(where) is not None
        return Done(f"{where} is a file: read it.", ok=False) if is_file else Done(f"{where} is empty.")
    more = f"\n… {len(names) - LISTED} more; name a folder or a smaller depth." if len(names) > LISTED else ""
    return Done("\n".join(names[:LISTED]) + more)


def _read(action: ReadFile, bench: Bench) -> Done:
    where = _inside(action.path)
    text = bench.files.read(where)
    if text is None:
        return Done(f"There is no file {where}.{_like(where, bench)}", ok=False)
    rows = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if not text.strip("\ufeff"):
        return Done(f"{where} is empty.")
    if action.start > len(rows):
        return Done(f"{where} has only {len(rows)} lines.", ok=False)
    end = min(action.end or len(rows), len(rows), action.start + READ_LINES - 1)
    shown = [row.removeprefix("\ufeff") for row in rows[action.start - 1 : max(end, action.start)]]
    shown = [_cut(row, 4 * LINE_SIGNS) for row in shown]
    while len(shown) > 1 and sum(len(row) + 8 for row in shown) > READ_SIGNS:
        shown = shown[: max(1, len(shown) * 3 // 4)]
    last = action.start + len(shown) - 1
    more = f" Read on with start={last + 1}." if last < len(rows) and not (action.end and last >= action.end) else ""
    head = f"{where}, lines {action.start} to {last} of {len(rows)}.{more}"
    return Done(f"{head}\n<file>\n{numbered(shown, action.start)}\n</file>")


def _search(pattern: str, path: str, bench: Bench) -> Done:
    where = _inside(path)
    if where != "." and not bench.files.exists(where):
        return Done(f"There is no file or folder {where}.{_like(where, bench)}", ok=False)
    hits = bench.files.search(pattern, where, limit=FOUND + 1)
    if not hits:
        return Done(f"No line matches {pattern!r}" + (f" in {where}." if where != "." else "."))
    rows = [f"{hit.path}:{hit.line}: {_cut(hit.text, LINE_SIGNS)}" for hit in hits[:FOUND]]
    more = f"\n… more than {FOUND} lines match: narrow it down." if len(hits) > FOUND else ""
    return Done("\n".join(["<output>", *rows, "</output>"]) + more)


def _edit(action: EditFile, path: str, bench: Bench) -> Done:
    where = _changeable(path, bench)
    text = bench.files.read(where)
    edits = [(edit.search, edit.replace) for edit in action.edits]
    if text is None:
        if all(search.strip() for search, _ in edits):
            return Done(f"There is no file {where}.{_like(where, bench)} Use write_file to create it.", ok=False)
        text = ""
    result = apply_edits(text, edits)
    if not result.ok:
        return Done(result.report(where), ok=False)
    changed = result.text != text
    if changed:
        bench.files.write(where, result.text)
    return Done(result.report(where), changed=changed)


def _write(path: str, content: str, bench: Bench) -> Done:
    where = _changeable(path, bench)
    if len(content) > WRITE_SIGNS:
        return Done(f"{where}: a file of more than {WRITE_SIGNS} characters is not written.", ok=False)
    if _text_before(where, bench) == content:
        return Done(f"{where} has this text already; nothing was changed.")
    done = "replaced" if bench.files.exists(where) else "created"
    bench.files.write(where, content)
    rows = Lines(content).count
    return Done(f"{where}: {done}, {rows} lines.", changed=True)


def _text_before(where: str, bench: Bench) -> str | None:
    """The text that stands in a file; None also for what is no text, or too long to be read: it may be replaced."""
    try:
        return bench.files.read(where)
    except UnsafePath:
        raise
    except InputError:
        return None


def _delete(path: str, bench: Bench) -> Done:
    where = _changeable(path, bench)
    if bench.files.delete(where):
        return Done(f"{where}: deleted.", changed=True)
    return Done(f"There is no file {where}; nothing was changed.")


def _run(command: str, bench: Bench) -> Done:
    result = bench.sandbox.run(command, bench.worktree, bench.limits)
    output = clip(stable(result.output, bench.worktree), OUTPUT_SIGNS).strip("\n")
    limit = f", stopped by its limit on {result.limit_hit}" if result.limit_hit else ""
    said = f"Exit code {result.exit_code}{limit}.{result.note and ' ' + result.note}"
    return Done(f"{said}\n<output>\n{output}\n</output>" if output else f"{said} No output.")


def _run_tests(bench: Bench) -> Done:
    report = run_project_tests(bench)
    return Done(describe_tests(report), tests=report)


def run_project_tests(bench: Bench) -> TestReport:
    """What our own run of the project's tests establishes in the bench's worktree."""
    command = suite_command(bench.commands, bench.changed())
    result = bench.sandbox.run(command, bench.worktree, bench.limits)
    return report_tests(result, command, bench.worktree)


def _inside(path: str) -> str:
    where = clean_path(path)
    if where is None:
        raise InputError(f"{path!r} leaves the project: give a path relative to its root.")
    return where


def _changeable(path: str, bench: Bench) -> str:
    where = _inside(path)
    if where == "." or path.rstrip().endswith("/"):
        raise InputError(f"{path!r} is a folder: name a file.")
    reason = why_protected(where, stories_folder=bench.stories_folder, planned=bench.planned)
    if reason:
        raise InputError(f"{where} is protected: {reason}. Leave it as it is, or `ask` if the story needs it changed.")
    return where


def _like(where: str, bench: Bench) -> str:
    """Files of the same name elsewhere, as a hint; "" if there are none."""
    name = where.rsplit("/", 1)[-1]
    same = [path for path in bench.files.list(".", 12) if path.rsplit("/", 1)[-1] == name][:5]
    return f" Did you mean {', '.join(same)}?" if same else ""


def _cut(row: str, limit: int) -> str:
    return row if len(row) <= limit else f"{row[:limit]}… (+{len(row) - limit} characters)"
