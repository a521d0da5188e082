"""Deadlines are points on a clock, budgets are times as people write them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.deadline import Deadline, parse_budget
from autopilot.errors import BudgetError
from tests.refusals import raises


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [
        ("60s", 60),
        ("5m", 300),
        ("5min", 300),
        ("1.5h", 5400),
        ("90", 90),
        (30, 30),
        (2.5, 2.5),
        (" 10 s ", 10),
        ("1s", 1),
        ("0.5m", 30),
    ],
)
def test_a_budget_is_seconds_or_a_number_with_a_unit(budget: str | float, seconds: float) -> None:
    """s, m, min, h; without a unit it is seconds."""
    assert parse_budget(budget) == seconds


@pytest.mark.parametrize("budget", ["", "soon", "-5s", "1d", "1h30m", "5 minutes", "inf", "nan", "1e3", None, "1,5h"])
def test_what_is_no_time_is_refused(budget: str | float) -> None:
    """With the value and how to write it."""
    with raises(BudgetError, f"The budget {budget!r} is no time. Write it as 60s, 5m or 1h."):
        parse_budget(budget)


@pytest.mark.parametrize("budget", ["0", "0.9s", 0, 0.5, "0.01m"])
def test_less_than_a_second_is_refused(budget: str | float) -> None:
    """Nothing can be trained in it."""
    with raises(BudgetError, f"The budget {budget!r} is too short to train anything. Give at least 1 s."):
        parse_budget(budget)


@given(seconds=st.integers(1, 10**6))
def test_whole_seconds_are_read_in_each_spelling(seconds: int) -> None:
    """As a number, and with its unit."""
    assert parse_budget(seconds) == parse_budget(str(seconds)) == parse_budget(f"{seconds}s") == seconds
    assert parse_budget(f"{seconds}m") == 60 * seconds


def test_time_runs_down_to_a_deadline() -> None:
    """What is left is never negative."""
    soon, past = Deadline.after(100), Deadline.after(-1)
    assert 99 < soon.left_s <= 100
    assert not soon.passed
    assert past.left_s == 0
    assert past.passed
    assert Deadline.at_time(soon.at).at == soon.at


def test_deadlines_made_of_another_lie_before_it() -> None:
    """A share of what is left; so many seconds sooner."""
    whole = Deadline.after(100)
    assert 49 < whole.share(0.5).left_s <= 50
    assert whole.earlier(30).at == whole.at - 30
    assert Deadline.after(-1).share(0.5).passed


def test_a_stopped_deadline_is_over_at_once_with_all_made_of_it() -> None:
    """On Ctrl-C nobody waits for the budget's end."""
    whole = Deadline.after(100)
    made = [whole, whole.share(0.5), whole.earlier(1), whole.share(0.5).share(0.5)]
    assert not any(deadline.passed for deadline in made)
    whole.stopped.set()
    assert all(deadline.passed and deadline.left_s == 0 for deadline in made)


def test_a_deadline_passes() -> None:
    """On the clock that no change of the time of day moves."""
    deadline = Deadline.after(0.02)
    time.sleep(0.03)
    assert deadline.passed
