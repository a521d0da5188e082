"""Judge a window by a SageMaker baseline as SageMaker does: thresholds on shares and distances, no chance.

The six checks and the words of their violations are those of its analyzer image, whose source is closed. Its engine is
not: distances are those of Deequ 2.0.2. The text of types was seen in files that it wrote; the others have its form,
and may be worded otherwise there.
"""

from collections.abc import Iterator

import polars as pl

from monitor.checks.reading import Reading, read
from monitor.checks.sagemaker.describe import READ_AS
from monitor.checks.sagemaker.distance import chi_square, level_distance, robust, value_distance
from monitor.checks.sagemaker.files import (
    ConstraintCheck,
    ConstraintViolation,
    FeatureStatistics,
    StatisticsFile,
    ViolationsFile,
)
from monitor.checks.sagemaker.sketch import sketched, values_of
from storage.baselines.sagemaker import ConstraintsFile, DistributionConstraints, FeatureConstraints, MonitoringConfig


def judge(frame: pl.DataFrame, statistics: StatisticsFile, constraints: ConstraintsFile) -> ViolationsFile:
    """What a window breaks of a SageMaker baseline.

    The window's numbers are sketched as the baseline's are. A column that the statistics lack is not compared with
    them, one that the constraints do not name is not judged. A column switched off by `evaluate_constraints`, in the
    file or by its own overrides, is left aside; so is a drift without values on either side.

    >>> from monitor.checks import suggest
    >>> from monitor.checks.sagemaker import constraints_of, statistics_of
    >>> training = pl.DataFrame({"age": range(100)})
    >>> baseline = suggest(training)
    >>> window = pl.DataFrame({"age": [1.5] + [30.0] * 99})
    >>> for one in judge(window, statistics_of(training, baseline), constraints_of(baseline)).violations:
    ...     print(one.constraint_check_type, one.description)
    data_type_check Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. \
Observed: Only 99.0% of data is Integral.
    baseline_drift_check Baseline drift distance: 0.435441558... exceeds threshold: 0.1
    """
    if constraints.monitoring_config.evaluate_constraints == "Disabled":
        return ViolationsFile(())
    held = {feature.name: feature for feature in statistics.features}
    return ViolationsFile(
        (
            *_columns(frame, constraints),
            *(
                violation
                for asked in constraints.features
                if asked.name in frame.columns
                for violation in _feature(frame[asked.name], asked, held.get(asked.name), constraints.config_of(asked))
            ),
        )
    )


def _columns(frame: pl.DataFrame, constraints: ConstraintsFile) -> Iterator[ConstraintViolation]:
    """Whether there are as many columns as there were."""
    now, before = frame.width, len(constraints.features)
    for word, broken in (("missing", now < before), ("extra", now > before)):
        if broken:
            yield ConstraintViolation(
                f"{word.capitalize()} columns",
                "missing_column_check" if word == "missing" else "extra_column_check",
                f"There are {word} columns in current dataset. Number of columns in current dataset: {now}, "
                f"Number of columns in baseline constraints: {before}",
            )


def _feature(
    series: pl.Series, asked: FeatureConstraints, held: FeatureStatistics | None, config: MonitoringConfig
) -> Iterator[ConstraintViolation]:
    """A column's violations; one that cannot be read is all of another type."""
    if config.evaluate_constraints == "Disabled":
        return
    reading = read(series, *READ_AS[asked.inferred_type])
    found = [*_completeness(reading, asked), *_type(reading, asked, config), *_domain(reading, asked, config)]
    if held and config.distribution_constraints.perform_comparison == "Enabled":
        found += _drift(reading, held, config.distribution_constraints)
    for check, description in found:
        yield ConstraintViolation(asked.name, check, description)


_Found = Iterator[tuple[ConstraintCheck, str]]


def _completeness(reading: Reading, asked: FeatureConstraints) -> _Found:
    rows = len(reading.given)
    if rows and asked.completeness is not None and (observed := reading.given.count() / rows) < asked.completeness:
        yield (
            "completeness_check",
            f"Data completeness requirement is not met. Expected completeness: {asked.completeness * 100}%. "
            f"Observed: Only {observed * 100}% of data is complete.",
        )


def _type(reading: Reading, asked: FeatureConstraints, config: MonitoringConfig) -> _Found:
    rows = reading.given.count()
    if not rows or asked.inferred_type == "Unknown":
        return
    values = reading.values.drop_nulls()
    fitting = values.count()
    if asked.inferred_type == "Integral":
        fitting = int((values.is_finite() & (values.floor() == values)).sum())
    if (observed := fitting / rows) < config.datatype_check_threshold:
        yield (
            "data_type_check",
            f"Data type match requirement is not met. Expected data type: {asked.inferred_type}, "
            f"Expected match: {config.datatype_check_threshold * 100}%. "
            f"Observed: Only {observed * 100}% of data is {asked.inferred_type}.",
        )


def _domain(reading: Reading, asked: FeatureConstraints, config: MonitoringConfig) -> _Found:
    domain = asked.string_constraints.domains if asked.string_constraints else ()
    rows = reading.values.count()
    if not domain or not rows or asked.inferred_type != "String":
        return
    observed = int(reading.values.is_in(list(domain)).sum()) / rows
    if observed < config.domain_content_threshold:
        yield (
            "categorical_values_check",
            f"Categorical values requirement is not met. Expected match: {config.domain_content_threshold * 100}%. "
            f"Observed: Only {observed * 100}% of data is in the domain.",
        )


def _drift(reading: Reading, held: FeatureStatistics, config: DistributionConstraints) -> _Found:
    distance, threshold = _number_drift(reading, held, config) or _level_drift(reading, held, config) or (None, 0.0)
    if distance is None:
        return
    if held.string_statistics and config.categorical_drift_method == "ChiSquared":
        if distance < threshold:  # it is a p-value
            yield "baseline_drift_check", f"Baseline drift p-value: {distance} is below threshold: {threshold}"
    elif distance > threshold:
        yield "baseline_drift_check", f"Baseline drift distance: {distance} exceeds threshold: {threshold}"


def _number_drift(
    reading: Reading, held: FeatureStatistics, config: DistributionConstraints
) -> tuple[float, float] | None:
    numbers = held.numerical_statistics
    kll = numbers.distribution.kll if numbers and numbers.distribution else None
    if kll is None or kll.sketch is None or reading.values.dtype != pl.Float64:
        return None
    finite = reading.values.filter(reading.values.is_finite()).drop_nulls().sort().to_numpy()
    (x, before), (y, now) = values_of(kll.sketch), values_of(sketched(finite))
    if not len(x) or not len(y):
        return None
    distance = value_distance(x, before, y, now)
    return _corrected(distance, int(before.sum()), int(now.sum()), config), config.comparison_threshold


def _level_drift(
    reading: Reading, held: FeatureStatistics, config: DistributionConstraints
) -> tuple[float, float] | None:
    text = held.string_statistics
    categorical = text.distribution.categorical if text and text.distribution else None
    if categorical is None or reading.values.dtype != pl.String:
        return None
    before = {bucket.value: bucket.count for bucket in categorical.buckets}
    now = dict(reading.values.drop_nulls().value_counts().iter_rows())
    if not sum(before.values()) or not now:
        return None
    own = config.categorical_comparison_threshold
    threshold = config.comparison_threshold if own is None else own
    if config.categorical_drift_method == "ChiSquared":
        p_value = chi_square(now, before)
        return None if p_value is None else (p_value, threshold)
    distance = level_distance(before, now)
    return _corrected(distance, sum(before.values()), sum(now.values()), config), threshold


def _corrected(distance: float, before: int, now: int, config: DistributionConstraints) -> float:
    return distance if config.comparison_method == "Simple" else robust(distance, before, now)
