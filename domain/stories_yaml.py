"""Which stories does a `stories.yaml` beside a SPEC.md break the work into?

A list of `{id, title, description, spec_checkpoint, done_checkpoint, invoke_dev_with}` in the order of execution. Ids
are quoted strings of letters, digits and dashes, unique and prefix-free ("3" beside "3-2" would make `stories/3-*.md`
ambiguous). It has no statuses: those stand in `stories/<id>-<slug>.md`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import yaml

from .errors import DocumentError
from .keys import slug
from .stories import Story
from .workflow_tree import Note

LARGEST = 2_000_000
_ID = re.compile(r"[A-Za-z0-9-]+")
_REQUIRED = ("id", "title", "description")
_KNOWN = frozenset({*_REQUIRED, "spec_checkpoint", "done_checkpoint", "invoke_dev_with"})
_TRUTH = {"true": True, "false": False, "yes": True, "no": False}


class StoryList(NamedTuple):
    """The stories in the order of execution, and what breaks the rules of the file."""

    stories: tuple[Story, ...]
    notes: tuple[Note, ...]


def story_key_of(story_id: str, title: str) -> str:
    """The name of a story's spec file without `.md`, which is also its key."""
    return f"{story_id}-{slug(title)}"


def read_stories(text: str, path: str = "stories.yaml", *, epic: str = "") -> StoryList:
    """The stories of this list. An entry that breaks a rule of the file is reported and left out.

    `epic` is given to every story; each waits for the one before it, as the list's order is binding.
    """
    if len(text) > LARGEST:
        return StoryList(
            (), (Note(path, 1, f"is {len(text):,} characters long; at most {LARGEST:,} are read", "error"),)
        )
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or "nested too deeply"
        return StoryList((), (Note(path, mark.line + 1 if mark else 1, f"is not valid YAML: {why}", "error"),))
    if not isinstance(root, yaml.SequenceNode):
        line = root.start_mark.line + 1 if root else 1
        return StoryList((), (Note(path, line, "is not a list of stories; start each with `- id:`", "error"),))
    notes: list[Note] = []
    stories: list[Story] = []
    for item in root.value:
        made = _story(item, path, epic, stories, notes)
        if made:
            stories.append(made)
    return StoryList(tuple(stories), tuple(notes))


def with_checkpoints(stories: Sequence[Story], text: str, path: str = "stories.yaml") -> tuple[Story, ...]:
    """The stories, those that the list names with its checkpoints: its id is the story's, with dashes for dots.

    Raises:
        DocumentError: the list breaks a rule of the file, so that a checkpoint could be missed.
    """
    listed = read_stories(text, path) if text.strip() else StoryList((), ())
    if wrong := next((note for note in listed.notes if note.severity == "error"), None):
        raise DocumentError(wrong.message, path=wrong.path, line=wrong.line, remedy="Mend the list.")
    asked = {one.id: one for one in listed.stories}
    return tuple(
        story.model_copy(
            update={
                "spec_checkpoint": story.spec_checkpoint or one.spec_checkpoint,
                "done_checkpoint": story.done_checkpoint or one.done_checkpoint,
            }
        )
        if (one := asked.get(story.id.replace(".", "-"))) is not None
        else story
        for story in stories
    )


def _story(item: yaml.Node, path: str, epic: str, before: Sequence[Story], notes: list[Note]) -> Story | None:
    line = item.start_mark.line + 1
    if not isinstance(item, yaml.MappingNode):
        notes.append(Note(path, line, 'is not a story; write `- id: "1"` with title and description', "error"))
        return None
    fields = {str(key.value): value for key, value in item.value if isinstance(key, yaml.ScalarNode)}
    words = {name: str(node.value).strip() for name, node in fields.items() if isinstance(node, yaml.ScalarNode)}
    missing = [name for name in _REQUIRED if not words.get(name)]
    if missing:
        notes.append(Note(path, line, f"the story has no {', '.join(missing)}; it is left out", "error"))
        return None
    for name in fields.keys() - _KNOWN:
        where = fields[name].start_mark.line + 1
        hint = "statuses stand in the story's own file" if name == "status" else "it is not read"
        notes.append(
            Note(path, where, f"`{name}` has no place here: {hint}", "error" if name == "status" else "warning")
        )
    story_id = words["id"]
    problem = _id_problem(fields["id"], story_id, [story.id for story in before])
    if problem:
        severity, message = problem
        notes.append(Note(path, fields["id"].start_mark.line + 1, message, severity))
        if severity == "error":
            return None
    return Story(
        key=story_key_of(story_id, words["title"]),
        id=story_id,
        epic=epic,
        title=" ".join(words["title"].split()),
        text=words["description"],
        depends_on=(before[-1].key,) if before else (),
        spec_checkpoint=_truth(fields, "spec_checkpoint", path, notes),
        done_checkpoint=_truth(fields, "done_checkpoint", path, notes),
        invoke_dev_with=words.get("invoke_dev_with", ""),
    )


def _id_problem(node: yaml.Node, story_id: str, taken: Sequence[str]) -> tuple[Literal["warning", "error"], str] | None:
    if not _ID.fullmatch(story_id):
        return "error", f"id {story_id!r} has other signs than letters, digits and dashes; the story is left out"
    if story_id in taken:
        return "error", f"id {story_id!r} stands twice; the second story is left out, give it an id of its own"
    for other in taken:
        if other.startswith(f"{story_id}-") or story_id.startswith(f"{other}-"):
            return "error", f"ids {other!r} and {story_id!r} name the same files (stories/{min(other, story_id)}-*.md)"
    if isinstance(node, yaml.ScalarNode) and node.style not in ("'", '"') and node.tag != "tag:yaml.org,2002:str":
        return "warning", f"id {story_id} is a number for YAML; write it in quotes"
    return None


def _truth(fields: dict[str, yaml.Node], name: str, path: str, notes: list[Note]) -> bool:
    node = fields.get(name)
    word = str(node.value).lower() if isinstance(node, yaml.ScalarNode) else ""
    if node is not None and word not in _TRUTH:
        message = f"`{name}` is {word!r}; write true or false. It is read as true, so that nobody is passed over"
        notes.append(Note(path, node.start_mark.line + 1, message, "error"))
        return True
    return _TRUTH.get(word, False)
