"""From where does the work on a story start?  From a baseline and an opening that are recorded once.

What a developer reads first depends on what is merged at that moment; a resumed run must read the same, so both are
kept on the project's shelf under the story and its attempt.
"""

from __future__ import annotations

import re

from prefect import task
from prefect.cache_policies import NO_CACHE

from ..domain.context import Material, assemble
from ..domain.developer_prompts import conflict_opening, opening
from ..domain.model_calls import Message, Value
from ..domain.ports import Limits, ProjectRef
from ..domain.stories import Story, StoryOutcome
from .integration import branch_of
from .personas import persona_of
from .ports import Ports, ports_for
from .waiting import show_needs

TEXT_FILE_LIMIT = 200_000
NEEDS_PERSON = ("failed", "blocked", "waiting")
SOURCE = re.compile(r"\.(py|js|jsx|ts|tsx|go|rs|java|kt|c|h|cc|cpp|hpp|rb|php|cs|swift|sql|toml|cfg|md|html|css|sh)$")


class Start(Value):
    """Where an attempt at a story begins."""

    baseline: str
    system: str
    messages: tuple[Message, ...]
    context: str = ""


def start_name(story_key: str, attempt: int) -> str:
    """The shelf's name of an attempt's start."""
    return f"stories/{story_key}/start-{attempt}.json"


def outcome_name(story_key: str) -> str:
    """The shelf's name of how the work on a story ended last."""
    return f"stories/{story_key}/outcome.json"


@task(name="start-story", task_run_name="start · story {story.id}", cache_policy=NO_CACHE)
def start_story(
    project: ProjectRef, story: Story, persona: str, attempt: int, because: str = "", hint: str = ""
) -> Start:
    """The start of an attempt: made now, or as it was made before a crash. The worktree is there afterwards."""
    ports = ports_for(project)
    name = start_name(story.key, attempt)
    kept = ports.shelf.get(name)
    if new := kept is None:
        ports.shelf.put_new(name, _new_start(ports, story, persona, attempt, because, hint).model_dump_json())
        kept = ports.shelf.get(name) or ""
    start = Start.model_validate_json(kept)
    worktree = ports.workspace.open(story.key, branch_of(story.key), start.baseline)
    if new and attempt > 1:  # the branch stays: by its log git keeps the attempt before, which a resumed run reads
        ports.workspace.reset(worktree, start.baseline)
    if ports.config.commands.setup.strip() and ports.workspace.head(worktree) == start.baseline:
        ports.sandbox.run("true", worktree, Limits())  # a set-up that does not succeed must cost no model call
    return start


def _new_start(ports: Ports, story: Story, persona: str, attempt: int, because: str, hint: str) -> Start:
    tip = ports.workspace.tip()
    speaker = persona_of(ports, persona)
    if attempt > 1:
        before = Start.model_validate_json(ports.shelf.get(start_name(story.key, attempt - 1)) or "{}")
        last = StoryOutcome.model_validate_json(ports.shelf.get(outcome_name(story.key)) or "{}")
        system, messages = conflict_opening(
            story,
            ports.config,
            speaker,
            change=ports.workspace.diff(before.baseline, last.commit),
            main_change=ports.workspace.diff(before.baseline, tip),
            files=last.files or (because,),
            hint=hint,
        )
        return Start(baseline=tip, system=system, messages=messages)
    material = _material(ports, story, tip)
    context = assemble(material, ports.config.settings.max_context_tokens // 2)
    system, messages = opening(story, context, ports.config, speaker)
    return Start(baseline=tip, system=system, messages=messages, context=context.table())


def _material(ports: Ports, story: Story, tip: str) -> Material:
    settings = ports.config.settings
    planned = (f"{settings.planning_folder}/", ".bmad/")
    sources = [path for path in ports.workspace.files(tip) if SOURCE.search(path) and not path.startswith(planned)]
    found = ports.workspace.texts(tip, sources)
    texts = {path: text for path, text in found.items() if len(text) <= TEXT_FILE_LIMIT}

    def paths(*names: str) -> list[str]:
        return [f"{settings.planning_folder}/{name}" for name in names]

    architecture, documents = paths("architecture.md", "tech-spec.md"), paths("prd.md")
    document, conventions = f"{settings.stories_folder}/{story.key}.md", list(ports.config.onboarding)
    read = ports.workspace.texts(tip, [*architecture, *documents, document, *conventions])

    def those(asked: list[str]) -> dict[str, str]:
        return {path: read[path] for path in asked if read.get(path)}

    return Material(
        story=story,
        story_document=read.get(document, ""),
        architecture=those(architecture),
        documents=those(documents),
        conventions=those(conventions),
        notes=_notes(ports, story),
        files=texts,
        test_command=ports.config.commands.test,
    )


def _notes(ports: Ports, story: Story) -> list[tuple[str, str]]:
    """What the developers of this story's prerequisites left for later stories."""
    notes = []
    for key in story.depends_on:
        text = ports.shelf.get(outcome_name(key))
        if text and (left := StoryOutcome.model_validate_json(text).notes):
            notes.append((key, left))
    return notes


def keep_outcome(project: ProjectRef, outcome: StoryOutcome) -> StoryOutcome:
    """Keep how the work on a story ended, and return it."""
    ports = ports_for(project)
    ports.shelf.put(outcome_name(outcome.story), outcome.model_dump_json(indent=2))
    if outcome.status in NEEDS_PERSON:
        show_needs(ports)
    return outcome
