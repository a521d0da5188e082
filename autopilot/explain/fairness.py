"""Fairness by group: does the model choose, and err, as often among one group of rows as among another?

Rates are shares of rows, with Wilson's score interval (Wilson, "Probable inference, the law of succession, and
statistical inference", JASA 1927). Differences of two rates have Newcombe's hybrid score interval (Newcombe, "Interval
estimation for the difference between independent proportions", Statistics in Medicine 1998, method 10), their ratios
Katz's on the logarithm (Katz et al., "Obtaining confidence intervals for the risk ratio in cohort studies", Biometrics
1978). Weighted rows count as (Σw)² / Σw² rows (Kish, "Survey Sampling", 1965).

Which of these should be equal is not for a program to say, and they cannot all be (Kleinberg et al., "Inherent
trade-offs in the fair determination of risk scores", ITCS 2017). An interval that holds 0, or for ratios 1, is no
evidence of fairness where groups are small.
"""

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from storage.errors import InputError
from storage.explain.explanation import place_of
from storage.predictor import Outputs
from storage.signature import Signature, Task

if TYPE_CHECKING:
    import altair as alt

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Rows of the smallest group, and of the smallest rate, that gaps are told of: of 30, a half is known to 17 %.
_LEAST_ROWS = 30
MISSING, OTHERS = "missing", "others"
#: Of a column that is made into groups: more values are put together, numbers into quarters.
_MOST_GROUPS, _QUARTERS = 12, 4


class Estimate(Struct, frozen=True):
    """A figure with its interval. rows: that it is of. value, lower, upper: None where no row tells."""

    name: str
    value: float | None
    lower: float | None
    upper: float | None
    rows: int


class Group(Struct, frozen=True):
    """One group.

    rates: of classes selection_rate, true_positive_rate, false_positive_rate, precision and accuracy; of values
    mean_absolute_error and bias, the mean of prediction - truth. differences, ratios: to the reference group; of values
    there are no ratios. is_small: it has fewer than 30 rows, and is left out of the gaps.
    """

    name: str
    rows: int
    rates: tuple[Estimate, ...]
    differences: tuple[Estimate, ...]
    ratios: tuple[Estimate, ...]
    is_small: bool


class Fairness(Struct, frozen=True):
    """Rates by group, the largest group first: the reference.

    positive: the class of which is told how often it is chosen; None for values. gaps: the largest differences between
    any two groups of 30 rows or more, by rates of as many: demographic_parity_difference of the selection rates,
    equalized_odds_difference of true or false positive rates, whichever is larger, and accuracy_difference; of values
    mean_absolute_error_difference and bias_difference. Their intervals hold for all pairs of groups together
    (Bonferroni). notes: what to bear in mind.
    """

    column: str
    task: Task
    positive: str | int | None
    groups: tuple[Group, ...]
    gaps: tuple[Estimate, ...]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The group that others are compared with."""
        return self.groups[0].name

    def frame(self) -> pl.DataFrame:
        """A line for each group and figure: `group`, `rows`, `figure`, `value`, `lower`, `upper`, `of_rows`.

        Then `difference`, `difference_lower` and `difference_upper`: to the reference group.
        """
        return pl.DataFrame(
            [
                {
                    "group": group.name,
                    "rows": group.rows,
                    "figure": rate.name,
                    "value": rate.value,
                    "lower": rate.lower,
                    "upper": rate.upper,
                    "of_rows": rate.rows,
                    "difference": apart.value,
                    "difference_lower": apart.lower,
                    "difference_upper": apart.upper,
                }
                for group in self.groups
                for rate, apart in zip(group.rates, group.differences, strict=True)
            ],
            schema_overrides=dict.fromkeys(_FLOATS, pl.Float64),
            infer_schema_length=None,
        )


_FLOATS = ("value", "lower", "upper", "difference", "difference_lower", "difference_upper")


def fairness(
    y: Values,
    predicted: Outputs | pl.DataFrame,
    groups: pl.Series,
    signature: Signature,
    *,
    weights: Values | None = None,
    level: float = 0.95,
    positive: str | int | None = None,
) -> Fairness:
    """How a model treats groups of rows that it was not trained on.

    y: float64 (rows,), class numbers or values. predicted: what `Predictor.run` or `predict` gives for the rows.
    groups: (rows,) of any type, named as the column is; the model need not take it; null is the group `missing`.
    weights: (rows,) of 0 and more. positive: the class that is chosen or not; the second of two classes by default. Of
    several classes only the accuracy is told without it.

    Raises InputError for an unknown class, no rows, or rows that are not as many everywhere.
    """
    _refuse(y, predicted, groups, weights)
    names = groups.cast(pl.String).fill_null(MISSING).to_numpy()
    truth = _Truth.of(y, predicted, signature, positive, weights)
    found = {name: truth.figures(names == name) for name in _by_size(names)}
    reference = next(iter(found.values()))
    listed = tuple(
        Group(
            name=name,
            rows=int((names == name).sum()),
            rates=tuple(each.told(level) for each in figures),
            differences=tuple(_difference(a, b, level) for a, b in zip(figures, reference, strict=True)),
            ratios=tuple(_ratio(a, b, level) for a, b in zip(figures, reference, strict=True) if isinstance(a, _Rate)),
            is_small=int((names == name).sum()) < _LEAST_ROWS,
        )
        for name, figures in found.items()
    )
    compared = [found[group.name] for group in listed if not group.is_small]
    return Fairness(
        column=groups.name,
        task=signature.task,
        positive=truth.positive_name,
        groups=listed,
        gaps=_gaps(compared, level),
        level=level,
        notes=_notes(listed),
    )


def groups_of(values: pl.Series) -> pl.Series:
    """The groups of a column: its values, quarters of the rows if it is a number or a time with more than a dozen.

    Of more than a dozen words the eleven most frequent stay, and `others`. Missing values stay missing.

    >>> groups_of(pl.Series("age", list(range(20, 60)))).unique().sort().to_list()
    ['20 to 29', '30 to 39', '40 to 49', '50 to 59']
    >>> groups_of(pl.Series("sex", ["f", "m", None])).to_list()
    ['f', 'm', None]
    """
    if values.dtype == pl.Duration:  # has no text
        values = values.dt.total_seconds().alias(f"{values.name} in seconds")
    if values.n_unique() <= _MOST_GROUPS:
        return values.cast(pl.String)
    if values.dtype.is_numeric() or values.dtype.is_temporal():
        quarter = ((values.rank("max") - 1) * _QUARTERS / values.count()).cast(pl.Int64).alias("quarter")
        frame = pl.DataFrame([values.alias("value"), quarter])
        ends = pl.format("{} to {}", pl.col("value").min().over("quarter"), pl.col("value").max().over("quarter"))
        return frame.select(pl.when(pl.col("value").is_not_null()).then(ends)).to_series().alias(values.name)
    words = values.cast(pl.String).alias("word")
    counted = words.drop_nulls().value_counts(sort=True).sort("count", "word", descending=[True, False])
    common = counted.get_column("word").head(_MOST_GROUPS - 1)
    named = pl.when(pl.col("word").is_in(common.implode()) | pl.col("word").is_null()).then(pl.col("word"))
    return words.to_frame().select(named.otherwise(pl.lit(OTHERS))).to_series().alias(values.name)


def fairness_chart(found: Fairness) -> "alt.Chart":
    """An Altair chart: each figure by group, with its interval; small groups are pale."""
    import altair as alt

    small = {group.name: group.is_small for group in found.groups}
    frame = found.frame().with_columns(is_small=pl.col("group").replace_strict(small, return_dtype=pl.Boolean))
    opacity = alt.condition("datum.is_small", alt.value(0.35), alt.value(1.0))
    y = alt.Y("group:N", sort=list(small), title=None, axis=alt.Axis(labelLimit=200))
    figures = [alt.Tooltip(f"{name}:Q", format=".4g") for name in ("value", "lower", "upper")]
    chart = alt.Chart(frame).encode(y=y, opacity=opacity, tooltip=["group:N", "rows:Q", *figures])
    layered: Any = alt.layer(
        chart.mark_rule(color="#0072b2").encode(
            x=alt.X("lower:Q", title=None, scale=alt.Scale(zero=False)), x2="upper:Q"
        ),
        chart.mark_point(filled=True, size=60, color="#0072b2").encode(x="value:Q"),
    )
    chosen = "" if found.positive is None else f", chosen being {found.positive}"
    title = alt.TitleParams(
        f"By {found.column}{chosen}", subtitle=f"Lines are {found.level:.0%} intervals; groups of few rows are pale"
    )
    faceted: Any = layered.properties(width=260).facet(facet=alt.Facet("figure:N", sort=None, title=None), columns=1)
    return faceted.resolve_scale(x="independent").properties(title=title)


class _Rate(NamedTuple):
    """A share of rows. rows: as many as they count for, fractions where weights differ."""

    name: str
    share: float
    rows: float

    def told(self, level: float) -> Estimate:
        """With Wilson's interval."""
        if not self.rows:
            return Estimate(self.name, None, None, None, 0)
        return Estimate(self.name, self.share, *wilson(self.share, self.rows, level), round(self.rows))


class _Mean(NamedTuple):
    """A mean of rows, with its standard error."""

    name: str
    mean: float
    error: float
    rows: float

    def told(self, level: float) -> Estimate:
        """With the interval of Student's t."""
        if self.rows < 2:
            return Estimate(self.name, self.mean if self.rows else None, None, None, round(self.rows))
        reach = _student(level, self.rows - 1) * self.error
        return Estimate(self.name, self.mean, self.mean - reach, self.mean + reach, round(self.rows))


_Figure = _Rate | _Mean


class _Truth(NamedTuple):
    """What rows are and what was predicted for them; of classes: as numbers, and the positive one's, or -1."""

    y: Values
    predicted: Values
    weights: Values
    task: Task
    positive: int
    positive_name: str | int | None

    @classmethod
    def of(
        cls,
        y: Values,
        predicted: Outputs | pl.DataFrame,
        signature: Signature,
        positive: str | int | None,
        weights: Values | None,
    ) -> "_Truth":
        counted = np.ones(len(y)) if weights is None else weights
        if signature.task == "regression":
            return cls(y, _column(predicted, "prediction").astype(np.float64), counted, "regression", -1, None)
        numbers = {name: number for number, name in enumerate(signature.classes)}
        labels = np.array([numbers[label] for label in _column(predicted, "label").tolist()], dtype=np.float64)
        if positive is None and len(signature.classes) > 2:
            return cls(y, labels, counted, signature.task, -1, None)
        number = 1 if positive is None else place_of(signature.classes, positive)
        return cls(y, labels, counted, signature.task, number, signature.classes[number])

    def figures(self, inside: Mask) -> tuple[_Figure, ...]:
        """Of the rows inside a group."""
        if self.task == "regression":
            error = self.predicted - self.y
            absolute = self._mean("mean_absolute_error", np.abs(error), inside)
            return absolute, self._mean("bias", error, inside)
        right = self.predicted == self.y
        if self.positive < 0:
            return (self._rate("accuracy", right, inside),)
        chosen, is_positive = self.predicted == self.positive, self.y == self.positive
        return (
            self._rate("selection_rate", chosen, inside),
            self._rate("true_positive_rate", chosen, inside & is_positive),
            self._rate("false_positive_rate", chosen, inside & ~is_positive),
            self._rate("precision", is_positive, inside & chosen),
            self._rate("accuracy", right, inside),
        )

    def _rate(self, name: str, hit: Mask, among: Mask) -> _Rate:
        weights = self.weights[among]
        total = float(weights.sum())
        share = float(weights[hit[among]].sum()) / total if total else 0.0
        return _Rate(name, share, _counted(weights))

    def _mean(self, name: str, values: Values, among: Mask) -> _Mean:
        weights, values = self.weights[among], values[among]
        rows = _counted(weights)
        if not rows:
            return _Mean(name, 0.0, 0.0, 0.0)
        mean = float(np.average(values, weights=weights))
        variance = float(np.average((values - mean) ** 2, weights=weights))
        return _Mean(name, mean, math.sqrt(variance / max(rows - 1, 1)), rows)


def wilson(share: float, rows: float, level: float) -> tuple[float, float]:
    """The score interval of a share of rows.

    >>> [round(end, 3) for end in wilson(0.5, 100, 0.95)]
    [0.404, 0.596]
    """
    z = _normal(level)
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    reach = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    # The share is always inside; for none and all of the rows, rounding may put an end 1e-16 on its other side.
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))


def newcombe(a: float, a_rows: float, b: float, b_rows: float, level: float) -> tuple[float, float]:
    """The hybrid score interval of a - b, shares of independent rows.

    >>> [round(end, 4) for end in newcombe(56 / 70, 70, 48 / 80, 80, 0.95)]
    [0.0524, 0.3339]
    """
    (a_low, a_high), (b_low, b_high) = wilson(a, a_rows, level), wilson(b, b_rows, level)
    return a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)


def _difference(a: _Figure, b: _Figure, level: float, name: str = "") -> Estimate:
    """Of one group to another; of a group to itself 0."""
    name, rows = name or a.name, round(a.rows)
    if a is b:
        return Estimate(name, 0.0, 0.0, 0.0, rows) if a.rows else Estimate(name, None, None, None, 0)
    if isinstance(a, _Rate) and isinstance(b, _Rate):
        if not (a.rows and b.rows):
            return Estimate(name, None, None, None, rows)
        return Estimate(name, a.share - b.share, *newcombe(a.share, a.rows, b.share, b.rows, level), rows)
    assert isinstance(a, _Mean) and isinstance(b, _Mean)  # noqa: S101, PT018 - figures of one kind are compared
    if min(a.rows, b.rows) < 2:
        return Estimate(name, None, None, None, rows)
    reach = _welch(a, b, level)
    return Estimate(name, a.mean - b.mean, a.mean - b.mean - reach, a.mean - b.mean + reach, rows)


def _welch(a: _Mean, b: _Mean, level: float) -> float:
    """Half the interval of a difference of means.

    Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 1947.
    """
    squares = a.error**2, b.error**2
    if not sum(squares):
        return 0.0
    freedom = sum(squares) ** 2 / (squares[0] ** 2 / (a.rows - 1) + squares[1] ** 2 / (b.rows - 1))
    return _student(level, freedom) * math.sqrt(sum(squares))


def _ratio(a: _Rate, b: _Figure, level: float) -> Estimate:
    """Of one group's rate to another's; None where either is 0, of which there is no logarithm."""
    assert isinstance(b, _Rate)  # noqa: S101 - figures of one kind are compared
    rows = round(a.rows)
    if not (a.rows and b.rows and a.share and b.share):
        return Estimate(a.name, None, None, None, rows)
    ratio = a.share / b.share
    error = math.sqrt((1 - a.share) / (a.share * a.rows) + (1 - b.share) / (b.share * b.rows))
    factor = 1.0 if a is b else math.exp(_normal(level) * error)
    return Estimate(a.name, ratio, ratio / factor, ratio * factor, rows)


_GAPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("demographic_parity_difference", ("selection_rate",)),
    ("equalized_odds_difference", ("true_positive_rate", "false_positive_rate")),
    ("accuracy_difference", ("accuracy",)),
    ("mean_absolute_error_difference", ("mean_absolute_error",)),
    ("bias_difference", ("bias",)),
)


def _gaps(groups: list[tuple[_Figure, ...]], level: float) -> tuple[Estimate, ...]:
    """The largest difference of each kind between any two of the groups; none where no two have enough rows."""
    alike = (pair for one, other in combinations(groups, 2) for pair in zip(one, other, strict=True))
    pairs = [(a, b) for a, b in alike if min(a.rows, b.rows) >= _LEAST_ROWS]
    if not pairs:
        return ()
    shared = 1 - (1 - level) / math.comb(len(groups), 2)
    found: list[Estimate] = []
    for gap, names in _GAPS:
        ordered = [sorted(pair, key=_size, reverse=True) for pair in pairs if pair[0].name in names]
        differences = [_difference(more, less, shared, gap) for more, less in ordered]
        known = [each for each in differences if each.value is not None]
        if known:
            found.append(max(known, key=lambda each: each.value or 0.0))
    return tuple(found)


def _size(figure: _Figure) -> float:
    return figure.share if isinstance(figure, _Rate) else figure.mean


def _notes(groups: tuple[Group, ...]) -> tuple[str, ...]:
    small = [group.name for group in groups if group.is_small]
    notes: list[str] = []
    if small:
        told = ", ".join(small[:8]) + (f" and {len(small) - 8} more" if len(small) > 8 else "")
        notes.append(f"Fewer than {_LEAST_ROWS} rows: {told}. Their figures are left out of the gaps.")
    if len(groups) - len(small) < 2:
        notes.append("There are no two groups that are large enough to be compared.")
    return tuple(notes)


def _by_size(names: NDArray[Any]) -> list[str]:
    """Groups by their rows, the largest first, ties by name."""
    found, counts = np.unique(names.astype(str), return_counts=True)
    return found[np.argsort(-counts, kind="stable")].tolist()


def _counted(weights: Values) -> float:
    """As how many rows of one weight they count."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _column(predicted: Outputs | pl.DataFrame, name: str) -> NDArray[Any]:
    if isinstance(predicted, Outputs):
        return np.asarray(getattr(predicted, name))
    return predicted.get_column(name).to_numpy()


def _normal(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def _student(level: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def _refuse(y: Values, predicted: Outputs | pl.DataFrame, groups: pl.Series, weights: Values | None) -> None:
    if not len(y):
        raise InputError("There are no rows to compare. Give held-out rows with their true values.")
    counts = {
        "predicted": len(predicted) if isinstance(predicted, pl.DataFrame) else _rows_of(predicted),
        f"groups {groups.name!r}": len(groups),
        "weights": len(y) if weights is None else len(weights),
    }
    for name, rows in counts.items():
        if rows != len(y):
            raise InputError(f"{name} has {rows} rows, y has {len(y)}. Give one for each row.")


def _rows_of(outputs: Outputs) -> int:
    return next(len(each) for each in outputs if each is not None)
