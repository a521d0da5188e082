"""When dead workers are replaced."""

from hypothesis import given
from hypothesis import strategies as st

from storage.deaths import Deaths


def test_the_first_is_replaced_at_once_and_the_next_later_and_later() -> None:
    """Up to half a minute."""
    deaths = Deaths()
    assert [deaths.add(0.1, 0.0) for _ in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert not deaths.may_replace(29.9)
    assert deaths.may_replace(30.0)
    assert (deaths.total, deaths.in_a_row) == (9, 9)


def test_who_lived_for_long_begins_a_new_row() -> None:
    """It did not die of how it was started."""
    deaths = Deaths()
    for _ in range(5):
        deaths.add(0.1, 0.0)
    assert deaths.add(3600.0, 100.0) == 0
    assert deaths.may_replace(100.0)
    assert deaths.in_a_row == 0


@given(st.lists(st.floats(0, 9.9), min_size=2, max_size=5000))
def test_pauses_only_grow_in_a_row(lives: list[float]) -> None:
    """However many there are."""
    deaths = Deaths()
    pauses = [deaths.add(lived_s, 0.0) for lived_s in lives]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 30
