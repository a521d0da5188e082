"""Permutation importance of raw columns, and what its intervals promise."""

import time

import numpy as np
import polars as pl
import pytest
from sklearn.inspection import permutation_importance as theirs
from sklearn.metrics import root_mean_squared_error

from autopilot.explain import importance_chart, permutation_importance
from autopilot.metrics import METRICS, Metric
from storage import Predictor
from storage.errors import InputError
from tests import portable

RNG = np.random.default_rng(0)
ROWS = 2000
FRAME = pl.DataFrame(
    {
        "amount": RNG.uniform(0, 10, ROWS),
        "town": RNG.choice(["Ulm", "Bonn", "Rome"], ROWS),
        "visits": RNG.integers(0, 9, ROWS),
        "seen": ["2023-05-01"] * ROWS,
    }
)
PREDICTOR = Predictor(portable.regressor())
Y = PREDICTOR.predict(FRAME).get_column("prediction").to_numpy() + RNG.normal(0, 1, ROWS)
RMSE = METRICS["rmse"]


def of(found: object, column: str) -> object:
    """One column's importance."""
    return next(each for each in found.columns if each.column == column)


def test_columns_are_ranked_as_scikit_learn_ranks_them() -> None:
    """Within the intervals of both: rmse on one model, columns shuffled 10 times."""

    class Estimator:
        def fit(self, X: object, y: object) -> object:
            raise NotImplementedError

        def score(self, X: object, y: object) -> float:
            numbers = pl.DataFrame({"amount": X[:, 0], "town": names[X[:, 1].astype(int)], "visits": X[:, 2]})
            predicted = PREDICTOR.predict(numbers.with_columns(seen=FRAME["seen"]))["prediction"]
            return -root_mean_squared_error(y, predicted.to_numpy())

    names = np.array(["Ulm", "Bonn", "Rome"], dtype=object)
    codes = [names.tolist().index(town) for town in FRAME["town"]]
    X = np.column_stack([FRAME["amount"], codes, FRAME["visits"]])
    expected = theirs(Estimator(), X, Y, n_repeats=10, random_state=0).importances_mean
    found = permutation_importance(PREDICTOR, FRAME, Y, RMSE, repeats=10)
    assert [each.column for each in found.columns] == ["visits", "amount", "town", "seen"]
    assert [each.rank for each in found.columns] == [1, 2, 3, 4]
    for name, value in zip(("amount", "town", "visits"), expected, strict=True):
        assert of(found, name).lower < value < of(found, name).upper
        assert of(found, name).importance == pytest.approx(value, rel=0.03)


def test_a_column_of_one_value_has_exactly_no_importance() -> None:
    """And so has one that is null in all rows: nothing changes."""
    frame = FRAME.with_columns(town=pl.lit(None, dtype=pl.String))
    found = permutation_importance(PREDICTOR, frame, Y, RMSE)
    for name in ("seen", "town"):
        assert (of(found, name).importance, of(found, name).lower, of(found, name).upper) == (0.0, 0.0, 0.0)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 100 samples of 200 rows nine in ten at least; the truth is by 40 times as many rows."""
    truth = of(permutation_importance(PREDICTOR, *_drawn(8000, 1), RMSE, repeats=5), "amount").importance
    samples = [
        of(permutation_importance(PREDICTOR, *_drawn(200, seed), RMSE, repeats=1), "amount") for seed in range(2, 102)
    ]
    held = sum(one.lower <= truth <= one.upper for one in samples)
    assert 90 <= held < 100
    assert np.mean([one.importance for one in samples]) == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "log_loss"])
def test_metrics_of_classes_are_in_their_own_unit(name: str) -> None:
    """What shuffling costs is positive whichever direction the metric has; weights of 1 change nothing."""
    predictor = Predictor(portable.classifier())
    shares = predictor.predict(FRAME).get_column("p_yes").to_numpy()
    y = (np.random.default_rng(1).random(ROWS) < shares).astype(float)
    found = permutation_importance(predictor, FRAME, y, METRICS[name], repeats=2)
    assert found.columns[0].lower > 0
    assert found.score == pytest.approx(METRICS[name].score(y, np.column_stack([1 - shares, shares])), abs=1e-6)
    weighted = permutation_importance(predictor, FRAME, y, METRICS[name], repeats=2, weights=np.ones(ROWS))
    assert weighted.frame().get_column("importance").to_list() == pytest.approx(found.frame()["importance"].to_list())


def test_a_limit_drops_repeats_then_rows_and_says_so() -> None:
    """With a metric that takes 2 ms for 2,000 rows: what is left takes less than the limit."""

    def slow(y: np.ndarray, predicted: np.ndarray) -> float:
        time.sleep(1e-6 * len(y))
        return float(np.abs(y - predicted).mean())

    metric = Metric("slow", slow, needs="value", greater_is_better=False)
    few = permutation_importance(PREDICTOR, FRAME, Y, metric, repeats=50, limit_s=1.5)
    assert few.repeats < 50
    assert "instead of 50" in few.notes[0]
    less = permutation_importance(PREDICTOR, FRAME, Y, metric, repeats=5, limit_s=0.05)
    assert (less.repeats, less.rows < ROWS) == (1, True)
    assert f"{less.rows:,} of 2,000 rows" in less.notes[1]


def test_what_cannot_be_measured_is_said() -> None:
    """Few rows, targets that are not as many, no repeats."""
    with pytest.raises(InputError, match="needs 20 rows or more; there are 19"):
        permutation_importance(PREDICTOR, FRAME[:19], Y[:19], RMSE)
    with pytest.raises(InputError, match="y has 5 values for 2000 rows"):
        permutation_importance(PREDICTOR, FRAME, Y[:5], RMSE)
    with pytest.raises(InputError, match="repeats is 0"):
        permutation_importance(PREDICTOR, FRAME, Y, RMSE, repeats=0)


def test_the_table_and_the_chart_have_a_line_for_each_column() -> None:
    """Largest first."""
    found = permutation_importance(PREDICTOR, FRAME, Y, RMSE, repeats=1)
    assert found.frame().columns == ["rank", "column", "importance", "lower", "upper"]
    drawn = importance_chart(found, most=2).to_dict()
    (rows,) = drawn["datasets"].values()
    assert [row["column"] for row in rows] == ["visits", "amount"]


def _drawn(rows: int, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "amount": rng.uniform(0, 10, rows),
            "town": ["Ulm"] * rows,
            "visits": [1] * rows,
            "seen": ["2023-05-01"] * rows,
        }
    )
    return frame, PREDICTOR.predict(frame).get_column("prediction").to_numpy() + rng.normal(0, 1, rows)
