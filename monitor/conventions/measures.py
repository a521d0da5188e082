"""Any single distance, or test, by its name and with a threshold of your own.

Numbers, and text by its length, are compared by their values where the measure takes them; else in bins that hold as
many reference rows each. Categories are compared by level. Times are not compared.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from monitor import distances
from monitor.calibrated import Finding, is_tied, untested
from monitor.conventions.column import Column, attempted
from monitor.pair import Pair
from monitor.two_sample import Outcome, contingency, kolmogorov_smirnov
from storage.errors import SettingError

_Values = NDArray[np.float64]
_Counts = NDArray[np.int64]
_OfValues = Callable[[_Values, _Values], float | Outcome]
_OfCounts = Callable[[_Counts, _Counts], float | Outcome]
_BINS = 10

#: More bins than this tell nothing more, and a number with a few zeros too many would take minutes and gigabytes.
_MOST_BINS = 10_000


class Measure(NamedTuple):
    """A measure of how far apart two samples are.

    of_values, of_counts: of ascending numbers, of rows in cells; None where it takes no such. A test gives an outcome,
    a distance a number. threshold: from which on a distance alarms, where there is a usual one. finite: whether
    infinities have to be left out. is_test: whether it has a p-value.
    """

    name: str
    of_values: _OfValues | None = None
    of_counts: _OfCounts | None = None
    threshold: float | None = None
    finite: bool = False
    is_test: bool = False


#: Each measure by the name that a user calls it by. Thresholds are Evidently's defaults for it, but for those of
#: L-infinity (SageMaker), the divergence in bits (Vertex AI), Cramér's V (Deepchecks) and PSI (the middle one of the
#: usual 0.1, 0.2 and 0.25).
MEASURES: dict[str, Measure] = {
    "kolmogorov-smirnov": Measure("Kolmogorov-Smirnov", of_values=kolmogorov_smirnov, is_test=True),
    "cramer-von-mises": Measure("Cramér-von Mises", of_values=distances.cramer_von_mises, is_test=True),
    "anderson-darling": Measure("Anderson-Darling", of_values=distances.anderson_darling, is_test=True),
    "chi-square": Measure("chi-square", of_counts=contingency, is_test=True),
    "wasserstein": Measure("Wasserstein", of_values=distances.wasserstein, finite=True),
    "wasserstein-normalised": Measure(
        "Wasserstein over the reference's σ", of_values=distances.wasserstein_normalised, threshold=0.1, finite=True
    ),
    "l-infinity": Measure(
        "L-infinity", of_values=distances.largest_distance, of_counts=distances.l_infinity, threshold=0.1
    ),
    "total-variation": Measure("total variation", of_counts=distances.total_variation),
    "psi": Measure("PSI", of_counts=distances.psi, threshold=0.2),
    "hellinger": Measure("Hellinger", of_counts=distances.hellinger, threshold=0.1),
    "kullback-leibler": Measure("Kullback-Leibler", of_counts=distances.kullback_leibler, threshold=0.1),
    "jensen-shannon-divergence": Measure(
        "Jensen-Shannon divergence in nats", of_counts=distances.jensen_shannon_divergence
    ),
    "jensen-shannon-divergence-2": Measure(
        "Jensen-Shannon divergence in bits", of_counts=distances.jensen_shannon_divergence_2, threshold=0.3
    ),
    "jensen-shannon-distance": Measure(
        "Jensen-Shannon distance in nats", of_counts=distances.jensen_shannon_distance, threshold=0.1
    ),
    "jensen-shannon-distance-2": Measure(
        "Jensen-Shannon distance in bits", of_counts=distances.jensen_shannon_distance_2
    ),
    "cramers-v": Measure("Cramér's V", of_counts=distances.cramers_v),
    "cramers-v-corrected": Measure("Cramér's V, corrected", of_counts=distances.cramers_v_corrected, threshold=0.2),
}


def measured(
    columns: Sequence[Column], level: float, name: str, threshold: float | None = None, bins: int | None = None
) -> list[Finding]:
    """Each column's verdict by one measure, a name of `MEASURES`.

    threshold: a distance alarms from it on, a test at a p-value up to it. Where it is not given, distances that have a
    usual one take that, and tests share `level` out over the columns that they tell anything of. bins: of numbers,
    where the measure counts; 10 unless given.

    Raises SettingError for a distance without any threshold, one that is not positive and finite, fewer than two bins,
    and more than `_MOST_BINS`.

    >>> import polars as pl
    >>> from monitor.pair import pair_up
    >>> before, after = pl.Series("x", range(100)), pl.Series("x", range(20, 120))
    >>> finding = measured([Column(pair_up(before, after), before, after)], 0.05, "psi", threshold=0.25, bins=5)[0]
    >>> finding.method, round(finding.statistic, 4), finding.threshold, finding.drifted
    ('PSI in 5 bins', 1.658, 0.25, True)
    """
    _check(name, threshold, bins)
    measure = MEASURES[name]
    found = [attempted(lambda column: _measure(column.pair, measure, bins or _BINS), column) for column in columns]
    tests = sum(finding.p_value is not None for finding in found)
    limit = threshold or measure.threshold or level / max(tests, 1)
    return [_judge(finding, limit) for finding in found]


def _check(name: str, threshold: float | None, bins: int | None) -> None:
    measure = MEASURES[name]
    if threshold is not None and not threshold > 0:
        raise SettingError(f"threshold is {threshold!r}, at which everything alarms. Use a number above 0.")
    if threshold == math.inf:
        raise SettingError("threshold is inf, at which nothing alarms. Use a finite number above 0.")
    if threshold is None and measure.threshold is None and not measure.is_test:
        raise SettingError(
            f"threshold is not given, and {name!r} has no usual one. Say from which distance on it alarms."
        )
    if bins is not None and bins < 2:
        raise SettingError(f"bins is {bins!r}, which tells nothing apart. Use 2 or more.")
    if bins is not None and bins > _MOST_BINS:
        raise SettingError(f"bins is {bins!r}, more than rows can fill. Use {_MOST_BINS:,} at most.")


def _measure(pair: Pair, measure: Measure, bins: int) -> Finding:
    """What was measured, without a verdict yet."""
    if pair.kind in ("time", "other"):
        return untested(f"Columns of kind {pair.kind} are not compared.")
    if not pair.present.reference or not pair.present.current:
        return untested("There is no value on one side.")
    if pair.kind == "category":
        if measure.of_counts is None:
            return untested(f"{measure.name} compares numbers, and this is a category.")
        levels = pair.levels
        return _found(measure.name, measure.of_counts(levels["reference"].to_numpy(), levels["current"].to_numpy()))
    x, y = _values(pair, finite=measure.finite)
    if not len(x) or not len(y):
        return untested("There is no finite value on one side.")
    name = f"{measure.name} of length in characters" if pair.kind == "text" else measure.name
    if measure.of_values is not None:
        note = "Many values are equal, so that the p-value is a rough one." if measure.is_test and is_tied(x, y) else ""
        return _found(name, measure.of_values(x, y))._replace(note=note)
    of_counts = cast("_OfCounts", measure.of_counts)  # a measure has one or the other
    cuts = distances.quantile_cuts(x, bins)
    counts = [distances.counts_between(side, cuts) for side in (x, y)]
    return _found(f"{name} in {len(cuts) + 1} bins", of_counts(counts[0], counts[1]))


def _values(pair: Pair, *, finite: bool) -> tuple[_Values, _Values]:
    x, y = (side.drop_nulls().to_numpy() for side in (pair.reference, pair.current))
    return (x[np.isfinite(x)], y[np.isfinite(y)]) if finite else (x, y)


def _found(name: str, measured: float | Outcome) -> Finding:
    if isinstance(measured, Outcome):
        return Finding(*measured, threshold=None, drifted=False)
    return Finding(name, measured, None, None, None, drifted=False)


def _judge(finding: Finding, threshold: float) -> Finding:
    if finding.statistic is None:
        return finding
    drifted = finding.statistic >= threshold if finding.p_value is None else finding.p_value <= threshold
    return finding._replace(threshold=threshold, drifted=drifted)
