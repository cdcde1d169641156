"""Paths that a model names stay where they belong, whatever the spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import UnsafePath
from storyloom.domain.safe_paths import check_path, protection

BAD = [
    "../out.txt", "a/../../out.txt", "a/b/../../../c", "/abs/x", "~/x", "~root/x", "..\\out", "C:\\x", "C:x",
    "a\\..\\b", "", ".", "./", "./x", "a//b", "a/./b", "a/", "/", "..", "a/..", "a\x00b", "a\nb", "a\rb", "a\tb",
    "a\x7fb", "a" * 300, "/".join(["d"] * 2000), "\ud800x", "-rf", "--upload-pack=x", "a/-x", "a./x", "a /x", "x.",
    "x ", "．．/x", "a/．．/x", ".git", ".git/hooks/pre-commit", ".GIT/hooks/x", "sub/.git/config", ".git /config",
    ".git./config", ".g\u200cit/config", ".gi\u00adt/config", "．git/config", ".ｇｉｔ/config", "git~1/config",
    "GIT~1/hooks/x", ".git:x", ".git::$INDEX_ALLOCATION/x", ".gitmodules", ".gitattributes", "sub/.gitattributes",
    ".gitconfig", ".GitModules", ".github/workflows/x.yml", ".github/workflows", ".github/actions/x/action.yml",
    ".GITHUB/Workflows/x.yml", ".gitlab-ci.yml", ".env", ".env.local", "x/.env", ".envrc", ".npmrc", ".pypirc",
    ".netrc", ".claude/settings.json", ".vscode/tasks.json", ".idea/x", ".husky/pre-commit",
    "x/.ssh/authorized_keys", ".pre-commit-config.yaml", ".devcontainer/devcontainer.json",
    ".bmad/project-config.yaml", ".bmad-escalations/1.json", "con\u202etxt.exe", "a\u200bb", "\ufeffa", None, 123,
    b"a", ["a"],
]  # fmt: skip
GOOD = [
    "a.py", "src/app/main.py", "docs/prd.md", "tests/test_x.py", ".gitignore", ".github/CODEOWNERS", "a b/c d.md",
    "ünïcode/日本.md", "src/gitutil.py", "src/.keep", "_bmad-output/stories/1.1.story.md", "digit~1.txt", "env.py",
    "src/environment.ts", "a..b", "...x", "x-y/z", "git", "git.py", "é", "e\u0301", "a" * 255,
]  # fmt: skip
READABLE = [".gitattributes", ".github/workflows/ci.yml", ".bmad/project-config.yaml", ".vscode/settings.json"]
SECRET = [".git/config", ".env", ".ssh/id_rsa", ".npmrc", "GIT~1/config"]


@pytest.mark.parametrize("path", BAD, ids=lambda path: ascii(path)[:40])
def test_a_bad_path_is_refused_with_the_reason(path: object):
    with pytest.raises(UnsafePath) as refusal:
        check_path(path)
    assert refusal.value.message.isascii()
    assert len(refusal.value.message) < 1000


@pytest.mark.parametrize("path", GOOD)
def test_a_good_path_comes_apart_at_its_slashes(path: str):
    assert "/".join(check_path(path)) == path


@pytest.mark.parametrize("path", READABLE)
def test_what_only_steers_may_be_read_but_not_written(path: str):
    assert check_path(path, writing=False)
    assert "only a person" in protection(path)


@pytest.mark.parametrize("path", SECRET)
def test_what_may_hold_secrets_is_not_even_read(path: str):
    with pytest.raises(UnsafePath):
        check_path(path, writing=False)


def test_a_person_who_names_a_workflow_opens_it_and_nothing_else():
    assert check_path(".github/workflows/ci.yml", planned=[".github/workflows/ci.yml"])
    for path in (".github/workflows/other.yml", ".gitattributes", ".env"):
        with pytest.raises(UnsafePath):
            check_path(path, planned=[".github/workflows/ci.yml", ".gitattributes", ".env"])


@given(
    st.lists(
        st.sampled_from([".git", "..", ".", "", "a", "~", "\\", "/", "\u200c", " ", "GIT~1", "．", "x"]), max_size=8
    )
)
def test_what_is_accepted_stays_inside_and_out_of_git(pieces: list[str]):
    path = "/".join(pieces)
    try:
        parts = check_path(path)
    except UnsafePath:
        return
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(parts)
    assert all(part.casefold() != ".git" for part in parts)
