"""hyperopt by ask and tell: given points as they are, else within the ranges, the same for the same seed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopilot.search.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Params, Space
from autopilot.search.tpe import Tpe

SPACE: Space = {
    "rate": ContinuousParameter(0.01, 0.3, "logarithmic"),
    "share": ContinuousParameter(0.5, 1.0),
    "leaves": IntegerParameter(4, 255, "logarithmic"),
    "depth": IntegerParameter(1, 3),
    "extra": CategoricalParameter((False, True, "some")),
}
POINTS: list[Params] = [
    {"rate": 0.1, "share": 1.0, "leaves": 31, "depth": 1, "extra": False},
    {"rate": 0.01, "share": 0.5, "leaves": 255, "depth": 3, "extra": "some"},
]


def loss_of(params: Params) -> float:
    """Smallest at a rate of 0.1 and 20 leaves."""
    return abs(math.log(params["rate"] / 0.1)) + abs(math.log(params["leaves"] / 20)) + (params["extra"] is not True)


def asked(seed: int, count: int, points: list[Params] | None = None) -> list[Params]:
    """What is suggested when each suggestion is told its loss."""
    tpe = Tpe(SPACE, seed)
    found: list[Params] = []
    for index in range(count):
        number, params = tpe.ask(points[index] if points and index < len(points) else None)
        tpe.tell(number, loss_of(params))
        found.append(params)
    return found


def test_points_are_tried_as_they_are_given() -> None:
    """Floats to the bit, whole numbers and values of their own type; suggestions differ from them."""
    tpe = Tpe(SPACE, 0)
    assert [tpe.ask(point)[1] for point in POINTS] == POINTS
    assert tpe.ask()[1] not in POINTS


def test_the_same_seed_gives_the_same_suggestions() -> None:
    """Another seed gives others."""
    assert asked(1, 25, POINTS) == asked(1, 25, POINTS)
    assert asked(1, 25) != asked(2, 25)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8)
def test_suggestions_lie_in_their_ranges(seed: int) -> None:
    """Ends included, whole numbers as int."""
    for params in asked(seed, 15):
        assert set(params) == set(SPACE)
        assert 0.01 <= params["rate"] <= 0.3
        assert 0.5 <= params["share"] <= 1.0
        assert 4 <= params["leaves"] <= 255
        assert params["depth"] in (1, 2, 3)
        assert isinstance(params["leaves"], int)
        assert params["extra"] in (False, True, "some")


def test_both_ends_of_whole_numbers_are_reached() -> None:
    """About as often as what lies between."""
    tpe = Tpe({"depth": IntegerParameter(1, 3)}, 0)
    found = [tpe.ask()[1]["depth"] for _ in range(60)]
    assert min(found.count(depth) for depth in (1, 2, 3)) >= 8


def test_it_learns_from_what_it_is_told() -> None:
    """Later suggestions are better in the mean than the first eight, which are drawn at random."""
    losses = np.array([[loss_of(params) for params in asked(seed, 40)] for seed in range(3)])
    assert losses[:, 20:].mean() < 0.9 * losses[:, :8].mean()


@pytest.mark.parametrize("failure", [None, float("nan"), float("inf")])
def test_failed_suggestions_are_tolerated(failure: float | None) -> None:
    """Some, or all of them; it goes on suggesting."""
    for every in (1, 2):
        tpe = Tpe(SPACE, 0)
        for index in range(20):
            number, params = tpe.ask()
            tpe.tell(number, failure if index % every == 0 else loss_of(params))
        assert set(tpe.ask()[1]) == set(SPACE)


def test_several_may_be_asked_before_any_is_told() -> None:
    """As trials at once do; told in any order, they differ from one another."""
    tpe = Tpe(SPACE, 0)
    running = [tpe.ask() for _ in range(6)]
    assert len({number for number, _ in running}) == 6
    assert len({str(params) for _, params in running}) == 6
    for number, params in reversed(running):
        tpe.tell(number, loss_of(params))
    assert tpe.ask()[0] not in {number for number, _ in running}


def test_a_space_without_parameters_gives_the_empty_dictionary() -> None:
    """Again and again."""
    tpe = Tpe({}, 0)
    number, params = tpe.ask({})
    tpe.tell(number, 1.0)
    assert params == {}
    assert tpe.ask()[1] == {}
