"""Which epics and stories does an epics.md plan, and what does each story need before it can start?

Headings and keys follow upstream's grammar: `## Epic N: title`, `### Story N.M: title` in any case, fences ignored.
Only `**Prerequisites:**` says something about dependencies; it is free text and is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .keys import epic_key, split_story_id, story_key
from .model_calls import Value
from .prerequisites import Needs, read_needs
from .stories import Story
from .story_text import FileClaims, labelled, read_criteria, read_files
from .workflow_tree import Note

_EPIC = re.compile(r"#{1,3}\s*epic\s+(?P<number>\d+)\s*:?\s*(?P<title>.*?)\s*#*\s*", re.IGNORECASE)
_STORY = re.compile(
    r"#{2,4}\s*story\s+(?P<epic>\d+)\.(?P<number>\d+[a-z]?)\s*:?\s*(?P<title>.*?)\s*#*\s*", re.IGNORECASE
)
_SUSPECT = re.compile(
    r"#{1,4}\s+\W*(?:epic|story)\b(?!\s+(?:list|breakdown|summary|overview|structure|details|map|index|template)\b).*",
    re.IGNORECASE,
)
_HEADING = re.compile(r"(#{1,6})\s")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_BOLD = re.compile(r"(#{1,4}\s+)(\*\*|__)(?P<title>.+?)\2[ \t]*#*[ \t]*")
_POINTS = re.compile(r"(\d+(?:\.\d+)?)")
_YES = frozenset({"yes", "true", "y", "ja", "1"})


class Epic(Value):
    """One epic as planned. `key` is the board's key ("epic-1"), `goal` the text between its heading and its stories."""

    key: str
    number: int
    title: str
    goal: str = ""
    line: int = 0


class Plan(NamedTuple):
    """What an epics document plans: epics by number, stories in the order of the plan, and what was unclear in it."""

    epics: tuple[Epic, ...]
    stories: tuple[Story, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Section:
    kind: str
    number: str
    title: str
    line: int
    body: tuple[str, ...]


def read_epics(text: str, path: str = "epics.md") -> Plan:
    """The epics and stories of this document, with a note for every heading, duplicate and prerequisite in doubt.

    Stories stand by epic number, within an epic in the order of the document, as upstream's board has them.
    """
    return read_epic_files({path: text})


def read_epic_files(files: Mapping[str, str]) -> Plan:
    """Like read_epics, over the parts of a sharded document: text by path, in the order in which they are read."""
    notes: list[Note] = []
    epics: dict[int, Epic] = {}
    found: dict[str, tuple[Story, Needs, str, int]] = {}
    for path, text in files.items():
        for section in _sections(text, path, notes):
            if section.kind == "epic":
                _add_epic(epics, section)
            else:
                _add_story(epics, found, section, path, notes)
    drafts = sorted(found.values(), key=lambda draft: int(draft[0].id.partition(".")[0]))
    stories = _with_needs(drafts, notes)
    return Plan(tuple(epics[number] for number in sorted(epics)), stories, tuple(sorted(notes, key=_place)))


def _place(note: Note) -> tuple[str, int]:
    return note.path, note.line


def _sections(text: str, path: str, notes: list[Note]) -> Iterator[_Section]:
    """Each epic's and story's heading with the lines up to the next heading of its rank."""
    current: tuple[str, str, str, int] | None = None
    level, body, fenced, hidden = 0, list[str](), False, False
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line) and not hidden:
            fenced = not fenced
        aside = fenced or hidden  # in code, or in a comment that began on a line before
        hidden = not fenced and _stays_hidden(line, hidden)
        shown = "" if aside else _BOLD.sub(r"\1\g<title>", line) if line.startswith("#") else line
        heading, epic, story = _HEADING.match(shown), _EPIC.fullmatch(shown), _STORY.fullmatch(shown)
        if not (epic or story or (heading and len(heading[1]) <= level)):
            if heading and _SUSPECT.fullmatch(line):
                notes.append(_suspect(path, number, line))
            body.append(line)
            continue
        if current:
            yield _Section(*current, tuple(body))
        current, body, level = None, [], 0
        if epic:
            current, level = ("epic", epic["number"], epic["title"], number), _depth(line)
        elif story:
            story_id = f"{int(story['epic'])}.{story['number'].lower()}"
            current, level = ("story", story_id, story["title"], number), _depth(line)
        elif _SUSPECT.fullmatch(line):
            notes.append(_suspect(path, number, line))
    if current:
        yield _Section(*current, tuple(body))


def _stays_hidden(line: str, hidden: bool) -> bool:
    """Whether a comment (`<!-- … -->`) is open at the end of a line."""
    for mark in re.findall(r"<!--|-->", line):
        hidden = mark == "<!--"
    return hidden


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip("#"))


def _suspect(path: str, line: int, text: str) -> Note:
    shown = text.strip()[:70]
    return Note(path, line, f"looks like an epic or a story and is neither `Epic N:` nor `Story N.M:`: {shown!r}")


def _clean(title: str) -> str:
    return re.sub(r"^[-–—:.\s]+|\s*\*+\s*$", "", title).strip()


def _add_epic(epics: dict[int, Epic], section: _Section) -> None:
    number = int(section.number)
    goal = re.sub(r"<!--.*?-->", "", "\n".join(section.body), flags=re.DOTALL).strip().strip("-").strip()
    made = Epic(key=epic_key(number), number=number, title=_clean(section.title), goal=goal, line=section.line)
    before = epics.get(number)
    if before is None:
        epics[number] = made
    else:  # an epic list at the top, or a second part: keep the first title, the later goal
        epics[number] = before.model_copy(
            update={"title": before.title or made.title, "goal": made.goal or before.goal}
        )


def _add_story(
    epics: dict[int, Epic],
    found: dict[str, tuple[Story, Needs, str, int]],
    section: _Section,
    path: str,
    notes: list[Note],
) -> None:
    number = int(section.number.partition(".")[0])
    if number not in epics:
        epics[number] = Epic(key=epic_key(number), number=number, title="", line=section.line)
        notes.append(Note(path, section.line, f"Story {section.number} stands under no `Epic {number}:` heading"))
    key = story_key(section.number, section.title)
    same = next((draft for draft in found.values() if draft[0].id == section.number), None)
    if same is not None:
        first = f"first on line {same[3]}" + (f" of {same[2]}" if same[2] != path else "")
        what = "the second is left out" if key in found else "give the second a number of its own"
        notes.append(Note(path, section.line, f"Story {section.number} stands twice, {first}; {what}", "error"))
    if key in found:
        return
    story, needs = _story(key, section)
    for field in labelled(section.body):
        if field.name == "prerequisites":
            needs = Needs(needs.items, needs.none, section.line + field.line)
    found[key] = (story, needs, path, section.line)


def _story(key: str, section: _Section) -> tuple[Story, Needs]:
    """The story of one section, its prerequisites still as written."""
    fields = {field.name: field for field in reversed(labelled(section.body))}
    claims = FileClaims.join(*(read_files(fields[name].lines) for name in ("files", "appends") if name in fields))
    appends = read_files(fields["appends"].lines) if "appends" in fields else FileClaims()
    only_added = {*claims.appends, *appends.files, *appends.appends}
    needs = read_needs(fields["prerequisites"].text) if "prerequisites" in fields else Needs()
    points = _POINTS.search(fields["points"].text) if "points" in fields else None
    priority = re.search(r"-?\d+", fields["priority"].text) if "priority" in fields else None
    independent = "independent" in fields and fields["independent"].text.strip().lower().rstrip(".") in _YES
    story = Story(
        key=key,
        id=section.number,
        epic=epic_key(int(section.number.partition(".")[0])),
        title=_clean(section.title),
        text="\n".join(section.body).strip(),
        acceptance_criteria=read_criteria(section.body),
        files=tuple(path for path in claims.files if path not in only_added),
        appends=tuple(dict.fromkeys((*claims.appends, *appends.files))),
        resources=tuple(re.findall(r"[\w.-]+", fields["resources"].text)) if "resources" in fields else (),
        points=float(points[1]) if points else None,
        priority=int(priority[0]) if priority else 0,
        independent=independent or needs.none,
    )
    return story, needs


def _with_needs(drafts: list[tuple[Story, Needs, str, int]], notes: list[Note]) -> tuple[Story, ...]:
    """The stories with their prerequisites as keys; one that is not planned stays as it is named ("Story N.M")."""
    order = [draft[0] for draft in drafts]
    by_id = {story.id: story.key for story in reversed(order)}
    keys = {story.key for story in order}
    finished = []
    for place, (story, needs, path, line) in enumerate(drafts):
        wanted: dict[str, None] = {}
        for item in needs.items:
            found = _resolve(item, story, order[:place], by_id, keys)
            where = needs.line or line
            if found is None:
                message = f"Story {story.id} needs {item!r}, which names no story; write `Story N.M`, or leave it out"
                notes.append(Note(path, where, message))
                continue
            missing = [name for name in found if name not in keys]
            notes += [Note(path, where, f"Story {story.id} needs {name}, which is not planned") for name in missing]
            if story.key in found:
                notes.append(Note(path, where, f"Story {story.id} names itself as a prerequisite; that is left out"))
            wanted.update(dict.fromkeys(name for name in found if name != story.key))
        planned = [other.key for other in order if other.key in wanted]
        unplanned = [name for name in wanted if name not in keys]
        finished.append(story.model_copy(update={"depends_on": (*planned, *unplanned)}))
    return tuple(finished)


def _resolve(
    item: str, story: Story, before: list[Story], by_id: Mapping[str, str], keys: set[str]
) -> tuple[str, ...] | None:
    """The keys one item of a prerequisite names (an unplanned one as "Story N.M"), None if it names none."""
    if item in keys:
        return (item,)
    if item == "previous":
        mine = [other.key for other in before if other.epic == story.epic]
        return tuple(mine[-1:])
    if item == "all-previous":
        return tuple(other.key for other in before)
    if item.startswith("epic-"):
        whole = tuple(key for key in by_id.values() if key.startswith(f"{item[5:]}-"))
        return whole or (f"Epic {item[5:]}",)
    if item.startswith("range:"):
        first, last = item[6:].split("-")
        low, high = split_story_id(first), split_story_id(last)
        inside = [key for name, key in by_id.items() if low and high and low <= (split_story_id(name) or low) <= high]
        return tuple(inside) or (f"Stories {first} to {last}",)
    if split_story_id(item):
        return (by_id.get(item, f"Story {item}"),)
    return None
