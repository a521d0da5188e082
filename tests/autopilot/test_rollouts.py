"""What the command line reads of a roll-out."""

import pytest

from autopilot.rollouts import guard_of, plan_of, seconds_of, share_of
from storage import InputError
from storage.records import Guard


def test_a_canary_of_a_tenth_is_the_default() -> None:
    """For five minutes, guarded by errors and latency."""
    plan = plan_of("churn:4")
    assert (plan.strategy, plan.share, plan.wait_s, plan.alpha) == ("canary", 0.1, 300, 0.01)
    assert plan.guards == (Guard("errors"), Guard("latency", floor=0.005))


def test_each_strategy_has_its_words() -> None:
    """And its wait."""
    assert plan_of("m", canary="5%", wait="30s").share == 0.05
    linear = plan_of("m", linear="0.25", every="2m")
    assert (linear.strategy, linear.share, linear.wait_s) == ("linear", 0.25, 120)
    assert plan_of("m", blue_green=True, wait="1h").strategy == "blue_green"


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (lambda: plan_of("m", canary="10%", linear="10%"), "Choose one"),
        (lambda: plan_of("m", wait="1m", every="1m"), "say the same"),
        (lambda: share_of("ten"), "'ten' is no share. Write it as 10% or 0.1"),
        (lambda: share_of("120%"), "'120%' is no share"),
        (lambda: share_of("-5%"), "'-5%' is no share"),
        (lambda: seconds_of("soon"), "The wait 'soon' is no time. Write it as 30s, 5m or 1h"),
        (lambda: guard_of("latency=fast"), "The latency 'fast' is no time. Write it as 50ms or 0.2s"),
        (lambda: guard_of("errors=x"), "'x' is no share"),
        (lambda: guard_of("memory"), "'memory' is no guard. Use errors, errors=1%, latency"),
    ],
)
def test_what_cannot_be_read_is_told(read, told: str) -> None:
    """With what would be right."""
    with pytest.raises(InputError, match=told):
        read()


def test_guards_are_read_with_their_limits() -> None:
    """Milliseconds, and shares that are let pass."""
    assert guard_of("latency=0.2s") == Guard("latency", 200.0, 0.005)
    assert guard_of("scores=10%") == Guard("scores", floor=0.1)
    assert guard_of("scores") == Guard("scores", floor=0.05)
