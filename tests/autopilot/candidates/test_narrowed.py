"""A user's narrower ranges: what they mean, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.candidates import CANDIDATES, Candidate, choose
from autopilot.candidates.candidate import Job, OutOfBag, Problem
from autopilot.candidates.extra_trees import ExtraTrees
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear
from autopilot.candidates.narrowed import clipped, narrowed
from autopilot.candidates.perceptron import Perceptron
from autopilot.deadline import Deadline
from autopilot.search.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Space
from autopilot.search.tpe import Tpe
from storage.errors import InputError

PROBLEM = Problem("binary", 2, 1000)


def test_a_pair_is_a_range_on_the_parameters_own_scale() -> None:
    """Whole numbers stay whole; parameters that are not named stay as they are."""
    space = narrowed(LightGBM(), {"num_leaves": (4, 31), "feature_fraction": (0.5, 0.75)}).space(PROBLEM)
    assert space["num_leaves"] == IntegerParameter(4, 31, "logarithmic")
    assert space["feature_fraction"] == ContinuousParameter(0.5, 0.75)
    own = LightGBM().space(PROBLEM)
    assert {name: space[name] for name in own if name not in ("num_leaves", "feature_fraction")} == {
        name: own[name] for name in own if name not in ("num_leaves", "feature_fraction")
    }


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (0.05, CategoricalParameter((0.05,))),
        ([0.05, 0.1, 0.05], CategoricalParameter((0.05, 0.1))),
        ((0.05, 0.05), ContinuousParameter(0.05, 0.05, "logarithmic")),
        (ContinuousParameter(0.5, 2.0), ContinuousParameter(0.5, 2.0)),
    ],
)
def test_a_value_fixes_a_list_chooses_and_an_object_is_taken_as_it_is(wanted: Any, expected: Any) -> None:
    """The last one beyond what the candidate would try itself."""
    assert narrowed(LightGBM(), {"learning_rate": wanted}).space(PROBLEM)["learning_rate"] == expected


def test_listed_points_are_moved_into_the_ranges_each_once() -> None:
    """Six points that differ in their leaves alone become two."""
    fixed = {name: LightGBM().points(PROBLEM)[0][name] for name in LightGBM().space(PROBLEM) if name != "num_leaves"}
    points = narrowed(LightGBM(), {**fixed, "num_leaves": [8, 31]}).points(PROBLEM)
    assert points == [{**fixed, "num_leaves": 31}, {**fixed, "num_leaves": 8}]


@pytest.mark.parametrize(
    ("candidate", "ranges", "message"),
    [
        (Linear(), {"alpha": 1.0}, r"candidate 'linear' has no parameter 'alpha'\. It has penalty\."),
        (LightGBM(), {"num_leaves": (1, 31)}, r"'num_leaves' of 'lightgbm' was given \(1, 31\)\. It takes whole"),
        (LightGBM(), {"num_leaves": (31, 8)}, "whole numbers from 4 to 255: one of them, a list, or a pair"),
        (LightGBM(), {"num_leaves": 8.5}, "given 8.5"),
        (LightGBM(), {"num_leaves": True}, "given True"),
        (LightGBM(), {"num_leaves": (8, 16, 32)}, "given"),
        (LightGBM(), {"num_leaves": ("few", 32)}, "given"),
        (LightGBM(), {"learning_rate": float("nan")}, "numbers from 0.01 to 0.3"),
        (LightGBM(), {"learning_rate": []}, r"given \[\]"),
        (LightGBM(), {"extra_trees": 1}, "False, True: one of them, or a list"),
        (Perceptron(), {"width": (64, 128)}, r"given \(64, 128\)\. It takes 64, 128, 256: one of them, or a list"),
    ],
)
def test_what_a_candidate_does_not_take_is_refused(candidate: Candidate, ranges: Any, message: str) -> None:
    """With its name, the parameter's, what was given and what is allowed."""
    with pytest.raises(InputError, match=message):
        narrowed(candidate, ranges)


def test_ranges_are_for_candidates_that_are_tried() -> None:
    """Else a misspelt name would change nothing."""
    with pytest.raises(InputError, match=r"ranges for 'lightgmb', which is not tried\. Tried are linear, lightgbm"):
        choose(["linear", "lightgbm"], {"lightgmb": {"num_leaves": 8}})


def test_a_narrowed_candidate_keeps_its_name_and_what_it_offers() -> None:
    """So the search scores a narrowed forest out of bag too."""
    (forest, linear) = choose(["extra_trees", "linear"], {"extra_trees": {"max_features": 1.0}, "linear": {}})
    assert (forest.name, forest.recipe, linear.recipe) == ("extra_trees", "trees", "linear")
    assert isinstance(forest, OutOfBag)
    assert not isinstance(linear, OutOfBag)
    X, y = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32), np.arange(50) % 2.0
    job = Job(X, y, None, None, forest.points(PROBLEM)[0], 3, Deadline.after(60), 0, Problem("binary", 2, 50))
    assert np.array_equal(forest.fit(job).predict(X), ExtraTrees().fit(job).predict(X))
    assert forest.fit_out_of_bag(job)[1].shape == (50, 2)


def test_the_search_suggests_within_the_ranges() -> None:
    """Fixed parameters too."""
    space = narrowed(LightGBM(), {"num_leaves": (6, 9), "learning_rate": 0.05, "extra_trees": [True]}).space(PROBLEM)
    tpe = Tpe(space, seed=0)
    for _ in range(12):
        number, params = tpe.ask()
        tpe.tell(number, float(params["num_leaves"]))
        assert 6 <= params["num_leaves"] <= 9
        assert (params["learning_rate"], params["extra_trees"]) == (0.05, True)


SPACES = {candidate.name: candidate.space(PROBLEM) for candidate in CANDIDATES}


@given(st.data(), st.sampled_from(sorted(SPACES)))
def test_whatever_is_given_becomes_a_point_of_the_space(data: st.DataObject, name: str) -> None:
    """And a point of the space stays as it is."""
    space: Space = SPACES[name]
    numbers = st.floats(allow_nan=False) | st.integers() | st.booleans()
    moved = clipped({parameter: data.draw(numbers) for parameter in space}, space)
    for parameter, value in moved.items():
        own = space[parameter]
        assert value in own.values if isinstance(own, CategoricalParameter) else own.low <= value <= own.high
    assert clipped(moved, space) == moved
