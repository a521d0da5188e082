"""SageMaker Model Monitor's other two files, as its documentation and the files that it wrote have them.

    statistics.json              what the columns of a table held
    constraint_violations.json   what one of them broke

What is asked of a table, `constraints.json`, is in `storage.baselines.sagemaker`, with what all three share.
"""

from typing import Literal

from msgspec import Struct

from storage.baselines.sagemaker import InferredType, SageMakerFile

ConstraintCheck = Literal[
    "data_type_check",
    "completeness_check",
    "baseline_drift_check",
    "missing_column_check",
    "extra_column_check",
    "categorical_values_check",
]


# ------------------------------------------------------------------------------------------------------ statistics


class Common(Struct, frozen=True):
    """Rows with and without a value."""

    num_present: int
    num_missing: int


class Bucket(Struct, frozen=True):
    """Rows with a value from the lower bound on and below the upper one; the last bucket's upper bound is inside."""

    lower_bound: float
    upper_bound: float
    count: float


class SketchParameters(Struct, frozen=True):
    """Of the KLL sketch: how much smaller each level is than the one before, and how large the first one."""

    c: float = 0.64
    k: float = 2048.0


class Sketch(Struct, frozen=True):
    """A KLL sketch: a value of `data[h]` stands for 2^h rows."""

    parameters: SketchParameters = SketchParameters()
    data: tuple[tuple[float, ...], ...] = ()


class Kll(Struct, frozen=True):
    """Ten buckets of equal width, and the sketch that they were counted by."""

    buckets: tuple[Bucket, ...] = ()
    sketch: Sketch | None = None


class NumberDistribution(Struct, frozen=True):
    """How numbers are distributed."""

    kll: Kll | None = None


class NumericalStatistics(Struct, frozen=True):
    """Of a column of numbers. std_dev: with n, not n - 1."""

    common: Common
    mean: float | None = None
    sum: float | None = None
    std_dev: float | None = None
    min: float | None = None
    max: float | None = None
    distribution: NumberDistribution | None = None


class LevelBucket(Struct, frozen=True):
    """The rows of one level."""

    value: str
    count: int


class Categorical(Struct, frozen=True):
    """The rows of all levels."""

    buckets: tuple[LevelBucket, ...] = ()


class LevelDistribution(Struct, frozen=True):
    """How levels are distributed."""

    categorical: Categorical | None = None


class StringStatistics(Struct, frozen=True):
    """Of a column of text. distribution: None where it has too many levels."""

    common: Common
    distinct_count: float | None = None
    distribution: LevelDistribution | None = None


class FeatureStatistics(Struct, frozen=True):
    """Of one column; either of its statistics is there."""

    name: str
    inferred_type: InferredType
    numerical_statistics: NumericalStatistics | None = None
    string_statistics: StringStatistics | None = None


class Dataset(Struct, frozen=True):
    """Of the table."""

    item_count: int


class StatisticsFile(SageMakerFile, frozen=True, kw_only=True):
    """`statistics.json`."""

    version: float = 0.0
    dataset: Dataset
    features: tuple[FeatureStatistics, ...]


# ------------------------------------------------------------------------------------------------------ violations


class ConstraintViolation(Struct, frozen=True):
    """One constraint that was broken."""

    feature_name: str
    constraint_check_type: ConstraintCheck
    description: str


class ViolationsFile(SageMakerFile, frozen=True):
    """`constraint_violations.json`."""

    violations: tuple[ConstraintViolation, ...]
