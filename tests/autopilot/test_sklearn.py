"""The scikit-learn face: its own checks, its tools, and what goes in and comes out."""

import contextlib
import copy
import io
import pickle
import re
import tempfile
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency, parametrize_with_checks

import autopilot
from autopilot.sklearn import AutopilotClassifier, AutopilotRegressor

GUIDE = (Path(__file__).parents[2] / "docs" / "sklearn.md").read_text(encoding="utf-8")


class Here(Executor):
    """Does each task where it is submitted; it can be copied, as scikit-learn copies parameters."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future

    def __repr__(self) -> str:
        return "Here()"  # and no address: each process that runs tests has to call them the same


#: The quickest fit in which no clock decides anything: one linear trial on eight folds, nothing trained again.
QUICK: dict[str, Any] = {
    "candidates": ["linear"],
    "max_trials": 1,
    "quality": "best",
    "budget": "1h",
    "random_state": 0,
    "executor": Here(),
}


def flats(rows: int = 60) -> pd.DataFrame:
    """A table with a category, numbers and missing values."""
    rng = np.random.default_rng(7)
    area = rng.normal(60, 15, rows).round(1)
    area[3] = np.nan
    town = rng.choice(["Ulm", "Bonn", "Köln"], rows).astype(object)
    town[5] = None
    return pd.DataFrame({"town": town, "area": area, "rooms": rng.integers(1, 6, rows)})


def is_dear(frame: pd.DataFrame) -> "pd.Series[Any]":
    """A target that the rooms tell."""
    return pd.Series(np.where(frame["rooms"] > 2, "dear", "cheap"), name="price", dtype=object)


@pytest.fixture(scope="module")
def fitted() -> AutopilotClassifier:
    """A classifier of `flats`; look at it, change nothing."""
    return AutopilotClassifier(**QUICK).fit(flats(), is_dear(flats()))


# ------------------------------------------------------------------------------------------- scikit-learn's own checks


def not_of_folds(estimator: Any) -> dict[str, str]:
    """Checks that cannot pass, with the reason."""
    return {
        "check_sample_weight_equivalence_on_dense_data": "three rows may lie in three folds, one row of weight 3 lies "
        "in one; scikit-learn expects the same of its own estimators that divide rows"
    }


@pytest.mark.slow
@parametrize_with_checks(
    [AutopilotClassifier(**QUICK), AutopilotRegressor(**QUICK)], expected_failed_checks=not_of_folds
)
def test_scikit_learns_own_checks_pass(estimator: Any, check: Any) -> None:
    """All that it has for classifiers and regressors."""
    check(estimator)


def test_names_of_features_are_checked_as_scikit_learn_checks_them() -> None:
    """Absent, unexpected and reordered ones are refused, and so is a matrix, with a warning."""
    check_dataframe_column_names_consistency("AutopilotRegressor", AutopilotRegressor(**QUICK))


# ------------------------------------------------------------------------------------------------- scikit-learn's tools


def test_it_is_a_step_of_a_pipeline_that_is_cross_validated() -> None:
    """Behind a transformer, whose columns it gets as a matrix."""
    encoded = ColumnTransformer(
        [("towns", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["town"])], remainder="passthrough"
    )
    pipeline = make_pipeline(encoded, AutopilotClassifier(**QUICK))
    assert cross_val_score(pipeline, flats(), is_dear(flats()), cv=2, scoring="roc_auc").min() > 0.9


def test_a_search_over_its_parameters_leaves_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the one column that tells the target it is worse; stores are gone, models stay in memory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    grid = GridSearchCV(AutopilotClassifier(**QUICK), {"ignore": [("rooms",), ()]}, cv=2, error_score="raise")
    grid.fit(flats(), is_dear(flats()))
    assert grid.best_params_ == {"ignore": ()}
    assert grid.best_estimator_.result_.run.status == "completed"
    assert list(tmp_path.iterdir()) == []


def test_a_copy_predicts_the_same_without_the_run(fitted: AutopilotClassifier) -> None:
    """Pickled and copied, it holds the model; a clone holds the parameters alone."""
    expected = fitted.predict_proba(flats())
    for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):  # noqa: S301 - our own bytes
        np.testing.assert_array_equal(copied.predict_proba(flats()), expected)
        assert not hasattr(copied, "result_")
    assert fitted.result_.leaderboard["candidate"].to_list() == ["linear", "baseline"]
    with pytest.raises(NotFittedError, match="not fitted yet"):
        clone(fitted).predict(flats())


def test_it_shows_its_parameters_in_a_notebook(fitted: AutopilotClassifier) -> None:
    """As scikit-learn's own do."""
    shown = fitted._repr_html_()
    assert "AutopilotClassifier" in shown
    assert "max_trials" in shown


# --------------------------------------------------------------------------------------------------------- what goes in


def test_all_kinds_of_tables_give_the_same_model(fitted: AutopilotClassifier) -> None:
    """In training and in predicting: pandas, Polars, Arrow."""
    frame, expected = flats(), fitted.predict_proba(flats())
    again = AutopilotClassifier(**QUICK).fit(pl.from_pandas(frame), is_dear(frame).to_list())
    for table in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        np.testing.assert_array_equal(fitted.predict_proba(table), expected)
        np.testing.assert_array_equal(again.predict_proba(table), expected)
    assert fitted.feature_names_in_.tolist() == ["town", "area", "rooms"]
    assert (fitted.result_.run.target, again.result_.run.target) == ("price", "target")


def test_a_matrix_of_objects_is_read_column_by_column() -> None:
    """Words are categories, the rest are numbers, None is missing; made-up names can be given a kind."""
    matrix = flats().to_numpy()
    matrix[7, 1] = None
    model = AutopilotClassifier(**QUICK, columns={"x2": "category"}).fit(matrix, is_dear(flats()))
    kinds = {column.name: column.kind for column in model.predictor_.signature.columns}
    assert kinds == {"x0": "category", "x1": "number", "x2": "category"}
    assert model.predict(np.array([["Ulm", None, 5], [None, 50.5, 1]], dtype=object)).tolist() == ["dear", "cheap"]
    assert not hasattr(model, "feature_names_in_")


def test_a_column_of_a_matrix_is_no_identifier() -> None:
    """In a table, numbers that count the rows are left out."""
    number = np.arange(40)
    model = AutopilotRegressor(**QUICK).fit(number.reshape(-1, 1), 2.0 * number)
    assert model.score(number.reshape(-1, 1), 2.0 * number) > 0.9
    frame = pl.DataFrame({"number": number})
    with pytest.warns(UserWarning, match="AutopilotRegressor was fitted without feature names"):
        np.testing.assert_array_equal(model.predict(frame), model.predict(number.reshape(-1, 1)))
    assert frame.columns == ["number"]
    with pytest.raises(ValueError, match="No column is left to predict 'target' from"):
        AutopilotRegressor(**QUICK).fit(frame, 2.0 * number)


@pytest.mark.parametrize(
    "classes",
    [
        np.array([-1, 1]),
        np.array([False, True]),
        np.array([1.0, 2.0]),
        np.array(["no", "yes"]),
        np.array(["Köln", "Ulm", "東京"], dtype=object),
    ],
    ids=lambda classes: f"{classes.dtype}-{len(classes)}",
)
def test_labels_come_back_as_they_were(classes: np.ndarray[Any, Any]) -> None:
    """Of each type, and in the order of `classes_`."""
    rooms = np.random.default_rng(1).permutation(np.arange(60) % len(classes))
    y = classes[rooms]
    model = AutopilotClassifier(**QUICK).fit(np.eye(len(classes))[rooms], y)
    predicted = model.predict(np.eye(len(classes)))
    assert predicted.dtype == classes.dtype
    assert predicted.tolist() == model.classes_.tolist() == classes.tolist()
    assert model.predict_proba(np.eye(len(classes))).argmax(axis=1).tolist() == list(range(len(classes)))


def test_a_row_without_weight_is_absent_and_a_heavy_one_counts() -> None:
    """X tells nothing of y, so that predictions are near the weighted mean."""
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(60, 2)), np.repeat([0.0, 10.0], 30) + rng.normal(size=60)
    is_kept = rng.random(60) < 0.7
    weighted = AutopilotRegressor(**QUICK).fit(X, y, sample_weight=is_kept.astype(int).tolist())
    absent = AutopilotRegressor(**QUICK).fit(X[is_kept], y[is_kept], sample_weight=np.ones(is_kept.sum()))
    np.testing.assert_array_equal(weighted.predict(X), absent.predict(X))
    heavy = AutopilotRegressor(**QUICK).fit(X, y, sample_weight=np.where(y > 5, 50.0, 1.0))
    assert heavy.predict(X).mean() > 8.5 > 6.5 > weighted.predict(X).mean()


def test_copies_of_a_row_of_few_never_validate_each_other() -> None:
    """A forest that knows a row's copy would have a perfect score of a target that is chance."""
    rng = np.random.default_rng(11)
    X, y = rng.normal(size=(12, 2)), rng.normal(size=12)
    forest = AutopilotRegressor(**QUICK | {"candidates": ["extra_trees"], "metric": "r2"}).fit(X, y)
    assert forest.result_.run.rows == 24
    assert forest.result_.metrics.validation_score < 0.5


def test_what_cannot_be_used_is_a_value_error_with_the_same_words(fitted: AutopilotClassifier) -> None:
    """Scikit-learn's tools expect one, of parameters and of cells."""
    with pytest.raises(ValueError, match=r"budget 'soon' is no time. Write it as 60s"):
        AutopilotClassifier(budget="soon").fit(flats(), is_dear(flats()))
    with pytest.raises(ValueError, match="Column 'area' was number in training; row 0 holds 'big'"):
        fitted.predict(flats().assign(area="big"))
    with pytest.raises(ValueError, match="n_samples=2; at least 3 are needed"):
        AutopilotClassifier().fit([[1.0], [2.0]], [0, 1])


# ----------------------------------------------------------------------------------------------------------- what stays


def test_with_a_store_the_model_is_registered(tmp_path: Path) -> None:
    """Under its name, with a weight of no column of X; it gives what the estimator gives."""
    frame = flats().assign(weight=1.5, target=range(60))
    model = AutopilotClassifier(**QUICK, store=tmp_path, name="flats")
    model.fit(frame, is_dear(frame).to_list(), sample_weight=np.linspace(1, 2, 60))
    loaded = autopilot.load("flats:1", store=model.result_.store)
    answers = loaded.predict(pl.from_pandas(frame))
    assert answers["label"].to_list() == model.predict(frame).tolist()
    np.testing.assert_array_equal(answers["p_dear"], model.predict_proba(frame)[:, 1])
    model.result_.store.close()


@pytest.mark.slow
def test_the_guide_prints_what_it_says() -> None:
    """Block after block, in processes as a user has them."""
    names: dict[str, Any] = {}
    pairs = re.findall("```python\n(.*?)```\n\nprints\n\n```\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert len(pairs) == GUIDE.count("```python") == 2
    for code, told in pairs:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)  # noqa: S102 - our own guide
        assert printed.getvalue() == told
