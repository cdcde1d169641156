from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import WorkflowError
from storyloom.domain.footprints import Unknown, clash
from storyloom.domain.schedule import Order, build_dag, decide, ready
from storyloom.domain.stories import Story


def story(key: str, **fields: object) -> Story:
    fields.setdefault("files", (f"src/{key}.py",))
    base = {"key": key, "id": key[:3].replace("-", "."), "epic": f"epic-{key[0]}", "title": key}
    return Story.model_validate({**base, **fields})


def alone(key: str, **fields: object) -> Story:
    return story(key, independent=True, **fields)


def test_declared_prerequisites_alone_count_where_there_are_some():
    dag = build_dag([story("1-1-a"), alone("1-2-b"), story("1-3-c", depends_on=("1-1-a",))])
    assert dag.needs == {"1-1-a": (), "1-2-b": (), "1-3-c": ("1-1-a",)}
    assert dag.implied == frozenset()


def test_a_silent_epic_runs_in_the_order_of_the_plan_after_the_epic_before():
    dag = build_dag([story("1-1-a"), story("1-2-b"), story("2-1-c"), story("2-2-d")])
    assert dag.needs == {"1-1-a": (), "1-2-b": ("1-1-a",), "2-1-c": ("1-2-b",), "2-2-d": ("2-1-c",)}
    assert dag.implied == {("1-2-b", "1-1-a"), ("2-1-c", "1-2-b"), ("2-2-d", "2-1-c")}


def test_an_epic_that_speaks_of_others_does_not_wait_for_the_one_before():
    dag = build_dag([story("1-1-a"), story("1-2-b"), story("2-1-c", depends_on=("1-1-a",)), story("2-2-d")])
    assert dag.needs["2-1-c"] == ("1-1-a",)
    assert dag.needs["2-2-d"] == ("2-1-c",)


def test_an_epic_waits_for_every_loose_end_of_the_one_before():
    dag = build_dag([alone("1-1-a"), alone("1-2-b"), story("2-1-c"), story("2-2-d", depends_on=("2-1-c",))])
    assert dag.needs["2-1-c"] == ("1-1-a", "1-2-b")


def test_only_what_is_declared_counts_when_that_is_asked_for():
    dag = build_dag([story("1-1-a"), story("1-2-b"), story("2-1-c")], order=Order.DECLARED)
    assert ready(dag, []) == ("1-1-a", "1-2-b", "2-1-c")


def test_the_order_of_the_plan_never_closes_a_cycle():
    dag = build_dag([story("1-1-a", depends_on=("1-2-b",)), story("1-2-b")])
    assert dag.cycles == ()
    assert dag.needs == {"1-1-a": ("1-2-b",), "1-2-b": ()}


def test_epics_that_stand_mixed_up_make_no_cycle_either():
    stories = [story("1-1-a"), story("2-1-b"), story("1-2-c", depends_on=("2-1-b",)), story("2-2-d")]
    assert build_dag(stories).cycles == ()


def test_a_cycle_is_reported_with_its_path_and_stops_only_those_behind_it():
    dag = build_dag([
        story("1-1-a", depends_on=("1-3-c",)), story("1-2-b", depends_on=("1-1-a",)),
        story("1-3-c", depends_on=("1-2-b",)),
        story("1-4-d", depends_on=("1-3-c",)), alone("1-5-e"),
    ])  # fmt: skip
    assert dag.cycles == (("1-1-a", "1-3-c", "1-2-b", "1-1-a"),)
    with pytest.raises(WorkflowError, match="1-1-a -> 1-3-c -> 1-2-b -> 1-1-a"):
        dag.require_acyclic()
    decision = decide(dag, [])
    assert decision.start == ("1-5-e",)
    assert "waits for itself" in decision.blocked["1-2-b"]
    assert decision.blocked["1-4-d"] == "1-3-c cannot start"
    assert decide(dag, ["1-5-e"]).finished


def test_a_cycle_counts_only_among_stories_that_are_not_done():
    dag = build_dag([
        story("1-1-a", depends_on=("1-2-b", "1-3-c")), story("1-2-b", depends_on=("1-3-c",)),
        story("1-3-c", depends_on=("1-1-a",)), alone("1-4-d"),
    ])  # fmt: skip
    with pytest.raises(WorkflowError, match="1-1-a -> 1-3-c -> 1-1-a"):
        dag.require_acyclic(["1-2-b"])
    assert set(decide(dag, ["1-2-b"]).blocked) == {"1-1-a", "1-3-c"}
    for done in (["1-1-a", "1-2-b", "1-3-c"], ["1-3-c"], ["1-1-a"]):
        dag.require_acyclic(done)
        assert not decide(dag, done).blocked
    assert ready(dag, ["1-3-c"]) == ("1-2-b", "1-4-d")


def test_a_story_that_needs_itself_is_a_cycle():
    assert build_dag([story("1-1-a", depends_on=("1-1-a",))]).cycles == (("1-1-a", "1-1-a"),)


def test_the_longest_way_to_the_end_goes_first_then_priority_then_the_plan():
    stories = [
        alone("1-1-a"), alone("1-2-b", priority=5), alone("1-3-c", points=2.0),
        alone("1-4-d"), story("1-5-e", depends_on=("1-4-d",), points=8.0), alone("1-6-f", priority=5),
    ]  # fmt: skip
    dag = build_dag(stories)
    assert dag.weight["1-4-d"] == 9.0
    assert ready(dag, []) == ("1-4-d", "1-3-c", "1-2-b", "1-6-f", "1-1-a")
    assert ready(dag, [], width=2) == ("1-4-d", "1-3-c")
    assert ready(dag, [], ["1-1-a"], width=2) == ("1-4-d",)


def test_a_story_on_the_longest_way_is_not_kept_waiting_by_ever_new_ones_in_its_way():
    wide, after = alone("1-1-wide", files=("src/",), points=5), story("1-2-after", depends_on=("1-1-wide",), points=5)
    small = [alone(f"2-{number}-small", points=1) for number in range(1, 9)]
    dag = build_dag([wide, after, *small, alone("3-1-docs", files=("docs/a.md",), points=1)])
    decision = decide(dag, done=(), running=("2-1-small", "2-2-small"), width=4)
    assert decision.start == ("3-1-docs",)
    assert decision.held["1-1-wide"] == "waits for 2-1-small: both touch src/2-1-small.py"
    assert decision.held["2-3-small"] == "waits for 1-1-wide: both touch src/2-3-small.py"
    assert ready(dag, {"2-1-small", "2-2-small", "3-1-docs"}, width=4) == ("1-1-wide",)


def test_a_story_in_whose_way_another_is_may_be_overtaken_by_its_equals():
    dag = build_dag([alone("1-1-wide", files=("src/",)), alone("1-2-a"), alone("1-3-b")])
    assert ready(dag, (), running=("1-2-a",), width=4) == ("1-3-b",)


def test_why_a_story_waits_is_said():
    stories = [alone("1-1-a", files=("x.py",)), alone("1-2-b", files=("x.py",)), story("1-3-c", depends_on=("1-1-a",))]
    decision = decide(build_dag(stories), [], ["1-1-a"])
    assert decision.held == {"1-2-b": "waits for 1-1-a: both touch x.py"}
    assert decision.waiting == {"1-3-c": "waits for 1-1-a"}
    assert decide(build_dag(stories), [], [], width=1).held == {"1-2-b": "all 1 places are taken"}


def test_a_failed_story_blocks_its_dependants_and_no_one_else():
    stories = [
        alone("1-1-a"), story("1-2-b", depends_on=("1-1-a",)), story("1-3-c", depends_on=("1-2-b",)), alone("1-4-d"),
    ]  # fmt: skip
    decision = decide(build_dag(stories), [], failed=["1-1-a"])
    assert decision.start == ("1-4-d",)
    assert decision.blocked == {"1-2-b": "1-1-a failed", "1-3-c": "1-1-a failed, and 1-2-b waits for it"}


def test_a_story_blocked_by_the_plan_s_order_alone_says_how_to_free_it():
    decision = decide(build_dag([story("1-1-a"), story("1-2-b")]), [], failed=["1-1-a"])
    assert "declare its prerequisites" in decision.blocked["1-2-b"]


def test_a_prerequisite_that_nobody_plans_blocks_unless_it_is_done():
    dag = build_dag([alone("1-1-a"), story("1-2-b", depends_on=("0-9-old",)), story("1-3-c", depends_on=("1-2-b",))])
    decision = decide(dag, [])
    assert decision.blocked == {"1-2-b": "needs 0-9-old, which is not planned", "1-3-c": "1-2-b cannot start"}
    assert "1-2-b" in ready(dag, ["0-9-old"])


def test_a_prerequisite_of_its_own_epic_that_nobody_plans_says_nothing_about_other_epics():
    dag = build_dag([story("1-1-a"), story("2-2-b", depends_on=("2-1-old",))])
    assert dag.needs["2-2-b"] == ("1-1-a",)


def test_an_empty_plan_is_finished():
    assert decide(build_dag([]), []).finished


# --- properties ----------------------------------------------------------------------------------------------------

KEYS = [f"{epic}-{number}-s" for epic in (1, 2, 3) for number in (1, 2, 3, 4)]


@st.composite
def batches(draw: st.DrawFn, acyclic: bool = True) -> list[Story]:
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=10).map(sorted))
    made = []
    for place, key in enumerate(keys):
        pool = keys[:place] if acyclic else keys
        needs = draw(st.lists(st.sampled_from(pool), unique=True, max_size=3)) if pool else []
        files = draw(st.lists(st.sampled_from(["a.py", "b.py", "src/", "src/c.py"]), unique=True, max_size=2))
        add = draw(st.lists(st.sampled_from(["CHANGELOG.md", "a.py"]), unique=True, max_size=1))
        made.append(
            story(
                key,
                depends_on=tuple(needs),
                independent=draw(st.booleans()),
                files=tuple(files),
                appends=tuple(add),
                priority=draw(st.integers(0, 2)),
                points=draw(st.sampled_from([None, 0.0, 3.0])),
            )
        )
    return list(draw(st.permutations(made)))


@given(batches(), st.sampled_from(Order), st.sampled_from(Unknown), st.sampled_from([1, 2, 16, None]), st.data())
def test_an_acyclic_batch_always_finishes_in_order_and_without_a_clash(stories, order, unknown, width, data):
    dag = build_dag(stories, order=order, unknown=unknown)
    assert dag.cycles == ()
    done: list[str] = []
    running: list[str] = []
    for _ in range(4 * len(stories) + 1):
        decision = decide(dag, done, running, width=width)
        for key in decision.start:
            assert all(name in done for name in dag.stories[key].depends_on)
            assert all(not clash(dag.footprints[key], dag.footprints[other], unknown) for other in running)
            running.append(key)
        assert width is None or len(running) <= width
        assert not decision.blocked
        parts = [*decision.waiting, *decision.held, *running, *done]
        assert sorted(parts) == sorted(dag.stories)
        if decision.finished:
            break
        ended = data.draw(st.sampled_from(running))
        running.remove(ended)
        done.append(ended)
    assert sorted(done) == sorted(dag.stories)


@given(batches(acyclic=False), st.data())
def test_any_batch_ends_and_every_story_is_done_failed_or_blocked_with_a_reason(stories, data):
    dag = build_dag(stories)
    done: list[str] = []
    failed: list[str] = []
    running: list[str] = []
    for _ in range(4 * len(stories) + 1):
        decision = decide(dag, done, running, failed, width=3)
        running.extend(decision.start)
        if decision.finished:
            break
        ended = data.draw(st.sampled_from(running))
        running.remove(ended)
        (failed if data.draw(st.booleans()) else done).append(ended)
    assert decision.finished
    assert sorted([*done, *failed, *decision.blocked]) == sorted(dag.stories)
    assert all(decision.blocked.values())
    broken = {*failed, *(key for cycle in dag.cycles for key in cycle)}
    for key in decision.blocked:
        assert broken, f"{key} is blocked, and nothing failed"


@given(batches(acyclic=False))
def test_a_decision_depends_on_nothing_but_its_arguments(stories):
    dag = build_dag(stories)
    keys = [item.key for item in stories]
    assert decide(dag, keys[:2], keys[2:3]) == decide(build_dag(stories), set(keys[:2]), keys[2:3])
