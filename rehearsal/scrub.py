"""Which parts of a recorded text are secrets, and how does it look without them?

A streamed answer says one text in many events, so a secret may begin in one and end in another: `scrub_events` joins
what belongs together, scrubs it, and puts the rest back where it was.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..domain.redaction import forms_of

SECRET = "<secret>"  # noqa: S105 - it stands where a secret was
SHAPES = re.compile(
    r"""(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{8,}  # OpenAI, Anthropic (sk-ant-…) and those that copied them
    | \b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
    | \bAIza[0-9A-Za-z_-]{30,}
    | \bxox[abeprs]-[A-Za-z0-9-]{10,}
    | \b(?:hf|npm|pypi|gsk|xai|r8)[_-][A-Za-z0-9_-]{24,}
    | \beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+
    | (?i:\bbearer)\s+[A-Za-z0-9._~+/-]{12,}=*
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)""",
    re.VERBOSE,
)
TEXT_FIELDS = frozenset({"content", "text", "partial_json", "arguments", "delta", "refusal", "thinking"})


class Scrubber:
    """Replaces secrets: those that were named, and whatever has the shape of one."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._named: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self.learn(known)

    def learn(self, values: Iterable[str]) -> None:
        """Treat these values, encoded ones too, as secrets from now on; below six characters they are words."""
        named = self._named | {form for value in values if len(value) >= 6 for form in forms_of(value)}
        if named != self._named:
            self._known = re.compile("|".join(map(re.escape, sorted(named, key=len, reverse=True))))
            self._named = frozenset(named)

    def text(self, text: str) -> str:
        """The text with `<secret>` where a secret was."""
        for start, end in reversed(self._spans(text)):
            text = text[:start] + SECRET + text[end:]
        return text

    def value(self, value: Any) -> Any:
        """A JSON value with all its texts, names of fields included, scrubbed."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(part) for key, part in value.items()}
        return value

    def pieces(self, pieces: list[str]) -> list[str]:
        """As many pieces as before, without the secrets that the joined text holds."""
        edges = [0]
        for piece in pieces:
            edges.append(edges[-1] + len(piece))
        cleaned = list(pieces)
        for start, end in reversed(self._spans("".join(pieces))):
            first = True
            for index, left in enumerate(edges[:-1]):
                begin, stop = max(start, left), min(end, edges[index + 1])
                if begin < stop:
                    now = cleaned[index]
                    cleaned[index] = now[: begin - left] + (SECRET if first else "") + now[stop - left :]
                    first = False
        return cleaned

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where secrets stand, in order, none overlapping another."""
        found = [match.span() for match in SHAPES.finditer(text)]
        if self._known:
            found += [match.span() for match in self._known.finditer(text)]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def events(self, body: str) -> str:
        """A body of server-sent events, without secrets, even those that are spread over several events."""
        lines = body.split("\n")
        documents: dict[int, Any] = {}
        for number, line in enumerate(lines):
            if line.startswith("data:") and line[5:].lstrip().startswith(("{", "[")):
                try:
                    documents[number] = json.loads(line[5:])
                except ValueError:
                    continue
        channels: defaultdict[tuple[Any, ...], list[tuple[Callable[[str], None], str]]] = defaultdict(list)
        for document in documents.values():
            for name, write, text in _texts(document, (document.get("index"), document.get("output_index"))):
                channels[name].append((write, text))
        for places in channels.values():
            before = [text for _, text in places]
            for (write, old), new in zip(places, self.pieces(before), strict=True):
                if new != old:
                    write(new)
        for number, document in documents.items():
            clean = self.value(document)
            if clean != json.loads(lines[number][5:]):
                lines[number] = "data: " + json.dumps(clean, ensure_ascii=False)
        return "\n".join(line if n in documents else self.text(line) for n, line in enumerate(lines))


def _texts(value: Any, name: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Callable[[str], None], str]]:
    """The texts of a document that a stream says in pieces, each with the channel it belongs to."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key in TEXT_FIELDS and isinstance(part, str):
                yield (*name, key), _writer(value, key), part
            elif isinstance(part, dict | list):
                yield from _texts(part, (*name, key))
    elif isinstance(value, list):
        for position, part in enumerate(value):
            index = part.get("index", position) if isinstance(part, dict) else position
            yield from _texts(part, (*name, index))


def _writer(owner: dict[str, Any], key: str) -> Callable[[str], None]:
    def write(text: str) -> None:
        owner[key] = text

    return write
