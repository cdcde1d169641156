"""Which step files does a document say it has been through, and which one comes next?

Upstream keeps its progress in the document's frontmatter: `stepsCompleted: [1, 2]` in older versions, names of step
files in newer ones.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from . import frontmatter
from .errors import DocumentError
from .workflow_shape import families_of
from .workflow_tree import Step


def steps_completed(text: str, steps: Sequence[Step]) -> tuple[str, ...]:
    """The names of the completed step files, in the workflow's order; marks that fit no step are left out."""
    try:
        marks = frontmatter.split(text, "the document").values.get("stepsCompleted")
    except DocumentError:
        return ()
    if not isinstance(marks, list):
        return ()
    said = {str(mark).strip().removesuffix(".md") for mark in marks}
    done = {_stem(step): step for step in steps if _stem(step) in said or step.number in said}
    return tuple(done)


def next_after(done: Sequence[str], steps: Sequence[Step]) -> int | None:
    """The index of the step file that follows the last completed one; None if that was the last of its family."""
    for family in families_of(steps).values():
        stems = [_stem(steps[index]) for index in family]
        at = [stems.index(name) for name in done if name in stems]
        if at:
            last = max(at)
            followers = [i for i in family if steps[i].file == steps[family[last]].next_file]
            if followers:
                return followers[0]
            return family[last + 1] if last + 1 < len(family) else None
    return 0


def _stem(step: Step) -> str:
    return posixpath.basename(step.file).removesuffix(".md")
