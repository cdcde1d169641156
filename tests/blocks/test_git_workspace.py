"""Stories become commits, and the person's checkout stays as it was."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.domain.errors import GitError, InputError, MergeConflict, RepositoryError, UnsafePath
from storyloom.domain.ports import Workspace

from .conftest import git

Story = Callable[..., str]


def fingerprint(repository: Path) -> dict[str, str]:
    """Everything that belongs to the person: files, index, HEAD, branches, stash, hooks, configuration."""
    kept = {}
    for path in sorted(repository.rglob("*")):
        name = path.relative_to(repository).as_posix()
        shared = (".git/worktrees", ".git/objects", ".git/storyloom.lock", ".git/packed-refs")
        ours = name.startswith(shared) or "storyloom" in name
        if path.is_file() and not ours:
            kept[name] = hashlib.sha256(path.read_bytes()).hexdigest() + oct(path.stat().st_mode)
    refs = git(repository, "for-each-ref").splitlines()
    return {**kept, "refs": "\n".join(ref for ref in refs if "refs/heads/storyloom/" not in ref)}


def test_it_is_a_workspace(workspace: GitWorkspace):
    assert isinstance(workspace, Workspace)


def test_a_commit_of_another_repository_is_not_taken_for_one_of_ours(tmp_path: Path, workspace: GitWorkspace):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    git(other, "commit", "-q", "--allow-empty", "-m", "Elsewhere")
    theirs = git(other, "rev-parse", "HEAD")
    elsewhere = GitWorkspace(other, tmp_path / "other-state", "storyloom/main")
    assert elsewhere.files(theirs) == []  # known from now on, there
    with pytest.raises(GitError):
        workspace.open("1-1", "storyloom/1-1", theirs)
    with pytest.raises(GitError):
        workspace.files(theirs)


def test_a_branch_is_read_rightly_from_its_file_when_packed_and_when_it_names_another(
    repository: Path, workspace: GitWorkspace
):
    first = workspace.tip()
    git(repository, "pack-refs", "--all")
    assert not (repository / ".git/refs/heads/storyloom/main").exists()
    assert workspace.tip() == first == git(repository, "rev-parse", "storyloom/main")
    second = workspace.commit_files({"a.txt": "a\n"}, "Add", "add")
    assert workspace.tip() == second == git(repository, "rev-parse", "storyloom/main")
    git(repository, "symbolic-ref", "refs/heads/alias", "refs/heads/storyloom/main")
    assert workspace.branch("alias") == second
    git(repository, "checkout", "-q", "--detach", first)
    tree = workspace.open("1-1", "storyloom/1-1", second)
    assert workspace.head(tree) == second, "the person's own HEAD is not the worktree's"
    (repository / ".git/refs/heads/torn").write_text("")
    assert workspace.branch("torn") is None
    (repository / ".git/refs/heads/folder").mkdir()
    assert workspace.branch("folder") is None
    assert workspace.branch("nothing") is None


def test_the_files_on_which_two_commits_conflict_are_told_with_both_sides(workspace: GitWorkspace, story: Story):
    base = workspace.tip()
    mine = story("1-1", base, new="mine\n")
    theirs = story("1-2", base, new="theirs\n", other="x\n")
    found = workspace.conflicts(mine, theirs)
    assert list(found) == ["new"]
    assert [row for row in found["new"].splitlines() if not row.startswith(("<", ">"))] == ["mine", "=======", "theirs"]
    assert workspace.conflicts(base, theirs) == {}


def test_what_a_worktree_has_changed_is_known_committed_or_not_and_without_what_is_ignored(
    repository: Path, workspace: GitWorkspace
):
    tip = workspace.tip()
    tree = Path(workspace.open("1-1", "storyloom/1-1", tip))
    assert workspace.changed(str(tree), tip) == []
    (tree / ".gitignore").write_text("*.pyc\n")
    (tree / "new file.txt").write_text("x\n")
    workspace.checkpoint(str(tree), "half")
    (tree / "README.md").write_text("changed\n")
    (tree / "app.py").unlink()
    (tree / "ü\nü.py").write_text("")
    (tree / "x.pyc").write_text("")
    assert workspace.changed(str(tree), tip) == [".gitignore", "README.md", "app.py", "new file.txt", "ü\nü.py"]
    workspace.reset(str(tree), tip)
    assert workspace.changed(str(tree), tip) == []


def test_the_person_keeps_checkout_index_branch_stash_and_hooks(
    repository: Path, workspace: GitWorkspace, story: Story
):
    (repository / "app.py").write_text("stashed\n")
    git(repository, "stash")
    (repository / "README.md").write_text("half-done\n")
    (repository / "staged.txt").write_text("staged\n")
    git(repository, "add", "staged.txt")
    for hook in ("post-checkout", "pre-commit", "post-merge", "reference-transaction", "pre-rebase"):
        (repository / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch '{repository}/hook-ran'\n")
        (repository / ".git/hooks" / hook).chmod(0o755)
    before = fingerprint(repository)

    first, second = story("1-1", a="1"), story("1-2", b="2")
    workspace.merge(first, "Merge 1-1", "merge:1-1")
    workspace.rebase(workspace.path("1-2"), workspace.tip())
    workspace.merge(workspace.head(workspace.path("1-2")), "Merge 1-2", "merge:1-2")
    workspace.commit_files({"docs/board.yaml": "done\n"}, "Board", "board:1")
    workspace.abandon("1-1", "storyloom/1-1")
    workspace.recover()

    assert second
    assert fingerprint(repository) == before
    assert git(repository, "stash", "list").count("stash@") == 1
    assert git(repository, "branch", "--show-current") == "main"


def test_a_worktree_in_good_order_is_kept_with_what_is_in_it(workspace: GitWorkspace):
    tree = workspace.open("1-1", "storyloom/1-1", workspace.tip())
    Path(tree, "draft.txt").write_text("draft")
    assert workspace.open("1-1", "storyloom/1-1", workspace.tip()) == tree
    assert Path(tree, "draft.txt").read_text() == "draft"


def test_a_lost_worktree_comes_back_where_its_branch_stands(workspace: GitWorkspace, story: Story):
    commit = story("1-1", new="text\n")
    shutil.rmtree(workspace.path("1-1"))
    tree = workspace.open("1-1", "storyloom/1-1", workspace.tip())
    assert workspace.head(tree) == commit
    assert Path(tree, "new").read_text() == "text\n"


def test_a_checkpoint_without_changes_is_the_commit_before_it(workspace: GitWorkspace, story: Story):
    commit = story("1-1", new="text\n")
    assert workspace.checkpoint(workspace.path("1-1"), "again") == commit


def test_a_checkpoint_records_added_changed_and_deleted_files(workspace: GitWorkspace):
    base = workspace.tip()
    tree = workspace.open("1-1", "storyloom/1-1", base)
    Path(tree, "app.py").write_text("one = 1\r\n")
    Path(tree, "README.md").unlink()
    Path(tree, "ünïcode 日本.txt").write_text("x\n")
    commit = workspace.checkpoint(tree, "Change")
    assert workspace.stat(base, commit).files == ("README.md", "app.py", "ünïcode 日本.txt")
    assert workspace.stat(base, commit).insertions == 2
    assert workspace.stat(base, commit).deletions == 4
    assert workspace.read(commit, "app.py") == "one = 1\r\n"
    assert workspace.read(commit, "README.md") is None
    assert workspace.files(commit) == ["app.py", "run.sh", "ünïcode 日本.txt"]
    assert "-two = 2" in workspace.diff(base, commit)


def test_reset_makes_the_worktree_exactly_a_commit(workspace: GitWorkspace, story: Story):
    commit = story("1-1", **{".gitignore": "*.log\n"})
    tree = Path(workspace.path("1-1"))
    (tree / "x.log").write_text("ignored")
    (tree / "deep/er").mkdir(parents=True)
    (tree / "deep/er/y").write_text("untracked")
    (tree / "deep").chmod(0o500)
    (tree / "app.py").unlink()
    workspace.reset(str(tree), commit)
    assert sorted(path.name for path in tree.iterdir()) == [".git", ".gitignore", "README.md", "app.py", "run.sh"]


@pytest.mark.parametrize("attributes", ["text eol=crlf", "working-tree-encoding=UTF-16", "ident", "filter=broken"])
def test_attributes_that_lie_in_the_worktree_have_no_say_in_what_a_reset_writes(
    workspace: GitWorkspace, repository: Path, story: Story, attributes: str
):
    for part in ("clean", "smudge"):
        git(repository, "config", f"filter.broken.{part}", "false")
    git(repository, "config", "filter.broken.required", "true")
    base = story("1-1", app="one $Id$\n")
    tree = Path(workspace.path("1-1"))
    (tree / ".gitattributes").write_text(f"* {attributes}\n")
    (tree / "app").write_text("two\n")
    (tree / "README.md").unlink()
    workspace.reset(str(tree), base)
    assert (tree / "app").read_bytes() == b"one $Id$\n"
    assert (tree / "README.md").read_bytes() == b"# Shelf\n"
    assert workspace.changed(str(tree), base) == []


def test_a_repository_inside_a_worktree_is_refused_and_nothing_is_committed(workspace: GitWorkspace, story: Story):
    commit = story("1-1", new="1")
    inner = Path(workspace.path("1-1"), "sub")
    inner.mkdir()
    git(inner, "init", "-q")
    with pytest.raises(UnsafePath, match="sub"):
        workspace.checkpoint(workspace.path("1-1"), "empty repository")
    (inner / "f").write_text("x")
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "inner")
    with pytest.raises(UnsafePath, match="sub"):
        workspace.checkpoint(workspace.path("1-1"), "gitlink")
    assert workspace.head(workspace.path("1-1")) == commit
    workspace.reset(workspace.path("1-1"), commit)
    assert not inner.exists()


@pytest.fixture
def with_submodule(repository: Path) -> Path:
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repository), "vendor/lib é")
    git(repository, "commit", "-qm", "Vendor")
    return repository


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.usefixtures("with_submodule")
def test_what_is_written_in_a_submodules_folder_is_refused_and_gone_after_a_reset(
    workspace: GitWorkspace, locked: bool
):
    base = workspace.tip()
    tree = Path(workspace.open("1-1", "storyloom/1-1", base))
    inside = tree / "vendor/lib é"
    assert list(inside.iterdir()) == []
    (inside / "deep").mkdir()
    (inside / "deep/helper.py").write_text("X = 1\n")
    (tree / "use.py").write_text("import helper\n")
    if locked:
        (inside / "deep").chmod(0o000)
        inside.chmod(0o000)
        inside.parent.chmod(0o500)
    with pytest.raises(UnsafePath, match="vendor/lib é: the folder of a submodule"):
        workspace.checkpoint(str(tree), "Lost")
    assert workspace.head(str(tree)) == base
    workspace.reset(str(tree), base)
    assert list(inside.iterdir()) == []
    (tree / "use.py").write_text("one = 1\n")
    commit = workspace.checkpoint(str(tree), "Kept")
    assert workspace.stat(base, commit).files == ("use.py",)


@pytest.mark.usefixtures("with_submodule")
def test_a_submodules_folder_comes_back_after_a_reset_and_links_in_its_place_lead_nowhere(
    workspace: GitWorkspace, tmp_path: Path
):
    base = workspace.tip()
    tree = Path(workspace.open("1-1", "storyloom/1-1", base))
    outside = tmp_path / "outside/lib é"
    outside.mkdir(parents=True)
    (outside / "kept").write_text("x")
    for at, target in (("vendor", outside.parent), ("vendor/lib é", outside)):
        (tree / "vendor/lib é").rmdir()
        if at == "vendor":
            (tree / "vendor").rmdir()
        (tree / at).symlink_to(target)
        workspace.reset(str(tree), base)
        assert (outside / "kept").read_text() == "x"
        assert list((tree / "vendor/lib é").iterdir()) == []
        assert not (tree / "vendor").is_symlink()
        assert workspace.checkpoint(str(tree), "Nothing") == base


@pytest.mark.usefixtures("with_submodule")
def test_a_submodule_may_be_removed_and_files_may_take_its_place_then(workspace: GitWorkspace):
    base = workspace.tip()
    tree = Path(workspace.open("1-1", "storyloom/1-1", base))
    (tree / "vendor/lib é").rmdir()
    commit = workspace.checkpoint(str(tree), "Remove")
    assert workspace.stat(base, commit).files == ("vendor/lib é",)
    (tree / "vendor/lib é").mkdir(parents=True)
    (tree / "vendor/lib é/own.py").write_text("x\n")
    assert "vendor/lib é/own.py" in workspace.files(workspace.checkpoint(str(tree), "Own"))


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"git~1", b".GIT", b"a\\..\\b", b"\x1b[2J"])
def test_a_file_name_that_is_no_plain_text_is_refused_until_it_is_gone(workspace: GitWorkspace, name: bytes):
    base = workspace.tip()
    tree = workspace.open("1-1", "storyloom/1-1", base)
    Path(tree, "good").write_text("x")
    odd = os.fsencode(tree) + b"/" + name
    if name == b".GIT":
        Path(os.fsdecode(odd)).mkdir()
        odd += b"/config"
    Path(os.fsdecode(odd)).write_text("x")
    with pytest.raises(UnsafePath, match=r"Rename"):
        workspace.checkpoint(tree, "Odd")
    assert workspace.head(tree) == base
    Path(os.fsdecode(odd)).unlink()
    assert workspace.files(workspace.checkpoint(tree, "Good")) == ["README.md", "app.py", "good", "run.sh"]


@pytest.mark.parametrize("encoding", ["UTF-16", "ASCII", "no-such-encoding"])
def test_what_git_refuses_for_what_stands_in_the_tree_is_no_fault_of_the_repositorys(
    workspace: GitWorkspace, encoding: str
):
    base = workspace.tip()
    tree = workspace.open("1-1", "storyloom/1-1", base)
    Path(tree, ".gitattributes").write_text(f"* working-tree-encoding={encoding}\n")
    Path(tree, "b.py").write_text("two = '\u00fc'\n")
    with pytest.raises(UnsafePath, match="does not take what was made: fatal:") as refused:
        workspace.checkpoint(tree, "Coded")
    assert str(tree) not in str(refused.value)
    workspace.reset(tree, base)
    Path(tree, "b.py").write_text("two = 2\n")
    assert workspace.files(workspace.checkpoint(tree, "Plain"))[-1] == "run.sh"


def test_a_filter_that_fails_is_no_fault_of_the_repositorys_either(workspace: GitWorkspace, repository: Path):
    git(repository, "config", "filter.broken.clean", "false")
    git(repository, "config", "filter.broken.required", "true")
    base = workspace.tip()
    tree = workspace.open("1-1", "storyloom/1-1", base)
    for path in Path(tree).glob("*.*"):
        os.utime(path, (0, 0))  # git must look at what is in them
    Path(tree, ".gitattributes").write_text("* filter=broken\n")
    with pytest.raises(UnsafePath, match="filter 'broken' failed"):
        workspace.checkpoint(tree, "Filtered")
    Path(tree, ".gitattributes").unlink()
    assert workspace.checkpoint(tree, "Plain") == base


def test_a_locked_index_is_not_blamed_on_what_stands_in_the_tree(workspace: GitWorkspace):
    tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
    (tree / "b.py").write_text("two = 2\n")
    admin = workspace._trees.admin(tree)
    assert admin
    (admin / "index.lock").touch()
    with pytest.raises(GitError, match="Another git process"):
        workspace.checkpoint(str(tree), "Locked")


def test_a_change_whose_time_was_set_back_is_seen(workspace: GitWorkspace, repository: Path, story: Story):
    git(repository, "config", "core.trustctime", "false")
    git(repository, "config", "core.checkStat", "minimal")
    story("1-1", x="aaaa")
    file = Path(workspace.path("1-1"), "x")
    before = file.stat()
    file.write_text("bbbb")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert workspace.read(workspace.checkpoint(workspace.path("1-1"), "Hidden"), "x") == "bbbb"


@pytest.mark.skipif(Path(__file__).with_name("CONFTEST.py").exists(), reason="this file system has one case")
def test_names_that_differ_by_case_are_two_also_in_a_clone_that_was_made_where_they_are_one(
    workspace: GitWorkspace, repository: Path, story: Story
):
    git(repository, "config", "core.ignoreCase", "true")
    beside = story("1-1", **{"App.py": "new\n"})
    assert workspace.read(beside, "App.py") == "new\n"
    assert workspace.files(beside) == ["App.py", "README.md", "app.py", "run.sh"]
    tree = Path(workspace.open("1-2", "storyloom/1-2", workspace.tip()))
    (tree / "app.py").rename(tree / "App.py")
    assert workspace.changed(str(tree), workspace.tip()) == ["App.py", "app.py"]
    renamed = workspace.checkpoint(str(tree), "Rename")
    assert workspace.files(renamed) == ["App.py", "README.md", "run.sh"]
    workspace.reset(str(tree), renamed)
    assert (tree / "App.py").read_text() == "one = 1\ntwo = 2\nthree = 3\n"
    merged = workspace.merge(renamed, "Merge", "m")
    assert "App.py" in workspace.files(merged)
    assert Path(workspace.integration(), "App.py").exists()


def test_files_are_never_committed_through_a_link(workspace: GitWorkspace, tmp_path: Path):
    tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
    (tmp_path / "outside").mkdir()
    (tree / "docs").symlink_to(tmp_path / "outside")
    (tree / "board.yaml").symlink_to(tmp_path / "outside/board")
    workspace.merge(workspace.checkpoint(str(tree), "Links"), "Merge", "m")
    workspace.commit_files({"docs/board.yaml": "x", "board.yaml": "y"}, "Board", "b")
    assert list((tmp_path / "outside").iterdir()) == []
    assert not Path(workspace.integration(), "docs").is_symlink()
    assert Path(workspace.integration(), "board.yaml").read_text() == "y"


def test_a_text_that_is_none_is_not_committed(workspace: GitWorkspace):
    tip = workspace.tip()
    with pytest.raises(InputError, match="UTF-8"):
        workspace.commit_files({"x": "a\ud800"}, "m", "op")
    assert workspace.tip() == tip


def test_settings_of_the_repository_do_not_change_what_we_see(repository: Path, workspace: GitWorkspace, story: Story):
    for key, value in {
        "trailer.separators": "=", "log.showSignature": "true", "diff.noprefix": "true", "diff.mnemonicPrefix": "true",
        "diff.external": "false", "diff.relative": "true", "color.ui": "always", "commit.gpgSign": "true",
        "rebase.backend": "apply", "core.autocrlf": "false", "core.commentChar": "S", "core.quotePath": "true",
        "gpg.program": "false", "merge.ff": "only", "rebase.autoSquash": "true", "grep.patternType": "perl",
        "user.useConfigOnly": "true", "status.showUntrackedFiles": "no", "log.follow": "true",
    }.items():  # fmt: skip
        git(repository, "config", key, value)
    base = workspace.tip()
    first, second = story("1-1", base, a="1"), story("1-2", base, ü="2")
    merged = workspace.merge(first, "Merge", "merge:1-1")
    assert GitWorkspace(repository, Path(workspace.path("x")).parents[1]).find_op("merge:1-1") == merged
    assert second != workspace.rebase(workspace.path("1-2"), merged)
    assert "diff --git a/ü b/ü" in workspace.diff(base, second)
    assert workspace.stat(base, second).files == ("ü",)


def test_files_with_lf_are_taken_where_the_repository_wants_windows_line_ends(
    repository: Path, workspace: GitWorkspace, story: Story
):
    git(repository, "config", "core.autocrlf", "true")
    git(repository, "config", "core.safecrlf", "true")
    commit = story("1-1", new="a\nb\n")
    assert workspace.read(commit, "new") == "a\nb\n"
    assert workspace.stat(workspace.tip(), commit).files == ("new",)


def test_line_ends_that_attributes_change_in_every_branch_conflict_with_no_edit(
    repository: Path, workspace: GitWorkspace, story: Story
):
    (repository / "old.txt").write_bytes(b"a\r\nb\r\nc\r\n")
    git(repository, "add", "old.txt")
    (repository / ".gitattributes").write_text("*.txt text\n")
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "-qm", "Attributes that the file does not keep to")
    base = workspace.tip()
    edits = story("1-1", base, **{"old.txt": "a\nb\nlast\n"})
    beside = story("1-2", base, new="x\n")
    workspace.merge(edits, "Merge story 1.1", "merge-1-1")
    onto = workspace.rebase(workspace.path("1-2"), workspace.tip())
    assert workspace.conflicts(edits, beside) == {}
    assert workspace.read(onto, "old.txt") == "a\nb\nlast\n"
    assert workspace.read(onto, "new") == "x\n"


def test_only_both_sides_of_a_conflict_are_told_whatever_the_repository_s_style_is(
    repository: Path, workspace: GitWorkspace, story: Story
):
    git(repository, "config", "merge.conflictStyle", "diff3")
    base = story("0-1", old="before\n")
    mine, theirs = story("1-1", base, old="mine\n"), story("1-2", base, old="theirs\n")
    assert "before" not in workspace.conflicts(mine, theirs)["old"]


def test_a_worktree_stays_where_the_repository_wants_links_for_refs(
    repository: Path, workspace: GitWorkspace, story: Story
):
    git(repository, "config", "core.preferSymlinkRefs", "true")
    story("1-1", new="x\n")
    tree = Path(workspace.path("1-1"), "unsaved")
    tree.write_text("x")
    assert workspace.recover() == []
    assert tree.exists()


def test_a_merge_happens_once_however_often_it_is_asked_for(workspace: GitWorkspace, story: Story):
    commit = story("1-1", new="1")
    merged = workspace.merge(commit, "Merge 1-1", "merge:1-1")
    story("1-2", other="2")
    assert workspace.merge(commit, "Merge 1-1", "merge:1-1") == merged
    assert workspace.find_op("merge:1-1") == merged
    assert workspace.find_op("merge:1") is None
    assert Path(workspace.integration(), "new").read_text() == "1"


def test_another_process_finds_an_operation_too(
    repository: Path, tmp_path: Path, workspace: GitWorkspace, story: Story
):
    workspace.find_op("merge:1-1")
    other = GitWorkspace(repository, tmp_path / "state", "storyloom/main")
    merged = other.merge(story("1-1", new="1"), "Merge", "merge:1-1")
    assert workspace.find_op("merge:1-1") == merged


def test_a_merge_that_a_person_reverted_does_not_count_unless_that_was_reverted(
    repository: Path, workspace: GitWorkspace, story: Story
):
    merged = workspace.merge(story("1-1", new="1"), "Merge 1-1", "merge:1-1")
    tree = workspace.integration()

    def revert(*commit: str) -> str:
        git(tree, "-c", "user.name=t", "-c", "user.email=t@localhost", "revert", "--no-edit", *commit)
        return workspace.tip()

    first = revert("-m", "1", merged)
    assert workspace.find_op("merge:1-1") is None
    second = revert(first)
    assert workspace.find_op("merge:1-1") == merged
    revert(second)
    assert workspace.find_op("merge:1-1") is None
    tip = workspace.tip()
    workspace.abandon("1-1", "storyloom/1-1")
    again = workspace.merge(story("1-1", tip, other="2"), "Merge 1-1", "merge:1-1")
    assert workspace.find_op("merge:1-1") == again != merged
    assert GitWorkspace(repository, Path(tree).parents[1], "storyloom/main").find_op("merge:1-1") == again


def test_a_story_cannot_pass_for_a_revert(workspace: GitWorkspace, story: Story):
    merged = workspace.merge(story("1-1", new="1"), "Merge 1-1", "merge:1-1")
    tree = workspace.open("1-2", "storyloom/1-2", workspace.tip())
    Path(tree, "x").write_text("x")
    workspace.merge(workspace.checkpoint(tree, f"Fix\n\nThis reverts commit {merged}."), "Merge", "merge:1-2")
    assert workspace.find_op("merge:1-1") == merged


def test_text_of_a_message_cannot_pass_for_an_operation(workspace: GitWorkspace, story: Story):
    tree = workspace.open("1-1", "storyloom/1-1", workspace.tip())
    Path(tree, "x").write_text("x")
    commit = workspace.checkpoint(tree, "Innocent\n\nOp-Id: merge:1-2\n")
    workspace.merge(commit, "Merge\n\nop-id: merge:1-3", "merge:1-1")
    assert workspace.find_op("merge:1-2") is None
    assert workspace.find_op("merge:1-3") is None


def test_a_conflicting_merge_changes_nothing_and_names_the_files(workspace: GitWorkspace, story: Story):
    base = workspace.tip()
    first, second = story("1-1", base, **{"app.py": "one = 11\n"}), story("1-2", base, **{"app.py": "one = 12\n"})
    tip = workspace.merge(first, "Merge", "merge:1-1")
    with pytest.raises(MergeConflict) as conflict:
        workspace.merge(second, "Merge", "merge:1-2")
    assert conflict.value.files == ("app.py",)
    assert workspace.tip() == tip
    with pytest.raises(MergeConflict) as conflict:
        workspace.rebase(workspace.path("1-2"), tip)
    assert conflict.value.files == ("app.py",)
    assert workspace.head(workspace.path("1-2")) == second
    assert workspace.open("1-2", "storyloom/1-2", base) == workspace.path("1-2")
    assert Path(workspace.path("1-2"), "app.py").read_text() == "one = 12\n"


def test_a_file_where_the_other_side_has_a_folder_conflicts_under_its_own_name(workspace: GitWorkspace, story: Story):
    base = workspace.tip()
    folder, file = story("1-1", base, pkg__a="a\n"), story("1-2", base, pkg="p\n")
    with pytest.raises(MergeConflict) as rebased:
        workspace.rebase(workspace.path("1-2"), folder)
    workspace.merge(folder, "Merge story 1.1", "merge-1-1")
    with pytest.raises(MergeConflict) as merged:
        workspace.merge(file, "Merge story 1.2", "merge-1-2")
    assert rebased.value.files == merged.value.files == ("pkg",)
    assert workspace.conflicts(workspace.tip(), file) == {"pkg": "p\n"}


def test_a_rebase_puts_the_work_on_top_of_the_tip(workspace: GitWorkspace, story: Story):
    base = workspace.tip()
    first, _ = story("1-1", base, a="1"), story("1-2", base, b="2")
    tip = workspace.merge(first, "Merge", "merge:1-1")
    head = workspace.rebase(workspace.path("1-2"), tip)
    assert workspace.files(head) == ["README.md", "a", "app.py", "b", "run.sh"]
    assert workspace.stat(tip, head).files == ("b",)


def test_a_rebase_that_was_cut_off_is_left_by_a_reset(workspace: GitWorkspace, story: Story, repository: Path):
    base = workspace.tip()
    first, second = story("1-1", base, **{"app.py": "one = 11\n"}), story("1-2", base, **{"app.py": "one = 12\n"})
    tip = workspace.merge(first, "Merge", "merge:1-1")
    with pytest.raises(AssertionError, match="conflict"):
        git(workspace.path("1-2"), "rebase", tip)
    workspace.reset(workspace.path("1-2"), second)
    Path(workspace.path("1-2"), "new").write_text("x")
    commit = workspace.checkpoint(workspace.path("1-2"), "Goes on")
    assert git(repository, "rev-parse", "storyloom/1-2") == commit


def test_a_file_whose_name_looks_like_an_answer_of_gits_is_just_not_there(workspace: GitWorkspace):
    for name in ("x blob missing", "a blob 3", "README.md\nx", "\ud800"):
        assert workspace.read(workspace.tip(), name) is None


def test_files_are_committed_once_with_their_newlines_and_modes(workspace: GitWorkspace):
    commit = workspace.commit_files(
        {"d/board.yaml": "a: 1\r\n", "run.sh": "#!/bin/bash", "README.md": None}, "B", "b:1"
    )
    assert workspace.commit_files({"d/board.yaml": "regressed"}, "B", "b:1") == commit
    assert workspace.read(commit, "d/board.yaml") == "a: 1\r\n"
    assert Path(workspace.integration(), "d/board.yaml").read_bytes() == b"a: 1\r\n"
    assert Path(workspace.integration(), "run.sh").stat().st_mode & 0o111
    assert not Path(workspace.integration(), "README.md").exists()


@pytest.mark.parametrize("path", ["../x", ".git/config", "/etc/x", "a//b", ""])
def test_files_outside_of_the_worktree_are_never_committed(workspace: GitWorkspace, path: str):
    tip = workspace.tip()
    with pytest.raises(UnsafePath):
        workspace.commit_files({path: "x"}, "m", "op")
    assert workspace.tip() == tip


@pytest.mark.parametrize("name", ["-x", "a..b", "a@{1}", "x.lock", "", "a b", "/a", "a/", ".a", "a/.b", "refs/heads/x"])
def test_a_branch_name_that_git_or_a_shell_may_misread_is_refused(workspace: GitWorkspace, name: str):
    with pytest.raises(GitError, match="branch name"):
        workspace.open("1-1", name, workspace.tip())


@pytest.mark.parametrize("name", ["integration", "../x", "a/b", "", "-x", "x.lock"])
def test_a_worktree_name_stays_in_its_folder(workspace: GitWorkspace, name: str):
    with pytest.raises(GitError):
        workspace.path(name)


@pytest.mark.parametrize("revision", ["--output=x", "--upload-pack=x", "HEAD~1", "nothing"])
def test_a_revision_is_never_read_as_an_option(workspace: GitWorkspace, revision: str, repository: Path):
    with pytest.raises(GitError):
        workspace.diff(revision, workspace.tip())
    assert not (repository / "x").exists()


def test_an_abandoned_story_leaves_no_worktree_and_no_branch(workspace: GitWorkspace, story: Story, repository: Path):
    story("1-1", a="1")
    assert workspace.leftovers() == ["1-1"]
    workspace.abandon("1-1", "storyloom/1-1")
    workspace.abandon("1-1", "storyloom/1-1")
    assert workspace.leftovers() == []
    assert "storyloom/1-1" not in git(repository, "branch")
    with pytest.raises(GitError):
        workspace.abandon("1-1", "main")
    assert "main" in git(repository, "branch")


def test_the_tree_of_a_commit_is_exported(workspace: GitWorkspace, tmp_path: Path, story: Story):
    commit = story("1-1", d__x="1")
    workspace.export(commit, str(tmp_path / "out"))
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")) == [
        "README.md",
        "app.py",
        "d",
        "d/x",
        "run.sh",
    ]
    with pytest.raises(GitError, match="not empty"):
        workspace.export(commit, str(tmp_path / "out"))


class TestPublish:
    def test_a_branch_that_nobody_has_checked_out_moves_forward(
        self, repository: Path, workspace: GitWorkspace, story: Story
    ):
        workspace.merge(story("1-1", a="1"), "Merge", "m")
        git(repository, "checkout", "-qb", "elsewhere")
        assert workspace.publish("main") == ""
        assert git(repository, "rev-parse", "main") == workspace.tip()
        assert workspace.publish("main") == ""

    def test_a_checked_out_branch_moves_only_when_asked_and_clean(
        self, repository: Path, workspace: GitWorkspace, story: Story
    ):
        workspace.merge(story("1-1", a="1"), "Merge", "m")
        assert "checked out" in workspace.publish("main")
        (repository / "app.py").write_text("mine")
        assert "not committed" in workspace.publish("main", checkout=True)
        git(repository, "checkout", "-q", "--", ".")
        (repository / "a").write_text("untracked and in the way")
        assert "could not be moved" in workspace.publish("main", checkout=True)
        (repository / "a").unlink()
        assert workspace.publish("main", checkout=True) == ""
        assert (repository / "a").read_text() == "1"
        assert git(repository, "status", "--porcelain") == ""

    def test_a_branch_with_work_of_its_own_is_left_alone_until_it_is_followed(
        self, repository: Path, workspace: GitWorkspace, story: Story
    ):
        workspace.merge(story("1-1", a="1"), "Merge", "m")
        git(repository, "commit", "-q", "--allow-empty", "-m", "moved")
        assert "1 commits of its own" in workspace.publish("main")
        workspace.follow("main")
        assert workspace.publish("main", checkout=True) == ""
        assert "There is no branch" in workspace.publish("nothing")

    def test_a_branch_in_the_middle_of_a_rebase_is_left_alone(
        self, repository: Path, workspace: GitWorkspace, story: Story
    ):
        workspace.merge(story("1-1", a="1"), "Merge", "m")
        git(repository, "-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "-q", "-i", "--root")
        assert workspace.publish("main") != ""
        assert workspace.publish("main", checkout=True) != ""

    def test_a_file_that_the_person_lets_git_ignore_is_not_overwritten(self, repository: Path, workspace: GitWorkspace):
        (repository / ".git/info/exclude").write_text("docs/\n")
        (repository / "docs").mkdir()
        (repository / "docs/brief.md").write_text("mine\n")
        workspace.commit_files({"docs/brief.md": "ours\n"}, "Brief", "brief")
        assert "could not be moved" in workspace.publish("main", checkout=True)
        assert (repository / "docs/brief.md").read_text() == "mine\n"

    def test_a_wish_for_signatures_does_not_keep_the_person_s_branch_back(
        self, repository: Path, workspace: GitWorkspace
    ):
        git(repository, "config", "merge.verifySignatures", "true")
        tip = workspace.commit_files({"new.txt": "x\n"}, "Add", "add")
        assert workspace.publish("main", checkout=True) == ""
        assert git(repository, "rev-parse", "main") == tip

    def test_following_a_branch_that_only_moved_ahead_is_a_fast_forward(
        self, repository: Path, workspace: GitWorkspace
    ):
        workspace.integration()
        git(repository, "commit", "-q", "--allow-empty", "-m", "moved")
        assert workspace.follow("main") == git(repository, "rev-parse", "main") == workspace.tip()

    def test_a_conflict_with_the_persons_branch_says_how_to_settle_it_and_that_works(
        self, repository: Path, workspace: GitWorkspace
    ):
        board = workspace.commit_files({"board.yaml": "a: in-progress\nb: backlog\n"}, "Board", "board-1")
        (repository / "board.yaml").write_text("a: backlog\nb: done\n")
        git(repository, "add", "board.yaml")
        git(repository, "commit", "-qm", "The person's board")
        with pytest.raises(MergeConflict) as conflict:
            workspace.follow("main")
        assert workspace.tip() == board
        said = "Settle it on main and run again: git merge "
        assert conflict.value.remedy.startswith(said)
        git(repository, "merge", "-q", "-X", "ours", "--no-edit", conflict.value.remedy.removeprefix(said))
        assert workspace.follow("main") == git(repository, "rev-parse", "main") == workspace.tip()
        assert workspace.find_op("board-1") == board

    def test_the_persons_branch_is_known_also_beside_a_tag_of_its_name(self, repository: Path, workspace: GitWorkspace):
        git(repository, "tag", "main")
        assert workspace.person_branch() == "main"
        git(repository, "commit", "-q", "--allow-empty", "-m", "moved")
        assert workspace.follow("main") == git(repository, "rev-parse", "refs/heads/main") == workspace.tip()
        assert workspace.publish("main", checkout=True) == ""
        git(repository, "checkout", "-q", "--ignore-other-worktrees", "storyloom/main")
        assert workspace.person_branch() == ""
        git(repository, "checkout", "-q", "--detach")
        assert workspace.person_branch() == ""


class TestRepositories:
    def test_one_without_commits_is_refused_with_what_to_do(self, tmp_path: Path):
        git(tmp_path, "init", "-q", "fresh")
        with pytest.raises(RepositoryError, match="first commit"):
            GitWorkspace(tmp_path / "fresh", tmp_path / "state").integration()

    def test_a_folder_that_is_none_or_lies_inside_of_one_is_refused(self, tmp_path: Path, repository: Path):
        with pytest.raises(RepositoryError, match="git init"):
            GitWorkspace(tmp_path, tmp_path / "state")
        (repository / "src").mkdir()
        with pytest.raises(RepositoryError, match="Its root may be"):
            GitWorkspace(repository / "src", tmp_path / "state")
        with pytest.raises(RepositoryError, match="not a folder"):
            GitWorkspace(tmp_path / "nothing", tmp_path / "state")

    def test_the_state_folder_must_lie_outside(self, repository: Path):
        with pytest.raises(RepositoryError, match="inside the repository"):
            GitWorkspace(repository, repository / ".state")

    def test_a_linked_worktree_a_detached_head_and_a_bare_one_will_do(self, tmp_path: Path, repository: Path):
        git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
        git(repository, "checkout", "-q", "--detach")
        git(tmp_path, "clone", "-q", "--bare", str(repository), str(tmp_path / "bare.git"))
        for number, folder in enumerate((tmp_path / "linked", repository, tmp_path / "bare.git")):
            workspace = GitWorkspace(folder, tmp_path / f"state{number}", f"storyloom{number}/main")
            tree = workspace.open("1-1", f"storyloom{number}/1-1", workspace.tip())
            Path(tree, "x").write_text("x")
            workspace.merge(workspace.checkpoint(tree, "Work"), "Merge", "m")
            assert Path(workspace.integration(), "x").read_text() == "x"

    def test_an_integration_branch_that_the_person_uses_is_refused(self, tmp_path: Path, repository: Path):
        with pytest.raises(RepositoryError, match="checked out"):
            GitWorkspace(repository, tmp_path / "state", "main").integration()

    @pytest.mark.parametrize("taken", ["storyloom", "storyloom/main/x"])
    @pytest.mark.parametrize("packed", [False, True])
    def test_a_branch_whose_name_is_in_the_way_of_ours_is_refused_until_it_is_renamed(
        self, repository: Path, workspace: GitWorkspace, taken: str, packed: bool
    ):
        git(repository, "branch", taken)
        if packed:
            git(repository, "pack-refs", "--all")
        with pytest.raises(RepositoryError, match=f"beside the branch {taken}") as refusal:
            workspace.integration()
        git(repository, *refusal.value.remedy.partition(": git ")[2].split())
        assert Path(workspace.integration(), "app.py").exists()

    def test_a_branch_in_the_way_of_the_stories_alone_is_refused_too(self, repository: Path, tmp_path: Path):
        workspace = GitWorkspace(repository, tmp_path / "state", "bmad/main")
        workspace.integration()
        git(repository, "branch", "storyloom")
        with pytest.raises(RepositoryError, match="git branch -m storyloom storyloom-old"):
            workspace.open("1-1", "storyloom/1-1", workspace.tip())
        git(repository, "branch", "-m", "storyloom", "storyloom-old")
        assert Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()), "app.py").exists()

    def test_after_the_state_folder_was_lost_the_work_goes_on_where_the_branches_stand(
        self, tmp_path: Path, repository: Path, workspace: GitWorkspace, story: Story
    ):
        workspace.integration()
        commit = story("1-1", new="x\n")
        story("1-2", other="x\n")
        git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "unmounted/worktrees/1-1"))
        shutil.rmtree(tmp_path / "unmounted")
        shutil.rmtree(tmp_path / "state")
        again = GitWorkspace(repository, tmp_path / "state-anew")
        assert again.recover() == []
        assert Path(again.integration(), "app.py").exists()
        tree = again.open("1-1", "storyloom/1-1", again.tip())
        assert again.head(tree) == commit
        assert Path(tree, "new").read_text() == "x\n"
        again.abandon("1-2", "storyloom/1-2")
        assert again.branch("storyloom/1-2") is None
        assert "[side]" in git(repository, "worktree", "list"), "a worktree of the person's, not mounted now"

    def test_after_the_repository_was_moved_the_old_folders_stay_and_the_work_goes_on(
        self, tmp_path: Path, repository: Path, workspace: GitWorkspace, story: Story
    ):
        workspace.integration()
        commit = story("1-1", new="x\n")
        draft = Path(workspace.path("1-1"), "draft")
        draft.write_text("x")
        repository.rename(tmp_path / "moved")
        again = GitWorkspace(tmp_path / "moved", tmp_path / "state-anew")
        assert again.integration() == str(tmp_path / "state-anew/worktrees/integration")
        assert again.head(again.open("1-1", "storyloom/1-1", again.tip())) == commit
        assert draft.read_text() == "x"

    @pytest.mark.parametrize("lost", [False, True])
    def test_a_branch_of_ours_in_a_worktree_that_is_there_or_locked_is_refused_until_what_is_said_was_done(
        self, lost: bool, tmp_path: Path, repository: Path, workspace: GitWorkspace, story: Story
    ):
        workspace.integration()
        story("1-1", new="x\n")
        again = GitWorkspace(repository, tmp_path / "state-anew")
        held = Path(workspace.integration()), Path(workspace.path("1-1"))
        if lost:
            for tree in held:
                git(repository, "worktree", "lock", str(tree))
                shutil.rmtree(tree)
        for tree, make in zip(
            held, (again.integration, lambda: again.open("1-1", "storyloom/1-1", "storyloom/main")), strict=True
        ):
            with pytest.raises(RepositoryError, match="git worktree remove --force") as refusal:
                make()
            assert f"'{tree}'" in refusal.value.remedy
            assert ("integration_branch" in refusal.value.remedy) == (tree.name == "integration")
            if lost:
                git(repository, "worktree", "unlock", str(tree))
            else:
                git(repository, "worktree", "remove", "--force", str(tree))
            assert Path(make(), "app.py").exists()

    def test_a_sparse_checkout_of_the_persons_does_not_thin_out_ours(self, repository: Path, tmp_path: Path):
        (repository / "src").mkdir()
        (repository / "src/x.py").write_text("x")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "src")
        git(repository, "sparse-checkout", "set", "nothing")
        workspace = GitWorkspace(repository, tmp_path / "state")
        assert Path(workspace.integration(), "src/x.py").read_text() == "x"

    @pytest.mark.parametrize("kind", ["sha256", "shallow", "submodule", "of a submodule", "private"])
    def test_an_unusual_one_is_worked_on_like_any_other(self, kind: str, tmp_path: Path, repository: Path):
        folder = tmp_path / "unusual"
        if kind == "sha256":
            git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", "unusual")
            (folder / "app.py").write_text("one = 1\n")
            git(folder, "add", "-A")
            git(folder, "commit", "-qm", "Start")
        elif kind == "shallow":
            git(repository, "commit", "-q", "--allow-empty", "-m", "second")
            git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", "unusual")
        elif kind == "private":
            git(tmp_path, "clone", "-q", str(repository), "unusual")
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o700 if path.is_dir() else 0o600)
            git(folder, "commit", "-qam", "Modes")
        else:
            git(tmp_path, "clone", "-q", str(repository), "unusual")
            git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repository), "part")
            git(folder, "commit", "-qm", "Part")
            folder = folder / "part" if kind == "of a submodule" else folder
        workspace = GitWorkspace(folder, tmp_path / "state-of-unusual")
        base = workspace.tip()
        for name in ("1-1", "1-2"):
            tree = Path(workspace.open(name, f"storyloom/{name}", base))
            (tree / "app.py").write_text(f"one = 1\n# {name}\n" if name == "1-1" else "one = 1\n")
            (tree / name).write_text(name)
            workspace.checkpoint(str(tree), name)
        workspace.merge(workspace.head(workspace.path("1-1")), "Merge", "m1")
        workspace.reset(workspace.path("1-2"), base)
        Path(workspace.path("1-2"), "1-2").write_text("again")
        workspace.checkpoint(workspace.path("1-2"), "again")
        workspace.merge(workspace.rebase(workspace.path("1-2"), workspace.tip()), "Merge", "m2")
        assert workspace.recover() == []
        assert Path(workspace.integration(), "1-2").read_text() == "again"
        assert git(folder, "status", "--porcelain") == ""
        assert workspace.publish("main", checkout=True) == ""
        assert (folder / "1-1").read_text() == "1-1"


def test_many_texts_come_as_one_at_a_time_would(workspace: GitWorkspace, repository: Path) -> None:
    commit = workspace.tip()
    paths = ["app.py", "gone.py", "README.md", "a\nb"]
    assert workspace.texts(commit, paths) == {path: workspace.read(commit, path) for path in ("app.py", "README.md")}
    assert workspace.texts(commit, []) == {}


def test_a_file_that_is_not_utf_8_keeps_its_bytes_where_it_is_not_changed(
    workspace: GitWorkspace, repository: Path
) -> None:
    old = "# café\r\nstatus: backlog  # jusqu'à mardi\r\nfin: ü".encode("latin-1")
    (repository / "board.yaml").write_bytes(old)
    git(repository, "add", "board.yaml")
    git(repository, "commit", "-q", "-m", "board")
    text = workspace.read(workspace.tip(), "board.yaml")
    if text is None:  # the main line began before
        workspace.follow("main")
        text = workspace.read(workspace.tip(), "board.yaml")
    assert text is not None
    workspace.commit_files({"board.yaml": text.replace("backlog", "done")}, "move", "op-1")
    written = (Path(workspace.integration()) / "board.yaml").read_bytes()
    assert written == old.replace(b"backlog", b"done")
