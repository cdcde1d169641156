"""Which tasks does a file hold, and what does the repository look like in which they become stories?

Three layouts of JSON lines are read, told apart by their fields (`.gz` files too); docs/benchmarks.md describes them:
our own (`id`, `test`, `solution` or `edits`), HumanEval's (`prompt`, `canonical_solution`, `test`, `entry_point`) and
MBPP's (`code`, `test_list`).
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from storyloom.domain.edits import apply_edits
from storyloom.domain.errors import UnsafePath
from storyloom.domain.safe_paths import check_path
from storyloom.domain.story_text import read_files

from .task_rows import AnyRow, HumanEvalRow, MbppRow, read_row

PER_EPIC = 100
LONGEST_ID = 100
OWN_FILES = frozenset({"check.py", "docs/epics.md", ".bmad/project-config.yaml"})
STUB = "    raise NotImplementedError\n"
RUNNER = '''\
"""Run the tests below tests/: plain assertions, functions test_*, classes Test*, and unittest's test cases.

    python check.py            all of them
    python check.py PATH...    those that are among these paths, or import one of them, over however many modules
"""

import sys

loaded = set(sys.modules)
sys.path = sys.path[not sys.flags.safe_path :]  # without this folder: a token.py of the project is none of ours

import ast
import asyncio
import inspect
import io
import pathlib
import traceback
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
for name in set(sys.modules) - loaded:  # a test that imports it means the project's
    if any((HERE / f"{name.partition('.')[0]}{end}").is_file() for end in (".py", "/__init__.py")):
        del sys.modules[name]


def run(path):
    """How many tests of a file passed, and the texts of those that failed; the file itself counts as one."""
    source = path.read_text(encoding="utf-8")
    module = execute(source, path, f"tests.{path.stem}")
    tests = [*functions(module), *methods(module)]
    cases = unittest.defaultTestLoader.loadTestsFromModule(module)
    if "__main__" in source and not tests and not cases.countTestCases():
        execute(source, path, "__main__")
    failed = [text for text in map(call, tests) if text]
    good, bad = run_cases(cases)
    return 1 + len(tests) - len(failed) + good, failed + bad


def execute(source, path, name):
    """The file as a module of this name; as __main__ it may end itself with success."""
    module = types.ModuleType(name)
    module.__file__ = str(path)
    sys.modules.setdefault(name, module)
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except SystemExit as end:
        if end.code or name != "__main__":
            raise
    return module


def functions(module):
    """The functions test_* of a file, whatever their decorators made of them."""
    for name, value in list(vars(module).items()):
        if name.startswith("test_") and callable(value) and not isinstance(value, type) and is_own(module, name):
            yield value


def methods(module):
    """The methods test_* of the classes Test* that are no cases of unittest, each on an instance of its own."""
    for name, value in list(vars(module).items()):
        if not name.startswith("Test") or not isinstance(value, type) or not is_own(module, name):
            continue
        if not issubclass(value, unittest.TestCase):
            for each in dir(value):
                if each.startswith("test_") and callable(getattr(value, each)):
                    yield lambda value=value, each=each: getattr(value(), each)()


def is_own(module, name):
    """Whether a name of a module is not only imported: the same object under the same name in another module."""
    value = getattr(module, name)
    home = sys.modules.get(getattr(value, "__module__", None))
    return home is module or getattr(home, name, None) is not value


def call(test):
    """The text of a test's failure, "" if it passed; an argument that nobody gives is a failure."""
    try:
        result = test()
        if inspect.isawaitable(result):
            asyncio.run(waited(result))
        elif inspect.isgenerator(result) or inspect.isasyncgen(result):
            raise TypeError("a test that yields is not run")
    except BaseException:
        return traceback.format_exc(limit=-2)
    return ""


async def waited(result):
    return await result


def run_cases(cases):
    """How many of unittest's cases passed, and the texts of failures; a case may fail in several of its parts."""
    result = unittest.TextTestRunner(stream=io.StringIO()).run(cases)
    failed = [*result.failures, *result.errors]
    failed += [(case, f"unexpected success: {case.id()}\\n") for case in result.unexpectedSuccesses]
    whole = {getattr(case, "test_case", case).id() for case, _ in failed if isinstance(case, unittest.TestCase)}
    return result.testsRun - len(whole), [text for _, text in failed]


def imports(path):
    """The files of this project that a file names as modules; all that it could, where it cannot be read."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(HERE).parts[: -node.level] if node.level else ()
            stem = ".".join([*package, *filter(None, [node.module])])
            names |= {stem, *(f"{stem}.{alias.name}" for alias in node.names)}
    for name in names:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):  # a package is begun before what is in it
            yield from (HERE / f"{'/'.join(parts[:count])}{end}" for end in (".py", "/__init__.py"))


def affected(tests, changed):
    """The tests that a change can make fail; all of them where it is not only of Python files."""
    changed = {HERE / path for path in changed if not path.startswith(("docs/", ".bmad/"))}
    if any(path.suffix != ".py" or path == HERE / "check.py" or not path.exists() for path in changed):
        return tests
    known = {}
    chosen = []
    for test in tests:
        seen, open_ = {test}, [test]
        while open_ and not seen & changed:
            path = open_.pop()
            try:
                if path not in known:
                    known[path] = {found for found in imports(path) if found.is_file()}
            except (SyntaxError, ValueError):
                return tests
            open_ += known[path] - seen
            seen |= known[path]
        if seen & changed:
            chosen.append(test)
    return chosen


passed, failed = 0, 0
every = sorted((HERE / "tests").glob("test_*.py"))
for path in affected(every, sys.argv[1:]) if sys.argv[1:] else every:
    try:
        good, bad = run(path)
    except BaseException:
        good, bad = 0, [traceback.format_exc(limit=-2)]
    passed, failed = passed + good, failed + len(bad)
    for text in bad:
        print(f"FAIL {path.name}\\n{text[-1500:]}")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
'''


class BadTasks(SystemExit):
    """The task file cannot be read; the message names file, line and what is missing."""


@dataclass(frozen=True)
class Change:
    """One change of the reference solution: a whole text, or a search/replace pair where `search` is set."""

    path: str
    text: str
    search: str = ""


@dataclass(frozen=True)
class Task:
    """One task. `given` are texts that the repository starts with, `solution` what its developer has to change.

    `test` is Python that raises when the solution is wrong; the developer adds it as `tests/test_NAME.py`.
    """

    id: str
    title: str
    text: str
    test: str
    solution: tuple[Change, ...]
    given: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    together: bool = False

    @property
    def name(self) -> str:
        """The id as part of a file's name."""
        return re.sub(r"\W+", "_", self.id).strip("_").lower()

    @property
    def test_path(self) -> str:
        """Where its test goes."""
        return f"tests/test_{self.name}.py"

    @property
    def criterion(self) -> str:
        """What must hold for it to be done; without a path in backticks, so that it claims no file."""
        return f"Given the project, when its tests run, then those of {self.name} are there and pass."

    @property
    def files(self) -> tuple[str, ...]:
        """What it changes."""
        return (*dict.fromkeys(change.path for change in self.solution), self.test_path)


def load_tasks(path: Path, limit: int | None = None) -> list[Task]:
    """The tasks of a file; with `limit`, the first so many and those that they need.

    Raises:
        BadTasks: the file cannot be read or holds no task, a line is no JSON object or lacks what its layout needs, a
            path leaves the repository, an id stands twice, `depends_on` names no task or goes round in a circle, two
            tasks begin with different texts, or an edit would be refused.
    """
    tasks: dict[str, Task] = {}
    lines: dict[str, int] = {}
    names: dict[str, str] = {}
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            task = _task(read_row(line))
            _check_paths(task)
        except ValueError as error:
            raise BadTasks(f"{path}:{number}: {error}. The fields are listed in docs/benchmarks.md.") from None
        if task.id in tasks:
            raise BadTasks(f"{path}:{number}: the id {task.id!r} stands in line {lines[task.id]} already.")
        if (other := names.setdefault(task.test_path, task.id)) != task.id:
            raise BadTasks(
                f"{path}:{number}: {task.id!r} and {other!r} (line {lines[other]}) would share {task.test_path}. "
                "Let them differ in a letter or digit, not only in case or punctuation."
            )
        tasks[task.id], lines[task.id] = task, number
    if not tasks:
        raise BadTasks(f"{path}: the file holds no task. One JSON object to a line is read; see docs/benchmarks.md.")
    for problems in (_unknown, _circle, _clashes, _refusals):
        for name, said in problems(tasks):
            raise BadTasks(f"{path}:{lines[name]}: {said}")
    return list(tasks.values()) if limit is None else _first(tasks, limit)


Problems = Iterator[tuple[str, str]]
"""The id of a task, and what is wrong with it."""


def _unknown(tasks: Mapping[str, Task]) -> Problems:
    for task in tasks.values():
        if lost := sorted(set(task.depends_on) - tasks.keys()):
            yield task.id, f"depends_on names {', '.join(lost)}: no task of this file."


def _circle(tasks: Mapping[str, Task]) -> Problems:
    try:
        _in_order(tasks.values())
    except CycleError as error:
        circle: list[str] = error.args[1]
        yield circle[0], f"depends_on goes in a circle: {' -> '.join(circle)}."


def _clashes(tasks: Mapping[str, Task]) -> Problems:
    """Files that begin with two texts, and tests that are more than one task's."""
    tests = {task.test_path: name for name, task in tasks.items()}
    given: dict[str, tuple[str, str]] = {}
    for name, task in tasks.items():
        for path, text in task.given.items():
            first, before = given.setdefault(path, (name, text))
            if text != before:
                yield name, f"`given` has another text for {path} than {first!r} has. Give it once, or the same."
        for path in (*task.given, *(change.path for change in task.solution)):
            if path in tests:
                yield name, f"{path} is where the test of {tests[path]!r} goes. Name the file otherwise."


def _refusals(tasks: Mapping[str, Task]) -> Problems:
    """Edits that the product refuses in what the files hold once all that a task needs is merged."""
    given = {path: text for task in tasks.values() for path, text in task.given.items()}
    needs: dict[str, set[str]] = {}
    made: dict[str, dict[str, str]] = {}
    for name in _in_order(tasks.values()):
        task = tasks[name]
        needs[name] = set(task.depends_on).union(*(needs[need] for need in task.depends_on))
        if len(set(task.depends_on)) == 1:
            before = made[task.depends_on[0]]
        else:
            before = _made([tasks[need] for need in needs if need in needs[name]], given)
        texts = {**given, **before}
        for said in apply_solution(task, texts):
            yield name, said
        made[name] = {path: texts[path] for path in {*before, *(change.path for change in task.solution)}}


def _made(tasks: Sequence[Task], given: Mapping[str, str]) -> dict[str, str]:
    """What these tasks leave in the files that they change."""
    texts = dict(given) if tasks else {}
    for task in tasks:
        apply_solution(task, texts)
    return {change.path: texts[change.path] for task in tasks for change in task.solution}


def _in_order(tasks: Iterable[Task]) -> tuple[str, ...]:
    """The ids of tasks and of what they need, each after those that it needs."""
    return tuple(TopologicalSorter({task.id: task.depends_on for task in tasks}).static_order())


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise BadTasks(f"{path}: cannot be read: {error}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadTasks(f"{path}:{line}: a byte that is no UTF-8. Save the file as UTF-8.") from None


def _first(tasks: Mapping[str, Task], limit: int) -> list[Task]:
    chosen: set[str] = set()
    open_ = list(tasks)[:limit]
    while open_:
        name = open_.pop()
        if name not in chosen:
            chosen.add(name)
            open_ += tasks[name].depends_on
    return [task for name, task in tasks.items() if name in chosen]


def _task(row: AnyRow) -> Task:
    if isinstance(row, HumanEvalRow):
        return _humaneval(row)
    if isinstance(row, MbppRow):
        return _mbpp(row)
    solution = [Change(path, text) for path, text in row.solution.items()]
    solution += [Change(edit.path, edit.replace, edit.search) for edit in row.edits]
    if not solution:
        raise ValueError("neither `solution` nor `edits` holds anything")
    return Task(
        id=row.id,
        title=row.title or row.id,
        text=row.text,
        test=row.test,
        solution=tuple(solution),
        given=row.given,
        depends_on=tuple(row.depends_on),
        together=row.together,
    )


def _check_paths(task: Task) -> None:
    """Raise a ValueError for a path that leaves the repository, that no developer may write, or that is taken."""
    if len(task.id) > LONGEST_ID or not task.name:
        raise ValueError(f"an id has a letter or a digit, and at most {LONGEST_ID} signs")
    try:
        for path in task.given:
            check_path(path, writing=False)
        for path in task.files:
            check_path(path)
    except UnsafePath as error:
        raise ValueError(str(error).rstrip(".")) from None
    if taken := OWN_FILES.intersection([*task.given, *task.files]):
        raise ValueError(f"{min(taken)} is the benchmark's own; let the task use another path")


def _humaneval(row: HumanEvalRow) -> Task:
    entry = row.entry_point
    name = re.sub(r"\W+", "_", f"task_{row.task_id}" if row.task_id[:1].isdigit() else row.task_id).lower()
    path = f"solutions/{name}.py"
    return Task(
        id=row.task_id,
        title=f"{entry} of {row.task_id}",
        text=f"Write the body of {entry}: its signature and docstring are there.",
        test=f"from solutions.{name} import *\nfrom solutions.{name} import {entry}\n{row.test}\ncheck({entry})\n",
        solution=(Change(path, row.canonical_solution.rstrip("\n") + "\n", STUB),),
        given={path: row.prompt.rstrip("\n") + "\n" + STUB},
    )


def _mbpp(row: MbppRow) -> Task:
    name, eol = re.sub(r"\W+", "_", f"task_{row.task_id}").lower(), "\r\n" if "\r" in row.code else "\n"
    said = row.text or row.prompt
    hidden = re.findall(r"(?m)^def (_\w+)", row.code)  # a star does not bring these
    names = ", ".join(["*"] if not hidden else re.findall(r"(?m)^(?:def|class) (\w+)", row.code))
    imports = [*row.test_imports, row.test_setup_code.replace("\r\n", "\n")]
    tests = [*row.test_list, *row.challenge_test_list]
    return Task(
        id=row.task_id,
        title=re.sub(r"^Write an? (?:python )?function to ", "", said)[:70],
        text=said,
        test="\n".join(
            [f"from solutions.{name} import {names}", *imports, *(t.replace("\r\n", "\n") for t in tests), ""]
        ),
        solution=(Change(f"solutions/{name}.py", row.code.rstrip("\r\n ") + eol),),
    )


def story_ids(tasks: Sequence[Task]) -> dict[str, str]:
    """The story number ("1.2") of each task, by its id."""
    return {task.id: f"{at // PER_EPIC + 1}.{at % PER_EPIC + 1}" for at, task in enumerate(tasks)}


def epics_document(tasks: Sequence[Task]) -> str:
    """The plan in the method's form: a hundred stories to an epic."""
    ids = story_ids(tasks)
    rows = ["# Tasks - Epic Breakdown", ""]
    for at, task in enumerate(tasks):
        if at % PER_EPIC == 0:
            rows += [f"## Epic {at // PER_EPIC + 1}: Tasks from {at + 1}", ""]
        needs = ", ".join(f"Story {ids[name]}" for name in task.depends_on)
        claims, text = _claims(task), _plain(task.text)
        title = re.sub(r"[^\w .,()/-]+", " ", task.title).strip() or task.name
        rows += [
            f"### Story {ids[task.id]}: {title}",
            "",
            (text if claims else text.replace("`", "'")) or title,  # a path in backticks would be a claim
            "",
            "**Acceptance Criteria:**",
            "",
            f"1. {task.criterion}",
            "",
            f"**Prerequisites:** {needs or 'None'}",
            "",
            *([claims, ""] if claims else []),
        ]
    return "\n".join(rows)


def _claims(task: Task) -> str:
    """The plan's line of files; none where it would not name them all, since a part of them counts as all."""
    named = ", ".join(f"`{path}`" for path in task.files)
    return "" if task.together or read_files([named]).files != task.files else f"**Files:** {named}"


def _plain(text: str) -> str:
    """A text as a quotation: its headings, labels, fences and comments are not those of the plan."""
    return "\n".join(f"> {row}" for row in text.replace("<!--", "<! --").strip().splitlines())


def make_repository(
    folder: Path,
    tasks: Sequence[Task],
    *,
    lanes: int,
    whole_every: int = 1,
    settings: Mapping[str, object] | None = None,
) -> Path:
    """A committed repository with the plan, the settings, the test runner and every task's given files.

    With `whole_every` above 1 a story is proven by the tests that its change affects, and all tests are run at every
    so manieth merge and at the end.
    """
    texts = {
        "README.md": "# Tasks\n",
        ".gitignore": "__pycache__/\n",
        "check.py": RUNNER,
        "solutions/__init__.py": "",
        "docs/epics.md": epics_document(tasks),
        ".bmad/project-config.yaml": json.dumps(
            {
                "project": {"name": "tasks"},
                "agents": {"amelia": "openai/gpt-6-sol", "quinn": "openai/gpt-6-luna"},
                "commands": {"test": "python check.py"}
                | ({"test_changed": "python check.py {changed}"} if whole_every > 1 else {}),
                "settings": {
                    "max_concurrent_agents": lanes,
                    "whole_suite_every": whole_every,
                    "llm_budget_usd": 1_000_000,
                    "deploy": "none",
                    "when_asked": "recommendation",
                    **(settings or {}),
                },
            },
            indent=1,
        ),
    }
    for task in tasks:
        texts.update(task.given)
    write_texts(folder, texts)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=You", "-c", "user.email=you@localhost", "commit", "-q", "-m", "Begin")
    return folder


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files below a folder, line ends as they are."""
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())


def git(folder: Path, *arguments: str) -> str:
    """What git printed, sealed off from the person's configuration."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def solved(tasks: Iterable[Task], texts: Mapping[str, str]) -> dict[str, str]:
    """The texts after all reference solutions, each after those that it needs; the expected end of the main line."""
    made = dict(texts)
    by_id = {task.id: task for task in tasks}
    for name in _in_order(by_id.values()):
        if name in by_id:
            apply_solution(by_id[name], made)
            made[by_id[name].test_path] = by_id[name].test
    return made


def apply_solution(task: Task, texts: dict[str, str]) -> list[str]:
    """Make a task's changes in these texts, edits by the product's own rules; what was refused, and why."""
    refused = []
    for change in task.solution:
        if not change.search:
            texts[change.path] = change.text
        elif change.path not in texts:
            refused.append(f"{change.path} is not there. Give it, or depend on the task that writes it.")
        else:
            result = apply_edits(texts[change.path], [(change.search, change.text)])
            texts[change.path] = result.text
            refused += [f"{change.path}: {said}" for said in result.refusals]
    return refused
