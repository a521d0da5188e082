"""Rows made from a signature are such as a model may be asked for."""

import numpy as np

from serving.likely_rows import likely_rows
from storage import Column, Signature
from storage.boundary import MISSING_TIME
from tests.portable import CLASSIFIER


def test_values_are_of_the_range_of_training_or_missing() -> None:
    """Whole numbers where training had whole numbers; every category, an unseen one and none."""
    rows = likely_rows(CLASSIFIER, 500)
    amount, visits = rows.number.T
    assert np.nanmin(amount) >= 0
    assert np.nanmax(amount) <= 10
    assert 0 < np.isnan(amount).sum() < 200
    np.testing.assert_array_equal(visits[~np.isnan(visits)] % 1, 0)
    assert set(rows.text[:, 0]) == {"Ulm", "Bonn", "never seen", ""}
    assert (rows.time == MISSING_TIME).any()


def test_the_same_seed_gives_the_same_rows() -> None:
    """Whoever tries a model again tries the same."""
    one, other = likely_rows(CLASSIFIER, 20, 3), likely_rows(CLASSIFIER, 20, 3)
    np.testing.assert_array_equal(one.number, other.number)
    assert (one.text == other.text).all()


def test_any_signature_has_rows() -> None:
    """No columns of a kind, no range, free text."""
    blank = Signature("regression", "y", (Column("n", "number", "Float64"), Column("t", "text", "String")))
    rows = likely_rows(blank, 9)
    assert rows.number.shape == (9, 1)
    assert rows.time.shape == (9, 0)
    assert all(isinstance(text, str) for text in rows.text[:, 0])
