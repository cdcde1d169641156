"""What is compared with the merged tree is what the product makes of right answers, byte by byte."""

from storyloom.domain.edits import apply_edits

from benchmarks.gold import check_tree
from benchmarks.scripted_developer import Script
from benchmarks.task_sets import Change, Task, git, make_repository, solved, write_texts


def merged(folder, tasks):
    """A repository whose main line holds what the scripted developer's right answers make."""
    repository = make_repository(folder / "project", tasks, lanes=1)
    texts = {path: text for task in tasks for path, text in task.given.items()}
    script = Script(tasks)
    for story in script.by_story:
        said = script.answer(f"# Story {story} · develop", 0, "")
        for name, given in said.calls:
            if name == "write_file":
                texts[given["path"]] = given["content"]
            elif name == "edit_file":
                edits = [(edit["search"], edit["replace"]) for edit in given["edits"]]
                texts[given["path"]] = apply_edits(texts[given["path"]], edits).text
    git(repository, "checkout", "-q", "-b", "storyloom/main")
    write_texts(repository, texts)
    git(repository, "add", "-A")
    git(repository, "-c", "user.name=T", "-c", "user.email=t@localhost", "commit", "-q", "-m", "All")
    return repository


def test_a_merged_test_with_other_line_ends_is_not_taken_for_changed(tmp_path):
    task = Task(
        "a", "A", "", "from a import f\r\nassert f() == 1\r\n", (Change("a.py", "def f():\r\n    return 1\r\n"),)
    )
    repository = merged(tmp_path, [task])
    assert check_tree(tmp_path, repository, [task]) == []


def test_a_test_that_was_changed_is_seen(tmp_path):
    task = Task("a", "A", "", "import a\n", (Change("a.py", ""),))
    other = Task("a", "A", "", "import a\r\n", (Change("a.py", ""),))
    assert "tests/test_a.py is missing or changed" in check_tree(tmp_path, merged(tmp_path, [task]), [other])


def test_edits_whose_line_ends_the_product_completes_do_not_differ_from_the_reference(tmp_path):
    tasks = [
        Task("a", "A", "", "", (Change("a.py", "x = 1\ny = 2\n", "x = 1"),), {"a.py": "x = 1\nz = 3\n"}),
        Task("b", "B", "", "", (Change("b.py", "", "import os"),), {"b.py": "import os\nimport sys\n"}),
    ]
    assert check_tree(tmp_path, merged(tmp_path, tasks), tasks) == []


def test_a_reference_is_made_in_the_order_of_what_is_needed():
    needs = Task("a", "A", "", "", (Change("x.py", "x = 2\n", "x = 1\n"),), depends_on=("b",))
    first = Task("b", "B", "", "", (Change("x.py", "x = 1\n"),))
    assert solved([needs, first], {})["x.py"] == "x = 2\n"
