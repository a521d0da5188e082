"""Partial dependence: what a model says on average where a column is set."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import make_regression
from sklearn.inspection import partial_dependence as theirs
from sklearn.linear_model import LinearRegression

from autopilot.explain import dependence_chart, partial_dependence
from storage import Predictor
from storage.errors import InputError
from tests import portable
from tests.trained import train_model

REGRESSOR = Predictor(portable.regressor())
FRAME = pl.DataFrame(list(portable.ROWS), infer_schema_length=None)


def test_a_number_of_a_sum_has_a_straight_line() -> None:
    """amount / 2 + the mean of the rest, -0.25: at the quantiles of 1, 4 and 9; all rows' lines run alongside."""
    (found,) = partial_dependence(REGRESSOR, FRAME, ["amount"])
    rest = [-1.0, 0.0, -3.0, 1.0]
    assert found.values == (1.0, 4.0, 9.0)
    assert found.mean == tuple(value / 2 + np.mean(rest) for value in (1.0, 4.0, 9.0))
    assert np.subtract(found.upper, found.lower) == pytest.approx([np.ptp(np.quantile(rest, [0.1, 0.9]))] * 3)
    assert (found.output, found.kind, found.rows) == ("prediction", "number", 4)


def test_categories_are_set_to_their_levels_most_frequent_first() -> None:
    """Missing is a level; ties are by name."""
    frame = pl.concat([FRAME, FRAME.filter(pl.col("town") == "Rome")])
    (found,) = partial_dependence(REGRESSOR, frame, ["town"])
    assert found.values == ("Rome", "", "Bonn", "Ulm")
    assert np.subtract(found.mean, found.mean[0]) == pytest.approx([0.0, 0.0, -1.0, 1.0])


def test_times_are_set_to_moments() -> None:
    """Before 2024 and from 2024 on differ by 1."""
    (found,) = partial_dependence(REGRESSOR, FRAME, ["seen"])
    assert found.values[0] == datetime(2023, 5, 1, tzinfo=UTC)
    assert np.subtract(found.mean, found.mean[0]) == pytest.approx([0.0, 1.0, 1.0])


def test_a_class_is_chosen_by_name() -> None:
    """The second of two by default; the other one's probability is the rest."""
    predictor = Predictor(portable.classifier())
    (yes,), (no,) = (partial_dependence(predictor, FRAME, ["visits"], class_=name) for name in (None, "no"))
    assert (yes.output, no.output) == ("yes", "no")
    assert np.add(yes.mean, no.mean) == pytest.approx([1.0] * len(yes.values), abs=1e-6)


def test_it_is_what_scikit_learn_finds() -> None:
    """A linear model of two numbers on the grid of ours, by brute force."""
    X, y = make_regression(120, 2, noise=1.0, random_state=0)
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y})
    predictor, _ = train_model(frame, "y", "lightgbm", rounds=20)

    class Ours(LinearRegression):
        def predict(self, X: np.ndarray) -> np.ndarray:
            return predictor.predict(pl.DataFrame({"a": X[:, 0], "b": X[:, 1]})).get_column("prediction").to_numpy()

    (found,) = partial_dependence(predictor, frame, ["a"], points=5)
    expected = theirs(Ours().fit(X, y), X, [0], custom_values={0: np.array(found.values)}, method="brute")
    assert found.mean == pytest.approx(expected["average"][0], abs=1e-6)


def test_what_has_no_dependence_is_said() -> None:
    """An unknown column, no rows, a column without a value."""
    with pytest.raises(InputError, match="takes no column 'age'"):
        partial_dependence(REGRESSOR, FRAME, ["age"])
    with pytest.raises(InputError, match="no rows"):
        partial_dependence(REGRESSOR, FRAME.clear(), ["amount"])
    with pytest.raises(InputError, match="Column 'amount' has no value"):
        partial_dependence(REGRESSOR, FRAME.with_columns(amount=pl.lit(None, dtype=pl.Float64)), ["amount"])


@pytest.mark.parametrize("column", ["amount", "town", "seen"])
def test_each_kind_has_a_chart(column: str) -> None:
    """That Vega-Lite draws, with a mark for each value."""
    import vl_convert

    (found,) = partial_dependence(REGRESSOR, FRAME, [column])
    svg = vl_convert.vegalite_to_svg(dependence_chart(found).to_dict())
    assert svg.startswith("<svg")
    assert column in svg
    assert "missing" in svg or column != "town"
