"""Does a condition about an answer hold: `y`, `choice == 2`, `user selects 1 or 2`, `user confirms`?"""

from __future__ import annotations

import re

from .condition_facts import Facts, Verdict

USER = re.compile(
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
ANSWER_NAMES = re.compile(r"^(?:\w+_)?(?:choice|response|answer|selection|reply|user_input)$")
BARE = re.compile(
    r"^['\"\[(]*([A-Za-z]|\d{1,2}|yes|no|continue|exit|edit|back|done|skip|all|none|quit|revise)['\"\])]*$", re.I
)
YES, NO = (
    frozenset({"y", "yes", "ok", "okay", "sure", "true", "approve", "approved", "confirm", "c", "continue"}),
    frozenset({"n", "no", "false", "decline", "reject"}),
)
_POSITIVE = {"approved", "approves", "confirms", "confirmed", "agrees", "accepts"}


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


def answered(options: list[str], facts: Facts) -> Verdict:
    """Whether the last answer is one of these options."""
    wanted = " or ".join(options)
    if facts.answer is None:
        return Verdict(None, "answer", f"nothing was asked yet, so {wanted!r} is open")
    if "enter" in options and not facts.answer.strip():
        return Verdict(True, "answer", "the answer was empty")
    value = any(matches_answer(facts.answer, option) for option in options)
    return Verdict(value, "answer", f"the answer {facts.answer[:60]!r} is{'' if value else ' not'} {wanted!r}")


def options_of(text: str) -> list[str]:
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


def consent(text: str, facts: Facts) -> Verdict | None:
    """A verdict on "user confirms", "the proposal is approved"; None if the text has no such form."""
    match = _CONSENT.match(text)
    if not match:
        return None
    positive = match[1].lower() in _POSITIVE
    tail = re.search(r"'(\w)'$", text)
    return answered([tail[1] if tail else "yes" if positive else "no"], facts)


def gift(text: str, facts: Facts) -> Verdict | None:
    """A verdict on "user provides a path"; None if the text has no such form."""
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
