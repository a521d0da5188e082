"""Bias in the files of SageMaker Clarify: `analysis.json`, which is also a baseline's constraints, and violations.

Whoever has a baseline from there gives it as `allowed=allowed_by(read_constraints(file))`: each metric may then be as
far from fair as it was in the baseline, on either side.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from monitor.facets.bias import BiasReport, FacetBias, Figure, Key, MetricBias, Range, number_of
from monitor.facets.choice import Choice
from monitor.facets.metrics import METRICS, Stage
from storage.errors import DataError

#: Clarify's sections, by what a metric looks at.
_SECTIONS: dict[Stage, str] = {
    "pre_training": "pre_training_bias_metrics",
    "post_training": "post_training_bias_metrics",
}


#: An interval of numbers as pandas writes it.
_INTERVAL = re.compile(r"\((-?\d+(?:\.\d+)?), [^,\]]+\]")


class _Value(Struct):
    """A metric of a file; without a value where Clarify tells of an error instead."""

    name: str
    value: Figure | None = None


class _Chosen(Struct):
    value_or_threshold: str
    metrics: list[_Value]


class _Section(Struct):
    facets: dict[str, list[_Chosen]]


class _Analysis(Struct):
    pre_training_bias_metrics: _Section | None = None
    post_training_bias_metrics: _Section | None = None


def analysis(report: BiasReport) -> bytes:
    """The report as `analysis.json`: sections of metrics before and after training, by facet and its value."""
    content: dict[str, Any] = {"version": "1.0"}
    for stage, section in _SECTIONS.items():
        name = report.label if stage == "pre_training" or report.label is not None else report.predicted
        facets: dict[str, list[dict[str, Any]]] = {}
        for facet in report.facets:
            if told := [_metric(one) for one in facet.metrics if one.stage == stage]:
                chosen = {"value_or_threshold": facet.value_or_threshold, "metrics": told}
                facets.setdefault(facet.column, []).append(chosen)
        if facets:
            content[section] = {"label": name, "facets": facets, "label_value_or_threshold": report.positive}
    return msgspec.json.format(msgspec.json.encode(content), indent=4)


def _metric(one: MetricBias) -> dict[str, Any]:
    told: dict[str, Any] = {"name": one.name, "description": one.description, "value": one.value}
    return told if one.value is not None else {**told, "error": one.note}


def violations(report: BiasReport) -> bytes:
    """What is outside of its allowed range, as `constraint_violations.json`."""
    found = [_violation(facet, one) for facet in report.facets for one in facet.metrics if one.outside]
    return msgspec.json.format(msgspec.json.encode({"version": "1.0", "violations": found}), indent=4)


def _violation(facet: FacetBias, one: MetricBias) -> dict[str, str]:
    check: Literal["bias_drift_check"] = "bias_drift_check"
    return {
        "facet": facet.column,
        "facet_value": facet.value_or_threshold,
        "metric_name": one.name,
        "constraint_check_type": check,
        "description": f"Value {one.value} does not meet the constraint requirement",
    }


def read_constraints(data: bytes) -> dict[Key, float]:
    """The metrics of an `analysis.json` by facet, value and name; without those that it tells an error of.

    A threshold may be written as smclarify does, as an interval up to the largest value: of `(40, 90]` there are two
    keys, this and `40`. Raises DataError for what is no such file.
    """
    try:
        found = msgspec.json.decode(data, type=_Analysis)
    except msgspec.MsgspecError as error:
        raise DataError(f"The constraints are no analysis.json of Clarify: {error}. Give one with facets.") from error
    sections = [one for one in (found.pre_training_bias_metrics, found.post_training_bias_metrics) if one is not None]
    if not sections:
        names = " or ".join(_SECTIONS.values())
        raise DataError(f"The constraints have no bias metrics. Give an analysis.json with {names}.")
    return {
        (column, name, one.name): value
        for section in sections
        for column, values in section.facets.items()
        for chosen in values
        for name in _names(chosen.value_or_threshold)
        for one in chosen.metrics
        if (value := number_of(one.value)) is not None
    }


def _names(value_or_threshold: str) -> tuple[str, ...]:
    found = _INTERVAL.fullmatch(value_or_threshold)
    below = () if found is None else (Choice(threshold=float(found[1])).value_or_threshold,)
    return (value_or_threshold, *below)


def allowed_by(constraints: Mapping[Key, float]) -> dict[Key, Range]:
    """Ranges in which metrics are as close to fair as the baseline's, on either side of it.

    Clarify says "farther from 0". DI, a ratio, is fair at 1: it may be between its baseline and the reciprocal of it.

    >>> allowed_by({("sex", "f", "DPPL"): -0.2, ("sex", "f", "DI"): 0.8})
    {('sex', 'f', 'DPPL'): (-0.2, 0.2), ('sex', 'f', 'DI'): (0.8, 1.25)}
    """
    ratios = {metric.name for metric in METRICS if metric.fair == 1.0}
    return {
        key: _around_one(value) if key[2] in ratios else (-abs(value), abs(value)) for key, value in constraints.items()
    }


def _around_one(ratio: float) -> Range:
    if ratio <= 0 or ratio == float("inf"):
        return (0.0, float("inf"))
    return (min(ratio, 1 / ratio), max(ratio, 1 / ratio))
