"""The report on an endpoint: its latest traffic against the rows that its model was trained on."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from monitor.compare import compare
from monitor.facets.choice import Facet, facets_by_default, facets_named
from monitor.looked import Looked, Span, masked, version_of, with_redacted
from monitor.markdown import markdown
from monitor.page import Subject, render
from monitor.report import EndpointReport
from monitor.sections import Asked, sections_of
from monitor.verdict import verdict_of
from storage.records import CheckKind, Report

if TYPE_CHECKING:
    from storage.store import Store

#: How far back a report looks where nobody says from when on.
DEFAULT_WINDOW = timedelta(days=1)


def run(
    store: "Store",
    endpoint_name: str,
    *,
    now: datetime,
    level: float = 0.05,
    since: datetime | None = None,
    until: datetime | None = None,
    variant: str | None = None,
    check: CheckKind = "drift",
    facets: Sequence[Facet | str] = (),
    known_at: datetime | None = None,
) -> tuple[Report, EndpointReport]:
    """Look at an endpoint's traffic in all ways that can be, and record the report as JSON, HTML and Markdown.

    Traffic is what the model version that the endpoint serves now answered in `since <= time < until`; `until` is `now`
    where it is not given, and `since` a day before it. Compared are the model's inputs and what it predicted: `label`,
    and `p_CLASS` of a binary model's second class, or `prediction`. Where an input has the same name, the output is
    called `autopilot.label` and so on. Without traffic the verdict is "too few rows". A column that was redacted in any
    row of the window is not compared, and its note says so. A section that fails is left out, with its reason.

    variant: which of the endpoint's is looked at, and only what it answered; None is the main one's model version,
    whatever variant has answered with it.
    now: the report's time; it, `since`, `until` and `known_at` are aware, in any zone.
    level: the chance of any alarm in a report without drift; each section has it for itself.
    check: whose verdict is the report's. facets: whose bias is looked at, also as texts, `sex=female`, `age>40`, or
    `sex` for each of its commonest values; by default nobody's, and for the check `bias` those of the columns that the
    model was fitted with as `fairness=`. known_at: labels that were received later do not count; by default `now`.

    Raises UnknownNameError for an endpoint or a variant that the store does not hold, SettingError for a level out of
    its range, a facet of no column, or a check of bias for which nobody knows a facet, and StoreError if the store
    cannot be read or written.
    """
    endpoint = store.endpoints.get(endpoint_name)
    version = version_of(store, endpoint, variant)
    until = (until or now).astimezone(UTC)  # the page and the store's folders are in UTC
    since = (since or until - DEFAULT_WINDOW).astimezone(UTC)
    looked = Looked(store, version, Span(endpoint.name, since, until, variant))
    names = looked.compared
    drift = compare(looked.reference.select(names), looked.current.select(names), level=level, kinds=looked.kinds)
    drift = masked(with_redacted(drift, looked.kinds, looked.redacted), looked.signature)
    sections = sections_of(looked, drift, Asked(check, level, now, known_at or now, _facets(check, facets, looked)))
    verdict = verdict_of(check, drift, sections, looked.span)
    report = EndpointReport(
        **{name: getattr(drift, name) for name in drift.__struct_fields__},
        check=check,
        sentence=verdict.sentence,
        breached=verdict.breached,
        **sections._asdict(),
    )
    subject = Subject(endpoint.name, version.name, version.version, since, until)
    return _record(store, subject, report, verdict.word, now), report


def _facets(check: CheckKind, facets: Sequence[Facet | str], looked: Looked) -> tuple[Facet, ...]:
    if check == "bias" and not facets:
        return facets_by_default(looked.version, looked.reference)
    named = (
        facets_named((one,), looked.signature, looked.reference) if isinstance(one, str) else (one,) for one in facets
    )
    return tuple(chain.from_iterable(named))


def _record(store: "Store", subject: Subject, found: EndpointReport, verdict: str, now: datetime) -> Report:
    report = Report(
        id=uuid.uuid4().hex,
        endpoint=subject.endpoint,
        model=subject.model,
        version=subject.version,
        window_start=subject.start,
        window_end=subject.end,
        verdict=verdict,
        drifted=found.drifted,
        rows=found.rows,
        json_digest=store.blobs.put(found.json()),
        html_digest=store.blobs.put(render(found, subject).encode()),
        created_at=now,
        check=found.check,
        breached=found.breached,
        markdown_digest=store.blobs.put(markdown(found, subject).encode()),
    )
    store.reports.add(report)
    return report
