from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.step_order import in_order, rank


def test_numbers_run_in_exact_numerical_order_and_final_is_last():
    given_order = ["FINAL", "10", "2b", "1", "0.5", "2a", "-1", "2", "1.6", "1.5", "20", "0"]
    assert in_order(given_order, str) == ["-1", "0", "0.5", "1", "1.5", "1.6", "2", "2a", "2b", "10", "20", "FINAL"]


def test_ties_keep_their_order():
    items = [("1", "a"), ("3", "b"), ("1", "c"), ("1.0", "d")]
    assert [name for _, name in in_order(items, lambda item: item[0])] == ["a", "c", "d", "b"]


def test_what_has_no_number_stays_behind_what_stood_before_it():
    items = [("", "first"), ("2", "b"), ("?", "after b"), ("1", "a")]
    assert [name for _, name in in_order(items, lambda item: item[0])] == ["first", "a", "b", "after b"]


def test_parts_of_parts_are_ordered_and_words_are_no_numbers():
    assert in_order(["1.2.10", "1.2.9", "1.2"], str) == ["1.2", "1.2.9", "1.2.10"]
    assert rank("two") is None
    assert rank(" 2A ") == rank("2a")


@given(st.lists(st.text(max_size=5)))
def test_nothing_is_lost_in_ordering(numbers):
    assert sorted(in_order(numbers, str)) == sorted(numbers)
