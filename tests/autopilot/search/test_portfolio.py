"""The portfolio: which points are tried, for which table, in which order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.candidates import CANDIDATES, choose
from autopilot.candidates.candidate import Problem
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear
from autopilot.search.portfolio import LARGE, MEDIUM, SHAPES, SMALL, Entry, entry_of, portfolio
from autopilot.search.space import CategoricalParameter
from autopilot.table.infer import infer
from storage.signature import Signature, Task
from tests import tables

SIGNATURE = infer(tables.mixed(60), "paid").signature
NUMBERS = ["baseline", "linear", "lightgbm", "lightgbm_prepared", "perceptron", "extra_trees"]


def names(entries: list[Entry]) -> list[str]:
    """Of their candidates."""
    return [entry.candidate for entry in entries]


@given(
    task=st.sampled_from([("binary", 2), ("multiclass", 3), ("multiclass", 40), ("regression", 1)]),
    rows=st.integers(10, 10_000_000),
    budget_s=st.floats(1, 1e5),
    chosen=st.sets(st.sampled_from([candidate.name for candidate in CANDIDATES]), min_size=1),
)
def test_each_chosen_candidate_that_applies_occurs_with_parameters_of_its_space(
    task: tuple[Task, int], rows: int, budget_s: float, chosen: set[str]
) -> None:
    """And no other; no entry occurs twice."""
    problem = Problem(*task, rows)
    candidates = [candidate for candidate in CANDIDATES if candidate.name in chosen]
    entries = portfolio(problem, SIGNATURE, candidates, budget_s)
    applying = {candidate.name: candidate for candidate in candidates if candidate.applies(problem)}
    assert set(names(entries)) == set(applying)
    for number, entry in enumerate(entries):
        space = applying[entry.candidate].space(problem)
        assert set(entry.params) == set(space)
        for name, parameter in space.items():
            value = entry.params[name]
            if isinstance(parameter, CategoricalParameter):
                assert value in parameter.values
            else:
                assert parameter.low <= value <= parameter.high
        assert entry not in entries[:number]


@pytest.mark.parametrize("order", [SMALL, MEDIUM, LARGE], ids=["small", "medium", "large"])
def test_each_order_begins_with_the_constant_guess_and_knows_all_candidates(order: Any) -> None:
    """Trials are raced against it; a candidate that no order knew would count as the user's own."""
    assert order[0] == ("baseline", 0)
    assert {name for name, _ in order} == {candidate.name for candidate in CANDIDATES}
    assert len(set(order)) == len(order)
    assert all(at in SHAPES for _, at in order if isinstance(at, str))


def test_small_tables_see_more_families_early_and_large_ones_more_lightgbm() -> None:
    """In the first eight entries."""
    small, large = (
        names(portfolio(Problem("binary", 2, rows), SIGNATURE, choose(None), 60))[:8] for rows in (500, 500_000)
    )
    assert len(set(small)) > len(set(large))
    assert sum(name.startswith("lightgbm") for name in large) > sum(name.startswith("lightgbm") for name in small)


@pytest.mark.parametrize(
    ("rows", "budget_s", "expected"),
    [(12_000, 60, 0.08), (96_000, 60, 0.12), (12_000, 480, 0.04), (500, 60, 0.03), (10**7, 10, 0.12)],
)
def test_the_learning_rate_falls_with_the_time_for_a_row(rows: int, budget_s: float, expected: float) -> None:
    """Halved by eight times the time, within 0.03 and 0.12."""
    entry = entry_of(LightGBM(), "usual", Problem("binary", 2, rows), budget_s)
    assert entry.params["learning_rate"] == pytest.approx(expected)


def test_points_are_moved_into_narrower_spaces_each_once() -> None:
    """Where all else is fixed, shapes of five leaves and of eight and more make two entries."""
    ranges: dict[str, Any] = {"num_leaves": (4, 8), "extra_trees": False, "learning_rate": 0.1}
    ranges |= {"min_data_in_leaf": 5, "feature_fraction": 0.5, "bagging_fraction": 0.9, "lambda_l1": 1.0}
    narrow = choose(["lightgbm"], {"lightgbm": {**ranges, "lambda_l2": 1.0}})
    entries = portfolio(Problem("binary", 2, 1000), SIGNATURE, narrow, 60)
    assert sorted(entry.params["num_leaves"] for entry in entries) == [5, 8]


class Own(Linear):
    """A user's own."""

    name = "own"


def test_a_candidate_of_the_users_own_comes_early_with_its_first_point() -> None:
    """Third, its other points last."""
    entries = portfolio(Problem("binary", 2, 5000), SIGNATURE, (*choose(NUMBERS), Own()), 60)
    places = [number for number, entry in enumerate(entries) if entry.candidate == "own"]
    assert places == [2, len(entries) - 2, len(entries) - 1]
    assert [entries[place].params["penalty"] for place in places] == [1.0, 100.0, 0.02]


@pytest.mark.parametrize(
    ("columns", "is_last"), [(["age", "income"], False), (["age", "town"], False), (["age"], True), (["town"], True)]
)
def test_features_of_two_columns_come_last_where_there_are_not_two(columns: list[str], is_last: bool) -> None:
    """They would be the same features once more."""
    signature: Signature = infer(tables.mixed(200).select(*columns, "paid"), "paid").signature
    entries = portfolio(Problem("binary", 2, 5000), signature, choose(NUMBERS), 60)
    is_prepared = [name == "lightgbm_prepared" for name in names(entries)]
    assert (is_prepared == sorted(is_prepared)) == is_last
