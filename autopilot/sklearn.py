"""The scikit-learn face: `fit` as a classifier and a regressor, for pipelines, searches and cross-validation.

    from autopilot.sklearn import AutopilotClassifier
    cross_val_score(AutopilotClassifier(budget="30s"), X, y)

Both keep what scikit-learn asks of estimators (https://scikit-learn.org/stable/developers/develop.html). Its users
expect ValueError, so InputError becomes one here, with the same words. docs/sklearn.md tells users more.
"""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from autopilot.events import Observer
from autopilot.fit import fit
from autopilot.options import Quality
from autopilot.result import Result
from autopilot.table.read import read
from autopilot.table.target import MIN_ROWS
from storage.errors import InputError
from storage.predictor import Predictor
from storage.signature import Task
from storage.store import Store

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from autopilot.candidates import Candidate
    from autopilot.metrics import Metric

#: Two to train on, which may differ, and one to validate on.
_LEAST_ROWS = 3
#: Seeds that a RandomState can draw.
_MOST_SEED = 2**31 - 1


class _Rows(NamedTuple):
    """What there is to learn from. y: (rows,) labels or values. weights: (rows,) above 0; None for all alike."""

    frame: pl.DataFrame
    y: NDArray[Any]
    weights: NDArray[np.float64] | None
    target: str


class _Autopilot(BaseEstimator):
    """What both estimators share: parameters, reading X, the training, and pickling."""

    quality: Quality
    result_: Result
    predictor_: Predictor

    def __init__(
        self,
        *,
        budget: str | float = "60s",
        metric: "str | Metric | Callable[..., Any]" = "auto",
        quality: Quality = "balanced",
        candidates: "Sequence[str | Candidate] | None" = None,
        spaces: Mapping[str, Mapping[str, Any]] | None = None,
        columns: Mapping[str, str] | None = None,
        ignore: Sequence[str] = (),
        time: str | None = None,
        group: str | None = None,
        max_latency: str | float | None = None,
        max_trials: int | None = None,
        max_memory: str | int | None = None,
        random_state: int | np.random.RandomState | None = None,
        executor: "str | Executor | None" = None,
        store: str | Path | None = None,
        name: str | None = None,
        progress: bool | Observer = False,
    ) -> None:
        self.budget = budget
        self.metric = metric
        self.quality = quality
        self.candidates = candidates
        self.spaces = spaces
        self.columns = columns
        self.ignore = ignore
        self.time = time
        self.group = group
        self.max_latency = max_latency
        self.max_trials = max_trials
        self.max_memory = max_memory
        self.random_state = random_state
        self.executor = executor
        self.store = store
        self.name = name
        self.progress = progress

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """The model goes along as its file's bytes; the run does not, since its store is of this machine."""
        whole: Any = super().__getstate__()
        state = {name: value for name, value in whole.items() if name != "result_"}
        if "predictor_" in state:
            state["predictor_"] = state["predictor_"].model_bytes
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "predictor_" in state:
            state = {**state, "predictor_": Predictor(state["predictor_"])}
        super().__setstate__(state)

    def _rows(self, X: Any, y: NDArray[Any], sample_weight: Any, target: str) -> _Rows:
        """What to learn from, without rows of weight 0. Raises ValueError."""
        kinds = dict(self.columns or {})
        frame = self._read(X, [name for name, kind in kinds.items() if kind in ("category", "text")], reset=True)
        check_consistent_length(frame, y)
        weights = None
        if sample_weight is not None:
            weights = column_or_1d(sample_weight, dtype=np.float64, input_name="sample_weight")
            check_consistent_length(frame, weights)
            counting = np.flatnonzero(weights)
            if not len(counting):
                raise ValueError("All sample weights are zero. Give at least one row a weight above 0.")
            frame, y, weights = frame[counting], y[counting], weights[counting]
        if frame.height < _LEAST_ROWS:
            raise ValueError(f"X has n_samples={frame.height}; at least {_LEAST_ROWS} are needed. Give more rows.")
        return _Rows(frame, y, weights, _new_name(target, frame))

    def _read(self, X: Any, text: Collection[str], *, reset: bool) -> pl.DataFrame:
        """X with the names of its features; those of a matrix are x0, x1 and so on.

        text: columns of a matrix of objects that hold words, whatever these look like. reset: for a fit. Raises
        ValueError and TypeError as scikit-learn's own estimators do.
        """
        is_table = _is_table(X)
        checks: dict[str, Any] = {"skip_check_array": True} if is_table else {"dtype": None, "ensure_all_finite": False}
        checked: Any = validate_data(self, X, reset=reset, **checks)
        names = [str(name) for name in getattr(self, "feature_names_in_", _made_up(checked.shape[1]))]
        if not is_table:
            return pl.DataFrame([_series(name, checked[:, at], name in text) for at, name in enumerate(names)])
        with _refusing_by_value():
            frame = read(checked)
        return frame.rename(dict(zip(frame.columns, names, strict=True)))

    def _train(self, rows: _Rows, task: Task) -> Self:
        """Fit, in a store that is gone afterwards if none was named."""
        frame, weight, group = rows.frame.with_columns(pl.Series(rows.target, rows.y.tolist())), None, self.group
        if rows.weights is not None:
            weight = _new_name("weight", frame)
            frame = frame.with_columns(pl.Series(weight, rows.weights))
        if frame.height < MIN_ROWS and self.time is None and group is None:
            group = _new_name("row", frame)
            frame = frame.with_row_index(group)
        with _refusing_by_value(), _store_in(self.store) as store:
            self.result_ = fit(
                _repeated(frame),
                rows.target,
                name=self.name,
                task=task,
                metric=self.metric,
                budget=self.budget,
                seed=_seed_of(self.random_state),
                store=store,
                progress=self.progress,
                columns=self._kinds(rows.frame),
                ignore=self.ignore,
                candidates=self.candidates,
                spaces=self.spaces,
                quality=self.quality,
                max_latency=self.max_latency,
                max_trials=self.max_trials,
                max_memory=self.max_memory,
                time=self.time,
                group=group,
                weight=weight,
                guard=False,
                executor=self.executor,
            )
        self.predictor_ = self.result_.model
        return self

    def _kinds(self, frame: pl.DataFrame) -> dict[str, str]:
        """Kinds that are not left to `infer`: whoever made a matrix of numbers has chosen them, so none is an id."""
        asked = dict(self.columns or {})
        if hasattr(self, "feature_names_in_"):
            return asked
        left = [name for name in (self.time, self.group, *self.ignore) if name is not None]
        return {
            name: "number" for name, dtype in frame.schema.items() if dtype.is_numeric() and name not in left
        } | asked

    def _predict(self, X: Any) -> pl.DataFrame:
        """What the model gives for rows of X, as `Predictor.predict` does."""
        check_is_fitted(self)
        frame = self._read(X, self.predictor_.signature.block("text"), reset=False)
        with _refusing_by_value():
            return self.predictor_.predict(frame)


class AutopilotClassifier(ClassifierMixin, _Autopilot):
    """Finds the best classifier for a table within a time; a scikit-learn estimator.

    Parameters are those of `autopilot.fit`, where they are explained, with `random_state` in place of its seed. Without
    a `store` nothing stays on disk; with one the model is registered there under `name`.

    classes_: the labels, in ascending order. n_features_in_, and feature_names_in_ if X had names. result_: what `fit`
    gave, with leaderboard and scores; it is not pickled. predictor_: the model.

    >>> X = np.linspace(0, 1, 60).reshape(-1, 1)
    >>> y = np.where(X[:, 0] > 0.5, "late", "early")
    >>> model = AutopilotClassifier(candidates=["linear"], max_trials=1, random_state=0).fit(X, y)
    >>> model.predict([[0.1], [0.9]]).tolist()
    ['early', 'late']
    """

    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find a model.

        X: (rows, features), a pandas, Polars or Arrow table, or an array; missing values are welcome. y: (rows,)
        labels, text, whole numbers or booleans. sample_weight: (rows,) of 0 and more, how much each row counts in
        training and in scores.

        Raises ValueError for what cannot be used, and where there are fewer than two classes.
        """
        labels: Any = validate_data(self, y=y)
        check_classification_targets(labels)
        rows = self._rows(X, labels, sample_weight, _name_of(y))
        self.classes_ = np.unique(rows.y)
        if len(self.classes_) < 2:
            raise ValueError(f"y has 1 class, {self.classes_[0]!r}; at least 2 classes are needed. Give others rows.")
        return self._train(rows, "binary" if len(self.classes_) == 2 else "multiclass")

    def predict(self, X: Any) -> NDArray[Any]:
        """The most likely label of each row, of the type that y had: (rows,)."""
        labels = self._predict(X).get_column("label")
        known = list(self.predictor_.signature.classes)  # ascending, as `classes_` is
        return self.classes_[labels.replace_strict(known, range(len(known)), return_dtype=pl.Int64).to_numpy()]

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """The probability of each class: float32 (rows, classes), in the order of `classes_`."""
        return self._predict(X).drop("label").to_numpy()


class AutopilotRegressor(RegressorMixin, _Autopilot):
    """Finds the best regression model for a table within a time; a scikit-learn estimator.

    Parameters and attributes are those of `AutopilotClassifier`, without `classes_`.

    >>> X = np.linspace(0, 1, 60).reshape(-1, 1)
    >>> model = AutopilotRegressor(candidates=["linear"], max_trials=1, random_state=0).fit(X, 3 * X[:, 0])
    >>> model.predict([[0.25], [0.75]]).round(1).tolist()
    [0.8, 2.2]
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find a model. y: (rows,) finite numbers; X and sample_weight as of `AutopilotClassifier.fit`."""
        values: Any = validate_data(self, y=y, y_numeric=True)
        return self._train(self._rows(X, values, sample_weight, _name_of(y)), "regression")

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The value of each row: float64 (rows,)."""
        return self._predict(X).get_column("prediction").to_numpy()


def _is_table(X: Any) -> bool:
    """Whether it is a pandas, Polars or Arrow table, whose columns have types of their own; a series is none."""
    return hasattr(X, "__arrow_c_stream__") and len(getattr(X, "shape", ())) == 2


def _series(name: str, values: NDArray[Any], is_text: bool) -> pl.Series:
    """A column of a matrix. Objects are text if any is a str, else numbers, as in scikit-learn; None is missing."""
    if values.dtype.kind != "O":
        return pl.Series(name, values.tolist() if values.dtype.kind in "US" else np.ascontiguousarray(values))
    cells = values.tolist()
    if not is_text and not any(isinstance(cell, str) for cell in cells):
        return pl.Series(name, np.asarray(cells, dtype=np.float64))
    return pl.Series(name, [None if cell is None or cell != cell else str(cell) for cell in cells], dtype=pl.String)


def _made_up(width: int) -> list[str]:
    """Names of features that have none, as scikit-learn makes them."""
    return [f"x{number}" for number in range(width)]


def _name_of(y: Any) -> str:
    """What a series of targets is called."""
    name = getattr(y, "name", None)
    return name if isinstance(name, str) and name else "target"


def _new_name(name: str, frame: pl.DataFrame) -> str:
    """The name, with as many `_` as make it new to the frame."""
    while name in frame.columns:
        name += "_"
    return name


def _repeated(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows, so many times that there are enough for `fit`, which keeps those of a group in one fold."""
    return pl.concat([frame] * -(-MIN_ROWS // frame.height)) if frame.height < MIN_ROWS else frame


def _seed_of(random_state: Any) -> int:
    """A whole number as it is; else one that the generator draws, NumPy's own for None."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(_MOST_SEED))


@contextmanager
def _store_in(place: str | Path | None) -> Generator[Store]:
    """The store in a folder, or where none was named, one that is removed at the end."""
    if place is not None:
        yield Store.open(place)
        return
    with TemporaryDirectory(prefix="autopilot-") as folder:
        store = Store.open(folder)
        try:
            yield store
        finally:
            store.close()  # Windows removes no open file


@contextmanager
def _refusing_by_value() -> Generator[None]:
    """What cannot be used is a ValueError, as users of scikit-learn expect."""
    try:
        yield
    except InputError as error:
        raise ValueError(str(error)) from error
