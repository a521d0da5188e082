"""Shapley values of games, by their axioms: what is worth is shared out, and fairly."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from storage import Column, Signature
from storage.boundary import Blocks
from storage.explain.games import Chains, Games, of_coalitions

COLUMNS = 5
SIGNATURE = Signature("regression", "y", tuple(Column(f"x{index}", "number", "Float64") for index in range(COLUMNS)))
ALL = tuple(range(COLUMNS))

seeds = st.integers(0, 2**32 - 1)


def blocks(X: NDArray[np.float64]) -> Blocks:
    """Rows of numbers."""
    return Blocks(X, np.empty((len(X), 0), dtype=object), np.empty((len(X), 0), dtype=np.int64))


def drawn(seed: int, *, rows: int = 3) -> tuple[Games, Any]:
    """A row of small whole numbers against others, some cells alike, and a bent function of five columns."""
    rng = np.random.default_rng(seed)
    row, background = rng.integers(0, 3, (1, COLUMNS)).astype(float), rng.integers(0, 3, (rows, COLUMNS)).astype(float)
    weights = rng.normal(size=(3, COLUMNS))

    def model(X: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c = ((X * weight).sum(axis=1) for weight in weights)  # a product of matrices depends on how many rows
        return np.column_stack([np.tanh(a) * b, np.maximum(c, 0)])

    return Games.of(SIGNATURE, blocks(row), blocks(background), ALL), model


def enumerated(games: Games, model: Any) -> NDArray[np.float64]:
    """Values by all coalitions: (columns, outputs)."""
    return of_coalitions(games, model(games.hybrids(*games.all_coalitions()).number))


def sampled(games: Games, model: Any, times: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values by random orders, and their errors."""
    chains = Chains.draw(games, times, np.random.default_rng(seed))
    chain, has = chains.coalitions(games)
    ends = model(games.background.number[games.other]), model(games.row.number)[0]
    return chains.values(games, model(games.hybrids(chains.game[chain], has).number), ends)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_values_add_up_to_what_is_shared(seed: int) -> None:
    """Efficiency: the row's worth less the background's mean, by enumeration and by any number of orders."""
    games, model = drawn(seed)
    shared = model(games.row.number)[0] - model(games.background.number).mean(axis=0)
    assert enumerated(games, model).sum(axis=0) == pytest.approx(shared, abs=1e-12)
    for times in (1, 2):
        assert sampled(games, model, times, seed)[0].sum(axis=0) == pytest.approx(shared, abs=1e-12)


@given(seeds, st.sampled_from(ALL))
@settings(max_examples=60, deadline=None)
def test_a_column_that_does_nothing_has_nothing(seed: int, column: int) -> None:
    """Dummy: exactly 0."""
    games, model = drawn(seed)

    def blind(X: NDArray[np.float64]) -> NDArray[np.float64]:
        return model(np.where(np.arange(COLUMNS) == column, 1.0, X))

    assert not enumerated(games, blind)[column].any()
    assert not sampled(games, blind, 2, seed)[0][column].any()


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_columns_that_are_exchanged_exchange_their_values(seed: int) -> None:
    """Symmetry: with two columns swapped in rows and function, their values are swapped."""
    games, model = drawn(seed)
    swapped = [1, 0, *range(2, COLUMNS)]
    others = Games.of(SIGNATURE, blocks(games.row.number[:, swapped]), blocks(games.background.number[:, swapped]), ALL)
    found = enumerated(others, lambda X: model(X[:, swapped]))
    assert found[swapped] == pytest.approx(enumerated(games, model), abs=1e-12)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_values_of_a_sum_are_sums_of_values(seed: int) -> None:
    """Linearity, and a player alone gets the whole difference."""
    games, model = drawn(seed)

    def more(X: NDArray[np.float64]) -> NDArray[np.float64]:
        return model(X) + 3 * X[:, :1]

    gained = np.zeros((COLUMNS, 1))
    gained[0] = 3 * (games.row.number[0, 0] - games.background.number[:, 0].mean())
    assert enumerated(games, more) == pytest.approx(enumerated(games, model) + gained, abs=1e-12)


def test_the_glove_game_is_as_in_the_textbook() -> None:
    """One left glove, two right ones: 2/3 to the left hand, 1/6 to each right one."""
    row, other = np.array([[1.0, 1.0, 1.0, 0.0, 0.0]]), np.zeros((1, COLUMNS))
    games = Games.of(SIGNATURE, blocks(row), blocks(other), ALL)

    def pairs(X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(X[:, 0], X[:, 1] + X[:, 2])[:, None]

    assert enumerated(games, pairs)[:, 0] == pytest.approx([2 / 3, 1 / 6, 1 / 6, 0, 0])


def test_errors_are_what_samples_differ_by() -> None:
    """Of 200 samples: their deviation is within a quarter of the mean of the errors told."""
    games, model = drawn(8, rows=6)
    values, errors = zip(*(sampled(games, model, 3, seed) for seed in range(200)), strict=True)
    deviation, told = np.std(values, axis=0), np.sqrt(np.mean(np.square(errors), axis=0))
    varies = deviation > 1e-9
    assert varies.any()
    assert (told[varies] / deviation[varies]) == pytest.approx(1.0, abs=0.25)
    assert np.mean(values, axis=0) == pytest.approx(enumerated(games, model), abs=float(4 * told.max() / 200**0.5))


def test_what_is_missing_on_both_sides_does_not_play() -> None:
    """NaN is like NaN: a game of one player."""
    row, other = np.array([[np.nan, 1.0, 0, 0, 0]]), np.array([[np.nan, 2.0, 0, 0, 0]])
    games = Games.of(SIGNATURE, blocks(row), blocks(other), ALL)
    assert games.plays.tolist() == [[False, True, False, False, False]]
    assert games.coalitions == 2
