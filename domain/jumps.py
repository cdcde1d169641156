"""Where does a jump in a workflow lead?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .step_order import rank
from .workflow_tree import Node, Step

_STEP_WORD = re.compile(r"^step[ _-]?(.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Landing:
    """Where a jump lands: the top-level step's place in the order, and the node within it (its start if None)."""

    step: int
    node: Node | None = None


def goto_target(node: Node) -> str:
    """What a <goto> names: a step's number or an anchor."""
    return (node.attrs.get("step") or node.attrs.get("anchor") or node.inner_text()).strip().strip("#")


def landing(target: str, steps: Sequence[Step]) -> Landing | None:
    """The place that `target` names among `steps`: "2a", "step_2", "FINAL", an anchor, or words that hold an anchor's
    name; None if there is none. Steps at the top come first, then nested ones, then anchors.
    """
    plain = target.strip().strip("\"'#").strip()
    named = _STEP_WORD.match(plain)
    for number in dict.fromkeys([plain, named[1] if named else plain]):
        for at, step in enumerate(steps):
            if _same(step.number, number):
                return Landing(at)
        for at, step in enumerate(steps):
            for node in step.node.walk():
                if node.kind in ("step", "substep") and _same(node.attrs.get("n", ""), number):
                    return Landing(at, node)
    words = re.findall(r"[\w-]+", plain)
    for wanted in (plain, *reversed(words)):
        for at, step in enumerate(steps):
            for node in step.node.walk():
                if node.kind == "anchor" and node.attrs.get("id") == wanted:
                    return Landing(at, node)
    return None


def _same(number: str, asked: str) -> bool:
    if not number or not asked:
        return False
    place = rank(number)
    return number.strip().lower() == asked.strip().lower() or (place is not None and place == rank(asked))
