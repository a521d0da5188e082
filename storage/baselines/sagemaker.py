"""SageMaker Model Monitor's `constraints.json`, as its documentation and the files that it wrote have it; and what all
three of its files share.

Numbers that it writes as floats (`"version": 0.0`) are floats here too. Its documentation and its files disagree on the
spelling of a few keys and values; all of them are read, and the files' ones are written. What is not known is left
aside when read: containers of others add keys of their own, as they may.
"""

import math
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec
from msgspec import Struct, field

from storage.baselines.baseline import Part
from storage.baselines.disk import read_file, write_file
from storage.errors import DataError

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]
Switch = Literal["Enabled", "Disabled"]

F = TypeVar("F", bound="SageMakerFile")


class SageMakerFile(Struct, frozen=True):
    """A file that is written whole."""

    def json(self) -> bytes:
        """The file's text, indented; what is not known, and numbers that JSON does not have, are left out."""
        return msgspec.json.format(msgspec.json.encode(_known(msgspec.to_builtins(self))), indent=2)

    @classmethod
    def parse(cls: type[F], data: bytes, place: str) -> F:
        """A file from its JSON, however its keys and values are spelt. place: where it is, for the error.

        Raises DataError, with the place in it, for what is none.
        """
        try:
            return msgspec.convert(_respelt(msgspec.json.decode(data)), cls)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(f"{place} is no file of SageMaker's: {error}. Name another one, or correct it.") from error

    @classmethod
    def read(cls: type[F], path: Path) -> F:
        """A file, as `parse`. Raises DataError if there is none."""
        return cls.parse(read_file(path), repr(str(path)))

    def write(self, path: Path) -> None:
        """Write the file. Raises as `write_file`."""
        write_file(path, self.json())


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
    datatype_check_threshold: Part | None = None
    domain_content_threshold: Part | None = None
    distribution_constraints: "DistributionConstraints | None" = None


class FeatureConstraints(Struct, frozen=True):
    """What is asked of one column. completeness: the least share of rows with a value."""

    name: str
    inferred_type: InferredType
    completeness: Part | None = None
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
    datatype_check_threshold: Part = 1.0
    domain_content_threshold: Part = 1.0
    distribution_constraints: DistributionConstraints = DistributionConstraints()


class ConstraintsFile(SageMakerFile, frozen=True, kw_only=True):
    """`constraints.json`."""

    version: float = 0.0
    features: tuple[FeatureConstraints, ...]
    monitoring_config: MonitoringConfig = MonitoringConfig()

    def config_of(self, feature: FeatureConstraints) -> MonitoringConfig:
        """How a column is judged: as all are, but for what it overrides."""
        own, config = feature.overrides, self.monitoring_config
        if own is None:
            return config
        return MonitoringConfig(
            own.evaluate_constraints or config.evaluate_constraints,
            own.emit_metrics or config.emit_metrics,
            config.datatype_check_threshold if own.datatype_check_threshold is None else own.datatype_check_threshold,
            config.domain_content_threshold if own.domain_content_threshold is None else own.domain_content_threshold,
            own.distribution_constraints or config.distribution_constraints,
        )


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
