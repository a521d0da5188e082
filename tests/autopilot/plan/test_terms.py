"""Arithmetic of two columns is chosen where it tells more of the target than both columns do."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from autopilot.plan.op import Target
from autopilot.plan.terms import Term, choose_terms
from tests.graphs import rows_of
from tests.strategies import signature_of


def chosen(
    target: Callable[[np.ndarray], np.ndarray], *, rows: int = 4000, columns: int = 6, outputs: int = 1, seed: int = 0
) -> list[Term]:
    """Terms for a target of lognormal numbers, of which each 20th is missing."""
    x = np.random.default_rng(seed).lognormal(size=(rows, columns))
    y = np.asarray(target(x), dtype=np.float64)
    holes = np.random.default_rng(seed + 1).random(x.shape) < 0.05
    frame = pl.DataFrame(np.where(holes, np.nan, x), schema=[f"c{i}" for i in range(columns)]).fill_nan(None)
    return choose_terms(rows_of(signature_of(("number",) * columns), frame, Target(y, outputs)))


@pytest.mark.parametrize("rows", [1000, 4000, 30_000])
def test_the_ratio_that_decides_is_found(rows: int) -> None:
    """With few rows, which are used twice, and with many; its reciprocal says the same and is left out."""
    found = chosen(lambda x: np.abs(np.log(x[:, 1] / x[:, 4])) < 0.5, rows=rows, outputs=2)
    ratios = {Term("c1", "/", "c4"), Term("c4", "/", "c1")}
    assert found[0] in ratios
    assert not ratios <= set(found)


def test_a_difference_that_decides_is_found() -> None:
    """Which of two numbers is larger; the columns alone tell less."""
    found = chosen(lambda x: x[:, 0] > x[:, 5], outputs=2)
    assert found[0] in (Term("c0", "-", "c5"), Term("c0", "/", "c5"), Term("c5", "/", "c0"))


def test_classes_are_told_apart_too() -> None:
    """Three of them, by a sum."""
    found = chosen(lambda x: np.digitize(x[:, 2] + x[:, 3], [1.5, 3.5]), outputs=3)
    assert Term("c2", "+", "c3") in found


def test_noise_chooses_nothing() -> None:
    """Ten targets that have nothing to do with the columns."""
    for seed in range(10):
        noise = np.random.default_rng(100 + seed)
        assert chosen(lambda x, noise=noise: noise.normal(size=len(x)), rows=1000, seed=seed) == []


def test_what_both_columns_tell_already_is_not_computed() -> None:
    """A target that each column shifts by itself: trees find that."""
    assert chosen(lambda x: np.where(x[:, 0] > 1, 1.0, 0.0) + np.where(x[:, 1] > 1, 3.0, 0.0)) == []


def test_of_more_than_sixty_columns_those_that_tell_most_are_paired() -> None:
    """The two that matter are among them."""
    found = chosen(lambda x: np.sqrt(x[:, 7]) - np.sqrt(x[:, 70]) > 0, columns=80, outputs=2)
    assert found
    assert {found[0].left, found[0].right} == {"c7", "c70"}


def test_too_few_columns_or_rows_and_too_many_classes_choose_nothing() -> None:
    """One column, 199 rows, a constant target, 13 classes."""
    assert chosen(lambda x: x[:, 0], columns=1) == []
    assert chosen(lambda x: x[:, 0] / x[:, 1], rows=199) == []
    assert chosen(lambda x: np.ones(len(x))) == []
    assert chosen(lambda x: np.arange(len(x)) % 13, outputs=13) == []


def test_a_table_that_is_sorted_by_its_target_teaches_no_more_than_a_shuffled_one() -> None:
    """Equal numbers stay in the order of the rows: it must not carry the target into the bins."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"c{i}": (rng.random(3000) < 0.02).astype(np.float64) for i in range(4)})
    target = Target(np.sort(rng.normal(size=3000)), 1)
    assert choose_terms(rows_of(signature_of(("number",) * 4), frame, target)) == []
