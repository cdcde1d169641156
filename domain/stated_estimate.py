"""Which estimate was stated for a delivery, what is the warehouse told of it, and what does a person read?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from .estimate import Estimate, Part
from .events import Estimated
from .model_calls import CallTags, Value
from .phases import Phase


class Stated(Value):
    """An estimate as it was stated: once for a delivery, whatever interrupts it. `run` is the run that stated it."""

    run: str
    ts: str
    phases: tuple[Phase, ...]
    estimate: Estimate

    def covers(self, phases: Sequence[Phase]) -> bool:
        """Whether it was stated for all of these phases."""
        return set(phases) <= set(self.phases)

    def events(self, project: str) -> list[Estimated]:
        """What the warehouse is told, the same however often."""
        whole = self.estimate
        total = Part(
            kind="phase", name="total", low=whole.low, likely=whole.likely, high=whole.high, basis=_gaps(whole)
        )
        return [
            *(self._event(project, part.kind, part) for part in whole.parts),
            self._event(project, "total", total),
        ]

    def _event(self, project: str, kind: Literal["phase", "story", "total"], part: Part) -> Estimated:
        name = "|".join(("estimate", project, self.run, kind, part.name))
        tags = CallTags(project=project, run=self.run, story=part.name if kind == "story" else "")
        return Estimated(
            event_id=hashlib.sha256(name.encode()).hexdigest(),
            ts=self.ts,
            tags=tags,
            part=kind,
            **part.model_dump(exclude={"kind"}),
        )


def _gaps(whole: Estimate) -> str:
    return f"without {', '.join(whole.unpriced)}: no price is known" if whole.unpriced else ""


def with_stories(stated: Stated, stories: Estimate) -> Stated:
    """The estimate with a part for each story that only now is known; what was stated before stays as it is."""
    known = {(part.kind, part.name) for part in stated.estimate.parts}
    fresh = tuple(part for part in stories.parts if (part.kind, part.name) not in known)
    parts = (*stated.estimate.parts, *fresh)
    return stated.model_copy(update={"estimate": stated.estimate.model_copy(update={"parts": parts})})


def estimate_text(stated: Estimate, *, cap: Decimal | None = None) -> str:
    """An estimate as Markdown; `cap` is the budget that it is held against."""
    lines = [f"**${stated.low} to ${stated.high}**, likely ${stated.likely}, at list price."]
    if stated.unpriced:
        lines.append(f"Nothing can be said of {', '.join(stated.unpriced)}: no price is known for its model.")
    if cap is not None and stated.high > cap:
        much = "more than" if stated.likely > cap else "as far as"
        lines.append(f"That may be {much} the budget of ${cap} reaches; at a cap you are asked before more is spent.")
    rows = [f"| {p.name} | ${p.likely} | ${p.low} to ${p.high} | {p.basis} |" for p in stated.parts]
    return "\n".join([" ".join(lines), "", "| part | likely | range | known from |", "|---|--:|--:|---|", *rows]) + "\n"
