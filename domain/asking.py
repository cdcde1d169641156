"""Who answers a question of a workflow: what was given, what is known, a simulated expert, or a person?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from .condition_facts import slug
from .prompts import Source

_MENU = re.compile(r"\[c\]\s*(?:ontinue|continue)|\(c\)\s*ontinue|\by/n/edit\b", re.IGNORECASE)
_GO_ON = re.compile(
    r"^(?:continue|proceed|ready to (?:continue|proceed)|shall (?:we|i) (?:continue|proceed))\b.{0,60}\?", re.IGNORECASE
)


@dataclass(frozen=True)
class Known:
    """An answer that needs nobody's judgement, and where it comes from."""

    answer: str
    source: str


def known_answer(
    question: str, response: str, given: Mapping[str, JsonValue], facts: Mapping[str, JsonValue]
) -> Known | None:
    """The answer by inputs of the run, then by facts of the project, then by the rule that menus mean go on.

    `given` are the run's inputs, `facts` what else is known by name.
    """
    names = [name for name in (response, slug(response)) if name]
    for values, source in ((given, "input"), (facts, "project")):
        for name in names:
            if values.get(name) not in (None, ""):
                return Known(str(values[name]), f"{source} {name}")
    asked = slug(question)
    for name, value in given.items():
        if value not in (None, "") and len(name) > 3 and asked == slug(name):
            return Known(str(value), f"input {name}")
    if _MENU.search(question):
        return Known(
            "c" if "[c]" in question.lower() or "(c)" in question.lower() else "y",
            "rule: menus are answered with go on",
        )
    if _GO_ON.match(question.strip()):
        return Known("y", "rule: the run goes on")
    return None


def quoted_in(quote: str, sources: Sequence[Source]) -> str:
    """The path of the document in which these words really stand, "" if in none (or they are too few to tell)."""
    words = " ".join(quote.split()).lower()
    if len(words) < 12:
        return ""
    return next((source.path for source in sources if words in " ".join(source.text.split()).lower()), "")


def needs_person(confidence: float, threshold: float, policy: str) -> bool:
    """Whether a person must answer: "person" always, "unsure" below the threshold, "simulate" never."""
    return policy == "person" or (policy == "unsure" and confidence < threshold)
