"""Does a condition about values and files hold: comparisons, membership, presence, existence, flags?"""

from __future__ import annotations

import re

from .condition_answers import ANSWER_NAMES, answered, matches_answer
from .condition_facts import MISSING, Facts, Verdict, look, never_set, norm, relate, same, slug

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
MEMBER = re.compile(rf"^{WORDS}\s+(?:is\s+)?(not\s+)?(?:in\s+\[|one\s+of:?\s*\[?)([^\]]+)\]?$", re.IGNORECASE)
_IS = re.compile(rf"^{WORDS}\s+(is|is not|equals)\s+{VALUE}$", re.IGNORECASE)
NEITHER = re.compile(rf"^{WORDS}\s+is\s+neither\s+([\w\-]+)\s+nor\s+([\w\-]+)$", re.IGNORECASE)
_SOME = "provided|set|defined|given|available|known|determined|found|loaded|present"
_NOT_EMPTY = rf"{_SOME}|not empty|not blank|not null"
_EMPTY = rf"empty|blank|missing or empty|missing|null|none|undefined|unset|unknown|not (?:{_SOME})"
_HAS = re.compile(rf"^{WORDS}\s+(?:is\s+|was\s+|were\s+|still\s+)?(?:({_EMPTY})|({_NOT_EMPTY}))\b(.*)$", re.IGNORECASE)
_EXISTS = re.compile(
    r"^(?:the\s+)?(?P<no>no\s+)?(?P<what>.*?)\s*(?:\b(?P<neg>does not exist|doesn't exist|not exists?|do not exist"
    r"|not found|is missing|missing)|\b(?:exists?|found))(?P<rest>(?: in\b.*)?)$",
    re.IGNORECASE,
)
FLAG = re.compile(r"^\{{0,2}\s*(not\s+|!\s*)?([A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+|[a-z][a-z0-9\-]+)\s*\}{0,2}$")
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


def membership(name: str, wanted: list[str], negated: bool, facts: Facts) -> Verdict:
    """Whether the value of a name is one of the wanted ones, or with `negated` none of them."""
    value = look(name, facts)
    if value is MISSING:
        if not never_set(name, facts) or " " in name.strip():
            return Verdict(None, "expression" if " " not in name.strip() else "prose", f"{name} is not known")
        return Verdict(negated, "expression", f"{name} was never set")
    held = any(same(value, item) for item in wanted) != negated
    return Verdict(held, "expression", f"{name} is {value!r}")


def comparison(text: str, facts: Facts) -> Verdict | None:
    """A verdict on "X == Y", "X < Y", "X is Y"; None if the text has no such form."""
    match = _COMPARE.match(text) or _IS.match(text)
    if not match:
        return None
    name, sign, raw = match[1], match[2].lower(), match[3]
    word = sign in {"is", "is not", "equals"}
    if word and (raw.lower() in _PRESENCE_WORDS or (look(name, facts) is MISSING and not _expected(text, name, raw))):
        return None
    sign = {"is": "==", "equals": "==", "is not": "!="}.get(sign, OPERATORS.get(sign, sign))
    value = look(name, facts)
    wanted = _literal(raw, facts)
    if value is MISSING and ANSWER_NAMES.match(slug(name)):
        verdict = answered([str(wanted)], facts)
        return (
            verdict if sign == "==" or verdict.value is None else Verdict(not verdict.value, "answer", verdict.reason)
        )
    if value is MISSING:
        if not never_set(name, facts) or sign not in {"==", "!="}:
            return Verdict(None, "expression", f"{slug(name)} is not known yet")
        held = (wanted in ("", None, False)) == (sign == "==")
        return Verdict(held, "expression", f"{slug(name)} was never set")
    if ANSWER_NAMES.match(slug(name)) and sign in {"==", "!="}:
        return Verdict(matches_answer(str(value), str(wanted)) == (sign == "=="), "answer", f"{name} is {value!r}")
    held_or_none = relate(value, sign, wanted)
    return Verdict(held_or_none, "expression", f"{slug(name)} is {value!r}")


def _expected(text: str, name: str, raw: str) -> bool:
    """Whether "X is Y" reads as a comparison although X has no value: braces, or a literal on the right."""
    return "{" in text or raw[0] in "'\"" or raw[0].isdigit() or "_" in name


def _literal(raw: str, facts: Facts) -> object:
    if raw[0] in "'\"":
        return raw[1:-1]
    if raw.startswith("{"):
        value = look(raw.strip("{} "), facts)
        return "" if value is MISSING else value
    value = look(raw, facts) if re.match(r"^[a-z]\w*_\w+$", raw) else MISSING
    return raw if value is MISSING else value


def presence(text: str, facts: Facts) -> Verdict | None:
    """A verdict on "X is empty", "X is provided"; None if the text has no such form."""
    match = _HAS.match(text)
    if not match or re.search(r"\bfiles?$", match[1].strip(), re.I):
        return None
    name, negative = match[1], bool(match[2])
    value = look(name, facts)
    if value is MISSING and slug(name) in facts.loaded:
        value = "loaded" if facts.loaded[slug(name)] else ""
    if value is MISSING and "{" not in text and "_" not in name:
        return None
    if value is MISSING:
        if not never_set(name, facts):
            return Verdict(None, "existence", f"{slug(name)} is not known yet")
        return Verdict(negative, "existence", f"{slug(name)} was never set")
    full = not (value in ("", None, False) or value == [] or value == {})
    return Verdict(full != negative, "existence", f"{slug(name)} is {'set' if full else 'empty'}")


def existence(text: str, facts: Facts) -> Verdict | None:
    """A verdict on "X exists", "no X found"; None if the text has no such form."""
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
        value = look(named[1], facts)
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


def flag(text: str, facts: Facts) -> Verdict | None:
    """A verdict on a name that stands alone; None if the text is none."""
    match = FLAG.match(text)
    if not match:
        return None
    name, negated = match[2], bool(match[1])
    value = look(name, facts)
    about = re.match(r"^(.+?)_(not_)?(?:found|loaded|available|exists)$", slug(name))
    if value is MISSING and about and about[1] in facts.loaded:
        value = facts.loaded[about[1]] != bool(about[2])
    if value is MISSING:
        return Verdict(None, "flag", f"nothing set {slug(name)}")
    held = norm(value) not in ("", "false", "no", "none", 0.0) and value not in ([], {})
    return Verdict(held != negated, "flag", f"{slug(name)} is {value!r}")
