import pytest
from storyloom.domain.protected_paths import clean_path, why_protected


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".git/config", "git's own"),
        (".GIT/hooks/pre-commit", "git's own"),
        ("sub/.git", "git's own"),
        (".gitattributes", "git run commands"),
        (".bmad/project-config.yaml", "settings and records"),
        (".bmad-escalations/1.json", "settings and records"),
        ("docs/sprint-status.yaml", "board"),
        ("docs/bmm-workflow-status.md", "workflow status"),
        ("docs/stories/1-2-page.md", "orchestrator"),
        (".github/workflows/test.yml", "names the file"),
        (".gitlab-ci.yml", "names the file"),
        (".ci/run", "names the file"),
        (".husky/pre-commit", "outside the sandbox"),
        (".vscode/settings.json", "outside of the sandbox"),
        (".env", "secrets"),
    ],
)
def test_protected_files_have_a_reason(path: str, reason: str):
    assert reason in why_protected(path)


@pytest.mark.parametrize("path", ["src/app.py", "README.md", "docs/guide.md", ".gitignore", "stories/a.py", "ci/run"])
def test_other_files_are_free(path: str):
    assert why_protected(path) == ""


def test_a_story_that_names_the_ci_configuration_may_change_it():
    assert why_protected(".ci/run", planned=[".ci/run"]) == ""
    assert why_protected(".github/workflows/test.yml", planned=[".github/workflows/test.yml"]) == ""
    assert why_protected(".git/config", planned=[".git/config"])
    assert why_protected("docs/sprint-status.yaml", planned=["docs/sprint-status.yaml"])


def test_the_folder_of_stories_is_the_one_that_the_project_sets():
    assert why_protected("backlog/1-1-a.md", stories_folder="backlog")
    assert why_protected("docs/stories/1-1-a.md", stories_folder="backlog") == ""


@pytest.mark.parametrize(
    ("given", "clean"),
    [("./src//a.py", "src/a.py"), ("src/../b.py", "b.py"), ("", "."), ("src\\a.py", "src/a.py"), (" a.py ", "a.py")],
)
def test_harmless_spellings_are_made_plain(given: str, clean: str):
    assert clean_path(given) == clean


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b", "~/a", "C:\\a", "a\0b"])
def test_paths_that_leave_the_project_have_no_plain_form(path: str):
    assert clean_path(path) is None
