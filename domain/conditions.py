"""Does this condition hold, as far as code can tell?

Conditions of the method are half language, half expression (`mode != 'fast'`, `status file not found`, `n`,
`user selects 2`, `has_api`, `else`). What code can decide is decided here, in three values: True, False, and None for
what needs judgement. AND, OR and NOT follow Kleene, so one known part may be enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["expression", "existence", "answer", "flag", "else", "prose"]


@dataclass(frozen=True)
class Probe:
    """The last file that an action looked for: its name as written and whether it is there."""

    path: str
    exists: bool


@dataclass(frozen=True)
class Facts:
    """What is known when a condition is decided.

    `touched` are names that an earlier instruction may have meant to set: an unknown one of these needs judgement, any
    other unknown name has simply never been set. `loaded` says for each input group whether something was found.
    `exists` answers for a path, glob or bare file name (None: cannot tell).
    """

    variables: Mapping[str, object] = field(default_factory=dict)
    answer: str | None = None
    touched: frozenset[str] = frozenset()
    loaded: Mapping[str, bool] = field(default_factory=dict)
    exists: Callable[[str], bool | None] = lambda _path: None
    probe: Probe | None = None
    otherwise: bool | None = None  # whether an `else` would hold: no check before it was taken


@dataclass(frozen=True)
class Verdict:
    """Whether a condition holds (None: judgement is needed), what kind it is, and why."""

    value: bool | None
    kind: Kind
    reason: str


NAME = r"\{{0,2}\s*([A-Za-z_][\w.\-]*)\s*\}{0,2}"
WORDS = r"\{{0,2}\s*([A-Za-z_][\w.\- ]*?)\s*\}{0,2}"
VALUE = r"""("[^"]*"|'[^']*'|\[[^\]]*\]|\{{1,2}[\w.\- ]+\}{1,2}|[\w.\-/]+(?: hours?)?)"""
OPERATORS = {
    "lt": "<",
    "gt": ">",
    "lte": "<=",
    "le": "<=",
    "gte": ">=",
    "ge": ">=",
    "===": "==",
    "=": "==",
    "!==": "!=",
}
_COMPARE = re.compile(rf"^{WORDS}\s*(===|!==|==|!=|<=|>=|=|<|>|\b(?:lt|gt|lte|le|gte|ge)\b)\s*{VALUE}$")
_MEMBER = re.compile(rf"^{WORDS}\s+(?:is\s+)?(not\s+)?(?:in\s+\[|one\s+of:?\s*\[?)([^\]]+)\]?$", re.IGNORECASE)
_IS = re.compile(rf"^{WORDS}\s+(is|is not|equals)\s+{VALUE}$", re.IGNORECASE)
_NEITHER = re.compile(rf"^{WORDS}\s+is\s+neither\s+([\w\-]+)\s+nor\s+([\w\-]+)$", re.IGNORECASE)
_SOME = "provided|set|defined|given|available|known|determined|found|loaded|present"
_NOT_EMPTY = rf"{_SOME}|not empty|not blank|not null"
_EMPTY = rf"empty|blank|missing or empty|missing|null|none|undefined|unset|unknown|not (?:{_SOME})"
_HAS = re.compile(rf"^{WORDS}\s+(?:is\s+|was\s+|were\s+|still\s+)?(?:({_EMPTY})|({_NOT_EMPTY}))\b(.*)$", re.IGNORECASE)
_EXISTS = re.compile(
    r"^(?:the\s+)?(?P<no>no\s+)?(?P<what>.*?)\s*(?:\b(?P<neg>does not exist|doesn't exist|not exists?|do not exist"
    r"|not found|is missing|missing)|\b(?:exists?|found))(?P<rest>(?: in\b.*)?)$",
    re.IGNORECASE,
)
_USER = re.compile(
    r"^(?:the\s+)?(?:user|\{+user_name\}+|response|answer|selection|choice)\s+"
    r"(?:selects?|selected|chooses?|chose|picks?|enters?|says?|said|types?|presses|wants|is|replies|answers?|responds?)\s+"
    r"(?:with\s+)?(?:options?\s+)?(.+)$",
    re.IGNORECASE,
)
_CONSENT = re.compile(
    r"^(?:yes|the )?\s*(?:the\s+)?(?:proposal is\s+|user\s+|\{+user_name\}+\s+)"
    r"(approved|approves|confirms|confirmed|agrees|accepts|declines|rejects|denies|refuses|cancels)(?:\b.*)?$",
    re.IGNORECASE,
)
_GIVES = re.compile(r"^user (?:provides|provided|gives|gave|enters) (?:a |an |the )?(.+)$", re.IGNORECASE)
_ANSWER_NAMES = re.compile(r"^(?:\w+_)?(?:choice|response|answer|selection|reply|user_input)$")
_BARE = re.compile(
    r"^['\"\[(]*([A-Za-z]|\d{1,2}|yes|no|continue|exit|edit|back|done|skip|all|none|quit|revise)['\"\])]*$", re.I
)
_FLAG = re.compile(r"^\{{0,2}\s*(not\s+|!\s*)?([A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+|[a-z][a-z0-9\-]+)\s*\}{0,2}$")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]|\([^)]*\)|\{\{?[^}]*\}?\}")
YES, NO = (
    frozenset({"y", "yes", "ok", "okay", "sure", "true", "approve", "approved", "confirm", "c", "continue"}),
    frozenset({"n", "no", "false", "decline", "reject"}),
)
_POSITIVE = {"approved", "approves", "confirms", "confirmed", "agrees", "accepts"}
_MISSING = object()


def decide(condition: str, facts: Facts) -> Verdict:
    """Whether `condition` holds given the facts; never raises, whatever the text."""
    text = " ".join(condition.split()).strip()
    if not text:
        return Verdict(True, "expression", "there is no condition")
    if text.startswith("(") and _QUOTED.fullmatch(text):
        return decide(text[1:-1], facts)
    whole = _whole(text, facts)
    if whole is not None:
        return whole
    for word, stop in (("OR", True), ("AND", False)):
        parts = _split(text, word)
        if len(parts) > 1:
            return _combine([_part(part, facts) for part in parts], word, stop)
    if (negated := re.match(r"^(?:NOT|not|!)\s*(?=[({\w])(.+)$", text)) and not re.match(
        r"^not (?:exist|found)", text, re.I
    ):
        inner = decide(negated[1], facts)
        return Verdict(None if inner.value is None else not inner.value, inner.kind, f"not ({inner.reason})")
    return _atom(text, facts)


def classify(condition: str, set_by_actions: frozenset[str] = frozenset()) -> Kind:
    """What kind of condition this is, its values unknown: all but "prose", and flags nobody sets, are left to code."""
    kind = decide(condition, Facts(touched=set_by_actions)).kind
    if kind == "flag":
        name = _FLAG.match(condition.strip())
        return "expression" if name and slug(name[2]) in set_by_actions else "flag"
    return kind


def slug(text: str) -> str:
    """The variable name that a phrase stands for: "Sprint status" is `sprint_status`."""
    return re.sub(r"[^a-z0-9]+", "_", text.strip().strip("{}").lower()).strip("_")


def matches_answer(answer: str, wanted: str) -> bool:
    """Whether an answer means the option `wanted`: "1", "[1]", "Option 1: go on", "yes, please"."""
    given, sought = _plain(answer), _plain(wanted)
    if not sought:
        return not given
    if sought in YES and sought not in {"c", "continue"}:
        return bool(given) and given.split()[0] in YES
    if sought in NO:
        return bool(given) and given.split()[0] in NO
    return given in {sought, f"option {sought}"} or given.startswith((f"{sought} ", f"option {sought} "))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", str(text).lower()).strip()


def _whole(text: str, facts: Facts) -> Verdict | None:
    """Conditions that are read before AND and OR are looked for."""
    if text.lower() in {"else", "otherwise"}:
        return Verdict(
            facts.otherwise,
            "else",
            "no check before it was taken" if facts.otherwise else "a check before it was taken",
        )
    bare = [_BARE.match(part.strip()) for part in re.split(r"\s+(?:OR|or)\s+|,\s*", text)]
    if all(bare):
        return _answered([match[1] for match in bare if match], facts)
    if user := _USER.match(text):
        options = _options(user[1])
        if options:
            return _answered(options, facts)
    if member := _MEMBER.match(text):
        wanted = [item.strip().strip("'\"") for item in re.split(r",|\bor\b", member[3]) if item.strip()]
        return _member(member[1], wanted, bool(member[2]), facts)
    if neither := _NEITHER.match(text):
        return _member(neither[1], [neither[2], neither[3]], True, facts)
    return None


def _options(text: str) -> list[str]:
    """The options that "1 OR user presses enter", "'q'", "2 or 3" or "finalize (option 4 or 5)" name."""
    named = re.search(r"\(options? ([\d\s,or\-]+)\)", text)
    found = []
    for part in re.split(r"\s+(?:OR|or)\s+(?:user \w+\s+)?|,\s*", named[1] if named else text):
        if span := re.match(r"^(\d+)\s*-\s*(\d+)$", part.strip()):
            found += [str(n) for n in range(int(span[1]), int(span[2]) + 1)]
            continue
        first = re.match(
            r"^(?:option |mode )?['\"\[]*([a-z]|\d{1,2}|yes|no|enter|exit|skip|done|continue)['\"\]]*(?:\s*\(.*\))?$",
            part.strip(),
            re.I,
        )
        if not first:
            return []
        found.append(first[1])
    return found


def _split(text: str, word: str) -> list[str]:
    """The parts between the word (or its sign), outside of quotes, brackets and braces."""
    shadow = _QUOTED.sub(lambda found: "\0" * len(found[0]), text)
    sign = r"\|\|" if word == "OR" else "&&"
    parts, start = [], 0
    for found in re.finditer(rf"\s+(?:{word}|{word.lower()})\s+|\s*{sign}\s*", shadow):
        parts.append(text[start : found.start()])
        start = found.end()
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _combine(verdicts: list[Verdict], word: str, stop: bool) -> Verdict:
    kinds = [verdict.kind for verdict in verdicts]
    kind: Kind = next((k for k in ("prose", "flag", "existence", "answer") if k in kinds), "expression")
    for verdict in verdicts:
        if verdict.value is stop:
            return Verdict(stop, verdict.kind, verdict.reason)
    if any(verdict.value is None for verdict in verdicts):
        return Verdict(None, kind, "; ".join(v.reason for v in verdicts if v.value is None))
    return Verdict(not stop, kind, f" {word} ".join(verdict.reason for verdict in verdicts))


def _part(text: str, facts: Facts) -> Verdict:
    """A part of a longer condition: a lone word in it is language ("denies or corrects"), unless it has a value."""
    if re.fullmatch(r"(?:not )?[a-z]+", text) and _look(text.split()[-1], facts) is _MISSING:
        return Verdict(None, "prose", "it is plain language")
    return decide(text, facts)


def _atom(text: str, facts: Facts) -> Verdict:
    for read in (_comparison, _consent, _gift, _presence, _existence, _flag):
        verdict = read(text, facts)
        if verdict is not None:
            return verdict
    return Verdict(None, "prose", "it is plain language")


def _look(name: str, facts: Facts) -> object:
    """The value of a name in any spelling, or _MISSING."""
    for key in (name.strip(), slug(name), name.strip().replace("-", "_")):
        if key in facts.variables:
            return facts.variables[key]
        if key.endswith("_content") and key.removesuffix("_content") in facts.loaded:
            return "loaded" if facts.loaded[key.removesuffix("_content")] else ""
    if "." in name and isinstance(outer := _look(name.split(".")[0], facts), Mapping):
        return outer.get(name.split(".", 1)[1], _MISSING)
    return _MISSING


def _unset(name: str, facts: Facts) -> bool:
    """Whether an unknown name was never meant to be set by anything that ran."""
    return slug(name) not in facts.touched


def _answered(options: list[str], facts: Facts) -> Verdict:
    wanted = " or ".join(options)
    if facts.answer is None:
        return Verdict(None, "answer", f"nothing was asked yet, so {wanted!r} is open")
    if "enter" in options and not facts.answer.strip():
        return Verdict(True, "answer", "the answer was empty")
    value = any(matches_answer(facts.answer, option) for option in options)
    return Verdict(value, "answer", f"the answer {facts.answer[:60]!r} is{'' if value else ' not'} {wanted!r}")


def _member(name: str, wanted: list[str], negated: bool, facts: Facts) -> Verdict:
    value = _look(name, facts)
    if value is _MISSING:
        if not _unset(name, facts) or " " in name.strip():
            return Verdict(None, "expression" if " " not in name.strip() else "prose", f"{name} is not known")
        return Verdict(negated, "expression", f"{name} was never set")
    held = any(_same(value, item) for item in wanted) != negated
    return Verdict(held, "expression", f"{name} is {value!r}")


def _comparison(text: str, facts: Facts) -> Verdict | None:
    match = _COMPARE.match(text) or _IS.match(text)
    if not match:
        return None
    name, sign, raw = match[1], match[2].lower(), match[3]
    word = sign in {"is", "is not", "equals"}
    if word and (raw.lower() in _PRESENCE_WORDS or (_look(name, facts) is _MISSING and not _expected(text, name, raw))):
        return None
    sign = {"is": "==", "equals": "==", "is not": "!="}.get(sign, OPERATORS.get(sign, sign))
    value = _look(name, facts)
    wanted = _literal(raw, facts)
    if value is _MISSING and _ANSWER_NAMES.match(slug(name)):
        verdict = _answered([str(wanted)], facts)
        return (
            verdict if sign == "==" or verdict.value is None else Verdict(not verdict.value, "answer", verdict.reason)
        )
    if value is _MISSING:
        if not _unset(name, facts) or sign not in {"==", "!="}:
            return Verdict(None, "expression", f"{slug(name)} is not known yet")
        held = (wanted in ("", None, False)) == (sign == "==")
        return Verdict(held, "expression", f"{slug(name)} was never set")
    if _ANSWER_NAMES.match(slug(name)) and sign in {"==", "!="}:
        return Verdict(matches_answer(str(value), str(wanted)) == (sign == "=="), "answer", f"{name} is {value!r}")
    held_or_none = _relate(value, sign, wanted)
    return Verdict(held_or_none, "expression", f"{slug(name)} is {value!r}")


_PRESENCE_WORDS = frozenset(
    {
        "empty",
        "provided",
        "set",
        "defined",
        "given",
        "available",
        "known",
        "found",
        "missing",
        "not",
        "blank",
        "null",
        "none",
        "present",
        "loaded",
        "unknown",
        "undefined",
    }
)


def _expected(text: str, name: str, raw: str) -> bool:
    """Whether "X is Y" reads as a comparison although X has no value: braces, or a literal on the right."""
    return "{" in text or raw[0] in "'\"" or raw[0].isdigit() or "_" in name


def _literal(raw: str, facts: Facts) -> object:
    if raw[0] in "'\"":
        return raw[1:-1]
    if raw.startswith("{"):
        value = _look(raw.strip("{} "), facts)
        return "" if value is _MISSING else value
    value = _look(raw, facts) if re.match(r"^[a-z]\w*_\w+$", raw) else _MISSING
    return raw if value is _MISSING else value


def _same(left: object, right: object) -> bool:
    return _norm(left) == _norm(right)


def _norm(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    text = str(value).strip().strip("'\"").lower()
    try:
        return float(text)
    except ValueError:
        return text


def _relate(left: object, sign: str, right: object) -> bool | None:
    if sign == "==":
        return _same(left, right)
    if sign == "!=":
        return not _same(left, right)
    a, b = _norm(left), _norm(right)
    if not (isinstance(a, float) and isinstance(b, float)):
        return None
    return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[sign]


def _consent(text: str, facts: Facts) -> Verdict | None:
    match = _CONSENT.match(text)
    if not match:
        return None
    positive = match[1].lower() in _POSITIVE
    tail = re.search(r"'(\w)'$", text)
    return _answered([tail[1] if tail else "yes" if positive else "no"], facts)


def _gift(text: str, facts: Facts) -> Verdict | None:
    match = _GIVES.match(text)
    if not match:
        return None
    what = match[1].lower()
    if facts.answer is None:
        return Verdict(None, "answer", "nothing was asked yet")
    if "path" in what or "file" in what:
        held = bool(re.search(r"[\w\-]+/[\w\-]+|\.(?:md|ya?ml|json|xml|txt)\b", facts.answer))
        return Verdict(held, "answer", f"the answer {facts.answer[:60]!r} is{'' if held else ' not'} a path")
    if "number" in what:
        held = bool(re.search(r"\d+[\-.]\d+", facts.answer))
        return Verdict(held, "answer", f"the answer {facts.answer[:60]!r} names{'' if held else ' no'} number")
    return None


def _presence(text: str, facts: Facts) -> Verdict | None:
    match = _HAS.match(text)
    if not match or re.search(r"\bfiles?$", match[1].strip(), re.I):
        return None
    name, negative = match[1], bool(match[2])
    value = _look(name, facts)
    if value is _MISSING and slug(name) in facts.loaded:
        value = "loaded" if facts.loaded[slug(name)] else ""
    if value is _MISSING and "{" not in text and "_" not in name:
        return None
    if value is _MISSING:
        if not _unset(name, facts):
            return Verdict(None, "existence", f"{slug(name)} is not known yet")
        return Verdict(negative, "existence", f"{slug(name)} was never set")
    full = not (value in ("", None, False) or value == [] or value == {})
    return Verdict(full != negative, "existence", f"{slug(name)} is {'set' if full else 'empty'}")


def _existence(text: str, facts: Facts) -> Verdict | None:
    match = _EXISTS.match(text)
    if not match:
        return None
    negative = bool(match["no"]) != bool(match["neg"])
    what = re.sub(r"^(?:the|a|an)\s+", "", match["what"].strip(), flags=re.I)
    what = re.sub(r"\s+(?:is|are|was|does|do|were)$", "", what, flags=re.I)
    path = _path(what, facts)
    found = facts.exists(path) if path else None
    if found is not None:
        return Verdict(found != negative, "existence", f"{path} {'is there' if found else 'is not there'}")
    subject = slug(re.sub(r"\b(?:files?|documents?|folder|content)\b", "", what, flags=re.I))
    for group, loaded in facts.loaded.items():
        if subject and subject in {group, f"{group}s", group.rstrip("s")}:
            return Verdict(
                loaded != negative, "existence", f"the input {group} was {'found' if loaded else 'not found'}"
            )
    if facts.probe and not match["rest"].strip() and _about(subject, facts.probe.path):
        there = facts.probe.exists
        return Verdict(there != negative, "existence", f"{facts.probe.path} {'is there' if there else 'is not there'}")
    if "file" in what.lower() or not what or path or match["rest"].strip():
        return Verdict(None, "existence", f"{what or 'it'} could not be looked up")
    return Verdict(None, "prose", "what exists is described in plain language")


def _path(what: str, facts: Facts) -> str:
    """The path that a phrase names: a variable's value, or a file name as written."""
    named = re.search(r"(?:\{\{?\s*([\w.\-]+)\s*\}?\})", what)
    if named:
        value = _look(named[1], facts)
        if isinstance(value, str) and value:
            return re.sub(r"\{\{?\s*[\w.\-]+\s*\}?\}", value, what.split(" file")[0], count=1).strip("`'\" ")
        return ""
    if literal := re.search(r"[\w./\-*]+\.(?:md|ya?ml|json|xml|csv|toml|txt)\b", what):
        return literal[0]
    phrase = slug(re.sub(r"\bfiles?\b", "", what, flags=re.I))
    for key in (phrase, f"{phrase}_file", f"{phrase}_path"):
        value = facts.variables.get(key) if phrase else None
        if isinstance(value, str) and re.search(r"\.\w{2,5}$", value):
            return value
    return ""


def _about(subject: str, path: str) -> bool:
    """Whether a phrase can mean the file that was looked for last."""
    return not subject or all(word in slug(path) for word in subject.split("_"))


def _flag(text: str, facts: Facts) -> Verdict | None:
    match = _FLAG.match(text)
    if not match:
        return None
    name, negated = match[2], bool(match[1])
    value = _look(name, facts)
    about = re.match(r"^(.+?)_(not_)?(?:found|loaded|available|exists)$", slug(name))
    if value is _MISSING and about and about[1] in facts.loaded:
        value = facts.loaded[about[1]] != bool(about[2])
    if value is _MISSING:
        return Verdict(None, "flag", f"nothing set {slug(name)}")
    held = _norm(value) not in ("", "false", "no", "none", 0.0) and value not in ([], {})
    return Verdict(held != negated, "flag", f"{slug(name)} is {value!r}")
