"""Which hand-written reply answers a request?"""

from __future__ import annotations

import difflib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from .script_files import Entry, read_folder
from .talk import Answer, Asked, ToolUse
from .tokens import bill


@dataclass(frozen=True)
class Miss:
    """No entry answers the request. `message` says what was asked and how the nearest entry differs."""

    message: str


class Conversation:
    """Hand-written replies, found by persona, subject and turn: the same request always gets the same answer.

    Of the entries that match, one whose `expect` is met goes first, then the more exact subject, then the earlier one.
    With `strict` an entry whose `expect` is not met does not answer at all.
    """

    def __init__(self, entries: Iterable[Entry], *, strict: bool = False, latency_s: float = 0.0) -> None:
        self.entries = tuple(entries)
        self.strict = strict
        self.latency_s = latency_s
        self._asked: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: str | Path, *, strict: bool = False, latency_s: float = 0.0) -> Conversation:
        """The conversation that a folder's files hold.

        Raises:
            DocumentError: with file and line, when a file cannot be read.
        """
        return cls(read_folder(Path(folder)), strict=strict, latency_s=latency_s)

    def reply(self, asked: Asked, sample: int | None = None) -> Answer | Miss:
        """The answer, billed, or why there is none. `sample` counts equal requests from 0 when it is not given."""
        if sample is None:
            with self._lock:
                sample = self._asked[asked.digest]
                self._asked[asked.digest] += 1
        found = _of_sample([entry for entry in self.entries if matches(entry, asked)], sample)
        if not found:
            return Miss(self._nearest(asked, "no entry matches"))
        found.sort(key=lambda entry: (not expects(entry, asked), _vagueness(entry)))
        entry = found[0]
        met = expects(entry, asked)
        if self.strict and not met:
            return Miss(self._nearest(asked, "the entry matches but its expectation is not met"))
        return self._answer(asked, entry, met)

    def _answer(self, asked: Asked, entry: Entry, met: bool) -> Answer:
        text, tools = entry.text, entry.tools
        if entry.is_json and asked.forced_tool:  # a client without native structured output forces a tool instead
            text, tools = "", (ToolUse(asked.forced_tool, json.loads(text)),)
        answer = Answer(
            id=asked.digest,
            text=text or ("I can't help with that." if entry.stop == "refusal" else ""),
            tools=tools,
            stop=entry.stop or ("tools" if tools else "end"),
            latency_s=self.latency_s if entry.latency_s is None else entry.latency_s,
            entry=entry.where,
            expect_met=met,
        )
        return replace(answer, usage=entry.usage) if entry.usage else bill(asked, answer)

    def _nearest(self, asked: Asked, why: str) -> str:
        def likeness(entry: Entry) -> float:
            subject = difflib.SequenceMatcher(None, entry.subject.lower(), asked.subject.lower()).ratio()
            return subject + persona_matches(entry.persona, asked.persona_line) - abs(entry.turn - asked.turn) / 100

        lines = [f"rehearsal miss: {why}.", *(f"asked    {line}" for line in _described(asked))]
        if self.entries:
            entry = max(self.entries, key=likeness)
            lines.append(f"nearest  {entry.where}")
            if not persona_matches(entry.persona, asked.persona_line):
                lines.append(f"- persona: {entry.persona}\n+ system prompt opens with: {asked.persona_line}")
            if not subject_matches(entry.subject, asked.subject):
                lines.append(f"- subject: {entry.subject}\n+ subject: {asked.subject}")
            if entry.turn != asked.turn:
                lines.append(f"- turn: {entry.turn}\n+ turn: {asked.turn}")
            unmet = [word for word in entry.expect if not occurs(word, asked.news)]
            if unmet:
                lines.append(f"- expect: {unmet}\n+ what came: {asked.news[-600:]!r}")
        return "\n".join(lines)


def _described(asked: Asked) -> list[str]:
    return [f"{asked.wire} {asked.model}", f"system: {asked.persona_line}", f"# {asked.subject} (turn {asked.turn})"]


def _of_sample(entries: list[Entry], sample: int) -> list[Entry]:
    """The entries for this sample, else those for any, else those of the last sample: that one sticks."""
    last = max((entry.sample for entry in entries if entry.sample is not None), default=None)
    for wanted in (sample, None, last):
        found = [entry for entry in entries if entry.sample == wanted]
        if found:
            return found
    return []


def matches(entry: Entry, asked: Asked) -> bool:
    """Whether an entry answers a request, its sample and expectation aside."""
    return (
        entry.turn == asked.turn
        and subject_matches(entry.subject, asked.subject)
        and persona_matches(entry.persona, asked.persona_line)
    )


def persona_matches(persona: str, line: str) -> bool:
    """Whether a system prompt's first line introduces this persona: "You are Amelia, …"; any case."""
    return persona == "*" or re.match(rf"you are {re.escape(persona)}\b", line.strip(), re.IGNORECASE) is not None


def subject_matches(pattern: str, subject: str) -> bool:
    """Whether a subject is the pattern, or fits it as a glob; any case."""
    low, wanted = subject.lower(), pattern.lower()
    return low == wanted or fnmatchcase(low, wanted.replace("[", "[[]"))


def expects(entry: Entry, asked: Asked) -> bool:
    """Whether all that an entry expects occurs in the messages since the assistant's last one."""
    return all(occurs(word, asked.news) for word in entry.expect)


def occurs(word: str, text: str) -> bool:
    """Whether a text holds a word, or fits a /regular expression/."""
    if len(word) > 1 and word.startswith("/") and word.endswith("/"):
        return re.search(word[1:-1], text, re.MULTILINE) is not None
    return word in text


def _vagueness(entry: Entry) -> tuple[int, int, int]:
    wild = "*" in entry.subject or "?" in entry.subject
    return (wild, -len(entry.subject) if wild else 0, entry.persona == "*")
