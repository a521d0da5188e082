"""The drift report on an endpoint: its latest traffic against the rows that its model was trained on."""

import io
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import polars as pl
from msgspec.structs import replace

from monitor.compare import compare
from monitor.drift import Bars, ColumnDrift, Counts, DriftReport, Histogram, Kind
from monitor.page import Subject, render
from storage.errors import UnknownNameError
from storage.records import Endpoint, ModelVersion, Report, Variant
from storage.redaction import Redaction
from storage.signature import Signature
from storage.store import Store
from storage.traffic import OUTPUT_PREFIX, redactions_of

#: How far back a report looks where nobody says from when on.
DEFAULT_WINDOW = timedelta(days=1)


def run(
    store: Store,
    endpoint_name: str,
    *,
    now: datetime,
    level: float = 0.05,
    since: datetime | None = None,
    until: datetime | None = None,
    variant: str | None = None,
) -> tuple[Report, DriftReport]:
    """Compare an endpoint's traffic with its model's reference, and record the report as JSON and HTML.

    Traffic is what the model version that the endpoint serves now answered in `since <= time < until`; `until` is `now`
    where it is not given, and `since` a day before it. Compared are the model's inputs and what it predicted: `label`,
    and `p_CLASS` of a binary model's second class, or `prediction`. Where an input has the same name, the output is
    called `autopilot.label` and so on. Without traffic the verdict is "too few rows". A column that was redacted in any
    row of the window is not compared, and its note says so.

    variant: which of the endpoint's is looked at, and only what it answered; None is the main one's model version,
    whatever variant has answered with it.
    now: the report's time; it, `since` and `until` are aware, in any zone.
    level: the chance of any alarm in a report without drift.

    Raises UnknownNameError for an endpoint or a variant that the store does not hold, SettingError for a level out of
    its range and StoreError if the store cannot be read or written.
    """
    endpoint = store.endpoints.get(endpoint_name)
    version = store.models.get(endpoint.main.spec if variant is None else _variant(endpoint, variant).spec)
    until = (until or now).astimezone(UTC)  # the page and the store's folders are in UTC
    since = (since or until - DEFAULT_WINDOW).astimezone(UTC)
    kinds = compared_kinds(version.signature)
    reference = read_reference(store, version)
    traffic = store.traffic.read(
        endpoint.name, since, until, model=version.name, version=version.version, variant=variant
    )
    redacted = redactions_of(traffic)
    compared = [name for name in kinds if name not in redacted]
    current = _renamed(traffic, version.signature) if traffic.width else reference.clear()
    drift = compare(reference.select(compared), current.select(compared), level=level, kinds=kinds)
    drift = masked(_with_redacted(drift, kinds, redacted), version.signature)
    subject = Subject(endpoint.name, version.name, version.version, since, until)
    return _record(store, subject, drift, now), drift


def _variant(endpoint: Endpoint, name: str) -> Variant:
    for variant in endpoint.variants:
        if variant.name == name:
            return variant
    names = ", ".join(variant.name for variant in endpoint.variants)
    raise UnknownNameError(f"Endpoint {endpoint.name!r} has no variant {name[:80]!r}. It has: {names}.")


def _with_redacted(drift: DriftReport, kinds: Mapping[str, Kind], redacted: Mapping[str, Redaction]) -> DriftReport:
    """The report with a line, in its place, for each column that could not be compared: its values were not kept."""
    found = {column.name: column for column in drift.columns}
    columns = (found.get(name) or _untested(name, kind, redacted[name]) for name, kind in kinds.items())
    return replace(drift, columns=tuple(columns))


def _untested(name: str, kind: Kind, redaction: Redaction) -> ColumnDrift:
    return ColumnDrift(
        name=name,
        kind=kind,
        method="none",
        statistic=None,
        p_value=None,
        effect=None,
        threshold=None,
        drifted=False,
        note=f"Redacted in captured traffic ({redaction}), so there is nothing to compare.",
        missing=Counts(0, 0),
        chart=None,
    )


def masked(drift: DriftReport, signature: Signature) -> DriftReport:
    """The report without values of sensitive columns: levels have numbers for names, ranges of values no chart.

    >>> from storage import Column, Signature
    >>> names = pl.DataFrame({"name": ["Jane", "Jim"] * 20})
    >>> signature = Signature("binary", "paid", (Column("name", "category", "String", sensitive=True),))
    >>> masked(compare(names, names), signature).columns[0].chart.levels
    ('level 1', 'level 2')
    """
    hidden = {column.name for column in signature.columns if column.sensitive}
    columns = (replace(one, chart=_masked(one.chart)) if one.name in hidden else one for one in drift.columns)
    return replace(drift, columns=tuple(columns))


def _masked(chart: Histogram | Bars | None) -> Histogram | Bars | None:
    match chart:
        case Bars():
            return replace(chart, levels=tuple(f"level {number + 1}" for number in range(len(chart.levels))))
        case Histogram(unit="characters"):
            return chart
        case _:
            return None


def read_reference(store: Store, version: ModelVersion) -> pl.DataFrame:
    """A model version's reference sample; outputs have the names that `compared_kinds` gives them."""
    return _renamed(pl.read_parquet(io.BytesIO(store.models.read_reference(version))), version.signature)


def compared_kinds(signature: Signature) -> dict[str, Kind]:
    """The columns that a report compares and what they are: the inputs in their order, then the outputs.

    Of a model with more than two classes, the probabilities are left out: its labels tell of each class already.

    >>> from storage import Column, Signature
    >>> compared_kinds(Signature("binary", "paid", (Column("label", "text", "String"),), classes=("no", "yes")))
    {'label': 'text', 'autopilot.label': 'category', 'p_yes': 'number'}
    """
    outputs: dict[str, Kind] = {"prediction": "number"} if signature.task == "regression" else {"label": "category"}
    if signature.task == "binary":
        outputs[f"p_{signature.classes[1]}"] = "number"
    names = _output_names(signature)
    return {
        **{column.name: column.kind for column in signature.columns},
        **{names[OUTPUT_PREFIX + name]: kind for name, kind in outputs.items()},
    }


def _output_names(signature: Signature) -> dict[str, str]:
    """What each stored output is called in a report: without the prefix, unless an input has the name."""
    return {
        OUTPUT_PREFIX + name: OUTPUT_PREFIX + name if name in signature.names else name for name in signature.outputs
    }


def _renamed(frame: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    return frame.rename(_output_names(signature))


def _record(store: Store, subject: Subject, drift: DriftReport, now: datetime) -> Report:
    report = Report(
        id=uuid.uuid4().hex,
        endpoint=subject.endpoint,
        model=subject.model,
        version=subject.version,
        window_start=subject.start,
        window_end=subject.end,
        verdict=drift.verdict,
        drifted=drift.drifted,
        rows=drift.rows,
        json_digest=store.blobs.put(drift.json()),
        html_digest=store.blobs.put(render(drift, subject).encode()),
        created_at=now,
    )
    store.reports.add(report)
    return report
