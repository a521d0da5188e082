"""The sections of a report on an endpoint beside the drift of its columns, each made of the window that was looked at.

A section that fails, whatever it raises, is left out with its reason and costs no other one.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from monitor.attribution import AttributionDrift, attribution_drift, cost_of, importances
from monitor.checks import Quality, check
from monitor.checks.kept import asked_of
from monitor.checks.suggest import suggested_of
from monitor.drift import DriftReport, Kind
from monitor.facets.bias import BiasReport, FacetBias, bias
from monitor.facets.choice import Facet
from monitor.facets.traffic import favourable, unlabelled
from monitor.harm import HarmRanking, Loss, rank_harm
from monitor.looked import Looked
from monitor.multivariate import MultivariateDrift, multivariate
from monitor.over_time import examples, over_time
from monitor.pair import BREAKS
from monitor.performance.estimated import EstimatedQuality, estimated_metric, estimated_of
from monitor.performance.realised import RealisedQuality, judged_metric, realised_of, with_labels
from monitor.performance.reference import reference_of_version
from monitor.report import Examples, LeftOut, OverTime
from storage.errors import AutopilotError, DataError, SettingError
from storage.labels.joined import TRUTH
from storage.predictor import Predictor
from storage.records import CheckKind
from storage.traffic import OUTPUT_PREFIX

#: What explaining answers may take where the report is not about it, in seconds.
MOST_EXPLAINING_S = 3.0

_Section = TypeVar("_Section")

_log = logging.getLogger("monitor")


class Asked(NamedTuple):
    """What a report is asked. level: of each section. facets: whose bias is looked at. known_at: labels that were
    received later do not count."""

    check: CheckKind
    level: float
    now: datetime
    known_at: datetime
    facets: Sequence[Facet]


class Sections(NamedTuple):
    """What was found beside the columns' drift, as `EndpointReport` has it."""

    quality: Quality | None
    multivariate: MultivariateDrift | None
    realised: RealisedQuality | None
    estimated: EstimatedQuality | None
    bias: BiasReport | None
    attribution: tuple[AttributionDrift, ...]
    harm: HarmRanking | None
    over_time: tuple[OverTime, ...]
    examples: tuple[Examples, ...]
    left_out: tuple[LeftOut, ...]


def sections_of(looked: Looked, drift: DriftReport, asked: Asked) -> Sections:
    """All sections that can be made. drift: of the columns, in the same window."""
    left_out: list[LeftOut] = []

    def made(section: str, make: Callable[[], _Section]) -> _Section | None:
        try:
            return make()
        except BREAKS as error:
            left_out.append(LeftOut(section, _why(section, error)))
            return None

    realised = made("realised", lambda: by_labels(looked, asked))
    estimated = made("estimated", lambda: without_labels(looked, asked))
    attribution = made("attribution", lambda: attributions(looked, asked)) or ()
    return Sections(
        quality=made("quality", lambda: data_quality(looked, asked)),
        multivariate=made("multivariate", lambda: all_columns(looked, drift, asked)),
        realised=realised,
        estimated=estimated,
        bias=made("bias", lambda: by_facet(looked, asked)),
        attribution=attribution,
        harm=made("harm", lambda: rank_harm(drift.columns, importances(attribution), loss_of(estimated, realised))),
        over_time=made("over_time", lambda: moments(looked)) or (),
        examples=made("examples", lambda: telling_values(looked, drift)) or (),
        left_out=tuple(left_out),
    )


def _why(section: str, error: BaseException) -> str:
    """Why a section was left out. What others raise goes to the log alone, for it may hold values."""
    if isinstance(error, AutopilotError):
        return str(error)
    _log.warning("section %r of a report failed", section, exc_info=error)
    return f"It failed ({type(error).__name__}); the log says more."


# ----------------------------------------------------------------------------------------------------- each section


def data_quality(looked: Looked, asked: Asked) -> Quality:
    """The window against the endpoint's own baseline, or what the reference's inputs suggest."""
    baseline, source = asked_of(
        looked.store.baselines.find(looked.span.endpoint), suggested_of(looked.signature, looked.sample, asked.now)
    )
    found = check(
        looked.answers, baseline, level=asked.level, now=asked.now, sensitive=looked.sensitive, absent=looked.redacted
    )
    return replace(found, baseline=source)


def moments(looked: Looked) -> tuple[OverTime, ...]:
    """The columns of which values may be shown, piece by piece."""
    if not looked.traffic.width:
        return ()
    times = looked.traffic.get_column(f"{OUTPUT_PREFIX}time")
    kinds: dict[str, Kind] = {name: looked.kinds[name] for name in looked.shown}
    return over_time(looked.current, times, looked.reference, kinds, looked.span.start, looked.span.end)


def telling_values(looked: Looked, drift: DriftReport) -> tuple[Examples, ...]:
    """Values of the columns that drifted."""
    drifted: dict[str, Kind] = {column.name: column.kind for column in drift.columns if column.drifted}
    return examples(looked.current, looked.reference, drifted, {*looked.sensitive, *looked.redacted})


def all_columns(looked: Looked, drift: DriftReport, asked: Asked) -> MultivariateDrift:
    """All inputs together; of what could not be read for the columns' drift, nothing."""
    names = looked.inputs
    if not names:
        raise DataError("All inputs are redacted in captured traffic.")
    kinds: dict[str, Kind] = {column.name: column.kind for column in drift.columns}
    return multivariate(looked.reference.select(names), looked.current.select(names), kinds=kinds, level=asked.level)


def by_labels(looked: Looked, asked: Asked) -> RealisedQuality:
    """The model's quality by the labels known so far."""
    found = realised_of(
        looked.signature,
        looked.labelled(asked.known_at),
        reference_of_version(looked.store, looked.version),
        looked.pieces,
        asked.known_at,
        metric=judged_metric(looked.version),
        level=asked.level,
    )
    return with_labels(looked.store, _named(found, looked))


def without_labels(looked: Looked, asked: Asked) -> EstimatedQuality:
    """The model's quality as it is estimated without labels."""
    metric = estimated_metric(looked.version)
    found = estimated_of(
        looked.signature, looked.sample, looked.traffic, looked.pieces, metric=metric, level=asked.level
    )
    return _named(found, looked)


_Performance = TypeVar("_Performance", RealisedQuality, EstimatedQuality)


def _named(found: _Performance, looked: Looked) -> _Performance:
    return replace(found, endpoint=looked.span.endpoint, model=looked.version.name, version=looked.version.version)


def by_facet(looked: Looked, asked: Asked) -> BiasReport:
    """Bias by the facets that were named."""
    if not asked.facets:
        raise SettingError("No facet was named.")
    usual = unlabelled(looked.signature, looked.sample)
    labelled = looked.labelled(asked.known_at)
    found = bias(
        labelled if labelled.width else usual.clear(),
        asked.facets,
        positive=favourable(looked.signature),
        label=TRUTH,
        predicted=OUTPUT_PREFIX + looked.signature.outputs[0],
        reference=usual,
        level=asked.level,
    )
    facets = (
        _masked(facet, number) if facet.column in looked.sensitive else facet
        for number, facet in enumerate(found.facets, 1)
    )
    return replace(found, facets=tuple[FacetBias, ...](facets))


def _masked(facet: FacetBias, number: int) -> FacetBias:
    """A facet of a sensitive column, of which nobody is told the value or the threshold."""
    return replace(facet, name=f"{facet.column} group {number}", value_or_threshold=f"group {number}")


def attributions(looked: Looked, asked: Asked) -> tuple[AttributionDrift, ...]:
    """What the model looks at, unless that takes long and the report is not about it."""
    if absent := [name for name in looked.signature.names if name in looked.redacted]:
        names = ", ".join(map(repr, absent))
        raise DataError(f"Captured traffic has no values of {names}, so answers cannot be explained.")
    predictor = Predictor(looked.store.models.read_file(looked.version))
    if asked.check != "attribution" and (cost := cost_of(predictor, looked.sample)) > MOST_EXPLAINING_S:
        raise SettingError(
            f"Explaining answers takes about {cost:.0f} seconds, and this report is not about it: ask for the check "
            "'attribution'."
        )
    return attribution_drift(predictor, looked.sample, looked.answers, level=asked.level)


def loss_of(estimated: EstimatedQuality | None, realised: RealisedQuality | None) -> Loss | None:
    """By how much the model got worse: as estimated, else by labels."""
    drops = (found.whole.drop for found in (estimated, realised) if found is not None)
    drop = next((drop for drop in drops if drop is not None), None)
    return drop and Loss(drop.metric, drop.drop)
