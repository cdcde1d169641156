import gzip
import json
import subprocess
import sys

import pytest
from storyloom.domain.epics import read_epics
from storyloom.domain.footprints import predict
from storyloom.domain.schedule import build_dag

from benchmarks.task_sets import RUNNER, BadTasks, epics_document, load_tasks, solved, story_ids, write_texts


def own(task_id, **more):
    return {"id": task_id, "test": "assert True", "solution": {f"{task_id}.py": "x = 1\n"}, **more}


def edits(task_id, given, *pairs, **more):
    rows = [{"path": "e.py", "search": search, "replace": new} for search, new in pairs]
    start = {} if given is None else {"given": {"e.py": given}}
    return {"id": task_id, "test": "import e\n", "edits": rows, **start, **more}


@pytest.fixture
def tasks_file(tmp_path):
    def write(*rows, name="tasks.jsonl"):
        path = tmp_path / name
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return path

    return write


def test_the_three_layouts_are_told_apart_by_their_fields(tasks_file):
    humaneval = {
        "task_id": "HumanEval/0",
        "prompt": 'def one():\n    """One."""\n',
        "canonical_solution": "    return 1\n",
        "test": "def check(f):\n    assert f() == 1\n",
        "entry_point": "one",
    }
    mbpp = {
        "task_id": 7,
        "text": "Write a function to add.",
        "code": "def add(a):\r\n  return a",
        "test_list": ["assert 1"],
    }
    first, second, third = load_tasks(tasks_file(humaneval, mbpp, own("mine")))
    assert (first.id, first.files) == ("HumanEval/0", ("solutions/humaneval_0.py", "tests/test_humaneval_0.py"))
    assert first.test.endswith("check(one)\n")
    assert (second.title, second.solution[0].text) == ("add.", "def add(a):\r\n  return a\r\n")
    assert third.files == ("mine.py", "tests/test_mine.py")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((), "holds no task"),
        (("", "  "), "holds no task"),
        ((own("a"), "", '{"id": '), ":3: "),
        ((own("a"), "[1]"), ":2: not a JSON object"),
        (({"id": "a", "solution": {"a.py": ""}},), ":1: the field 'test' is missing"),
        (({"id": "a", "test": ""},), ":1: neither `solution` nor `edits`"),
        ((own("a") | {"solution": ["a.py"]},), ":1: the field 'solution': "),
        ((own("a", test=["assert True"]),), ":1: the field 'test': "),
        ((own("a"), own("b", test=None)), ":2: the field 'test' is missing"),
        ((own("a", text=["x"]),), ":1: the field 'text': "),
        ((own("a", solution={"a.py": None}),), ":1: the field 'solution.a.py': "),
        ((own("a", given={"b.py": ["x"]}),), ":1: the field 'given.b.py': "),
        ((own("a", edits=[{"path": "a.py", "search": "x", "replace": None}]),), ":1: the field 'edits.0.replace': "),
        ((own("a", edits=[{"path": "a.py", "replace": "x"}]),), ":1: the field 'edits.0.search' is missing"),
        ((own("a"), own("b"), own("c", depends_on="ab")), ":3: the field 'depends_on': "),
        ((own("a", together="false"),), ":1: the field 'together': "),
        ((own("a", text="\ud800"),), ":1: a text holds half of a surrogate pair"),
        ((own("a", id=True),), ":1: the field 'id': "),
        (('{"id": ' + "[" * 100_000,), ":1: it is nested too deeply"),
        ((own("a", given={"../b.txt": "x"}),), ":1: '../b.txt': it has an empty or a dot segment"),
        ((own("a"), own("b", solution={"/b.py": "x"})), ":2: '/b.py': it is not relative"),
        ((own("a", edits=[{"path": ".git/config", "search": "x", "replace": "y"}]),), ":1: '.git/config': it is git's"),
        ((own("a", solution={"check.py": "x"}),), ":1: check.py is the benchmark's own"),
        ((own("a", given={".bmad/project-config.yaml": "{}"}),), ":1: .bmad/project-config.yaml is the benchmark's"),
        ((own("a", id=""),), ":1: an id has a letter"),
        ((own("a", id="***"),), ":1: an id has a letter"),
        ((own("a", id="a" * 101),), ":1: an id has a letter or a digit, and at most 100 signs"),
        ((own("語" * 90, solution={"a.py": "x"}),), "a segment is longer than 255 bytes"),
        ((own("a", given={"w.py": "1"}), own("b", given={"w.py": "2"})), ":2: `given` has another text for w.py"),
        ((own("a"), own("b", solution={"tests/test_a.py": "x"})), ":2: tests/test_a.py is where the test of 'a' goes"),
        ((edits("a", "x = 1\nx = 1\n", ("x = 1", "x = 2")),), ":1: e.py: The search text stands at 2 places"),
        ((own("b"), edits("a", "x = 1\n", ("y = 1", "y = 2"))), ":2: e.py: The search text is not in the file"),
        ((edits("a", None, ("y = 1", "y = 2")),), ":1: e.py is not there"),
        (
            (edits("a", "x = 1\n", ("x = 1", "x = 2")), edits("b", None, ("x = 2", "x = 3"))),
            ":2: e.py: The search text is not in the file",
        ),
        (({"task_id": "H/0", "canonical_solution": "", "prompt": ""},), ":1: the field 'test' is missing"),
        (({"task_id": 1, "code": "", "text": "", "test_list": "assert 1"},), ":1: the field 'test_list': "),
        ((own("a"), own("b"), own("a")), ":3: the id 'a' stands in line 1 already"),
        ((own("x/1"), own("x 1")), ":2: 'x 1' and 'x/1' (line 1) would share tests/test_x_1.py"),
        ((own("a"), own("b", depends_on=["c"])), ":2: depends_on names c: no task"),
        ((own("a", depends_on=["b"]), own("b", depends_on=["a"])), "circle: "),
        ((own("a", depends_on=["a"]),), ":1: depends_on goes in a circle: a -> a"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(tasks_file, rows, said):
    path = tasks_file(*rows)
    with pytest.raises(BadTasks) as refused:
        load_tasks(path)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)


def test_null_is_a_field_that_is_left_out(tasks_file):
    rows = own("a"), own("a") | dict.fromkeys(["title", "text", "given", "edits", "depends_on", "together"])
    assert load_tasks(tasks_file(rows[0])) == load_tasks(tasks_file(rows[1]))


def test_edits_are_tried_on_what_the_tasks_that_are_needed_leave(tasks_file):
    rows = [
        edits("d", None, ("b = 2\n", "b = 3\n"), ("a = 2\n", "a = 3\n"), depends_on=["b", "c"]),
        edits("b", "a = 1\nb = 1\n", ("a = 1\n", "a = 2\n")),
        edits("c", "a = 1\nb = 1\n", ("b = 1\n", "b = 2\n")),
        edits("e", None, ("a = 3\nb = 3\n", "c = 4\n"), depends_on=["d"]),
    ]
    tasks = load_tasks(tasks_file(*rows))
    assert [task.id for task in tasks] == ["d", "b", "c", "e"]
    assert solved(tasks, tasks[1].given)["e.py"] == "c = 4\n"


def test_packed_files_are_known_by_their_content_and_broken_ones_refused(tmp_path):
    packed = gzip.compress(json.dumps(own("a")).encode())
    (tmp_path / "named-otherwise").write_bytes(packed)
    assert [task.id for task in load_tasks(tmp_path / "named-otherwise")] == ["a"]
    (tmp_path / "cut.gz").write_bytes(packed[:-9])
    (tmp_path / "latin.jsonl").write_bytes(json.dumps(own("a")).encode() + b'\n{"id": "\xe9"}\n')
    for name, said in (("cut.gz", "cannot be read"), ("latin.jsonl", ":2: a byte"), ("none.jsonl", "cannot be read")):
        with pytest.raises(BadTasks, match=said):
            load_tasks(tmp_path / name)


def test_a_limit_brings_what_the_chosen_ones_need(tasks_file):
    path = tasks_file(own("a", depends_on=["c"]), own("b"), own("c", depends_on=["d"]), own("d"), own("e"))
    assert [task.id for task in load_tasks(path, 1)] == ["a", "c", "d"]
    assert [task.id for task in load_tasks(path, 2)] == ["a", "b", "c", "d"]


def test_the_plan_is_read_back_with_its_dependencies_and_files(tasks_file):
    tasks = load_tasks(
        tasks_file(
            own("a", title="Größe: `x` # 1³"), own("b", depends_on=["a"], text="## not a heading\n### Story 9.9: no")
        )
    )
    plan = read_epics(epics_document(tasks), "epics.md")
    assert [note for note in plan.notes if note.severity == "error"] == []
    assert [story.id for story in plan.stories] == list(story_ids(tasks).values()) == ["1.1", "1.2"]
    build_dag(plan.stories).require_acyclic()
    assert plan.stories[1].depends_on == (plan.stories[0].key,)
    assert set(tasks[0].files) <= set(plan.stories[0].files)


@pytest.mark.parametrize(
    "text",
    [
        "Write it.\n\n**Acceptance Criteria:**\n\n1. It returns 2.\n\n### Acceptance Criteria\n\n1. It is fast.",
        "**Prerequisites:** Story 1.2 of the old plan\n- __Depends on__: Story 1.2",
        "**Files:** `other.py`\n* **Appends to:** CHANGELOG.md\n**Resources:** db\n**Priority:** 7",
        "```python\n**Files:** `other.py`",
        "One. <!-- two",
        "# Epic 7: Old\n## Epic 8: Older\x0c### Story 1.1: Another",
    ],
)
def test_a_text_that_reads_like_a_plan_is_only_a_text(tasks_file, text):
    tasks = load_tasks(tasks_file(own("a", text=text), own("b", depends_on=["a"])))
    plan = read_epics(epics_document(tasks), "epics.md")
    first, second = plan.stories
    assert len(plan.epics) == 1
    assert (first.depends_on, second.depends_on) == ((), (first.key,))
    assert (first.files, first.appends, first.resources, first.priority) == (tasks[0].files, (), (), 0)
    assert first.acceptance_criteria == (tasks[0].criterion,)
    assert text.split()[-1] in first.text


@pytest.fixture
def check(tmp_path):
    """The last line that check.py prints, and all that it prints."""

    def run(test, *changed, **files):
        texts = {f"{name}.py": text for name, text in files.items()}
        write_texts(tmp_path, {"check.py": RUNNER, "tests/test_a.py": test, **texts})
        command = [sys.executable, "check.py", *changed]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == (", 0 failed" not in done.stdout), done.stderr
        return done.stdout.splitlines()[-1], done.stdout

    return run


HELPER = """
import functools

class tester:
    pass

class Called:
    def __init__(self, function):
        self.function = function

    def __call__(self):
        return self.function()

def tests_total():
    raise RuntimeError("called")

def test_connection():
    raise RuntimeError("called")

class TestBase:
    def test_it(self):
        raise RuntimeError("called")
"""
DATACLASS = """
from __future__ import annotations
from dataclasses import dataclass
import pickle

@dataclass
class P:
    x: int

def test_it():
    assert pickle.loads(pickle.dumps(P(1))) == P(1)
"""
SET_UP = """
import unittest

def setUpModule():
    global X
    X = 1

class A(unittest.TestCase):
    def test_x(self):
        self.assertEqual(X, 1)
"""


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("assert True", "1 passed"),
        (DATACLASS, "2 passed"),
        (SET_UP, "2 passed"),
        ("from m import *\nfrom m import tester, tests_total, test_connection", "1 passed"),
        ("from m import Called\n@Called\ndef test_f(): assert True", "2 passed"),
        ("from m import Called\nclass TestA:\n    x = Called(int)\n    def test_f(self): self.x()", "2 passed"),
        ("def test_f(x=1): assert x == 1", "2 passed"),
        ("async def test_f(): assert True", "2 passed"),
        ("import test_a\ndef test_f(): assert test_a.x == 1", "2 passed"),
    ],
)
def test_the_runner_passes_what_is_right(check, test, said):
    assert check(test, m=HELPER, test_a="x = 1\n") == (f"{said}, 0 failed", f"{said}, 0 failed\n")


SUBTESTS = """
import unittest

class A(unittest.TestCase):
    def test_x(self):
        for i in range(5):
            with self.subTest(i=i):
                self.fail()

    def test_y(self):
        pass
"""
UNEXPECTED = """
import unittest

class A(unittest.TestCase):
    @unittest.expectedFailure
    def test_x(self):
        pass
"""


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("assert False", "0 passed, 1 failed"),
        ("async def test_f(): assert False", "1 passed, 1 failed"),
        ("def test_f(x=1): assert False\ndef test_g(): assert True", "2 passed, 1 failed"),
        ("def test_f(tmp_path): pass", "1 passed, 1 failed"),
        ("def test_f():\n    yield", "1 passed, 1 failed"),
        ("class TestA:\n    def test_f(self): assert False\n    def test_g(self): pass", "2 passed, 1 failed"),
        ("from m import Called\n@Called\ndef test_f(): assert False", "1 passed, 1 failed"),
        (UNEXPECTED, "1 passed, 1 failed"),
        (SUBTESTS, "2 passed, 5 failed"),
        (SET_UP.replace("X = 1", "X = 1 / 0"), "1 passed, 1 failed"),
        ("def main():\n    assert False\nif __name__ == '__main__':\n    main()", "0 passed, 1 failed"),
        ("import sys\nsys.exit(0)", "0 passed, 1 failed"),
    ],
)
def test_the_runner_passes_nothing_that_it_did_not_run(check, test, said):
    assert check(test, m=HELPER)[0] == said


def test_a_file_that_only_works_as_a_script_is_run_as_one(check):
    assert check("import sys\nif __name__ == '__main__':\n    sys.exit(0)")[0] == "1 passed, 0 failed"


@pytest.mark.parametrize("path", ["a b/x.py", "c,d.py", "Makefile", "x`y.py"])
def test_a_story_whose_files_the_plan_cannot_all_name_names_none(tasks_file, path):
    (task,) = load_tasks(tasks_file(own("a", solution={"a.py": "x", path: "y"}, text="Change `a.py` only.")))
    (story,) = read_epics(epics_document([task]), "epics.md").stories
    assert (predict(story).known, predict(story).exclusive) == (False, ())
    assert "Change 'a.py' only." in story.text


@pytest.mark.parametrize("test", ["from pkg.sub.mod import f", "import pkg.sub.mod", "import user"])
@pytest.mark.parametrize("changed", ["pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/mod.py"])
def test_a_change_of_a_package_affects_what_imports_from_it(check, test, changed):
    files = {"pkg/__init__": "", "pkg/sub/__init__": "", "pkg/sub/mod": "f = 1", "user": "import pkg.sub.mod"}
    assert check(test, changed, **files, other="")[0] == "1 passed, 0 failed"
    assert check(test, "other.py", **files)[0] == "0 passed, 0 failed"


@pytest.mark.parametrize("name", ["token", "heapq", "queue", "inspect", "signal", "traceback", "unittest"])
def test_a_module_of_the_project_may_have_a_name_of_the_standard_library(check, name):
    test = f"from {name} import mine\nimport pathlib\ndef test_it(): assert mine() == 1"
    assert check(test, **{name: "def mine():\n    return 1\n"})[0] == "2 passed, 0 failed"
