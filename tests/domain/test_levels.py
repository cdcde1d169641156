from __future__ import annotations

import pytest
from storyloom.domain.levels import (
    LEVELS,
    missing_documents,
    read_level,
    read_story_file_name,
    read_track,
    story_file_name,
    suggest_level,
)
from storyloom.domain.stories import Story

STORY = Story(key="2-3-account-page", id="2.3", epic="epic-2", title="Account page")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (2, 2),
        ("3", 3),
        ("Level 0", 0),
        ("level-4 (enterprise)", 4),
        ("3 (Full product: MVP)", 3),
        ("none", None),
        ("12", None),
    ],
)
def test_a_level_is_read_as_people_write_it(written: str | int, number: int | None):
    level = read_level(written)
    assert (level.number if level else None) == number


@pytest.mark.parametrize(
    ("written", "track"),
    [
        ("method-greenfield.yaml", "method"),
        ("quick-flow", "quick-flow"),
        ("enterprise-method", "enterprise"),
        ("x", None),
    ],
)
def test_a_track_is_read_from_its_many_names(written: str, track: str | None):
    assert read_track(written) == track


@pytest.mark.parametrize(("stories", "number"), [(1, 0), (2, 1), (10, 1), (11, 2), (16, 3), (41, 4), (5000, 4)])
def test_the_number_of_stories_suggests_a_level(stories: int, number: int):
    assert suggest_level(stories).number == number


def test_what_a_level_still_lacks_is_listed_in_the_order_of_work():
    assert missing_documents(LEVELS[3], frozenset({"docs/PRD.md"})) == ("architecture", "epics")
    assert missing_documents(LEVELS[0], frozenset({"docs/tech-spec.md"})) == ()


@pytest.mark.parametrize("naming", ["key", "number", "title", "title-number"])
def test_a_name_that_we_write_is_read_as_the_same_naming(naming):
    name = story_file_name(STORY, naming, epic_slug="shelf", number=2)
    read = read_story_file_name(name)
    assert read.naming == naming
    assert read.story_id == ("2.3" if naming in ("key", "number") else "")
    assert read.number == (2 if naming == "title-number" else None)


@pytest.mark.parametrize(
    "name", ["readme.md", "1-2-login.context.xml", "1-2-login-context.md", "story.md", "epic-1.md"]
)
def test_other_files_are_no_story_files(name: str):
    assert read_story_file_name(name) is None


def test_a_name_with_number_and_title_is_read():
    read = read_story_file_name("story-1.2a-login.md")
    assert (read.naming, read.story_id, read.slug) == ("number", "1.2a", "login")
