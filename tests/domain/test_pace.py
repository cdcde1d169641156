from itertools import count

from storyloom.domain.pace import LOOK_S, REST, Pace


def shown(pace: Pace, began: float, ended: float) -> None:
    times = iter([began, ended])
    with pace.measured(lambda: next(times)):
        pass


def test_the_first_mark_is_shown_and_the_same_mark_is_not_shown_twice():
    pace = Pace()
    assert pace.due(0, 10.0)
    shown(pace, 10.0, 10.0)
    assert not pace.due(0, 11.0)
    assert pace.pause(0, 11.0) is None
    assert pace.due(1, 11.0)


def test_after_a_costly_showing_the_next_one_waits_in_proportion():
    pace = Pace()
    pace.due(0, 0.0)
    shown(pace, 0.0, 0.5)
    assert not pace.due(1, 5.0)
    assert pace.pause(1, 5.0) == 0.5 + REST * 0.5 - 5.0
    assert pace.pause(1, 99.0) == 0.0
    assert pace.due(1, 10.5)


def test_however_many_stories_end_showing_takes_a_twentieth_of_the_time():
    pace, now, cost, spent = Pace(), 0.0, 0.3, 0.0
    for mark in count():
        if now > 600:
            break
        if pace.due(mark, now):
            shown(pace, now, now + cost)
            spent += cost
        now += 0.1
    assert 0 < spent <= now / REST + cost


def test_a_showing_that_fails_rests_too():
    pace = Pace()
    pace.due(0, 0.0)
    times = iter([0.0, 1.0])
    try:
        with pace.measured(lambda: next(times)):
            raise OSError
    except OSError:
        pass
    assert not pace.due(1, 2.0)


def test_while_one_is_being_shown_no_other_is_due_and_somebody_looks_again_soon():
    pace = Pace()
    assert pace.due(0, 0.0)
    assert not pace.due(1, 50.0)
    assert pace.pause(0, 50.0) is None
    assert pace.pause(1, 50.0) == LOOK_S
    shown(pace, 0.0, 51.0)
    assert pace.pause(1, 51.0) == REST * 51.0
