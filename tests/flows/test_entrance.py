"""A few stories begin at once; each lets the next one in when it has begun, and at its end whatever happens."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from storyloom.flows import entrance
from storyloom.flows.entrance import AT_ONCE, at_the_entrance, entered
from storyloom.tasks.ports import use

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
assert _spec is not None
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)  # type: ignore[union-attr]

WAIT_S = 20


class Story:
    """One that comes to the entrance, begins when it is told to, and then works until it is told to end."""

    def __init__(self) -> None:
        self.came, self.begins, self.ends = (threading.Event() for _ in range(3))
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self) -> None:
        with at_the_entrance():
            self.came.set()
            assert self.begins.wait(WAIT_S)
            entered()
            assert self.ends.wait(WAIT_S)

    def end(self) -> None:
        self.begins.set()
        self.ends.set()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(entrance, "LOOK_S", 0.05)
    yield
    for _ in range(AT_ONCE):  # every place is free again
        assert entrance._places.acquire(timeout=WAIT_S)
    assert not entrance._places.acquire(blocking=False)
    entrance._places.release(AT_ONCE)


def test_only_a_few_begin_at_once_and_one_that_has_begun_lets_the_next_in():
    first = [Story() for _ in range(AT_ONCE)]
    for story in first:
        assert story.came.wait(WAIT_S)
    later = Story()
    try:
        assert not later.came.wait(0.3)
        first[0].begins.set()
        assert later.came.wait(WAIT_S)
        assert not first[0].ends.is_set()  # it is still at work
    finally:
        for story in (*first, later):
            story.end()


def test_one_that_fails_before_it_has_begun_lets_the_next_in():
    for _ in range(2 * AT_ONCE):
        with pytest.raises(OSError, match="no server"), at_the_entrance():
            raise OSError("no server")


def test_one_that_begins_again_gives_up_no_place_of_another():
    with at_the_entrance():
        entered()
        other = [Story() for _ in range(AT_ONCE)]
        for story in other:
            assert story.came.wait(WAIT_S)
        entered()
        entered()
        later = Story()
        came = later.came.wait(0.3)
        for story in (*other, later):
            story.end()
        assert not came


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.whole
@pytest.mark.usefixtures("prefect_harness")
def test_stories_of_a_batch_are_developed_on_all_lanes_although_few_begin_at_once(tmp_path: Path):
    from storyloom.flows.implementation import implementation

    lanes = AT_ONCE + 2
    together, met = threading.Barrier(lanes), list[str]()

    def model(request):
        if request.purpose == "review":
            return people.approving()
        together.wait(60)  # broken unless all of them ask while none has its answer
        met.append(request.tags.story)
        return people.writing(f"part{request.tags.story.split('-')[1]}.py", "X = 1\n")

    stories = people.epics(*(people.planned(n, f"`part{n}.py`") for n in range(1, lanes + 1)))
    ports = people.committed_ports(tmp_path, stories, model, config={"settings": {"max_concurrent_agents": lanes}})
    with use(lambda _project: ports):
        report = implementation(ports.project)
    assert {end.status for end in report.stories} == {"merged"}, report.reason
    assert sorted(met) == [f"1-{n}-part" for n in range(1, lanes + 1)]
