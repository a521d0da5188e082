"""Evidently's drift preset with its defaults, as version 0.7.23 has it.

What a column is, Evidently guesses by the type and the values of the current table. How it is compared depends on the
reference's rows with a value, m, and the distinct values of both sides together:

    column                    m <= 1000                             m > 1000
    numbers, above 5 values   Kolmogorov-Smirnov, p <= 0.05         Wasserstein / σ(reference), >= 0.1
    others, above 2 values    chi-square of the current rows        Jensen-Shannon distance in nats, >= 0.1
                              against the reference's shares as
                              if they were known, p < 0.05
    others                    z-test of two shares, p < 0.05        the same
    text                      area under the ROC curve of a         the same area, > 0.55
                              classifier that tells the sides
                              apart, above the 95th percentile
                              of 1,000 random ones

Null, NaN and infinities are left out. The table as a whole has drifted where half of the columns that were compared
have (`DRIFTED_SHARE`). Whole numbers of up to 10 values are categories, strings of which more than half are distinct
are text; times, lists and unsigned numbers are not compared.

What stops Evidently's whole report (a column without any value on one side, texts of nothing but stop words) is a
column without a verdict here.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Literal, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.calibrated import Finding, untested
from monitor.conventions.column import Column
from monitor.distances import jensen_shannon_distance, wasserstein_normalised
from monitor.pair import count_levels

#: The share of compared columns from which on Evidently calls the table drifted.
DRIFTED_SHARE = 0.5

_SMALL_REFERENCE_ROWS = 1000
_NUMBER_VALUES = 5
_WHOLE_NUMBER_VALUES = 10
_TEXT_DISTINCT = 0.5
_P_VALUE = 0.05
_DISTANCE = 0.1
_AREA = 0.55
_RANDOM_AREAS = 1000
_SEED = 42

_Guess = Literal["number", "category", "text", "other"]
_Counts = NDArray[np.int64]
_STRINGS = (pl.Categorical, pl.Enum)
_SIGNED = (pl.Int8, pl.Int16, pl.Int32, pl.Int64)


def evidently(columns: Sequence[Column]) -> list[Finding]:
    """Each column's verdict. `statistic` is the test's own where there is a p-value, else the distance or the area.

    >>> from monitor.pair import pair_up
    >>> before, after = pl.Series("x", range(500)), pl.Series("x", range(50, 550))
    >>> finding = evidently([Column(pair_up(before, after), before, after)])[0]
    >>> finding.method, round(finding.p_value, 6), finding.threshold, finding.drifted
    ('Kolmogorov-Smirnov', 0.013431, 0.05, True)
    """
    return [_JUDGES[_kind(column)](column) for column in columns]


def _kind(column: Column) -> _Guess:
    if column.told:
        return "other" if column.pair.kind == "time" else column.pair.kind
    return _guess(column.current)


def _guess(series: pl.Series) -> _Guess:
    """What `Series.to_pandas()` would be taken for: whole numbers with nulls are floats there, booleans objects."""
    dtype = series.dtype
    if dtype.is_float() or (dtype in _SIGNED and series.null_count()):
        return "number"
    if dtype in _SIGNED:
        return "number" if series.n_unique() > _WHOLE_NUMBER_VALUES else "category"
    if dtype == pl.String:
        return _guess_of_strings(series.drop_nulls())
    if dtype == pl.Boolean:
        return "other" if series.null_count() else "category"
    return "category" if dtype in _STRINGS else "other"


def _guess_of_strings(values: pl.Series) -> _Guess:
    if not len(values):
        return "other"
    return "text" if values.n_unique() > _TEXT_DISTINCT * len(values) else "category"


def _judge_other(column: Column) -> Finding:
    return untested(f"Evidently does not compare columns like this one of type {column.current.dtype}.")


def _empty() -> Finding:
    return untested("Evidently refuses a column without values on one side, and with it the whole report.")


# --------------------------------------------------------------------------------------------------------- numbers


def _judge_number(column: Column) -> Finding:
    if column.pair.kind != "number":
        return untested("Evidently refuses a column of which one side holds no numbers, and with it the report.")
    x, y = (_finite(series) for series in (column.pair.reference, column.pair.current))
    if not len(x) or not len(y):
        return _empty()
    values = np.union1d(_distinct(x), _distinct(y))
    if len(values) <= _NUMBER_VALUES:
        return _judge_counts(_counted(x, values), _counted(y, values), values.tolist())
    if len(x) <= _SMALL_REFERENCE_ROWS:
        return _kolmogorov_smirnov(x, y)
    return _distant("Wasserstein over the reference's σ", wasserstein_normalised(x, y))


def _kolmogorov_smirnov(x: NDArray[np.float64], y: NDArray[np.float64]) -> Finding:
    """SciPy's with its choice between the exact p-value and the asymptotic one, which is part of the verdict."""
    from scipy.stats import ks_2samp

    statistic, p_value = cast("tuple[float, float]", ks_2samp(x, y))
    return Finding(
        "Kolmogorov-Smirnov", float(statistic), float(p_value), None, _P_VALUE, drifted=bool(p_value <= _P_VALUE)
    )


def _finite(series: pl.Series) -> NDArray[np.float64]:
    values = series.drop_nulls().to_numpy()  # a pair's numbers are sorted
    return values[np.searchsorted(values, -math.inf, "right") : np.searchsorted(values, math.inf, "left")]


def _distinct(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.concatenate([[True], values[1:] != values[:-1]])]


def _counted(values: NDArray[np.float64], distinct: NDArray[np.float64]) -> _Counts:
    return np.searchsorted(values, distinct, "right") - np.searchsorted(values, distinct, "left")


# ------------------------------------------------------------------------------------------------------- categories


def _judge_category(column: Column) -> Finding:
    reference, current, levels = _levels(column)
    if not reference.sum() or not current.sum():
        return _empty()
    return _judge_counts(reference, current, levels)


def _levels(column: Column) -> tuple[_Counts, _Counts, Sequence[object]]:
    """Rows of each value in both samples, and the values."""
    if _is_string(column.reference) != _is_string(column.current) and not column.told:
        return _nothing_shared(column)
    if column.pair.kind == "number":
        x, y = (_finite(series) for series in (column.pair.reference, column.pair.current))
        values = np.union1d(x, y)
        return _counted(x, values), _counted(y, values), values.tolist()
    known = column.pair.kind == "category"
    table = column.pair.levels if known else count_levels(_as_strings(column.reference), _as_strings(column.current))
    return table["reference"].to_numpy(), table["current"].to_numpy(), table["level"].to_list()


def _nothing_shared(column: Column) -> tuple[_Counts, _Counts, Sequence[object]]:
    """A number is never equal to a string, whatever it says."""
    before, after = (
        side.drop_nulls().value_counts(sort=True, name="rows") for side in (column.reference, column.current)
    )
    reference, current = np.zeros((2, before.height + after.height), dtype=np.int64)
    reference[: before.height], current[before.height :] = before["rows"], after["rows"]
    return reference, current, list(range(len(reference)))


def _is_string(series: pl.Series) -> bool:
    return series.dtype == pl.String or series.dtype in _STRINGS


def _as_strings(series: pl.Series) -> pl.Series:
    return series.cast(pl.String)


def _judge_counts(reference: _Counts, current: _Counts, levels: Sequence[object]) -> Finding:
    if reference.sum() > _SMALL_REFERENCE_ROWS:
        return _distant("Jensen-Shannon distance in nats", jensen_shannon_distance(reference, current))
    return _chi_square(reference, current) if len(levels) > 2 else _z_test(reference, current, levels)


def _chi_square(reference: _Counts, current: _Counts) -> Finding:
    from scipy.special import chdtrc

    expected = reference * (current.sum() / reference.sum())
    with np.errstate(divide="ignore"):
        statistic = float(((current - expected) ** 2 / expected).sum())
    return _improbable("chi-square of fit", statistic, float(chdtrc(len(reference) - 1, statistic)))


def _z_test(reference: _Counts, current: _Counts, levels: Sequence[object]) -> Finding:
    """Of the share of the value that comes first in order: pooled, two-sided."""
    from scipy.special import ndtr

    if len(levels) < 2:
        return _improbable("z-test", 0.0, 1.0)
    first = levels.index(min(levels, key=lambda level: cast("str", level)))
    rows = int(reference.sum()), int(current.sum())
    shares = [1 - int(side[first]) / count for side, count in zip((reference, current), rows, strict=True)]
    pooled = (shares[0] * rows[0] + shares[1] * rows[1]) / sum(rows)
    z = (shares[0] - shares[1]) / math.sqrt(pooled * (1 - pooled) * (1 / rows[0] + 1 / rows[1]))
    return _improbable("z-test", z, float(2 * (1 - ndtr(abs(z)))))


def _improbable(method: str, statistic: float, p_value: float) -> Finding:
    return Finding(method, statistic, p_value, None, _P_VALUE, drifted=p_value < _P_VALUE)


def _distant(method: str, distance: float) -> Finding:
    return Finding(method, distance, None, None, _DISTANCE, drifted=distance >= _DISTANCE)


# ------------------------------------------------------------------------------------------------------------ text


def _judge_text(column: Column) -> Finding:
    before, after = (_as_strings(side).drop_nulls().to_list() for side in (column.reference, column.current))
    if not before or not after:
        return _empty()
    try:
        area, sides = _area(before, after)
    except ValueError as error:  # no word is left, or the half to learn from has one side only
        return untested(f"Evidently refuses these texts, and with them the whole report: {error}")
    threshold = _AREA if len(before) > _SMALL_REFERENCE_ROWS else _random_area(sides)
    return Finding("area of a text classifier", area, None, None, threshold, drifted=area > threshold)


def _area(before: list[str], after: list[str]) -> tuple[float, NDArray[np.int64]]:
    """The area under the ROC curve on half of the rows, and their sides; the classifier learned from the others."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline

    sides = np.repeat([0, 1], [len(before), len(after)])
    learn, test, learn_sides, test_sides = train_test_split(before + after, sides, test_size=0.5, random_state=_SEED)
    classifier = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, max_df=0.5, stop_words="english"),
        SGDClassifier(alpha=0.0001, max_iter=50, penalty="l1", loss="modified_huber", random_state=_SEED),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 50 rounds may be too few; Evidently leaves it at that
        classifier.fit(learn, learn_sides)
    scores = cast("NDArray[np.float64]", classifier.predict_proba(test))[:, 1]
    return float(roc_auc_score(test_sides, scores)), cast("NDArray[np.int64]", test_sides)


def _random_area(sides: NDArray[np.int64]) -> float:
    """The 95th percentile of the areas of scores that know nothing; the seeds are Evidently's."""
    from scipy.stats import rankdata

    ones = sides == 1
    m, n = int(ones.sum()), int((~ones).sum())
    seeds = np.random.RandomState(_SEED).randint(0, _RANDOM_AREAS * 10, size=_RANDOM_AREAS)
    scores = (np.random.RandomState(seed).rand(len(sides)) for seed in seeds)
    areas = [(rankdata(each)[ones].sum() - m * (m + 1) / 2) / (m * n) for each in scores]
    return float(np.percentile(areas, 100 * 0.95))


_JUDGES: dict[_Guess, Callable[[Column], Finding]] = {
    "number": _judge_number,
    "category": _judge_category,
    "text": _judge_text,
    "other": _judge_other,
}
