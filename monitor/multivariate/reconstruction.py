"""PCA reconstruction: are current rows as close to the reference's main directions as its own rows?

Rows are pressed into the few directions that hold 65 % of the reference's variance, and brought back; the error is how
far a row is from what came back, as a Euclidean distance of standardised columns. It grows where columns no longer move
together as they did. Preparation is NannyML's: missing numbers are the mean, missing categories the commonest one, a
category is its share of the reference's rows (0 if it is unseen), all are standardised. A text is its length.

Two ways to say how far is too far:

    calibrated   the directions are learned from one half of the reference, so that errors of the other half and of the
                 current rows are alike without drift; Kolmogorov-Smirnov compares them. lower and upper are where the
                 mean of current rows is with a chance of 1 - level if all errors are dealt out at random.
    nannyml      NannyML's rule: directions from the whole reference, and the mean error outside of mean ± 3 standard
                 deviations of the mean errors of ten stretches of the reference. In its own rows' errors, which are
                 smaller than new rows', and with ten stretches, it keeps no level.

Source: NannyML 0.13, drift/multivariate/data_reconstruction.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.calibrated import note_of
from monitor.compare import MINIMUM_ROWS, frame_of, too_few
from monitor.drift import MINIMUM_EFFECT, Counts, Kind
from monitor.multivariate.columns import (
    DEPENDENT,
    TOGETHER,
    LeftOut,
    Table,
    Told,
    drawn,
    table_of,
    told_by,
)
from monitor.pair import level_rows
from monitor.serial import weigh
from monitor.two_sample import kolmogorov_smirnov
from storage.errors import SettingError

Values = NDArray[np.float64]
Method = Literal["calibrated", "nannyml"]

#: Of the variance that the directions hold; NannyML's.
_SHARE = 0.65
#: NannyML's: stretches of the reference, and standard deviations around their mean.
_STRETCHES, _DEVIATIONS = 10, 3.0
#: Dealings of the errors to both sides, and rows of a side that are looked at; more would find what is too small to
#: matter.
_DEALINGS, _MOST_ROWS = 1_000, 10_000


class Reconstruction(Struct, frozen=True):
    """How far current rows are from the reference's main directions.

    error, reference_error: mean errors; of `calibrated`, the reference's is of the half that taught no directions. None
    where nothing was looked at, `note` says why. sampling_error: the standard error of `error`. lower, upper: the range
    in which `error` is expected; None where there is no end. directions: how many. effect, p_value: of
    Kolmogorov-Smirnov, None for `nannyml`, which has none; threshold: of the p-value. told: the columns whose errors
    rose, where there is drift. left_out: columns that were not looked at.
    """

    method: Method
    error: float | None
    reference_error: float | None
    sampling_error: float | None
    lower: float | None
    upper: float | None
    directions: int
    effect: float | None
    p_value: float | None
    threshold: float | None
    drifted: bool
    rows: int
    reference_rows: int
    told: tuple[Told, ...]
    left_out: tuple[LeftOut, ...]
    note: str = ""


def reconstruction(
    reference: object,
    current: object,
    *,
    kinds: Mapping[str, Kind] | None = None,
    method: Method = "calibrated",
    level: float = 0.05,
    seed: int = 0,
) -> Reconstruction:
    """Whether current rows are farther from the reference's main directions, or closer, than its own rows.

    reference, current: tables, as `compare` takes them, and kinds too. `nannyml` looks at all rows, in the order of
    time, `calibrated` at 10,000 of either at most. level: of `calibrated`, the chance of an alarm without drift. Raises
    DataError where a side is no table or a column is absent, SettingError for an unknown method.
    """
    if method not in ("calibrated", "nannyml"):
        raise SettingError(f"method is {method!r}, which is unknown. Methods are calibrated, nannyml.")
    rng = np.random.default_rng(seed)
    before, after = frame_of(reference, "reference"), frame_of(current, "current")
    if method == "calibrated":
        before, after = drawn(before, _MOST_ROWS, rng), drawn(after, _MOST_ROWS, rng)
    table = table_of(before, after, kinds)
    rows, reference_rows = table.current_rows, table.reference_rows
    if min(rows, reference_rows) < MINIMUM_ROWS:
        return _untold(method, table, too_few(reference_rows, rows).note)
    taught, others = _split(method, reference_rows, rng)
    prepared = _prepared(table, taught)
    directions = _directions(prepared[taught])
    if not directions.shape[1]:
        return _untold(method, table, "No column of the reference varies, so it has no directions.")
    parts = prepared - prepared @ directions @ directions.T
    old, new = _lengths(parts[others]), _lengths(parts[reference_rows:])
    verdict = _calibrated(old, new, level, rng) if method == "calibrated" else _nannyml(old, new)
    rise = (np.abs(parts[reference_rows:]).mean(axis=0) - np.abs(parts[others]).mean(axis=0)).tolist()
    return Reconstruction(
        method=method,
        error=float(new.mean()),
        reference_error=float(old.mean()),
        sampling_error=float(new.std(ddof=1) / np.sqrt(len(new))),
        lower=verdict.lower,
        upper=verdict.upper,
        directions=directions.shape[1],
        effect=verdict.effect,
        p_value=verdict.p_value,
        threshold=level if method == "calibrated" else None,
        drifted=verdict.drifted,
        rows=rows,
        reference_rows=reference_rows,
        told=told_by(list(table.values), rise) if verdict.drifted else (),
        left_out=table.left_out,
        note=verdict.note,
    )


def _split(method: Method, rows: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the reference that teach directions, and those whose errors are compared: NannyML's are the same."""
    if method == "nannyml":
        return np.arange(rows), np.arange(rows)
    order = rng.permutation(rows)
    return np.sort(order[: rows // 2]), np.sort(order[rows // 2 :])


def _untold(method: Method, table: Table, note: str) -> Reconstruction:
    return Reconstruction(
        method=method,
        error=None,
        reference_error=None,
        sampling_error=None,
        lower=None,
        upper=None,
        directions=0,
        effect=None,
        p_value=None,
        threshold=None,
        drifted=False,
        rows=table.current_rows,
        reference_rows=table.reference_rows,
        told=(),
        left_out=table.left_out,
        note=note,
    )


# ----------------------------------------------------------------------------------------------------- preparation


def _prepared(table: Table, taught: NDArray[np.int64]) -> Values:
    """Both sides' rows, standardised by the rows that teach: float64 (rows, columns)."""
    columns = [_numbers(series, table.kinds[name], taught) for name, series in table.values.items()]
    X = np.column_stack(columns) if columns else np.empty((table.reference_rows + table.current_rows, 0))
    mean, deviation = X[taught].mean(axis=0), X[taught].std(axis=0)
    constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1.0)  # the last bits of a sum are no variance
    return (X - mean) / np.where(constant, 1.0, deviation)


def _numbers(series: pl.Series, kind: Kind, taught: NDArray[np.int64]) -> Values:
    if kind == "category":
        return _shares(series, taught)
    values = series.str.len_chars().cast(pl.Float64) if kind == "text" else series
    array = np.nan_to_num(values.to_numpy().astype(np.float64), nan=np.nan, posinf=np.nan, neginf=np.nan)
    known = array[taught][~np.isnan(array[taught])]
    return np.where(np.isnan(array), known.mean() if len(known) else 0.0, array)


def _shares(series: pl.Series, taught: NDArray[np.int64]) -> Values:
    """Of each row's level, the share of the teaching rows that have it; missing ones have the commonest."""
    own = series[taught]
    levels = level_rows(own).get_column("level")
    commonest = cast("str", levels[0]) if len(levels) else ""
    filled = series.fill_null(commonest)
    shares = own.fill_null(commonest).alias("level").value_counts(name="share", normalize=True)
    found = filled.replace_strict(shares["level"], shares["share"], default=0.0, return_dtype=pl.Float64)
    return found.to_numpy()


def _directions(X: Values) -> Values:
    """The main directions that hold `_SHARE` of the variance of rows: (columns, directions), orthonormal."""
    if not X.shape[1]:
        return np.empty((0, 0))
    variances, vectors = np.linalg.eigh(X.T @ X / len(X))
    variances, vectors = np.maximum(variances[::-1], 0.0), vectors[:, ::-1]
    total = variances.sum()
    if total <= 0:
        return np.empty((X.shape[1], 0))
    held = np.cumsum(variances) / total
    return vectors[:, : int(np.searchsorted(held, _SHARE, side="right")) + 1]


def _lengths(parts: Values) -> Values:
    return np.sqrt((parts**2).sum(axis=1))


# -------------------------------------------------------------------------------------------------------- verdicts


class _Verdict(NamedTuple):
    lower: float | None
    upper: float | None
    effect: float | None
    p_value: float | None
    drifted: bool
    note: str = ""


def _calibrated(before: Values, after: Values, level: float, rng: np.random.Generator) -> _Verdict:
    """before, after: errors in the order of the rows, which count as what they are worth (`monitor/serial.py`)."""
    cuts = np.quantile(np.concatenate([before, after]), [0.25, 0.5, 0.75])
    below = [(errors[:, None] <= cuts).astype(np.float64) for errors in (before, after)]
    worth = weigh(below[0], below[1], (len(before), len(after)))
    if worth is not None and not worth.enough:
        return _Verdict(
            None, None, None, None, drifted=False, note=note_of(worth, Counts(len(before), len(after)), TOGETHER)
        )
    outcome = kolmogorov_smirnov(np.sort(before), np.sort(after), worth)
    both = np.concatenate([before, after])
    dealt = [rng.permutation(both)[: len(after)].mean() for _ in range(_DEALINGS)]
    lower, upper = np.quantile(dealt, [level / 2, 1 - level / 2]).tolist()
    drifted = outcome.p_value <= level and outcome.effect >= MINIMUM_EFFECT
    return _Verdict(lower, upper, outcome.effect, outcome.p_value, drifted, DEPENDENT if worth else "")


def _nannyml(before: Values, after: Values) -> _Verdict:
    lower, upper = nannyml_range(stretches(before))
    error = float(after.mean())
    return _Verdict(lower, upper, None, None, not (lower is None or lower < error) or not error < upper)


def stretches(errors: Values) -> list[float]:
    """Mean errors of ten stretches of rows, and of what is left over.

    >>> stretches(np.arange(21.0))
    [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5, 16.5, 18.5, 20.0]
    """
    size = len(errors) // _STRETCHES
    return [float(errors[start : start + size].mean()) for start in range(0, len(errors), size)]


def nannyml_range(means: Sequence[float]) -> tuple[float | None, float]:
    """Mean ± 3 standard deviations; None for a lower end that is not above 0, where no error can be.

    >>> nannyml_range([1.0, 3.0])
    (None, 5.0)
    """
    middle, half = float(np.mean(means)), _DEVIATIONS * float(np.std(means))
    return (middle - half if middle > half else None), middle + half
