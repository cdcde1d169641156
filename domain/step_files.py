"""What does one file of a step-file workflow say: its place in the order, its successor, and its menu?"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import replace

from . import frontmatter
from .errors import DocumentError, InputError
from .headings import headings
from .instruction_scanner import scan
from .references import References
from .step_order import rank
from .workflow_tree import MenuOption, Note, Step

STEP_NAME = re.compile(r"^(?:step-)(?:[a-z]-)?(?:(\d+(?:\.\d+)?[a-z]?)(?=[-.]))?.*\.md$|^[a-z]-(\d+[a-z]?)-.*\.md$")
_TOKEN = re.compile(r"[\w./{}-]++")  # a path, or part of a sentence
_FOLLOW = re.compile(r"\b(?:follow|load|execute|proceed|continue|read)\b", re.IGNORECASE)
_LABEL = re.compile(r"\[([A-Z]{1,2}|[a-wyz]|\d{1,2})\]\s*([A-Z][^\n\[\]*`\"]*)")
_HANDLED = re.compile(
    r"^[ \t]*(?:[-*][ \t]+|#{2,6}[ \t]+)?(?:\*\*)?[Ii][Ff][ \t]+['\"`\[]{0,2}((?!NO\b|OK\b)[A-Z]{1,2}|\d{1,2})\b"
    r"['\"`\]]{0,2}[ \t]{0,4}(?:\((?P<label>[^)\n]*)\)|(?P<words>[A-Z][\w ]{2,40}?))?"
    r"(?:\*\*)?[ \t]{0,4}:(?:\*\*)?[ \t]*(?P<told>.*)$",
    re.MULTILINE,
)
_BRACKETED = re.compile(
    r"^[ \t]*[-*][ \t]+\*\*\[([A-Za-z]{1,2}|\d{1,2})\](?P<label>[^\n*:]*):?\*\*[ \t]*:?[ \t]*(?P<told>.*)$",
    re.MULTILINE,
)
_CASE = re.compile(
    r"^[ \t]*[-*][ \t]+(?:\*\*)?(?:[Ii][Ff]\b|\[\w{1,2}\])", re.MULTILINE
)  # where one choice ends and another begins
_PATH = re.compile(r"\{project[-_]root\}/[\w./-]+\.(?:md|xml|ya?ml)\b")
_SKILL = re.compile(r"`([a-z0-9]+(?:-[a-z0-9]+)+)` skill\b")
_VARIABLE = re.compile(r"\{([\w-]+)\}")


def step_number(name: str) -> str | None:
    """The number in a step file's name ("1b" of "step-01b-continue.md"), "" if it has none, None for other files."""
    found = STEP_NAME.match(name)
    if found is None:
        return None
    number = found[1] or found[2] or ""
    return number.lstrip("0") or "0" if number else ""


def read_step(path: str, text: str, folder: str, references: References) -> tuple[Step, tuple[Note, ...]]:
    """The step in a file, whose workflow lies in `folder`; and what was odd about it.

    A frontmatter that is not YAML is read line by line, and said so.
    """
    notes: list[Note] = []
    values, lines = _frontmatter(path, text, notes)
    body, first_line = frontmatter.body_of(text)
    node, found = scan(text, path)
    notes += found
    here = posixpath.dirname(path)
    title = next((h.title for h in headings(body) if h.level == 1), "")
    title = title or str(values.get("description") or values.get("name") or posixpath.basename(path))
    next_file = ""
    for key, value in values.items():
        if not re.match(r"(?i)next_?step", key) or not isinstance(value, str):
            continue
        target = _find(value, here, folder, references, Note(path, lines.get(key, 1), ""), notes)
        next_file = next_file or target
    next_file = next_file or _follower(path, body, folder, references) or _named_later(path, values, folder, references)
    menu = _menu(body, values, here, folder, references)
    step = Step(
        number=step_number(posixpath.basename(path)) or "",
        title=title,
        node=node,
        line=first_line,
        file=path,
        next_file=next_file,
        variables=values,
        menu=tuple(replace(o, target=next_file) if _means_next(o) else o for o in menu),
    )
    return step, tuple(notes)


def _frontmatter(path: str, text: str, notes: list[Note]) -> tuple[Mapping[str, object], Mapping[str, int]]:
    try:
        parts = frontmatter.split(text, path)
        return parts.values, parts.lines
    except DocumentError as error:
        message = error.message.split(": ", 1)[-1]
        notes.append(Note(path, error.line or 1, f"the frontmatter is read line by line, for {message}"))
    values: dict[str, object] = {}
    lines: dict[str, int] = {}
    for at, line in enumerate(text.split("\n---", 1)[0].splitlines(), 1):
        pair = re.match(r"([A-Za-z_][\w-]*):[ \t]*(.*?)[ \t]*$", line)
        if pair and pair[1] not in values:
            values[pair[1]], lines[pair[1]] = pair[2].strip("'\""), at
    return values, lines


def _find(
    written: str, here: str, folder: str, references: References, place: Note, notes: list[Note], *, report: bool = True
) -> str:
    """The file that a path in a step file means; a path may start at the step, or at its workflow."""
    try:
        found = references.find(written, here) or references.find(written, folder)
    except InputError as error:
        notes.append(Note(place.path, place.line, error.message, "error"))
        return ""
    if found is None and report:
        notes.append(Note(place.path, place.line, f"the next step {written!r} does not exist", "error"))
    return found or ""


def mentioned_steps(text: str) -> Iterator[tuple[int, str]]:
    """The paths of step files that a text mentions, with their offsets."""
    for token in _TOKEN.finditer(text):
        path = token[0].rstrip(".")
        if path.endswith(".md") and step_number(posixpath.basename(path)) is not None:
            yield token.start(), path


def _links(text: str, path: str, folder: str, references: References) -> list[tuple[int, str]]:
    here = posixpath.dirname(path)
    found: list[tuple[int, str]] = []
    for start, written in mentioned_steps(text):
        target = _find(written, here, folder, references, Note(path, 1, ""), [], report=False)
        if target and target != path:
            found.append((start, target))
    return found


def _follower(path: str, body: str, folder: str, references: References) -> str:
    """The step that the text leads to: named below a heading "NEXT", else last in a sentence that says to go there."""
    links = _links(body, path, folder, references)
    places = [at for at, _ in links]
    for heading in headings(body):
        if re.match(r"(?i)next\b", heading.title):
            last = bisect_left(places, heading.end) - 1
            if last >= 0 and places[last] >= heading.start:
                return links[last][1]
    told = [target for at, target in links if _FOLLOW.search(_line_before(body, at))]
    own = rank(step_number(posixpath.basename(path)) or "")
    later = [
        (place, t) for t in told if own and (place := rank(step_number(posixpath.basename(t)) or "")) and place > own
    ]
    return min(later)[1] if later else told[-1] if told else ""


def _named_later(path: str, values: Mapping[str, object], folder: str, references: References) -> str:
    """The nearest later step that the frontmatter names under a key of its own."""
    own = rank(step_number(posixpath.basename(path)) or "")
    found = []
    for value in values.values():
        if own and isinstance(value, str) and STEP_NAME.match(posixpath.basename(value)):
            target = _find(value, posixpath.dirname(path), folder, references, Note("", 1, ""), [], report=False)
            place = rank(step_number(posixpath.basename(target)) or "") if target else None
            if place and place > own:
                found.append((place, target))
    return min(found)[1] if found else ""


def _menu(
    body: str, values: Mapping[str, object], here: str, folder: str, references: References
) -> tuple[MenuOption, ...]:
    """The choices that a step offers, in the order in which they are offered."""
    handled: dict[str, tuple[str, str]] = {}
    borders = sorted(
        [h.start for h in headings(body)] + [found.start() for found in _CASE.finditer(body)] + [len(body)]
    )
    for found in (*_HANDLED.finditer(body), *_BRACKETED.finditer(body)):
        end = borders[bisect_right(borders, found.start())]
        groups = found.groupdict()
        text = (groups["told"] + body[found.end() : end]).strip()
        label = groups["label"] or groups.get("words") or ""
        handled.setdefault(found[1].upper(), (label.strip(), text))
    labels: dict[str, str] = {}
    for label in _LABEL.finditer(body):
        key = label[1].upper()
        if _offered(body, label.start()) or (key in handled and label[1] == key):
            labels.setdefault(key, label[2].strip(" -.,;:"))
    options = []
    for key in [*labels, *(key for key in handled if key not in labels)]:
        name, text = handled.get(key, ("", ""))
        options.append(MenuOption(key, labels.get(key) or name, text, _target(text, values, here, folder, references)))
    goes_on = any(option.key == "C" for option in options)
    return tuple(options) if len(options) > 1 or (options and (handled or goes_on)) else ()


def _means_next(option: MenuOption) -> bool:
    """Whether a choice goes on to the next step without naming its file."""
    told = f"{option.label} {option.handling}"
    return (
        option.key == "C"
        and not option.target
        and re.search(r"(?i)\b(?:continue|proceed|next)\b", told) is not None
        and re.search(r"(?i)\b(?:exit|end the|quit)\b", told) is None
    )


def _line_before(text: str, at: int) -> str:
    """What stands before an offset on its line, at most 500 characters."""
    near = max(0, at - 500)
    return text[max(near, text.rfind("\n", near, at) + 1) : at]


def _offered(body: str, at: int) -> bool:
    """Whether a line offers a choice, and not merely speaks of one."""
    start = body.rfind("\n", 0, at) + 1
    before = body[start:at].strip(' \t>-*"`')
    return not before or before.endswith(("Option:", "Options:", "**", "]")) or bool(_LABEL.match(before))


def _target(text: str, values: Mapping[str, object], here: str, folder: str, references: References) -> str:
    """The file that handling a choice leads to; of several, the last."""
    places: list[tuple[int, str]] = _links(text, posixpath.join(here, "-"), folder, references)
    for name in _VARIABLE.finditer(text):
        value = values.get(name[1])
        if isinstance(value, str) and re.search(r"(?i)step|workflow|task|build|elicitation|party", name[1]):
            places.append((name.start(), _find(value, here, folder, references, Note("", 1, ""), [], report=False)))
    for written in _PATH.finditer(text):
        target = _find(written[0], here, folder, references, Note("", 1, ""), [], report=False)
        places.append((written.start(), target))
    places += [(skill.start(), references.find_workflow(skill[1], folder) or "") for skill in _SKILL.finditer(text)]
    return next((target for _, target in sorted(places, reverse=True) if target), "")
