"""What does the text of a planned story say: its labelled fields, its acceptance criteria, its files?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LABELS: dict[str, str] = {
    "acceptance criteria": "criteria",
    "acceptance criterion": "criteria",
    "acs": "criteria",
    "prerequisites": "prerequisites",
    "prerequisite": "prerequisites",
    "dependencies": "prerequisites",
    "depends on": "prerequisites",
    "requires": "prerequisites",
    "blocked by": "prerequisites",
    "files": "files",
    "files to modify": "files",
    "files to change": "files",
    "files touched": "files",
    "affected files": "files",
    "appends to": "appends",
    "append-only files": "appends",
    "resources": "resources",
    "exclusive resources": "resources",
    "story points": "points",
    "points": "points",
    "estimate": "points",
    "priority": "priority",
    "independent": "independent",
    "parallel": "independent",
    "technical notes": "technical notes",
    "technical note": "technical notes",
}
_LABEL = re.compile(
    r"\s*(?:[-*+]\s+)?(?:\*\*|__)(?P<name>[^*_:]{2,40}):?(?:\*\*|__):?\s*(?P<rest>.*)|#{3,6}\s+(?P<head>[^:]{2,40}):?\s*"
)
_FIELDS = frozenset(LABELS.values()) - {"technical notes"}
_HEADING = re.compile(r"#{1,6}\s+(.*?)[\s#]*")
_BULLET = re.compile(r"(?P<indent>\s*)(?:[-*+•]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(?P<text>.*)")
_STEP = re.compile(r"(?:\*\*|__)?(?P<word>given|when|then|and|but)\b(?:\*\*|__)?", re.IGNORECASE)
_AC_MARK = re.compile(
    r"^(?:\*\*)?(?:AC|Criterion)\s*#?\s*\d*(?:\.\d+)*\s*(?:\([^)]*\))?\s*[:.)–-]\s*(?:\*\*)?\s*", re.IGNORECASE
)
_APPEND = re.compile(r"append|shared|add(?:s|ed)? to", re.IGNORECASE)
_PATH = re.compile(r"[\w.@~+\-/*\[\]]*[\w*\]/]")


@dataclass(frozen=True)
class Labelled:
    """A field below a bold label or heading. `line` counts from 1 at the text's first line; `text` is one string."""

    name: str
    line: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines joined."""
        return "\n".join(self.lines).strip()


def labelled(lines: Sequence[str]) -> list[Labelled]:
    """The fields this text has, known labels only; another bold label or a heading ends a field."""
    fields: list[tuple[str, int, list[str]]] = []
    fenced = False
    for number, line in enumerate(lines, 1):
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        found = None if fenced else _LABEL.fullmatch(line)
        name = (found["name"] or found["head"]).strip().lower() if found else ""
        if found and (name in LABELS or not _STEP.match(name)):
            fields.append((LABELS.get(name, ""), number, [found["rest"] or ""]))
        elif fields:
            fields[-1][2].append(line)
    return [Labelled(name, number, tuple(body)) for name, number, body in fields if name]


def told_and_noted(text: str) -> tuple[str, str]:
    """What a planned story says before its first label, and what it says below labels that are no fields of ours.

    A field of ours ends at the next label, or at a paragraph that is no list; only criteria may be paragraphs.
    """
    told, noted = list[str](), list[str]()
    part, field, begun, gap, fenced = told, "", False, False, False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        label = None if fenced else _label_of(line)
        prose = bool(line.strip()) and not line[0].isspace() and not _BULLET.fullmatch(line)
        if label or (field not in ("", "criteria") and begun and gap and prose):
            field, said = label or ("", line)
            part, begun = noted, False
        else:
            said = line
        if not field and (fenced or said.strip() not in ("---", "***")):
            part.append(said)
        gap = not said.strip()
        begun = begun or not gap
    return "\n".join(told).strip(), "\n".join(noted).strip()


def _label_of(line: str) -> tuple[str, str] | None:
    """The field of ours that a line opens, and what it says of it; "" and the line for another label, None for none."""
    found, heading = _LABEL.fullmatch(line), _HEADING.fullmatch(line)
    name = (found["name"] or found["head"]).strip().lower() if found else ""
    if found and LABELS.get(name) in _FIELDS:
        return LABELS[name], found["rest"] or ""
    if heading:
        return "", f"**{heading[1]}**"
    labels = found and (name in LABELS or not found["rest"] or ":" in line[: found.start("rest")])
    return ("", line) if labels and not _STEP.match(name) else None


def read_criteria(lines: Sequence[str]) -> tuple[str, ...]:
    """The acceptance criteria of a story's text: list items, Given/When/Then groups or paragraphs, in order."""
    return tuple(
        criterion for field in labelled(lines) if field.name == "criteria" for criterion in split_criteria(field.lines)
    )


def split_criteria(lines: Iterable[str]) -> list[str]:
    """Text cut into criteria. A `Given` opens one; `When`, `Then`, `And` and deeper or unmarked lines go on with it."""
    groups: list[list[str]] = []
    gap, steps, depth = True, False, 0
    for line in lines:
        text = re.sub(r"<!--.*?-->", "", line)
        if not text.strip() or text.strip() in ("---", "***"):
            gap = True
            continue
        bullet = _BULLET.fullmatch(text)
        indent = len(bullet["indent"]) if bullet else len(text) - len(text.lstrip())
        body = _AC_MARK.sub("", (bullet["text"] if bullet else text).strip())
        marked = body != (bullet["text"] if bullet else text).strip()
        step = _STEP.match(body)
        word = step["word"].lower() if step else ""
        opens = (
            marked
            or word == "given"
            or (word == "when" and not (groups and steps and _open_step(groups[-1])))
            or (not word and bullet is not None and indent <= depth)
            or (not word and bullet is None and gap and not steps)
        )
        if opens or not groups:
            groups.append([])
            depth, steps = indent, bool(word)
        groups[-1].append(body)
        steps, gap = steps or bool(word), False
    return [_join(group) for group in groups if _join(group)]


def _open_step(group: list[str]) -> bool:
    """Whether a group of steps has a Given that no When has followed."""
    words = [step["word"].lower() for part in group if (step := _STEP.match(part))]
    return "given" in words and "when" not in words


def _join(group: list[str]) -> str:
    text = " ".join(part.strip() for part in group if part.strip())
    return re.sub(r"\*\*(given|when|then|and|but)\*\*", r"\1", text, flags=re.IGNORECASE).strip()


@dataclass(frozen=True)
class FileClaims:
    """Paths a story says it touches: changed alone, or only added to."""

    files: tuple[str, ...] = ()
    appends: tuple[str, ...] = ()

    @classmethod
    def join(cls, *claims: FileClaims) -> FileClaims:
        """All claims in one, each path once."""
        files = dict.fromkeys(path for claim in claims for path in claim.files)
        appends = dict.fromkeys(path for claim in claims for path in claim.appends)
        return cls(tuple(files), tuple(appends))


def read_files(lines: Iterable[str]) -> FileClaims:
    """The paths in a field like `**Files:** src/a.py, CHANGELOG.md (append-only)`, one or several to a line."""
    files: dict[str, None] = {}
    appends: dict[str, None] = {}
    for line in lines:
        bullet = _BULLET.fullmatch(line)
        for part in re.split(r"[,;](?![^(]*\))", bullet["text"] if bullet else line):
            path, comment = _path_of(part.strip())
            if path:
                (appends if _APPEND.search(comment) else files)[path] = None
    return FileClaims(tuple(files), tuple(appends))


def _path_of(part: str) -> tuple[str, str]:
    """The path that stands first in a piece, and the comment around it; ("", …) when there is none."""
    quoted = re.search(r"`([^`]+)`", part)
    pieces = [quoted[1]] if quoted else re.split(r":\s|\s[-–—]+\s|\s?\(", part)
    for piece in pieces:
        path = piece.strip().removeprefix("./")
        if _PATH.fullmatch(path) and re.search(r"[./]", path) and ".." not in path.split("/"):
            return path, part.replace(path, "")
    return "", part


def mentioned_paths(text: str) -> tuple[str, ...]:
    """Paths in backticks anywhere in a text, each once: what a story without a `Files` field is likely to touch."""
    found = dict.fromkeys(
        path.removeprefix("./") for path in re.findall(r"`([^`\s]+)`", text) if _looks_like_path(path)
    )
    return tuple(found)


def _looks_like_path(text: str) -> bool:
    name = text.rsplit("/", 1)[-1]
    return (
        bool(_PATH.fullmatch(text))
        and ".." not in text
        and bool(re.fullmatch(r"[\w.\-*\[\]]+\.[A-Za-z][A-Za-z0-9]{0,5}", name) if "/" in text else _known_file(name))
    )


def _known_file(name: str) -> bool:
    ends = "py|js|ts|tsx|jsx|md|go|rs|java|kt|rb|php|cs|c|h|cpp|sql|css|html|json|toml|yaml|yml|sh|txt|vue|svelte|swift"
    return bool(re.fullmatch(rf"[\w\-]+(\.[\w\-]+)*\.({ends})|Makefile|Dockerfile", name))
