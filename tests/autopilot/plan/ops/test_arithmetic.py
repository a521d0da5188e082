"""Arithmetic of two numbers, with a defined result in each case."""

import math

import numpy as np
import polars as pl

from autopilot.plan.op import Target
from autopilot.plan.ops import Arithmetic
from autopilot.plan.terms import OPERATIONS, Term
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

KINDS = ("number", "number")
ALL = Arithmetic.of([Term("c0", operation, "c1") for operation in OPERATIONS])
LARGEST = float(np.finfo(np.float32).max)


def results(*rows: tuple[float | None, float | None]) -> list[list[float | None]]:
    """Sum, difference, product and quotient, None for missing."""
    found = both(ALL, signature_of(KINDS), raw_frame(KINDS, list(rows)))
    return [[None if math.isnan(value) else value for value in row] for row in found]


def test_two_numbers_are_added_subtracted_multiplied_and_divided() -> None:
    """6 and 4."""
    assert ALL.names() == ("c0 + c1", "c0 - c1", "c0 * c1", "c0 / c1")
    assert results((6.0, 4.0)) == [[10.0, 2.0, 24.0, 1.5]]


def test_a_division_by_zero_is_missing() -> None:
    """By either zero, of any number."""
    assert [row[3] for row in results((1.0, 0.0), (0.0, 0.0), (1.0, -0.0), (math.inf, 0.0))] == [None] * 4


def test_a_missing_number_makes_the_result_missing() -> None:
    """Either of them."""
    assert results((None, 1.0), (1.0, None), (None, None)) == [[None] * 4] * 3


def test_what_is_too_large_becomes_the_largest_float32_and_what_has_no_result_is_missing() -> None:
    """1e300 squared, an infinity added, an infinity less an infinity."""
    assert results((1e300, 1e300))[0] == [LARGEST, 0.0, LARGEST, 1.0]
    assert results((math.inf, 1.0))[0] == [LARGEST] * 4
    assert results((math.inf, math.inf))[0] == [LARGEST, None, LARGEST, None]
    assert results((0.0, math.inf))[0] == [LARGEST, -LARGEST, None, 0.0]


def test_terms_are_chosen_by_the_target_and_can_be_taken_apart() -> None:
    """What is not asked for leaves no column behind."""
    x = np.random.default_rng(0).lognormal(size=(2000, 3))
    frame = pl.DataFrame(x, schema=["c0", "c1", "c2"])
    target = Target((x[:, 0] > x[:, 2]).astype(np.float64), 2)
    op = Arithmetic.fit(rows_of(signature_of(("number",) * 3), frame, target))
    assert op is not None
    assert set(op.columns) == {"c0", "c2"}
    wide = Arithmetic.of([Term("c0", "/", "c1"), Term("c1", "+", "c2")])
    assert wide.names() == ("c1 + c2", "c0 / c1")
    assert wide.narrowed([1]) == Arithmetic(("c0", "c1"), (Term("c0", "/", "c1"),))


def test_without_terms_there_is_no_op() -> None:
    """A target that nothing tells of."""
    frame = pl.DataFrame(np.random.default_rng(0).normal(size=(500, 2)), schema=["c0", "c1"])
    assert Arithmetic.fit(rows_of(signature_of(KINDS), frame)) is None
