import subprocess
from pathlib import Path

import pytest
from storyloom.domain.change_checks import FileChange, check_change, read_diff

TEST = """\
import unittest


class TotalTest(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total([1, 2]), 3)
        self.assertEqual(total([]), 0)

    def test_tax(self):
        self.assertEqual(tax(100), 20)
"""
CODE = "def total(items):\n    return sum(items)\n"


class Repository:
    """Two trees and what git says between them."""

    def __init__(self, folder: Path) -> None:
        self.old, self.new = folder / "old", folder / "new"
        for side in (self.old, self.new):
            (side / "tests").mkdir(parents=True)
            (side / "shop.py").write_text(CODE)
            (side / "tests" / "test_shop.py").write_text(TEST)

    def diff(self) -> str:
        command = ["git", "diff", "--no-index", "--no-prefix", "--src-prefix=a/", "--dst-prefix=b/", "old", "new"]
        said = subprocess.run(command, cwd=self.old.parent, capture_output=True, text=True).stdout
        return said.replace("a/old/", "a/").replace("b/new/", "b/").replace("a/new/", "a/").replace("b/old/", "b/")

    def found(self, **how: object) -> list[tuple[str, str]]:
        findings = check_change(self.diff(), **how)  # type: ignore[arg-type]
        assert all(finding.severity == "high" for finding in findings)
        return [(finding.title, finding.file) for finding in findings]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


SHOP_TEST = "tests/test_shop.py"


def test_a_change_of_code_with_a_new_test_is_fine(repository: Repository):
    (repository.new / "shop.py").write_text(CODE.replace("sum(items)", "sum(items) or 0"))
    (repository.new / SHOP_TEST).write_text(TEST + "\n    def test_more(self):\n        self.assertTrue(total([1]))\n")
    assert repository.found() == []


def test_an_empty_change_is_found(repository: Repository):
    assert repository.found() == [("The change is empty", "")]


def test_a_deleted_test_file_is_found(repository: Repository):
    (repository.new / SHOP_TEST).unlink()
    (repository.new / "shop.py").write_text(CODE + "\n\ndef tax(x):\n    return x\n")
    assert ("Tests were taken away", SHOP_TEST) in repository.found()
    assert ("Assertions were taken away", SHOP_TEST) in repository.found()


def test_a_change_that_only_takes_tests_away_is_found(repository: Repository):
    (repository.new / SHOP_TEST).write_text(TEST[: TEST.index("\n    def test_tax")])
    assert repository.found() == [("Only tests were taken away", SHOP_TEST)]


def test_assertions_taken_away_are_found(repository: Repository):
    (repository.new / SHOP_TEST).write_text(TEST.replace("        self.assertEqual(total([]), 0)\n", "        pass\n"))
    assert repository.found() == [("Assertions were taken away", SHOP_TEST)]


def test_other_assertions_in_their_place_are_fine(repository: Repository):
    (repository.new / SHOP_TEST).write_text(TEST.replace("total([]), 0", "total([0]), 0"))
    assert repository.found() == []


def test_a_renamed_test_is_fine(repository: Repository):
    (repository.new / SHOP_TEST).write_text(TEST.replace("test_tax", "test_taxes"))
    assert repository.found() == []


def test_a_test_that_moves_to_another_file_is_fine(repository: Repository):
    at = TEST.index("    def test_tax")
    (repository.new / SHOP_TEST).write_text(TEST[:at].rstrip() + "\n")
    (repository.new / "tests" / "test_tax.py").write_text("class TaxTest:\n" + TEST[at:])
    assert repository.found() == []


def test_skipped_tests_are_found(repository: Repository):
    (repository.new / SHOP_TEST).write_text(
        TEST.replace("    def test_tax", "    @unittest.skip('later')\n    def test_tax")
    )
    assert repository.found() == [("Tests are skipped", SHOP_TEST)]


@pytest.mark.parametrize(
    ("mark", "found"),
    [("@unittest.skipIf(os.name == 'nt', 'no fork')", False), ("@unittest.skipIf(True, 'later')", True)],
)
def test_skipping_under_a_real_condition_is_fine(repository: Repository, mark: str, found: bool):
    (repository.new / SHOP_TEST).write_text(TEST.replace("    def test_tax", f"    {mark}\n    def test_tax"))
    (repository.new / "shop.py").write_text(CODE + "\n")
    assert bool(repository.found()) is found


@pytest.mark.parametrize(
    "line",
    [
        "os._exit(0)",
        "    session.exitstatus = 0",
        "rep.outcome = 'passed'",
        "result.failures = []",
        "os.dup2(null, 1)",
        "items[:] = []",
        "pytest.exit('done', 0)",
    ],
)
def test_a_test_that_decides_how_the_run_ends_is_found(repository: Repository, line: str):
    (repository.new / "shop.py").write_text(CODE + "\n")
    (repository.new / "tests" / "conftest.py").write_text(f"import os, pytest\n\n\ndef hook(session):\n    {line}\n")
    assert repository.found() == [("A test decides how the whole run ends", "tests/conftest.py")]


@pytest.mark.parametrize("line", ["assert session.exitstatus == 0", "sys.exit(main())", "assert report.outcome == 'x'"])
def test_reading_how_a_run_ended_is_fine(repository: Repository, line: str):
    (repository.new / "shop.py").write_text(CODE + "\n")
    (repository.new / "tests" / "test_more.py").write_text(f"def test_more(session, report):\n    {line}\n")
    assert repository.found() == []


def test_a_test_that_asserts_nothing_is_found(repository: Repository):
    (repository.new / SHOP_TEST).write_text(TEST + "\n    def test_ok(self):\n        self.assertTrue(True)\n")
    assert repository.found() == [("A test asserts nothing", SHOP_TEST)]


def test_a_true_assertion_beside_real_ones_is_fine(repository: Repository):
    debugging = (
        "\n    def test_more(self):\n        assert total([1]) == 1\n        assert True, 'good for debugging'\n"
    )
    (repository.new / SHOP_TEST).write_text(TEST + debugging)
    assert repository.found() == []


def test_a_true_assertion_does_not_stand_for_one_that_went(repository: Repository):
    kept = [row for row in TEST.splitlines() if "assert" in row]
    (repository.new / SHOP_TEST).write_text(TEST.replace(kept[-1], "        assert True  # later"))
    assert ("Assertions were taken away", SHOP_TEST) in repository.found()


def test_a_function_that_asserts_nothing_is_found_beside_one_that_does(repository: Repository):
    sound = "\n    def test_more(self):\n        assert total([1]) == 1\n"
    (repository.new / SHOP_TEST).write_text(TEST + sound + "\n    def test_ok(self):\n        assert True\n")
    assert repository.found() == [("A test asserts nothing", SHOP_TEST)]


def test_protected_files_are_found(repository: Repository):
    (repository.new / ".github" / "workflows").mkdir(parents=True)
    (repository.new / ".github" / "workflows" / "ci.yml").write_text("on: push\n")
    (repository.new / "docs").mkdir()
    (repository.new / "docs" / "sprint-status.yaml").write_text("development_status: {}\n")
    path = ".github/workflows/ci.yml"
    assert repository.found() == [
        ("A protected file was changed", path),
        ("A protected file was changed", "docs/sprint-status.yaml"),
    ]
    assert ("A protected file was changed", path) not in repository.found(planned=[path])


def test_new_names_and_odd_names_are_read(repository: Repository):
    (repository.new / "größe.py").write_text("x = 1\n")
    (repository.new / "blob.bin").write_bytes(b"\0\1\2" * 50)
    (repository.new / "shop.py").unlink()
    changes = {change.path: change for change in read_diff(repository.diff())}
    assert changes["größe.py"].kind == "added"
    assert changes["größe.py"].added == ("x = 1",)
    assert changes["blob.bin"].kind in ("added", "binary")
    assert changes["shop.py"].kind == "deleted"
    assert changes["shop.py"].removed == ("def total(items):", "    return sum(items)")


def test_several_hunks_are_read_and_lines_that_look_like_headers_too():
    diff = (
        "diff --git a/q.sql b/q.sql\n--- a/q.sql\n+++ b/q.sql\n@@ -1,2 +1,2 @@\n--- old comment\n+-- new comment\n x\n"
        "@@ -9,1 +9,2 @@\n y\n+z\n"
    )
    assert read_diff(diff) == (FileChange("q.sql", ("-- old comment",), ("-- new comment", "z")),)


def test_a_change_of_mode_is_read():
    diff = "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
    assert read_diff(diff) == (FileChange("run.sh"),)
    assert check_change(diff) == ()


@pytest.mark.parametrize(
    "path",
    [
        "tests/a.py",
        "test_a.py",
        "pkg/a_test.go",
        "src/a.test.ts",
        "src/a.spec.js",
        "spec/a_spec.rb",
        "ATest.java",
        "conftest.py",
    ],
)
def test_test_files_are_known_by_their_paths(path: str):
    assert FileChange(path).is_test


@pytest.mark.parametrize("path", ["contest.py", "attestation.py", "latest/a.py", "src/testing_tools.py"])
def test_other_files_are_not_taken_for_tests(path: str):
    assert not FileChange(path).is_test


def test_weakened_javascript_tests_are_found():
    diff = (
        "diff --git a/a.test.js b/a.test.js\n--- a/a.test.js\n+++ b/a.test.js\n@@ -1,3 +1,3 @@\n"
        "-test('adds', () => {\n-  expect(add(1, 2)).toBe(3)\n+test.skip('adds', () => {\n+  add(1, 2)\n })\n"
    )
    titles = [finding.title for finding in check_change(diff)]
    assert titles == ["Tests are skipped", "Assertions were taken away"] or "Tests are skipped" in titles
