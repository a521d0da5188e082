"""Bias of a table, and whether it has changed: for each facet, Clarify's metrics with intervals and two verdicts.

    outside   Clarify's rule: the interval of the metric and the range that is allowed have nothing in common
    drifted   ours: the metric differs from the baseline's by more than chance would have it, and by `MINIMUM_EFFECT`

The second keeps a promise: if nothing has changed, the chance that any metric of any facet drifts is at most `level`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.charts import number
from monitor.compare import MINIMUM_ROWS, frame_of
from monitor.drift import MINIMUM_EFFECT
from monitor.facets.choice import Choice, Chosen, Facet, group_codes
from monitor.facets.flip import flips
from monitor.facets.metrics import METRICS, Metric, Need, Stage
from monitor.facets.resampling import Counts, Interval, bootstrap_interval, difference_p_values
from storage.errors import DataError, SettingError, listed

#: A metric's value. JSON has no infinities, so they are spelled as Clarify does.
Figure = float | Literal["Infinity", "-Infinity"]

Range = tuple[float, float]
#: One metric of one facet: column, value or threshold, name.
Key = tuple[str, str, str]
#: The range in which a metric may be; by the metric's name for all facets, or by its key.
Allowed = Mapping[str, Range] | Mapping[Key, Range] | Mapping[str | Key, Range]

Verdict = Literal["drift", "no drift", "too few rows"]

#: Rows of each side that the flip test looks at.
_FLIPPED_ROWS = 5_000


def _mean_flip(n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of counts of -1, 0 and 1: (..., flip)."""
    return (n[..., 2] - n[..., 0]) / n.sum(axis=-1)


_FLIP_TEST = Metric("FT", "Flip Test (FT)", "post_training", ("predicted",), _mean_flip)


class MetricBias(Struct, frozen=True):
    """One metric of one facet.

    name, description: Clarify's. value: None where it cannot be computed, `note` says why. low, high: its interval, by
    the bootstrap over rows. allowed: the range that it should be in, if there is one. baseline: its value in the
    reference. p_value: of their difference, for all metrics of the same rows together; threshold: at or below which it
    alarms. outside, drifted: the two verdicts.
    """

    name: str
    description: str
    stage: Stage
    value: Figure | None
    low: Figure | None
    high: Figure | None
    allowed: tuple[Figure, Figure] | None
    outside: bool
    baseline: Figure | None
    p_value: float | None
    threshold: float | None
    drifted: bool
    note: str = ""


class FacetBias(Struct, frozen=True):
    """One facet against all others.

    name: what people are told that it is, such as `sex f` or `age > 40`. column, value_or_threshold: Clarify's name of
    it, which does not tell a value from a threshold. rows, other_rows: on each side. missing: rows of which nobody
    knows. note: why there are no metrics, or no verdicts.
    """

    name: str
    column: str
    value_or_threshold: str
    rows: int
    other_rows: int
    missing: int
    metrics: tuple[MetricBias, ...]
    note: str = ""

    @property
    def alarms(self) -> tuple[MetricBias, ...]:
        """The metrics that are outside of their range or have drifted."""
        return tuple(metric for metric in self.metrics if metric.outside or metric.drifted)

    @property
    def words(self) -> str:
        """The finding in a sentence, for a report."""
        if not self.metrics:
            return f"{self.name}: {self.note}"
        if not self.alarms:
            return f"{self.name}: no metric alarms. {self.note}".strip()
        told = ", ".join(f"{one.name} is {_shown(one.value)} ({_why(one)})" for one in self.alarms)
        return f"{self.name}: {told}."


class BiasReport(Struct, frozen=True):
    """Bias of a table, and how it differs from a reference.

    verdict: `drift` where any metric of any facet is outside or has drifted; `too few rows` where no facet has
    `MINIMUM_ROWS` on both sides. level: the chance of any metric that drifts without drift. interval_level: of the
    intervals. label, predicted: columns; positive: the outcomes that are favourable, as Clarify names them.
    """

    verdict: Verdict
    drifted: bool
    rows: int
    reference_rows: int
    label: str | None
    predicted: str | None
    positive: str
    level: float
    interval_level: float
    facets: tuple[FacetBias, ...]

    def json(self) -> bytes:
        """The report as one JSON document, which `BiasReport.parse` reads back."""
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> "BiasReport":
        """A report from its JSON."""
        return msgspec.json.decode(data, type=cls)

    def table(self) -> pl.DataFrame:
        """A line for each facet and metric: alarms first, then in the report's order."""
        schema = {
            "facet": pl.String,
            "value_or_threshold": pl.String,
            "metric": pl.String,
            "value": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "baseline": pl.Float64,
            "p_value": pl.Float64,
            "outside": pl.Boolean,
            "drifted": pl.Boolean,
            "note": pl.String,
        }
        lines = [
            (
                facet.column,
                facet.value_or_threshold,
                one.name,
                *(number_of(figure) for figure in (one.value, one.low, one.high, one.baseline)),
                one.p_value,
                one.outside,
                one.drifted,
                one.note,
            )
            for facet in self.facets
            for one in facet.metrics
        ]
        lines.sort(key=lambda line: not (line[8] or line[9]))
        return pl.DataFrame(lines, schema=schema, orient="row")


def bias(
    current: object,
    facets: Sequence[Facet],
    *,
    positive: Choice,
    label: str | None = None,
    predicted: str | None = None,
    group: str | None = None,
    features: Sequence[str] = (),
    reference: object | None = None,
    allowed: Allowed | None = None,
    level: float = 0.05,
    interval_level: float = 0.95,
    seed: int = 0,
) -> BiasReport:
    """How each facet of a table fares against all others, and whether that has changed since the reference.

    current, reference: tables, as `compare` takes them; without a reference nothing is tested, and the report is a
        baseline. positive: the outcomes that are favourable, among those of both `label` and `predicted`.
    label, predicted: the columns of what happened and of what the model said; metrics that need one which is not
        given, or of which a table has no value, are left out and say so. Each metric is of the rows that have what it
        needs: labels that have come so far are enough.
    group: the column within whose values CDDL and CDDPL compare. features: numeric columns by which the flip test
        finds like rows. allowed: ranges by the metric's name, or by (facet, value, name).
    level: the chance that any metric drifts without drift. interval_level: of the intervals.

    A facet whose column is absent, or one of whose sides is empty, has no metrics; with fewer than `MINIMUM_ROWS` on
    either side it has metrics and no verdicts. Other facets do not suffer from it.

    Raises SettingError where there is no facet, neither label nor prediction, a name of a metric in `allowed` that is
    unknown, or a level out of its range; DataError if a side is no table or lacks one of the other columns.

    >>> rows = pl.DataFrame({"sex": ["f", "m"] * 100, "paid": (["no", "yes"] + ["yes", "yes"]) * 50})
    >>> report = bias(rows, [Facet(column="sex", values=("f",))], predicted="paid", positive=Choice(values=("yes",)))
    >>> {one.name: round(one.value, 2) for one in report.facets[0].metrics if one.value is not None}
    {'CI': 0.0, 'DPPL': 0.5, 'DI': 0.5}
    """
    ranges: dict[str | Key, Range] = {key: ends for key, ends in (allowed or {}).items()}  # noqa: C416 - widens the keys
    _refuse(facets, label, predicted, ranges, level, interval_level)
    names = [name for name in (label, predicted, group, *features) if name is not None]
    columns = _Columns(positive, label, predicted, group, tuple(features))
    after = _with_columns(current, "current", names)
    before = None if reference is None else _with_columns(reference, "reference", names)
    shares = len(facets) * len(_families(columns))
    judge = _Judge(columns, ranges, level / shares, interval_level, seed)
    found = tuple(judge.facet(facet, before, after) for facet in facets)
    drifted = any(one.alarms for one in found)
    enough = any(min(one.rows, one.other_rows) >= MINIMUM_ROWS for one in found)
    return BiasReport(
        verdict="drift" if drifted else "no drift" if enough else "too few rows",
        drifted=drifted,
        rows=after.height,
        reference_rows=0 if before is None else before.height,
        label=label,
        predicted=predicted,
        positive=positive.value_or_threshold,
        level=level,
        interval_level=interval_level,
        facets=found,
    )


def figure_of(value: float) -> Figure | None:
    """A number as it is written: infinities by name, None for NaN.

    >>> figure_of(0.5), figure_of(float("-inf")), figure_of(float("nan"))
    (0.5, '-Infinity', None)
    """
    if np.isnan(value):
        return None
    return (value + 0.0) if np.isfinite(value) else "Infinity" if value > 0 else "-Infinity"  # without -0.0


def number_of(figure: Figure | None) -> float | None:
    """The number that was written so; the reverse of `figure_of`."""
    return None if figure is None else float(figure)


def _why(one: MetricBias) -> str:
    reasons: list[str] = []
    if one.drifted:
        reasons.append(f"was {_shown(one.baseline)}")
    if one.outside and one.allowed is not None:
        reasons.append(f"allowed {_shown(one.allowed[0])} to {_shown(one.allowed[1])}")
    return ", ".join(reasons)


def _shown(figure: Figure | None) -> str:
    return number(figure) if isinstance(figure, float) else str(figure).lower()


def _figures(ends: Range) -> tuple[Figure, Figure]:
    low, high = ends
    return figure_of(low) or 0.0, figure_of(high) or 0.0


# ---------------------------------------------------------------------------------------------------------- rows


class _Columns(NamedTuple):
    """Which columns say what."""

    positive: Choice
    label: str | None
    predicted: str | None
    group: str | None
    features: tuple[str, ...]


class _Rows(NamedTuple):
    """What metrics look at: for each row its side and outcomes, 1, 0 or -1 where missing, and its group's number."""

    facet: Chosen
    label: Chosen | None
    predicted: Chosen | None
    group: Chosen | None
    groups: int

    def counts(self, needs: Sequence[Need]) -> Counts:
        """Rows by what is needed, those left out that lack some of it: axes as `metrics.py` has them."""
        outcomes = {"label": self.label, "predicted": self.predicted}
        codes = [self.facet, *(known for need, known in outcomes.items() if need in needs and known is not None)]
        shape = [2] * len(codes)
        if "group" in needs and self.group is not None:
            codes, shape = [self.group, *codes], [max(self.groups, 1), *shape]
        known = np.all([values >= 0 for values in codes], axis=0)
        flat = np.ravel_multi_index([values[known] for values in codes], shape)
        return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


def _paired(facet: Facet, before: pl.DataFrame | None, after: pl.DataFrame, columns: _Columns) -> list[_Rows]:
    """The rows of both tables, the current ones first."""

    def chosen(table: pl.DataFrame, name: str | None) -> Chosen | None:
        return None if name is None else columns.positive.of(table[name])

    tables = [after] if before is None else [after, before]
    codes, groups = group_codes(*(table[columns.group] for table in tables)) if columns.group else ([None, None], 0)
    return [
        _Rows(
            facet.of(table[facet.column]), chosen(table, columns.label), chosen(table, columns.predicted), own, groups
        )
        for table, own in zip(tables, codes, strict=False)
    ]


# ------------------------------------------------------------------------------------------------------- verdicts


class _Judge(NamedTuple):
    """Judges facets; threshold: for the p-values of one facet's metrics that look at the same rows."""

    columns: _Columns
    allowed: Mapping[str | Key, Range]
    threshold: float
    interval_level: float
    seed: int

    def facet(self, facet: Facet, before: pl.DataFrame | None, after: pl.DataFrame) -> FacetBias:
        """All metrics of one facet."""
        if facet.column not in after.columns:
            return _without_metrics(facet, f"The current table has no column {facet.column!r}.")
        note = ""
        if before is not None and facet.column not in before.columns:
            before, note = None, f"The reference has no column {facet.column!r}, so there is no baseline."
        now, *old = _paired(facet, before, after, self.columns)
        rows, others, missing = (int(np.count_nonzero(now.facet == side)) for side in (1, 0, -1))
        if not rows or not others:
            empty = "the facet" if not rows else "the others"
            note = f"No current row belongs to {empty}, so there is nothing to compare."
            return FacetBias(facet.name, facet.column, facet.value_or_threshold, rows, others, missing, (), note)
        enough = min(rows, others) >= MINIMUM_ROWS
        if not enough:
            note = (
                f"A verdict needs {MINIMUM_ROWS} rows on either side; there are {rows:,} and {others:,}. {note}".strip()
            )
        metrics = [
            metric
            for family in _families(self.columns).values()
            for metric in self._family(facet, family, now, old[0] if old else None, enough=enough)
        ]
        metrics += self._flip_test(facet, now, after) if self.columns.predicted is not None else []
        order = {metric.name: index for index, metric in enumerate((*METRICS, _FLIP_TEST))}
        ordered = tuple(sorted(metrics, key=lambda metric: order[metric.name]))
        return FacetBias(facet.name, facet.column, facet.value_or_threshold, rows, others, missing, ordered, note)

    def _family(
        self, facet: Facet, family: Sequence[Metric], now: _Rows, old: _Rows | None, *, enough: bool
    ) -> list[MetricBias]:
        """Metrics of the same rows."""
        needs = family[0].needs
        counts = now.counts(needs)
        baseline = None if old is None else old.counts(needs)
        if not counts.sum():
            return [self._untold(facet, metric, f"No current row has a {_words(needs)}.") for metric in family]
        p_values: list[float | None] = [None] * len(family)
        if (
            baseline is not None
            and enough
            and _least_side(baseline, needs) >= MINIMUM_ROWS <= _least_side(counts, needs)
        ):
            p_values = difference_p_values(family, baseline, counts, self.threshold, self.seed)
        return [
            self._metric(facet, metric, counts, baseline, p_value, enough=enough)
            for metric, p_value in zip(family, p_values, strict=True)
        ]

    def _metric(
        self,
        facet: Facet,
        metric: Metric,
        counts: Counts,
        baseline: Counts | None,
        p_value: float | None,
        *,
        enough: bool,
    ) -> MetricBias:
        value = float(metric.of(counts.astype(np.float64)))
        old = np.nan if baseline is None else float(metric.of(baseline.astype(np.float64)))
        interval = bootstrap_interval(metric, counts, self.interval_level, self.seed)
        notes = [
            "One side has no rows that it needs, or there is but one outcome." if np.isnan(value) else "",
            "It has no interval: resamples of the rows are too often infinite." if interval is None else "",
            "The baseline has no such value." if baseline is not None and np.isnan(old) else "",
        ]
        return self._told(
            facet,
            metric,
            value,
            interval,
            enough=enough,
            baseline=old,
            p_value=p_value,
            note=" ".join(filter(None, notes[:1] if notes[0] else notes)),
        )

    def _told(
        self,
        facet: Facet,
        metric: Metric,
        value: float,
        interval: Interval | None,
        *,
        enough: bool,
        baseline: float = np.nan,
        p_value: float | None = None,
        note: str = "",
    ) -> MetricBias:
        """A metric with its verdicts."""
        key = (facet.column, facet.value_or_threshold, metric.name)
        allowed = self.allowed.get(key) or self.allowed.get(metric.name)
        outside = (
            allowed is not None and interval is not None and (interval.high < allowed[0] or interval.low > allowed[1])
        )
        moved = p_value is not None and p_value <= self.threshold and abs(value - baseline) >= MINIMUM_EFFECT
        return MetricBias(
            name=metric.name,
            description=metric.description,
            stage=metric.stage,
            value=figure_of(value),
            low=None if interval is None else figure_of(interval.low),
            high=None if interval is None else figure_of(interval.high),
            allowed=None if allowed is None else _figures(allowed),
            outside=outside and enough,
            baseline=figure_of(baseline),
            p_value=p_value,
            threshold=None if p_value is None else self.threshold,
            drifted=moved,
            note=note,
        )

    def _untold(self, facet: Facet, metric: Metric, note: str) -> MetricBias:
        return self._told(facet, metric, np.nan, None, enough=False, note=note)

    def _flip_test(self, facet: Facet, now: _Rows, after: pl.DataFrame) -> list[MetricBias]:
        """The flip test, which has an interval and no baseline: another table has other neighbours."""
        if not self.columns.features or now.predicted is None:
            return []
        try:
            X = after.select(pl.col(self.columns.features).cast(pl.Float64)).to_numpy()
        except pl.exceptions.PolarsError as error:
            return [self._untold(facet, _FLIP_TEST, f"The flip test takes numbers only: {error}")]
        known = (now.predicted >= 0) & np.isfinite(X).all(axis=1)
        rng = np.random.default_rng(self.seed)
        sides = [rng.permutation(np.flatnonzero(known & (now.facet == side)))[:_FLIPPED_ROWS] for side in (0, 1)]
        if not len(sides[0]) or not len(sides[1]):
            return [self._untold(facet, _FLIP_TEST, "One side has no row with a prediction and all features.")]
        rows = np.sort(np.concatenate(sides))
        found = flips(X[rows], now.facet[rows] == 1, now.predicted[rows] == 1)
        counts = np.array([np.count_nonzero(found == flip) for flip in (-1, 0, 1)])
        interval = bootstrap_interval(_FLIP_TEST, counts, self.interval_level, self.seed)
        enough = min(map(len, sides)) >= MINIMUM_ROWS
        return [self._told(facet, _FLIP_TEST, float(found.mean()), interval, enough=enough)]


def _families(columns: _Columns) -> dict[tuple[Need, ...], list[Metric]]:
    """Metrics of which there are the columns, by the rows that they look at."""
    there = {"group": columns.group, "label": columns.label, "predicted": columns.predicted}
    families: dict[tuple[Need, ...], list[Metric]] = {}
    for metric in METRICS:
        if all(there[need] is not None for need in metric.needs):
            families.setdefault(metric.needs, []).append(metric)
    return families


def _least_side(counts: Counts, needs: Sequence[Need]) -> int:
    """Rows of the smaller side."""
    facet = 1 if "group" in needs else 0
    return int(counts.sum(axis=tuple(axis for axis in range(counts.ndim) if axis != facet)).min())


def _words(needs: Sequence[Need]) -> str:
    return " and a ".join({"predicted": "prediction"}.get(need, need) for need in needs)


def _without_metrics(facet: Facet, note: str) -> FacetBias:
    return FacetBias(facet.name, facet.column, facet.value_or_threshold, 0, 0, 0, (), note)


def _with_columns(data: object, side: str, names: Sequence[str]) -> pl.DataFrame:
    frame = frame_of(data, side)
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise DataError(f"The {side} table lacks {listed(absent)}. It has {listed(frame.columns)}. Name others.")
    return frame


def _refuse(
    facets: Sequence[Facet],
    label: str | None,
    predicted: str | None,
    allowed: Mapping[str | Key, Range],
    level: float,
    interval_level: float,
) -> None:
    if not facets:
        raise SettingError("There is no facet. Give at least one: a column with values or a threshold.")
    if label is None and predicted is None:
        raise SettingError("There is neither a label nor a prediction. Name the column of one of them.")
    for name, share in (("level", level), ("interval_level", interval_level)):
        if not 0 < share < 1:
            raise SettingError(f"{name} is {share!r}. Use a number above 0 and below 1.")
    known = [metric.name for metric in (*METRICS, _FLIP_TEST)]
    for key, (low, high) in allowed.items():
        name = key if isinstance(key, str) else key[2]
        if name not in known:
            raise SettingError(f"allowed names the metric {name!r}, which is unknown. Metrics are {', '.join(known)}.")
        if not low <= high:
            raise SettingError(f"The allowed range of {name} is {low} to {high}. Give the lower end first.")
