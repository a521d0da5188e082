"""The two files of a baseline, made of a table and of its data-quality baseline; and the way back."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.checks.chance import wilson
from monitor.checks.kept import constrained_column
from monitor.checks.reading import read
from monitor.checks.sagemaker.files import (
    Bucket,
    Categorical,
    Common,
    Dataset,
    FeatureStatistics,
    Kll,
    LevelBucket,
    LevelDistribution,
    NumberDistribution,
    NumericalStatistics,
    StatisticsFile,
    StringStatistics,
)
from monitor.checks.sagemaker.sketch import sketched
from monitor.drift import Kind
from monitor.pair import level_rows
from storage.baselines.baseline import (
    Baseline,
    ColumnBaseline,
    Completeness,
    Constraints,
    Limits,
    OfType,
    Share,
    Statistics,
)
from storage.baselines.sagemaker import (
    ConstraintsFile,
    DistributionConstraints,
    FeatureConstraints,
    InferredType,
    MonitoringConfig,
    NumConstraints,
    StringConstraints,
)

#: Buckets of a column of numbers; SageMaker has always ten.
BUCKETS = 10

#: A column of text with more levels has no distribution, as Deequ's profiler has it.
MOST_LEVELS = 120


def statistics_of(frame: pl.DataFrame, baseline: Baseline) -> StatisticsFile:
    """`statistics.json` of a table, each column read as the baseline says it is.

    Numbers that are infinite are left out, since JSON has none. Columns that the table lacks, and of which the baseline
    holds no values because they are sensitive, are left out as well.

    >>> from monitor.checks import suggest
    >>> frame = pl.DataFrame({"age": [20, 31, None], "town": ["Ulm", "Bonn", "Ulm"]})
    >>> age, town = statistics_of(frame, suggest(frame)).features
    >>> age.inferred_type, age.numerical_statistics.common, age.numerical_statistics.mean
    ('Integral', Common(num_present=2, num_missing=1), 25.5)
    >>> town.string_statistics.distribution.categorical.buckets[0]
    LevelBucket(value='Ulm', count=2)
    """
    there = [column for column in baseline.columns if column.name in frame.columns and not _is_hidden(column)]
    features = tuple(_feature(frame[column.name], column) for column in there)
    return StatisticsFile(dataset=Dataset(frame.height), features=features)


def _is_hidden(column: ColumnBaseline) -> bool:
    """Whether the column had values, and the baseline tells none."""
    facts = column.statistics
    has_values = column.kind in ("number", "category", "time") and facts.distinct > 0
    return has_values and facts.minimum is None and facts.infinite < facts.readable


def _feature(series: pl.Series, column: ColumnBaseline) -> FeatureStatistics:
    kind = inferred_type(column)
    given, values = read(series, *(("category", "") if column.kind == "time" else (column.kind, column.dtype)))
    common = Common(given.count(), given.null_count())
    if kind in ("Integral", "Fractional"):
        numbers = _numerical(common, values.drop_nulls().to_numpy())
        return FeatureStatistics(column.name, kind, numerical_statistics=numbers)
    text = StringStatistics(common) if column.kind == "other" else _string(common, values)
    return FeatureStatistics(column.name, kind, string_statistics=text)


def inferred_type(column: ColumnBaseline) -> InferredType:
    """SageMaker's word for what a column's values are: booleans and times are text to it."""
    asked = column.constraints.type
    if asked is None:
        return "Unknown"
    return asked.type if asked.type in ("Integral", "Fractional", "Unknown") else "String"


def _numerical(common: Common, numbers: NDArray[np.float64]) -> NumericalStatistics:
    ascending = np.sort(numbers[np.isfinite(numbers)])
    if not len(ascending):
        return NumericalStatistics(common)
    low, high = float(ascending[0]), float(ascending[-1])
    return NumericalStatistics(
        common=common,
        mean=float(ascending.mean()),
        sum=float(ascending.sum()),
        std_dev=float(ascending.std()),
        min=low,
        max=high,
        distribution=NumberDistribution(Kll(_buckets(ascending, low, high), sketched(ascending))),
    )


def _buckets(ascending: NDArray[np.float64], low: float, high: float) -> tuple[Bucket, ...]:
    """Ten of equal width; a constant column has all rows in the last one, as Deequ's formula has it."""
    bounds = [low + (high - low) * i / BUCKETS for i in range(BUCKETS + 1)]
    below = np.searchsorted(ascending, bounds, side="left")
    below[-1] = np.searchsorted(ascending, bounds[-1], side="right")
    counts = np.diff(below).tolist()
    return tuple(Bucket(bounds[i], bounds[i + 1], float(counts[i])) for i in range(BUCKETS))


def _string(common: Common, values: pl.Series) -> StringStatistics:
    counts = level_rows(values)
    buckets = tuple(LevelBucket(level, rows) for level, rows in counts.iter_rows())
    distribution = LevelDistribution(Categorical(buckets)) if counts.height <= MOST_LEVELS else None
    return StringStatistics(common, float(counts.height), distribution)


def constraints_of(baseline: Baseline) -> ConstraintsFile:
    """`constraints.json` of a baseline: of its constraints, those that SageMaker knows.

    Its thresholds know no chance: a complete column of the baseline has to be complete in each window.
    """
    features = tuple(_feature_constraints(column) for column in baseline.columns)
    config = MonitoringConfig(distribution_constraints=DistributionConstraints(categorical_comparison_threshold=0.1))
    return ConstraintsFile(features=features, monitoring_config=config)


def _feature_constraints(column: ColumnBaseline) -> FeatureConstraints:
    kind, asked, facts = inferred_type(column), column.constraints, column.statistics
    rows = facts.present + facts.missing
    return FeatureConstraints(
        name=column.name,
        inferred_type=kind,
        completeness=facts.present / rows if rows else None,
        num_constraints=NumConstraints(asked.non_negative is not None) if kind in ("Integral", "Fractional") else None,
        string_constraints=StringConstraints(asked.domain.levels) if asked.domain else None,
    )


# -------------------------------------------------------------------------------------------------------- way back


def baseline_of(statistics: StatisticsFile, constraints: ConstraintsFile) -> Baseline:
    """A data-quality baseline of SageMaker's two files, so that windows are judged against it by our tests.

    The columns and what is asked of them are those of the constraints, as `constrained` takes them; what they held is
    in the statistics, without which a column is asked only for its being there, as is one that is switched off. Limits
    are the smallest and the largest value. Where all is switched off, nothing is asked.
    """
    rows = statistics.dataset.item_count
    if constraints.monitoring_config.evaluate_constraints == "Disabled":
        return Baseline(rows, repeated=0, columns=(), extra_columns=True)
    held = {feature.name: feature for feature in statistics.features}
    columns = tuple(
        _column(feature, held.get(feature.name), constraints.config_of(feature)) for feature in constraints.features
    )
    return Baseline(rows, repeated=0, columns=columns)


#: What a column of each of SageMaker's types is read as: a kind, and a dtype.
READ_AS: dict[InferredType, tuple[Kind, str]] = {
    "Integral": ("number", "Float64"),
    "Fractional": ("number", "Float64"),
    "String": ("category", ""),
    "Unknown": ("other", ""),
}


def _column(asked: FeatureConstraints, held: FeatureStatistics | None, config: MonitoringConfig) -> ColumnBaseline:
    kind, dtype = READ_AS[asked.inferred_type]
    if held is None:
        note = "The statistics do not have it, so only its being there is checked."
        return ColumnBaseline(asked.name, kind, dtype, Statistics(), Constraints(), note)
    facts = _facts(asked, held)
    if config.evaluate_constraints == "Disabled":
        return ColumnBaseline(asked.name, kind, dtype, facts, Constraints())
    suggested = ColumnBaseline(asked.name, kind, dtype, facts, _suggested(kind, facts, _held_type(asked, held)))
    return constrained_column(suggested, asked, config)


def _held_type(asked: FeatureConstraints, held: FeatureStatistics) -> InferredType:
    """The type that the values had; where they are read as something else now, the one that is asked for."""
    return held.inferred_type if READ_AS[held.inferred_type] == READ_AS[asked.inferred_type] else asked.inferred_type


def _suggested(kind: Kind, facts: Statistics, held: InferredType) -> Constraints:
    """What a column kept itself. Its domain is in the constraints alone."""
    nothing = wilson(0, facts.present)[1]
    lowest = facts.minimum if kind == "number" else None
    return Constraints(
        completeness=Completeness(wilson(facts.present, facts.present + facts.missing)[0]),
        type=None if held == "Unknown" else OfType(held, nothing),
        range=None if lowest is None else Limits(lowest, facts.maximum, nothing),
        non_negative=None if lowest is None or lowest < 0 else Share(nothing),
        finite=Share(nothing) if kind == "number" else None,
    )


def _facts(asked: FeatureConstraints, held: FeatureStatistics) -> Statistics:
    if numbers := held.numerical_statistics:
        return Statistics(
            missing=numbers.common.num_missing,
            present=numbers.common.num_present,
            minimum=numbers.min,
            maximum=numbers.max,
            mean=numbers.mean,
            std_dev=numbers.std_dev,
        )
    if text := held.string_statistics:
        categorical = text.distribution.categorical if text.distribution else None
        domain = set(asked.string_constraints.domains if asked.string_constraints else ())
        return Statistics(
            missing=text.common.num_missing,
            present=text.common.num_present,
            distinct=int(text.distinct_count or 0),
            levels={one.value: one.count for one in categorical.buckets} if categorical and domain else {},
        )
    return Statistics()
