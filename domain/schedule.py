"""Which stories may start now, in which order, and why do the others wait?

Edges come from three places, the first that speaks decides:
1. declared: `depends_on`, from `**Prerequisites:**`. "None" is a declaration too (`Story.independent`).
2. the order of the plan: a story that declares nothing follows the one before it in its epic.
3. the order of the epics: an epic that says nothing about other epics starts after the last stories of the one before
   it, as the method builds each epic upon the earlier ones.
Rules 2 and 3 never close a cycle with declared edges, and `Order.DECLARED` switches them off.

What may run at the same time is then a matter of footprints (see `footprints`). All decisions are values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, pairwise

from .errors import WorkflowError
from .footprints import APPEND_ONLY, Footprint, Unknown, clash, predict
from .stories import Story


class Order(StrEnum):
    """What holds for a story that declares no prerequisites."""

    PLAN = "plan"  # it follows the plan (rules 2 and 3)
    DECLARED = "declared"  # it may start at once


@dataclass(frozen=True)
class Dag:
    """Stories and what each waits for. `needs` and `dependants` are by key, in the order of the plan.

    `implied` holds the edges that the plan's order made, `missing` the prerequisites that are not planned, `cycles` the
    cycles as closed paths of keys, `weight` the length of the longest way from a story to the end, in points.
    """

    stories: Mapping[str, Story]
    needs: Mapping[str, tuple[str, ...]]
    dependants: Mapping[str, tuple[str, ...]]
    footprints: Mapping[str, Footprint]
    weight: Mapping[str, float]
    implied: frozenset[tuple[str, str]] = frozenset()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cycles: tuple[tuple[str, ...], ...] = ()
    unknown: Unknown = Unknown.EPIC

    def cycles_among(self, done: Collection[str]) -> tuple[tuple[str, ...], ...]:
        """The cycles that are left once these stories are done."""
        if not self.cycles:
            return ()
        left = {key: names for key, names in self.needs.items() if key not in done}
        return _find_cycles({key: [name for name in names if name in left] for key, names in left.items()})

    def require_acyclic(self, done: Collection[str] = ()) -> None:
        """Raise if stories that are not done wait for each other.

        Raises:
            WorkflowError: naming the path of every cycle.
        """
        if cycles := self.cycles_among(done):
            paths = "; ".join(" -> ".join(cycle) for cycle in cycles)
            remedy = "Take one of the prerequisites out of epics.md."
            raise WorkflowError(f"stories wait for each other: {paths}", remedy=remedy)


@dataclass(frozen=True)
class Decision:
    """What to do now: stories to start, in order; why others wait, are held back or can never start.

    `waiting` names the prerequisites that are not done yet, `held` the running story and the file in the way, `blocked`
    the failed or missing story behind it. `finished`: nothing runs and nothing can start.
    """

    start: tuple[str, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)
    finished: bool = False


def build_dag(
    stories: Sequence[Story],
    *,
    order: Order = Order.PLAN,
    unknown: Unknown = Unknown.EPIC,
    append_only: Sequence[str] = APPEND_ONLY,
) -> Dag:
    """The graph of these stories, which stand in the order of the plan. Never raises: see `cycles` and `missing`."""
    by_key = {story.key: story for story in stories}
    needs = {key: [name for name in dict.fromkeys(s.depends_on) if name in by_key] for key, s in by_key.items()}
    missing = {
        key: lost for key, story in by_key.items() if (lost := tuple(n for n in story.depends_on if n not in by_key))
    }
    implied: set[tuple[str, str]] = set()
    if order is Order.PLAN:
        epics = {epic: number for number, epic in enumerate(dict.fromkeys(s.epic for s in by_key.values()))}
        in_epics = sorted(by_key, key=lambda key: epics[by_key[key].epic])  # as _plan_edges goes through them
        place = {key: number for number, key in enumerate(in_epics)}
        ahead = any(place[name] >= place[key] for key, names in needs.items() for name in names)  # else: no cycle
        for key, before in _plan_edges(list(by_key.values())):
            if before not in needs[key] and not (ahead and _reaches(needs, before, key)):
                needs[key].append(before)
                implied.add((key, before))
    dependants: dict[str, list[str]] = {key: [] for key in by_key}
    for key, names in needs.items():
        for name in names:
            dependants[name].append(key)
    cycles = _find_cycles(needs)
    return Dag(
        by_key,
        {key: tuple(names) for key, names in needs.items()},
        {key: tuple(names) for key, names in dependants.items()},
        {key: predict(story, append_only=append_only) for key, story in by_key.items()},
        _weights(by_key, dependants, {key for cycle in cycles for key in cycle}),
        frozenset(implied),
        missing,
        cycles,
        unknown,
    )


def _plan_edges(stories: Sequence[Story]) -> Iterable[tuple[str, str]]:
    """(story, the one it follows) by rules 2 and 3."""
    epics: dict[str, list[Story]] = {}
    for story in stories:
        epics.setdefault(story.epic, []).append(story)
    last: list[str] = []
    for rows in epics.values():
        own = {story.key for story in rows}
        if not any(story.independent or _names_others(story, own) for story in rows):
            first = next((story for story in rows if not story.depends_on), rows[0])
            yield from ((first.key, before) for before in last)
        follows = [(story.key, before.key) for before, story in pairwise(rows) if not _declares(story)]
        yield from follows
        needed = {name for story in rows for name in story.depends_on} | {before for _, before in follows}
        last = [story.key for story in rows if story.key not in needed]


def _names_others(story: Story, own: Collection[str]) -> bool:
    """Whether a story needs one of another epic; `own` are the planned ones of its epic."""
    number = story.epic.removeprefix("epic-")
    return any(name not in own and not name.startswith(f"{number}-") for name in story.depends_on)


def _declares(story: Story) -> bool:
    return bool(story.depends_on) or story.independent


def _reaches(needs: Mapping[str, Sequence[str]], start: str, goal: str) -> bool:
    """Whether `start` waits for `goal`, over any number of steps."""
    seen, stack = {start}, [start]
    while stack:
        here = stack.pop()
        if here == goal:
            return True
        fresh = [name for name in needs[here] if name not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    return False


def _find_cycles(needs: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """One closed path for each back edge of a depth-first walk."""
    state: dict[str, int] = {}
    cycles: list[tuple[str, ...]] = []
    for root in needs:
        if root in state:
            continue
        path: list[str] = [root]
        state[root] = 1
        stack = [iter(needs[root])]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                state[path.pop()] = 2
            elif name not in state:
                state[name] = 1
                path.append(name)
                stack.append(iter(needs[name]))
            elif state[name] == 1:
                cycles.append((*path[path.index(name) :], name))
    return tuple(cycles)


def _weights(
    stories: Mapping[str, Story], dependants: Mapping[str, Sequence[str]], cyclic: Collection[str]
) -> dict[str, float]:
    """Points (1 where none are given) on the longest way from each story to the end of the plan."""
    weight: dict[str, float] = {}
    for root in stories:
        stack = [root]
        while stack:
            key = stack[-1]
            after = [name for name in dependants[key] if name not in cyclic]
            todo = [name for name in after if name not in weight]
            if todo and key not in weight:
                stack.extend(todo)
                continue
            stack.pop()
            own = stories[key].points
            weight[key] = (1.0 if own is None else own) + max((weight[name] for name in after), default=0.0)
    return weight


def ready(
    dag: Dag,
    done: Collection[str],
    running: Collection[str] = (),
    failed: Collection[str] = (),
    *,
    width: int | None = None,
) -> tuple[str, ...]:
    """The stories to start now, in order; see `decide`."""
    return decide(dag, done, running, failed, width=width).start


def decide(
    dag: Dag,
    done: Collection[str],
    running: Collection[str] = (),
    failed: Collection[str] = (),
    *,
    width: int | None = None,
) -> Decision:
    """What may start beside `running`, at most `width` stories at a time, and why each other story does not.

    First the longest way to the end, then priority, then the order of the plan. All stories in `start` may run at once.
    A story that a running one is in the way of is not overtaken by those behind it that would be in its way, too.
    A prerequisite that is `done` counts even if it is not planned any more.
    """
    over, active, lost = set(done), set(running), set(failed)
    blocked = _blocked(dag, over, lost)
    waiting: dict[str, str] = {}
    open_: list[str] = []
    for key in dag.stories:
        if key in over or key in active or key in lost or key in blocked:
            continue
        left = [name for name in dag.needs[key] if name not in over]
        if left:
            waiting[key] = "waits for " + ", ".join(left)
        else:
            open_.append(key)
    place = {key: number for number, key in enumerate(dag.stories)}
    rank = {key: (-dag.weight[key], -dag.stories[key].priority) for key in open_}
    open_.sort(key=lambda key: (rank[key], place[key]))
    start: list[str] = []
    next_: dict[str, None] = {}
    held: dict[str, str] = {}
    beside = [key for key in dag.stories if key in active]
    for key in open_:
        if width is not None and len(active) + len(start) >= width:
            held[key] = f"all {width} places are taken"
            continue
        ahead = (other for other in next_ if rank[other] < rank[key])
        reasons = (
            (other, clash(dag.footprints[key], dag.footprints[other], dag.unknown))
            for other in chain(beside, start, ahead)
        )
        found = next(((other, why) for other, why in reasons if why), None)
        if found:
            held[key] = f"waits for {found[0]}: {found[1]}"
            if found[0] not in next_:
                next_[key] = None
        else:
            start.append(key)
    return Decision(tuple(start), waiting, held, blocked, finished=not start and not active)


def _blocked(dag: Dag, done: Collection[str], failed: Collection[str]) -> dict[str, str]:
    """Stories that can never start, with the reason, along every way from what is broken."""
    reasons: dict[str, str] = {}
    for key, names in dag.missing.items():
        if lost := [name for name in names if name not in done]:
            reasons[key] = f"needs {', '.join(lost)}, which is not planned"
    for cycle in dag.cycles_among(done):
        for key in cycle:
            reasons.setdefault(key, "waits for itself: " + " -> ".join(cycle))
    queue = deque((key, key, f"{key} failed") for key in dag.stories if key in failed)
    queue.extend((key, key, f"{key} cannot start") for key in reasons)
    seen = {key for key, _, _ in queue}
    while queue:
        key, origin, why = queue.popleft()
        for name in dag.dependants[key]:
            if name not in seen and name not in done:
                seen.add(name)
                way = why if key == origin else f"{why}, and {key} waits for it"
                by_plan = (name, key) in dag.implied
                reasons[name] = way + ("; it only follows it in the plan: declare its prerequisites" if by_plan else "")
                queue.append((name, origin, why))
    return {key: why for key, why in reasons.items() if key not in done and key not in failed}
