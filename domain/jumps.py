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
    """The place that `target` names among `steps`: see `Landings.find`."""
    return Landings(steps).find(target)


class Landings:
    """All places in a workflow that a jump can name."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._tops: dict[object, Landing] = {}
        self._parts: dict[object, Landing] = {}
        self._anchors: dict[str, Landing] = {}
        for at, step in enumerate(steps):
            for name in _names(step.number):
                self._tops.setdefault(name, Landing(at))
            for node in step.node.walk():
                if node.kind in ("step", "substep"):
                    for name in _names(node.attrs.get("n", "")):
                        self._parts.setdefault(name, Landing(at, node))
                elif node.kind == "anchor" and node.attrs.get("id"):
                    self._anchors.setdefault(node.attrs["id"], Landing(at, node))

    def find(self, target: str) -> Landing | None:
        """The place that `target` names: "2a", "step_2", "FINAL", an anchor, or words that hold an anchor's name.

        None if there is none. Steps at the top come first, then nested ones, then anchors.
        """
        plain = target.strip().strip("\"'#").strip()
        named = _STEP_WORD.match(plain)
        for number in dict.fromkeys([plain, named[1] if named else plain]):
            for places in (self._tops, self._parts):
                for name in _names(number):
                    if name in places:
                        return places[name]
        words = [plain, *reversed(re.findall(r"[\w-]+", plain))]
        return next((self._anchors[word] for word in words if word in self._anchors), None)


def _names(number: str) -> list[object]:
    """Under which names a step number is known: as written, and by its place in the order."""
    place = rank(number)
    return [name for name in (number.strip().lower(), place) if name]
