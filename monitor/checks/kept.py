"""What an endpoint's rows are asked: by the baseline that is kept for it, else by what its reference suggests."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from monitor.checks.chance import wilson
from storage.baselines import Baseline, ConstraintsFile, parse_document
from storage.baselines.baseline import ColumnBaseline, Completeness, Domain, OfType, Share
from storage.baselines.sagemaker import FeatureConstraints, MonitoringConfig
from storage.instants import minute_of
from storage.records import KeptBaseline

#: What is said of a baseline that nobody has kept.
SUGGESTED = "suggested by the reference"


class AskedOf(NamedTuple):
    """A baseline for the rows that a model is sent, and where it comes from, in words."""

    baseline: Baseline
    source: str


def asked_of(kept: KeptBaseline | None, suggested: Baseline) -> AskedOf:
    """What is asked of an endpoint's rows.

    suggested: by the reference of the model that is served. It has the columns that the model takes, and tells what
    they held where the kept one, of SageMaker's constraints, does not.

    Columns that the model does not take, or the kept baseline does not have, are asked nothing. Raises DataError for a
    body that is no baseline.
    """
    if kept is None:
        return AskedOf(suggested, SUGGESTED)
    document = parse_document(kept.body.encode(), "The baseline")
    baseline = document if isinstance(document, Baseline) else constrained(document, suggested)
    taken = {column.name for column in suggested.columns}
    fitting = _with_columns(baseline, [column for column in baseline.columns if column.name in taken])
    words = f"kept on {minute_of(kept.kept_at)} from {kept.source}"
    return AskedOf(replace(fitting, extra_columns=True), words)  # what the model takes is not new


def constrained(constraints: ConstraintsFile, suggested: Baseline) -> Baseline:
    """What SageMaker's constraints ask of columns that held what another baseline says.

    Completeness, type, domain and no negative numbers are as the constraints have them; what SageMaker has no words
    for, such as limits, is as suggested. What is asked beyond what the columns held is a rule, and needs no test; all
    else is tested. Columns that the constraints do not have, or have switched off, are asked nothing.

    >>> import polars as pl
    >>> from monitor.checks import suggest
    >>> from storage.baselines.sagemaker import StringConstraints
    >>> asked = FeatureConstraints("town", "String", 1.0, string_constraints=StringConstraints(("Ulm", "Bonn", "Rome")))
    >>> suggested = suggest(pl.DataFrame({"town": ["Ulm", "Bonn"] * 100, "age": [20, 31] * 100}))
    >>> [column] = constrained(ConstraintsFile(features=(asked,)), suggested).columns
    >>> column.constraints.domain.levels, column.constraints.domain.strict
    (('Ulm', 'Bonn', 'Rome'), False)
    """
    asked = {feature.name: feature for feature in constraints.features}
    configs = {name: constraints.config_of(feature) for name, feature in asked.items()}
    columns = [
        constrained_column(column, asked[column.name], configs[column.name])
        for column in suggested.columns
        if column.name in asked and configs[column.name].evaluate_constraints == "Enabled"
    ]
    return _with_columns(suggested, columns)


def _with_columns(baseline: Baseline, columns: Sequence[ColumnBaseline]) -> Baseline:
    """The baseline of these of its columns: fewer columns repeat more often, so rows as a whole are asked nothing."""
    is_whole = len(columns) == len(baseline.columns)
    return replace(baseline, columns=tuple(columns), distinct_rows=baseline.distinct_rows if is_whole else None)


def constrained_column(column: ColumnBaseline, asked: FeatureConstraints, config: MonitoringConfig) -> ColumnBaseline:
    """What SageMaker's constraints ask of one column, as `constrained` has it."""
    constraints = replace(
        column.constraints,
        completeness=_completeness(column, asked),
        type=_type(column, asked, config),
        domain=_domain(column, asked, config),
        non_negative=_non_negative(column, asked),
    )
    return replace(column, constraints=constraints)


def _completeness(column: ColumnBaseline, asked: FeatureConstraints) -> Completeness | None:
    """At most as complete as it was: what a sample of that leaves plausible, or less where less is asked."""
    facts, suggested = column.statistics, column.constraints.completeness
    if asked.completeness is None:
        return None
    if suggested is None or asked.completeness > facts.present / max(facts.present + facts.missing, 1):
        return Completeness(asked.completeness, strict=True)
    return Completeness(min(asked.completeness, suggested.at_least))


def _type(column: ColumnBaseline, asked: FeatureConstraints, config: MonitoringConfig) -> OfType | None:
    """The model's own, but that its numbers may be asked to be whole, or need not be."""
    suggested = column.constraints.type
    if suggested is None or asked.inferred_type == "Unknown":
        return None
    at_most = max(suggested.at_most, 1 - config.datatype_check_threshold)
    if column.kind != "number" or asked.inferred_type == "String":
        return replace(suggested, at_most=at_most)
    is_rule = (suggested.type, asked.inferred_type) == ("Fractional", "Integral")
    return OfType(asked.inferred_type, at_most, strict=is_rule)


def _domain(column: ColumnBaseline, asked: FeatureConstraints, config: MonitoringConfig) -> Domain | None:
    """A rule, unless all levels that the column held are among those that are asked for, or may be by their number."""
    levels, facts = asked.string_constraints.domains if asked.string_constraints else (), column.statistics
    if not levels or column.kind not in ("category", "text"):
        return None
    allowed = 1 - config.domain_content_threshold
    is_within = set(facts.levels) <= set(levels) if facts.levels else 0 < facts.distinct <= len(levels)
    if not is_within:
        return Domain(levels, allowed, strict=True)
    return Domain(levels, max(wilson(0, facts.readable)[1], allowed))


def _non_negative(column: ColumnBaseline, asked: FeatureConstraints) -> Share | None:
    if column.kind != "number" or asked.num_constraints is None or not asked.num_constraints.is_non_negative:
        return None
    return column.constraints.non_negative or Share(0.0, strict=True)
