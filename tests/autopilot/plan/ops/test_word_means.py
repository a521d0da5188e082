"""Prose becomes the mean target of its words, for training rows without their own."""

import numpy as np
import polars as pl
import pytest

from autopilot.plan.op import Target
from autopilot.plan.ops import WordMeans
from tests.graphs import both, rows_of, training_features
from tests.strategies import raw_frame, signature_of

TEXT = signature_of(("text",))
TRAIN = raw_frame(("text",), [("late",), ("late paid",), ("paid late late",), ("paid",), (None,), ("paid once",)])
TARGET = Target(np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]), 2)  # mean 1/2
FOLDS = [0, 0, 1, 1, 1, 0]

#: (sum + 3/2) / (texts + 3) - 1/2; `once` is the one unknown word.
LATE, PAID, OTHER = 4.5 / 6 - 0.5, 3.5 / 7 - 0.5, 1.5 / 4 - 0.5


def test_a_text_is_the_sum_of_its_words_weights_by_the_root_of_their_number() -> None:
    """A word counts as often as it occurs; without a word there is nothing to tell."""
    rows = rows_of(TEXT, TRAIN, TARGET)
    op = WordMeans.fit(rows)
    assert op is not None
    assert op.names() == ("word means of c0",)
    later = raw_frame(("text",), [("late",), ("LATE late",), ("late paid new",), ("",), (None,), ("12345",)])
    root = np.sqrt
    expected = [LATE, 2 * LATE / root(2), (LATE + PAID + OTHER) / root(3), 0, 0, 0]
    found = both(op, TEXT, later, tokens=rows.tokens)
    assert np.array(found)[:, 0].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_training_row_gets_the_weights_of_the_other_folds() -> None:
    """With their prior: 2/3 for the rows of fold 1, 1/3 for those of fold 0."""
    rows = rows_of(TEXT, TRAIN, TARGET, FOLDS)
    op = WordMeans.fit(rows)
    assert op is not None
    # Fold 0 sees "paid late late" 1, "paid" 0, missing 0; fold 1 sees "late" 1, "late paid" 1, "paid once" 0.
    late_0, paid_0, other_0 = (1 + 1) / 4 - 1 / 3, (1 + 1) / 5 - 1 / 3, (0 + 1) / 3 - 1 / 3
    late_1, paid_1 = (2 + 2) / 5 - 2 / 3, (1 + 2) / 5 - 2 / 3
    root = np.sqrt
    expected = [
        late_0,
        (late_0 + paid_0) / root(2),
        (2 * late_1 + paid_1) / root(3),
        paid_1,
        0,
        (paid_0 + other_0) / root(2),
    ]
    assert training_features(op, rows)[:, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_several_classes_give_a_feature_each_and_many_give_no_op() -> None:
    """Twelve are the most."""
    rows = rows_of(TEXT, TRAIN, Target(np.array([0.0, 1.0, 2.0, 0.0, 1.0, 2.0]), 3))
    op = WordMeans.fit(rows)
    assert op is not None
    assert op.names() == tuple(f"word means of c0, class {index}" for index in range(3))
    found = np.array(both(op, TEXT, TRAIN, tokens=rows.tokens))
    assert found.sum(axis=1).tolist() == pytest.approx([0] * 6, abs=1e-4)
    assert WordMeans.fit(rows_of(TEXT, TRAIN, Target(np.arange(6.0) * 2, 13))) is None


def test_a_target_that_does_not_vary_gives_zeros() -> None:
    """All weights are 0."""
    rows = rows_of(TEXT, TRAIN)
    assert both(WordMeans.fit(rows), TEXT, TRAIN, tokens=rows.tokens) == [[0.0]] * 6


def test_noise_stays_small_in_training_and_later() -> None:
    """Words that have nothing to do with the target do not seem to."""
    rng = np.random.default_rng(0)
    train = pl.DataFrame({"c0": [" ".join(rng.choice(list("abcdefghijklmnop"), 5)) for _ in range(2000)]})
    rows = rows_of(TEXT, train, Target(rng.integers(0, 2, 2000).astype(np.float64), 2), rng.integers(0, 5, 2000))
    op = WordMeans.fit(rows)
    assert op is not None
    correlation = np.corrcoef(training_features(op, rows)[:, 0], rows.target.y)[0, 1]
    assert abs(correlation) < 0.07  # three standard errors
