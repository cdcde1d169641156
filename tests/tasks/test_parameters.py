"""A story that Prefect would refuse as a parameter is kept on the shelf and found again, exactly."""

import json
from pathlib import Path

import pytest
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.ports import ProjectRef
from storyloom.domain.stories import Story
from storyloom.tasks.parameters import MOST_BYTES, as_parameter, listed, whole_story
from storyloom.tasks.ports import Ports

STORY = Story(key="1-1-a", id="1.1", epic="epic-1", title="A", text="short", acceptance_criteria=("It is so.",))


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return Ports(ProjectRef(repository="/p"), shelf=FileShelf(tmp_path))


def test_an_ordinary_story_stands_for_itself(ports: Ports):
    assert as_parameter(ports, STORY) is STORY
    assert whole_story(ports, STORY) is STORY
    assert ports.shelf.names("") == []


@pytest.mark.parametrize("sign", ["x", "é", "本", "🚀", '"'])
def test_a_long_story_is_kept_once_and_found_again_exactly(ports: Ports, sign: str):
    story = STORY.model_copy(update={"text": sign * MOST_BYTES})
    small = as_parameter(ports, story)
    assert len(json.dumps(small.model_dump(mode="json"))) < 2_000
    assert (small.key, small.id, small.title) == (story.key, story.id, story.title)
    assert whole_story(ports, small) == story
    assert as_parameter(ports, story) == small
    assert len(ports.shelf.names("stories/")) == 1


def test_its_length_is_counted_as_prefect_counts_it(ports: Ports):
    assert as_parameter(ports, STORY.model_copy(update={"text": "🚀" * (MOST_BYTES // 8)})).kept_as


def test_another_text_is_another_reference(ports: Ports):
    one, other = (as_parameter(ports, STORY.model_copy(update={"text": sign * MOST_BYTES})) for sign in "ab")
    assert one.kept_as != other.kept_as


def test_what_was_thrown_away_is_said(ports: Ports):
    with pytest.raises(LookupError, match="story 1"):
        whole_story(ports, STORY.model_copy(update={"kept_as": "stories/1-1-a/gone.json"}))


def test_an_outcome_lists_all_its_files_or_says_how_many_more_there_are():
    few = tuple(f"src/part-{n}.py" for n in range(1_000))
    assert listed(few) is few
    many = tuple(f"vendor/größe/{n}.py" for n in range(50_000))
    shown = listed(many)
    assert shown[:-1] == many[: len(shown) - 1]
    assert shown[-1] == f"… {50_000 - len(shown) + 1} more"
    assert MOST_BYTES // 3 < len(json.dumps(shown)) <= MOST_BYTES // 2 + 100
    assert listed(()) == ()
