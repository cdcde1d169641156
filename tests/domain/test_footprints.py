from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.footprints import Footprint, Unknown, clash, overlap, predict
from storyloom.domain.stories import Story


def story(**fields: object) -> Story:
    return Story.model_validate({"key": "1-1-a", "id": "1.1", "epic": "epic-1", "title": "a", **fields})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.py", "a.py", True),
        ("a.py", "b.py", False),
        ("src/", "src/a.py", True),
        ("src/", "src2/a.py", False),
        ("src", "src/a.py", True),
        ("src", "src/deep/*.py", True),
        ("src", "src2/a.py", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a.js", False),
        ("src/**/x.py", "src/deep/er/x.py", True),
        ("src/**/x.py", "src/x.py", True),
        ("src/**/x.py", "src/y.py", False),
        ("**/test_*.py", "test_a.py", True),
        ("src/*/models.py", "src/app", True),
        ("src/*/models.py", "src/app.py", False),
        ("src/*/models.py", "lib/app", False),
        ("src/*.py", "src/a*", True),
        ("src/*.py", "lib/*.py", False),
        ("a.py", "a.pyc", False),
    ],
)
def test_paths_folders_and_globs_overlap(one: str, other: str, same: bool):
    assert overlap(one, other) is same
    assert overlap(other, one) is same


def test_two_that_change_one_file_clash_and_name_it():
    one, other = Footprint(("src/a.py",)), Footprint(("src/a.py", "b.py"))
    assert clash(one, other) == clash(other, one) == "both touch src/a.py"


def test_two_that_only_add_to_a_file_do_not_clash():
    assert clash(Footprint(("a.py",), ("CHANGELOG.md",)), Footprint(("b.py",), ("CHANGELOG.md",))) == ""
    assert clash(Footprint(("CHANGELOG.md",)), Footprint(("b.py",), ("CHANGELOG.md",))) == "both touch CHANGELOG.md"


def test_a_named_resource_has_one_user_at_a_time():
    one = Footprint(("a.py",), resources=("database",))
    assert clash(one, Footprint(("b.py",), resources=("database", "port"))) == "both use database"


def test_unknown_footprints_clash_only_with_each_other():
    here, there = Footprint(epic="epic-1"), Footprint(epic="epic-2")
    known = Footprint(("a.py",), epic="epic-1")
    assert clash(here, known, Unknown.EXCLUSIVE) == ""
    assert [bool(clash(here, there, policy)) for policy in Unknown] == [True, False, False]
    assert [bool(clash(here, here, policy)) for policy in Unknown] == [True, True, False]


@pytest.mark.parametrize("written", ["src/a.py", "/src/a.py", "./src/a.py", "src//a.py", "src/./a.py", ".//src/a.py"])
def test_a_path_is_the_same_however_it_is_written(written: str):
    assert predict(story(files=(written,))).exclusive == ("src/a.py",)
    assert predict(story(files=("b.py",), appends=(written,))).append == ("src/a.py",)
    assert predict(story(files=("/README.md", ".github/a.yml"))) == Footprint(
        (".github/a.yml",), ("README.md",), epic="epic-1"
    )


def test_a_footprint_is_what_is_declared_then_what_is_mentioned():
    assert predict(story(files=("src/a.py", "CHANGELOG.md"))).exclusive == ("src/a.py",)
    assert predict(story(files=("src/a.py", "CHANGELOG.md"))).append == ("CHANGELOG.md",)
    assert predict(story(text="change `src/b.py` and `src/pkg/__init__.py`")).exclusive == ("src/b.py",)
    assert not predict(story(text="change it all")).known
    assert predict(story(appends=("docs/log.md",), text="see `src/b.py`")).exclusive == ()
    assert predict(story(files=("README.md",)), append_only=()).exclusive == ("README.md",)


paths = st.lists(st.sampled_from(["a.py", "src/", "src/a.py", "src/*.py", "CHANGELOG.md", "lib/b.py"]), max_size=3)
prints = st.builds(
    lambda alone, add, names, epic: Footprint(tuple(alone), tuple(add), tuple(names), epic),
    paths,
    paths,
    st.lists(st.sampled_from(["db", "port"]), max_size=1),
    st.sampled_from(["epic-1", "epic-2"]),
)


@given(prints, prints, st.sampled_from(Unknown))
def test_a_clash_is_mutual(one: Footprint, other: Footprint, unknown: Unknown):
    assert bool(clash(one, other, unknown)) is bool(clash(other, one, unknown))
