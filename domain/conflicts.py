"""How does a story go on that conflicts with the main line even after its repair?  What a person is shown and asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby

from .escalations import Kind, Question
from .model_calls import Value
from .stories import Story, StoryOutcome

AGAIN, BACK, RESOLVED = "try again", "give the story back", "it is resolved on "
SHOWN_PLACES, SHOWN_LINES, LINE_SIGNS = 6, 8, 160
_BRANCH = re.compile(r"\S+")


class Clash(Value):
    """One place in a file that both sides changed; no lines on both sides when the file as a whole is in conflict."""

    path: str
    main: tuple[str, ...] = ()
    story: tuple[str, ...] = ()


def clashes(texts: Mapping[str, str]) -> tuple[Clash, ...]:
    """All places where the sides differ, from files' texts with git's conflict marks, the main line's side first."""
    found: list[Clash] = []
    for path, text in texts.items():
        side, main, story = "", list[str](), list[str]()
        before = len(found)
        for row in text.splitlines():
            if not side and row.startswith("<<<<<<< "):
                side, main, story = "main", [], []
            elif side == "main" and row == "=======":
                side = "story"
            elif side == "story" and row.startswith(">>>>>>> "):
                found.append(Clash(path=path, main=tuple(main), story=tuple(story)))
                side = ""
            elif side:
                (main if side == "main" else story).append(row)
        if len(found) == before:
            found.append(Clash(path=path))
    return tuple(found)


def resolved_branch(story_key: str) -> str:
    """The branch on which a person may settle a story's conflict."""
    return f"resolved/{story_key}"


def conflict_question(
    story: Story,
    outcome: StoryOutcome,
    texts: Mapping[str, str],
    *,
    project: str,
    attempt: int,
    most: int,
    asked_by: str,
) -> Question:
    """How a story goes on whose change conflicts after `attempt` attempts, of which `most` are made without a person.

    The same commit is asked about once, whatever the main line became meanwhile.
    """
    again = attempt < most
    return Question(
        kind=Kind.MERGE_CONFLICT,
        project=project,
        workflow="dev-story",
        step="merge conflict",
        story=story.key,
        asked_by=asked_by,
        question=f"Story {story.id} still conflicts with the main line. How shall it go on?",
        context=_context(outcome, texts, resolved_branch(story.key)),
        options=(AGAIN, BACK, f"{RESOLVED}{resolved_branch(story.key)}"),
        recommendation=AGAIN if again else BACK,
        reasoning=(
            f"It was made again on the main line's new tip {attempt - 1} times of at most {most - 1}."
            if again
            else f"It was developed {attempt} times, and each time the main line had moved under it."
        ),
        confidence=0.5,
        cost_so_far=f"${outcome.cost:.4f}",
        subject=outcome.commit,
    )


def branch_meant(answer: str, notes: str) -> str:
    """The branch that an answer says holds the settled change, "" when it says something else.

    Notes of a single word name another branch than the proposed one.
    """
    if not answer.startswith(RESOLVED):
        return ""
    word = notes.strip()
    return word if _BRANCH.fullmatch(word) else answer.removeprefix(RESOLVED)


def _context(outcome: StoryOutcome, texts: Mapping[str, str], branch: str) -> str:
    found = clashes({path: texts[path] for path in sorted(texts)})
    parts = [f"Both change {', '.join(outcome.conflicts)}."]
    for path, places in groupby(found[:SHOWN_PLACES], key=lambda clash: clash.path):
        parts.append("\n\n".join([f"{path}:", *(_shown(place) for place in places)]))
    if len(found) > SHOWN_PLACES:
        parts.append(f"… and {len(found) - SHOWN_PLACES} more places.")
    parts.append(
        f"With `{AGAIN}`, your notes are what the developer is told. For the last choice, commit the settled change on "
        f"the branch {branch}, or on another one that your notes name: its tests are run on the main line's tip, and "
        "it is merged when they pass."
    )
    return "\n\n".join(parts)


def _shown(clash: Clash) -> str:
    if not clash.main and not clash.story:
        return "- one side changed it, the other deleted, renamed or replaced it"
    return "\n".join([*_side("main line", clash.main), *_side("story", clash.story)])


def _side(name: str, rows: tuple[str, ...]) -> list[str]:
    shown = [f"- {name}: {row[:LINE_SIGNS]}{'…' if len(row) > LINE_SIGNS else ''}" for row in rows[:SHOWN_LINES]]
    more = len(rows) - SHOWN_LINES
    return [*(shown or [f"- {name}: (nothing)"]), *([f"- {name}: … {more} more lines"] if more > 0 else [])]
