"""Does this condition hold, as far as code can tell?

Conditions of the method are half language, half expression (`mode != 'fast'`, `status file not found`, `n`,
`user selects 2`, `has_api`, `else`). What code can decide is decided here, in three values: True, False, and None for
what needs judgement. AND, OR and NOT follow Kleene, so one known part may be enough.
"""

from __future__ import annotations

import re

from .condition_answers import BARE, USER, answered, consent, gift, options_of
from .condition_facts import MISSING, Facts, Kind, Verdict, look, slug
from .condition_values import FLAG, MEMBER, NEITHER, comparison, existence, flag, membership, presence

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]|\([^)]*\)|\{\{?[^}]*\}?\}")


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
        name = FLAG.match(condition.strip())
        return "expression" if name and slug(name[2]) in set_by_actions else "flag"
    return kind


def _whole(text: str, facts: Facts) -> Verdict | None:
    """Conditions that are read before AND and OR are looked for."""
    if text.lower() in {"else", "otherwise"}:
        return Verdict(
            facts.otherwise,
            "else",
            "no check before it was taken" if facts.otherwise else "a check before it was taken",
        )
    bare = [BARE.match(part.strip()) for part in re.split(r"\s+(?:OR|or)\s+|,\s*", text)]
    if all(bare):
        return answered([match[1] for match in bare if match], facts)
    if user := USER.match(text):
        options = options_of(user[1])
        if options:
            return answered(options, facts)
    if member := MEMBER.match(text):
        wanted = [item.strip().strip("'\"") for item in re.split(r",|\bor\b", member[3]) if item.strip()]
        return membership(member[1], wanted, bool(member[2]), facts)
    if neither := NEITHER.match(text):
        return membership(neither[1], [neither[2], neither[3]], True, facts)
    return None


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
    if re.fullmatch(r"(?:not )?[a-z]+", text) and look(text.split()[-1], facts) is MISSING:
        return Verdict(None, "prose", "it is plain language")
    return decide(text, facts)


def _atom(text: str, facts: Facts) -> Verdict:
    for read in (comparison, consent, gift, presence, existence, flag):
        verdict = read(text, facts)
        if verdict is not None:
            return verdict
    return Verdict(None, "prose", "it is plain language")
