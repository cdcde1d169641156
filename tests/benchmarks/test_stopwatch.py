"""What a benchmark says of where the time went adds up."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from benchmarks import stopwatch as module
from benchmarks.stopwatch import Span, Stopwatch, percentile


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when it is told to."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now.seconds)

    def sleep(seconds):
        now.seconds += seconds

    return sleep


class Port:
    """A port that takes its time; `outer` calls another port inside."""

    def __init__(self, sleep, inner=None):
        self.sleep, self.inner, self.name = sleep, inner, "port"

    def work(self, seconds, result=None):
        self.sleep(seconds)
        return result

    def outer(self, seconds):
        self.sleep(seconds)
        self.inner.work(seconds)


def test_a_ports_time_counts_in_every_open_step_of_its_thread(clock):
    watch = Stopwatch()
    port = watch.timed("git", Port(clock))
    with watch.span("story"):
        clock(1)
        with watch.span("turn"):
            port.work(2)
        clock(4)
    (story,), (turn,) = watch.of("story"), watch.of("turn")
    assert (story.seconds, dict(story.parts), story.own("git")) == (7, {"git": 2}, 5)
    assert (turn.seconds, turn.own("git")) == (2, 0)
    assert port.name == "port", "what is no method is handed through"


def test_a_port_that_calls_another_counts_once_for_the_outer_one(clock):
    watch = Stopwatch()
    inner = watch.timed("shelf", Port(clock))
    outer = watch.timed("door", Port(clock, inner))
    with watch.span("story") as span:
        outer.outer(3)
    assert dict(span.parts) == {"door": 6}


def test_a_models_own_time_is_told_apart_from_the_doors_and_a_cached_answer_has_none(clock):
    watch = Stopwatch()
    door = watch.timed("door", Port(clock))
    with watch.span("story") as span:
        door.work(5, SimpleNamespace(cached=False, latency_s=4))
        door.work(1, SimpleNamespace(cached=True, latency_s=4))
    assert dict(span.parts) == {"door": 2, "model": 4}


def test_a_step_that_fails_is_measured_too_and_leaves_nothing_open(clock):
    watch = Stopwatch()

    def fails():
        clock(2)
        raise ValueError

    with pytest.raises(ValueError):
        watch.around("step", fails)()
    assert [span.seconds for span in watch.of("step")] == [2]
    watch.add("git", 1)
    assert watch.of("step")[0].own() == 2


def test_waiting_for_a_lane_is_a_step_of_its_own_and_a_part_of_who_waits(clock):
    watch = Stopwatch()
    lane = watch.waiting("lane wait", lambda: clock(3) or nullcontext())
    with watch.span("story") as span, lane():
        clock(1)
    assert [wait.seconds for wait in watch.of("lane wait")] == [3]
    assert span.own("lane wait") == 1
    assert watch.wait("lane wait", lambda: clock(2) or "served")() == "served"
    assert [wait.seconds for wait in watch.of("lane wait")] == [3, 2]


def test_threads_do_not_count_into_each_others_steps(clock):
    watch, entered, done = Stopwatch(), threading.Event(), threading.Event()

    def other():
        with watch.span("other"):
            entered.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    with watch.span("mine") as mine:
        thread.start()
        entered.wait(10)
        watch.add("git", 1)
        done.set()
        thread.join(10)
    assert dict(mine.parts) == {"git": 1}
    assert dict(watch.of("other")[0].parts) == {}


@pytest.mark.parametrize(
    ("values", "share", "found"), [([], 0.5, 0.0), ([3], 0.95, 3), ([1, 2, 3, 4], 0.5, 3), (range(100), 0.95, 95)]
)
def test_a_percentile_is_one_of_the_values(values, share, found):
    assert percentile(list(values), share) == found


def test_a_new_span_has_spent_nothing():
    assert Span("x").own("git", "door") == 0
