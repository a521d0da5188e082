"""SageMaker Model Monitor's three files, as its documentation and the files that it wrote have them.

    statistics.json              what the columns of a table held
    constraints.json             what is asked of later ones, and how they are judged
    constraint_violations.json   what one of them broke

Numbers that it writes as floats (`"version": 0.0`, the rows of a bucket) are floats here too. Its documentation and its
files disagree on the spelling of a few keys and values; all of them are read, and the files' ones are written. What is
not known is left aside when read: containers of others add keys of their own, as they may.
"""

import math
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec
from msgspec import Struct, field

from storage.errors import DataError, StoreError

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]
Switch = Literal["Enabled", "Disabled"]
ConstraintCheck = Literal[
    "data_type_check",
    "completeness_check",
    "baseline_drift_check",
    "missing_column_check",
    "extra_column_check",
    "categorical_values_check",
]

_File = TypeVar("_File", bound="_Document")


class _Document(Struct, frozen=True):
    """A file that is written whole."""

    def json(self) -> bytes:
        """The file's text, indented; what is not known, and numbers that JSON does not have, are left out."""
        return msgspec.json.format(msgspec.json.encode(_known(msgspec.to_builtins(self))), indent=2)

    def write(self, path: Path) -> None:
        """Write the file. Raises StoreError if it cannot be written."""
        try:
            path.write_bytes(self.json())
        except OSError as error:
            raise StoreError(f"{str(path)!r} cannot be written: {error.strerror}. Name another place.") from error


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


class StatisticsFile(_Document, frozen=True, kw_only=True):
    """`statistics.json`."""

    version: float = 0.0
    dataset: Dataset
    features: tuple[FeatureStatistics, ...]


# ----------------------------------------------------------------------------------------------------- constraints


class NumConstraints(Struct, frozen=True):
    """Of a column of numbers."""

    is_non_negative: bool = False


class StringConstraints(Struct, frozen=True):
    """Of a column of text."""

    domains: tuple[str, ...] = ()


class Overrides(Struct, frozen=True):
    """What counts for one column instead of the file's monitoring configuration. None: as there."""

    evaluate_constraints: Switch | None = None
    emit_metrics: Switch | None = None
    datatype_check_threshold: float | None = None
    domain_content_threshold: float | None = None
    distribution_constraints: "DistributionConstraints | None" = None


class FeatureConstraints(Struct, frozen=True):
    """What is asked of one column. completeness: the least share of rows with a value."""

    name: str
    inferred_type: InferredType
    completeness: float | None = None
    num_constraints: NumConstraints | None = None
    string_constraints: StringConstraints | None = None
    overrides: Overrides | None = field(default=None, name="monitoringConfigOverrides")


class DistributionConstraints(Struct, frozen=True):
    """How distributions are compared."""

    perform_comparison: Switch = "Enabled"
    comparison_threshold: float = 0.1
    comparison_method: Literal["Robust", "Simple"] = "Robust"
    categorical_comparison_threshold: float | None = None
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] = "LInfinity"


class MonitoringConfig(Struct, frozen=True):
    """How all columns are judged. The thresholds are the least shares of values that are of the type, in the domain."""

    evaluate_constraints: Switch = "Enabled"
    emit_metrics: Switch = "Enabled"
    datatype_check_threshold: float = 1.0
    domain_content_threshold: float = 1.0
    distribution_constraints: DistributionConstraints = DistributionConstraints()


class ConstraintsFile(_Document, frozen=True, kw_only=True):
    """`constraints.json`."""

    version: float = 0.0
    features: tuple[FeatureConstraints, ...]
    monitoring_config: MonitoringConfig = MonitoringConfig()


# ------------------------------------------------------------------------------------------------------ violations


class ConstraintViolation(Struct, frozen=True):
    """One constraint that was broken."""

    feature_name: str
    constraint_check_type: ConstraintCheck
    description: str


class ViolationsFile(_Document, frozen=True):
    """`constraint_violations.json`."""

    violations: tuple[ConstraintViolation, ...]


# --------------------------------------------------------------------------------------------------------- reading

_OVERRIDES = "monitoringConfigOverrides"
#: Spellings of keys that are read as another one.
_KEYS = {
    "monitoring_config_overrides": _OVERRIDES,
    "comparion_method": "comparison_method",
    "monitoringConfig": "monitoring_config",
}
#: Spellings of values, in lower case and without marks.
_VALUES: dict[str, dict[str, str]] = {
    "comparison_method": {"simple": "Simple", "linfsimple": "Simple", "robust": "Robust", "linfrobust": "Robust"},
    "categorical_drift_method": {"linfinity": "LInfinity", "linf": "LInfinity", "chisquared": "ChiSquared"},
    "evaluate_constraints": {"enabled": "Enabled", "disabled": "Disabled"},
    "emit_metrics": {"enabled": "Enabled", "disabled": "Disabled"},
    "perform_comparison": {"enabled": "Enabled", "disabled": "Disabled"},
    "inferred_type": {kind.lower(): kind for kind in ("Integral", "Fractional", "String", "Unknown")},
}


def read_statistics(path: Path) -> StatisticsFile:
    """A `statistics.json`. Raises DataError, with the place in it, for what is none."""
    return _parsed(_bytes(path), StatisticsFile, path)


def read_constraints(path: Path) -> ConstraintsFile:
    """A `constraints.json`, however its keys and values are spelt. Raises DataError, with the place in it."""
    return _parsed(_bytes(path), ConstraintsFile, path)


def read_violations(path: Path) -> ViolationsFile:
    """A `constraint_violations.json`. Raises DataError, with the place in it, for what is none."""
    return _parsed(_bytes(path), ViolationsFile, path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}. Name another file.") from error


def _parsed(data: bytes, kind: type[_File], path: Path) -> _File:
    try:
        return msgspec.convert(_respelt(msgspec.json.decode(data)), kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise DataError(
            f"{str(path)!r} is no file of SageMaker's: {error}. Name another one, or correct it."
        ) from error


def _respelt(node: Any) -> Any:
    """A document with the spellings that we write; a string that is no spelling of anything stays as it is."""
    if isinstance(node, list):
        return [_respelt(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    found = {_KEYS.get(key, key): _respelt(value) for key, value in cast("dict[str, Any]", node).items()}
    inside = cast("Any", found.get("string_constraints"))
    if isinstance(inside, dict) and _OVERRIDES in inside:  # where version 1 of their SDK put them
        found.setdefault(_OVERRIDES, inside[_OVERRIDES])
    return {key: _value(key, value) for key, value in found.items()}


def _value(key: str, value: Any) -> Any:
    if not isinstance(value, str) or key not in _VALUES:
        return value
    return _VALUES[key].get("".join(filter(str.isalnum, value)).lower(), value)


def _known(node: Any) -> Any:
    """A document without keys whose value is None or no finite number."""
    if isinstance(node, dict):
        items = cast("dict[str, Any]", node).items()
        return {key: _known(value) for key, value in items if value is not None and _is_finite(value)}
    return [_known(item) for item in cast("list[Any]", node)] if isinstance(node, list | tuple) else node


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
