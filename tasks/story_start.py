"""From where does the work on a story start?  From a baseline and an opening that are recorded once.

What a developer reads first depends on what is merged at that moment; a resumed run must read the same, so both are
kept on the project's shelf under the story and its attempt. A story that was given back and says something else since
begins anew: its next generation has starts of its own.
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
from .integration import branch_of, merge_op
from .personas import persona_of
from .ports import Ports, ports_for
from .recording import event_key
from .waiting import show_needs

TEXT_FILE_LIMIT = 200_000
NEEDS_PERSON = ("failed", "blocked", "waiting")
SOURCE = re.compile(
    r"\.(pyi?|[cm]?[jt]s|[jt]sx|go|rs|java|kt|c|h|cc|cpp|cxx|hh|hpp|rb|php|cs|swift|sql|toml|cfg|md|html|css|sh)$"
)


class Start(Value):
    """Where an attempt at a story begins.

    `story` is the digest of what the story said then, `undone` the merge of it that had been reverted by then.
    """

    baseline: str
    system: str
    messages: tuple[Message, ...]
    context: str = ""
    generation: int = 1
    story: str = ""
    undone: str = ""


def start_name(story_key: str, attempt: int, generation: int = 1) -> str:
    """The shelf's name of an attempt's start."""
    again = f"again-{generation}/" if generation > 1 else ""
    return f"stories/{story_key}/{again}start-{attempt}.json"


def outcome_name(story_key: str) -> str:
    """The shelf's name of how the work on a story ended last."""
    return f"stories/{story_key}/outcome.json"


@task(name="start-story", task_run_name="start · story {story.id}", cache_policy=NO_CACHE)
def start_story(
    project: ProjectRef, story: Story, persona: str, attempt: int, because: str = "", hint: str = ""
) -> Start:
    """The start of an attempt: made now, or as it was made before a crash. The worktree is there afterwards."""
    ports = ports_for(project)
    if attempt == 1 and begins_anew(ports, story):
        _begin_anew(ports, story, persona)
    generation = _generation(ports, story.key)
    name = start_name(story.key, attempt, generation)
    kept = ports.shelf.get(name)
    if new := kept is None:
        made = _new_start(ports, story, persona, attempt, generation, because, hint)
        ports.shelf.put_new(name, made.model_dump_json())
        kept = ports.shelf.get(name) or ""
    start = Start.model_validate_json(kept)
    worktree = ports.workspace.open(story.key, branch_of(story.key), start.baseline)
    if new and attempt > 1:  # the branch stays: by its log git keeps the attempt before, which a resumed run reads
        ports.workspace.reset(worktree, start.baseline)
    if ports.config.commands.setup.strip() and ports.workspace.head(worktree) == start.baseline:
        ports.sandbox.run("true", worktree, Limits())  # a set-up that does not succeed must cost no model call
    return start


def begins_anew(ports: Ports, story: Story) -> bool:
    """Whether a story failed and says something else than when it began, or was merged and a person reverted that."""
    kept = ports.shelf.get(start_name(story.key, 1, _generation(ports, story.key)))
    if kept is None:
        return False
    start = Start.model_validate_json(kept)
    if _undone(ports, story) not in ("", start.undone):
        return True
    ended = ports.shelf.get(outcome_name(story.key))
    failed = ended is not None and StoryOutcome.model_validate_json(ended).status == "failed"
    return failed and start.story not in ("", _digest(story))


def _begin_anew(ports: Ports, story: Story, persona: str) -> None:
    """Keep the start of the story's next generation; from here on it is under way."""
    generation = _generation(ports, story.key) + 1
    ports.workspace.abandon(story.key, branch_of(story.key))
    start = _new_start(ports, story, persona, 1, generation)
    ports.shelf.put_new(start_name(story.key, 1, generation), start.model_dump_json())
    keep = StoryOutcome(story=story.key, status="skipped", reason="The story was changed or reverted and begins anew.")
    ports.shelf.put(outcome_name(story.key), keep.model_dump_json(indent=2))


def _undone(ports: Ports, story: Story) -> str:
    """The story's merge that a person has reverted, "" if none."""
    return ports.workspace.undone_op(merge_op(story.key)) or ""


def _generation(ports: Ports, story_key: str) -> int:
    """How often the story has begun anew, from 1."""
    generation = 1
    while ports.shelf.get(start_name(story_key, 1, generation + 1)) is not None:
        generation += 1
    return generation


def _digest(story: Story) -> str:
    return event_key(story.title, story.text, *story.acceptance_criteria)


def _new_start(
    ports: Ports, story: Story, persona: str, attempt: int, generation: int, because: str = "", hint: str = ""
) -> Start:
    tip = ports.workspace.tip()
    speaker = persona_of(ports, persona)
    if attempt > 1:
        before = Start.model_validate_json(ports.shelf.get(start_name(story.key, attempt - 1, generation)) or "{}")
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
        return Start(baseline=tip, system=system, messages=messages, generation=generation)
    material = _material(ports, story, tip)
    context = assemble(material, ports.config.settings.max_context_tokens // 2)
    system, messages = opening(story, context, ports.config, speaker)
    return Start(
        baseline=tip,
        system=system,
        messages=messages,
        context=context.table(),
        generation=generation,
        story=_digest(story),
        undone=_undone(ports, story),
    )


def _material(ports: Ports, story: Story, tip: str) -> Material:
    settings = ports.config.settings
    planned = (f"{settings.planning_folder}/", ".bmad/")
    sources = [
        path
        for path in ports.workspace.files(tip)
        if (SOURCE.search(path) or path in story.files) and not path.startswith(planned)
    ]
    found = ports.workspace.texts(tip, sources)
    texts = {path: text for path, text in found.items() if len(text) <= TEXT_FILE_LIMIT and "\0" not in text}

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
