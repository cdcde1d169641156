"""Is an agent file right, and if not, what is wrong on which line?

The rules are upstream's strict schema, taken over all versions: a key that any version knows is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .safe_yaml import KeyPath
from .workflow_tree import Note

COMMANDS = ("workflow", "validate-workflow", "exec", "action", "tmpl", "data", "run-workflow", "workflow-install")
_TRIGGER = re.compile(r"^[a-z0-9]+(?:-[a-z0-9]+)*$")
_COMPOUND = re.compile(r"^([A-Z]{1,3}) or fuzzy match on ([a-z0-9]+(?:-[a-z0-9]+)*)$")

# shape of a map: key -> (required, kind); kinds: see _KINDS
_TOP = {"agent": (True, "map"), "saved_answers": (False, "any")}
_AGENT = {
    "metadata": (True, "map"),
    "persona": (True, "map"),
    "menu": (True, "list"),
    "critical_actions": (False, "texts"),
    "prompts": (False, "list"),
    "memories": (False, "texts"),
    "webskip": (False, "flag"),
    "discussion": (False, "flag"),
    "conversational_knowledge": (False, "list"),
    "install_config": (False, "any"),
}
_METADATA = {
    **dict.fromkeys(("id", "name", "title", "icon"), (True, "text")),
    **dict.fromkeys(("module", "capabilities", "type"), (False, "text")),
    "hasSidecar": (False, "flag"),
}
_PERSONA = {
    **dict.fromkeys(("role", "identity", "communication_style"), (True, "text")),
    "principles": (True, "text or texts"),
}
_PROMPT = {"id": (True, "text"), "content": (True, "text"), "description": (False, "text")}
_ITEM = {
    "trigger": (True, "text"),
    "description": (True, "text"),
    **dict.fromkeys((*COMMANDS, "checklist", "document", "type"), (False, "text")),
    "data": (False, "string"),
    **dict.fromkeys(("ide-only", "web-only", "discussion"), (False, "flag")),
}
_MULTI = {"multi": (True, "text"), "triggers": (True, "list"), "discussion": (False, "flag")}

_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "map": (lambda v: isinstance(v, dict), "must be a map"),
    "list": (lambda v: isinstance(v, list), "must be a list"),
    "text": (lambda v: isinstance(v, str) and bool(v.strip()), "must be a text that is not empty"),
    "string": (lambda v: isinstance(v, str), "must be a text"),
    "flag": (lambda v: isinstance(v, bool), "must be true or false"),
    "texts": (lambda v: isinstance(v, list) and all(map(_is_text, v)), "must be a list of texts that are not empty"),
    "text or texts": (
        lambda v: _is_text(v) or (isinstance(v, list) and bool(v) and all(map(_is_text, v))),
        "must be a text, or a list of texts, that is not empty",
    ),
    "any": (lambda _: True, ""),
}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def check_agent(loaded: object, lines: Mapping[KeyPath, int], path: str) -> tuple[Note, ...]:
    """What is wrong with an agent file, each with its line; empty if nothing is."""
    return tuple(_Check(lines, path).file(loaded))


def split_trigger(trigger: str) -> tuple[str, str]:
    """The short code and the word of a trigger: ("CS", "create-story") of "CS or fuzzy match on create-story"."""
    found = _COMPOUND.match(trigger)
    return (found[1], found[2]) if found else ("", trigger.lstrip("*"))


@dataclass
class _Check:
    lines: Mapping[KeyPath, int]
    path: str

    def file(self, loaded: object) -> Iterator[Note]:
        yield from self.shape(loaded, _TOP, ())
        agent = loaded.get("agent") if isinstance(loaded, dict) else None
        if not isinstance(agent, dict):
            return
        yield from self.shape(agent, _AGENT, ("agent",))
        for key, shape in (("metadata", _METADATA), ("persona", _PERSONA)):
            if isinstance(agent.get(key), dict):
                yield from self.shape(agent[key], shape, ("agent", key))
        for at, prompt in self.items(agent, "prompts"):
            yield from self.shape(prompt, _PROMPT, ("agent", "prompts", at))
        menu = agent.get("menu")
        if isinstance(menu, list) and not menu:
            yield self.note(("agent", "menu"), "menu must have at least one entry")
        seen: dict[str, KeyPath] = {}
        for at, item in self.items(agent, "menu"):
            yield from self.item(item, ("agent", "menu", at), seen)

    def items(self, agent: Mapping[str, object], key: str) -> list[tuple[int, object]]:
        listed = agent.get(key)
        return list(enumerate(listed)) if isinstance(listed, list) else []

    def item(self, item: object, at: KeyPath, seen: dict[str, KeyPath]) -> Iterator[Note]:
        if isinstance(item, dict) and "multi" in item:
            yield from self.shape(item, _MULTI, at)
            for i, entry in self.items(item, "triggers"):
                yield from self.multi(entry, (*at, "triggers", i), seen)
            return
        yield from self.shape(item, _ITEM, at)
        if not isinstance(item, dict):
            return
        if not any(_is_text(item.get(key)) for key in COMMANDS) and not any(key in item for key in COMMANDS):
            yield self.note(at, f"the entry leads nowhere: it needs one of {', '.join(COMMANDS[:6])}")
        trigger = item.get("trigger")
        if not _is_text(trigger):
            return
        word = str(trigger)
        if " or " in word:
            compound = _COMPOUND.match(word)
            if compound is None:
                yield self.note((*at, "trigger"), f'{word!r} must read "XX or fuzzy match on some-words"')
                return
            word = compound[2]
            code = re.match(r"\[([A-Z]{1,3})\]", str(item.get("description", "")))
            if code is None or code[1] != compound[1]:
                yield self.note(
                    (*at, "description"), f"the description must start with [{compound[1]}], as the trigger does"
                )
        elif not _TRIGGER.match(word):
            yield self.note((*at, "trigger"), f"{word!r} must be small words with hyphens between them")
            return
        yield from self.once(word, (*at, "trigger"), seen)

    def multi(self, entry: object, at: KeyPath, seen: dict[str, KeyPath]) -> Iterator[Note]:
        if not isinstance(entry, dict):
            yield self.note(at, "must be a map")
            return
        if "trigger" in entry:
            word, parts = entry["trigger"], [entry]
        elif len(entry) == 1:
            word, below = next(iter(entry.items()))
            parts = below if isinstance(below, list) else [below]
        else:
            yield self.note(at, "must have one key, the trigger")
            return
        keys = {key for part in parts if isinstance(part, dict) for key in part}
        if "input" not in keys:
            yield self.note(at, f"the trigger {word!r} has no input")
        if not keys & {"route", "action"}:
            yield self.note(at, f"the trigger {word!r} has neither route nor action")
        if not isinstance(word, str) or not _TRIGGER.match(word):
            yield self.note(at, f"{word!r} must be small words with hyphens between them")
        else:
            yield from self.once(word, at, seen)

    def once(self, word: str, at: KeyPath, seen: dict[str, KeyPath]) -> Iterator[Note]:
        if word in seen:
            yield self.note(at, f"the trigger {word!r} is given twice, first on line {self.line(seen[word])}")
        seen.setdefault(word, at)

    def shape(self, value: object, shape: Mapping[str, tuple[bool, str]], at: KeyPath) -> Iterator[Note]:
        where = ".".join(str(part) for part in at) or "the file"
        if not isinstance(value, dict):
            yield self.note(at, f"{where} must be a map")
            return
        for key in value:
            if key not in shape:
                yield self.note((*at, key), f"{where} has no key {key!r}: known are {', '.join(shape)}")
        for key, (required, kind) in shape.items():
            if key not in value:
                if required:
                    yield self.note(at, f"{where} lacks {key!r}")
            elif "texts" in kind and isinstance(value[key], list) and value[key]:
                for i, item in enumerate(value[key]):
                    if not _is_text(item):
                        yield self.note((*at, key, i), f"{key} must be texts that are not empty")
            elif not _KINDS[kind][0](value[key]):
                yield self.note((*at, key), f"{key} {_KINDS[kind][1]}")

    def line(self, at: KeyPath) -> int:
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)

    def note(self, at: KeyPath, message: str) -> Note:
        return Note(self.path, self.line(at), message, "error")
