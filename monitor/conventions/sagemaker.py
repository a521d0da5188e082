"""SageMaker Model Monitor's rule of baseline drift: Deequ's distances, above 0.1.

Numbers are compared by the largest distance of their distribution functions, strings, booleans and texts by the largest
difference of a value's shares. The robust rule takes off what chance alone may add, 1.8 √((m + n) / mn), and so sees
nothing in small windows: at 1,000 rows a side it takes off 0.08.

SageMaker has Deequ look at a sketch of 2,048 values, whose ranks are off by up to 0.2%; here the samples are exact.
Times are not compared.
"""

from collections.abc import Sequence

import polars as pl

from monitor.calibrated import Finding, untested
from monitor.checks.sagemaker.distance import robust
from monitor.conventions.column import Column
from monitor.distances import l_infinity
from monitor.pair import count_levels
from monitor.two_sample import kolmogorov_smirnov

#: `comparison_threshold` and `categorical_comparison_threshold` of a baseline where nobody chose others.
THRESHOLD = 0.1


def sagemaker_simple(columns: Sequence[Column]) -> list[Finding]:
    """Each column's verdict by `comparison_method` "Simple".

    >>> from monitor.pair import pair_up
    >>> before, after = pl.Series("x", range(100)), pl.Series("x", range(15, 115))
    >>> [sagemaker_simple([Column(pair_up(before, after), before, after)])[0].drifted]
    [True]
    """
    return [_judge(column, is_robust=False) for column in columns]


def sagemaker_robust(columns: Sequence[Column]) -> list[Finding]:
    """Each column's verdict by `comparison_method` "Robust", SageMaker's default.

    >>> from monitor.pair import pair_up
    >>> before, after = pl.Series("x", range(100)), pl.Series("x", range(25, 125))
    >>> finding = sagemaker_robust([Column(pair_up(before, after), before, after)])[0]
    >>> finding.statistic, round(finding.effect, 9), finding.drifted
    (0.0, 0.25, False)
    """
    return [_judge(column, is_robust=True) for column in columns]


def _judge(column: Column, *, is_robust: bool) -> Finding:
    pair = column.pair
    if pair.kind == "other" or column.reference.dtype.is_temporal() or (column.told and pair.kind == "time"):
        return untested(f"SageMaker Model Monitor does not compare columns of type {column.reference.dtype}.")
    rows = pair.present
    if not rows.reference or not rows.current:
        return untested("Deequ gives no distance: there is no value on one side.")
    simple = _distance(column)
    distance = robust(simple, rows.reference, rows.current) if is_robust else simple
    method = "L-infinity, robust" if is_robust else "L-infinity"
    return Finding(method, distance, None, simple, THRESHOLD, drifted=distance > THRESHOLD)


def _distance(column: Column) -> float:
    pair = column.pair
    if pair.kind == "number":
        x, y = (side.drop_nulls().to_numpy() for side in (pair.reference, pair.current))
        return kolmogorov_smirnov(x, y).effect
    raw = pair.kind in ("text", "time")  # Deequ takes both for strings
    levels = count_levels(*(s.cast(pl.String) for s in (column.reference, column.current))) if raw else pair.levels
    return l_infinity(levels["reference"].to_numpy(), levels["current"].to_numpy())
