"""The page's sections below the columns: each as sentences and a table, of an endpoint's report or of two tables'.

One that cannot be told gives a note in its place and a line in the log: nothing that is in a report loses the page.
What is in a part comes from strangers as well, and is escaped where it is written into the page.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from msgspec import Struct

from monitor.charts import number, percent
from monitor.drift import ColumnDrift, DriftReport
from monitor.performance.estimated import EstimatedQuality
from monitor.performance.figures import Figure
from monitor.performance.realised import RealisedQuality
from monitor.report import EndpointReport

_log = logging.getLogger(__name__)

#: The section that the page draws too.
QUALITY = "Quality over time"

#: Rows of a table on the page; a sentence counts the others. So many keep a section below some 15 kB.
MOST_ROWS = 60

Rows = Sequence[Sequence[str]]


class Part(Struct, frozen=True):
    """A section: its title, sentences, and a table by the names of its columns, without rows where there is none."""

    title: str
    lines: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def parts(report: DriftReport) -> list[Part]:
    """The sections of a report in the page's order, without those that have nothing to tell."""
    made: list[tuple[str, Callable[[EndpointReport], Part | None]]] = [
        (QUALITY, _performance),
        ("Data quality", _quality),
        ("All columns together", _multivariate),
        ("Bias", _bias),
        ("What the model looks at", _attribution),
    ]
    found: list[Part | None] = []
    if isinstance(report, EndpointReport):
        found = [safely(title, partial(tell, report)) for title, tell in made]
    found.append(safely("What was tested", lambda: _tested(report)))
    return [part for part in found if part is not None]


def safely(title: str, tell: Callable[[], Part | None]) -> Part | None:
    """The section, or one that says that it failed."""
    try:
        return tell()
    except Exception as error:  # noqa: BLE001 - whatever breaks a section must not lose the page
        _log.warning("section %r of a report's page failed", title, exc_info=error)
        return Part(title, (f"This section could not be drawn ({type(error).__name__}); the log says more.",))


def by_harm(report: DriftReport) -> tuple[ColumnDrift, ...]:
    """The columns by what their drift is likely to do, where that is known; the others after them, as ranked."""
    harm = report.harm if isinstance(report, EndpointReport) else None
    if harm is None:
        return tuple(report.ranked)
    amounts = {one.column: one.harm for one in harm.columns if one.harm is not None}
    return tuple(sorted(report.ranked, key=lambda column: -amounts.get(column.name, -1.0)))


def _part(title: str, lines: Sequence[str], names: Sequence[str] = (), rows: Rows = ()) -> Part:
    told = [line.strip() for line in lines if line.strip()]
    if len(rows) > MOST_ROWS:
        told.append(f"{len(rows) - MOST_ROWS:,} further lines are in the JSON report.")
    return Part(title, tuple(told), tuple(names), tuple(tuple(row) for row in rows[:MOST_ROWS]))


def _performance(report: EndpointReport) -> Part | None:
    told = [(name, found) for name, found in (("by labels", report.realised), ("estimated", report.estimated)) if found]
    if not told:
        return None
    lines = [f"{name.capitalize()}: {found.verdict}. {' '.join(found.whole.notes)}" for name, found in told]
    rows = [row for name, found in told for row in _windows(name, found)]
    return _part(QUALITY, lines, ("from", "how", "metric", "value", "95% interval", "reference", "verdict"), rows)


def _windows(name: str, found: RealisedQuality | EstimatedQuality) -> Iterator[list[str]]:
    """The whole with all metrics, then the one that is judged in each window."""
    before = {figure.metric: _told(figure.value) for figure in found.reference}
    for figure in found.whole.figures:
        verdict = found.whole.verdict if figure.metric == found.metric else ""
        usual = before.get(figure.metric, "–")
        yield ["whole", name, figure.metric, _told(figure.value), _interval(figure), usual, verdict]
    for window in found.windows if len(found.windows) > 1 else ():
        for figure in window.figures:
            if figure.metric == found.metric:
                start = f"{window.start:%Y-%m-%d %H:%M}"
                usual = before.get(figure.metric, "–")
                yield [start, name, figure.metric, _told(figure.value), _interval(figure), usual, window.verdict]


def _quality(report: EndpointReport) -> Part | None:
    if (found := report.quality) is None:
        return None
    rows = [[one.sentence, ", ".join(one.examples)] for one in found.violations]
    rows += [[f"{one.column} was not checked: {one.note}", ""] for one in found.unchecked]
    lines = [f"{found.verdict.capitalize()}.", f"The baseline was {found.baseline}." if found.baseline else ""]
    return _part("Data quality", lines, ("finding", "such as"), rows)


def _multivariate(report: EndpointReport) -> Part | None:
    if (found := report.multivariate) is None:
        return None
    return _part("All columns together", [f"{found.verdict.capitalize()}. {found.words}"])


def _bias(report: EndpointReport) -> Part | None:
    if (found := report.bias) is None:
        return None
    rows = [
        [
            facet.name,
            metric.description,
            _told(metric.value),
            _told(metric.baseline),
            "outside" if metric.outside else "drift" if metric.drifted else "",
        ]
        for facet in found.facets
        for metric in facet.metrics
        if metric.value is not None
    ]
    names = ("group", "metric", "value", "reference", "verdict")
    return _part("Bias", [facet.words for facet in found.facets], names, rows)


def _attribution(report: EndpointReport) -> Part | None:
    if not report.attribution:
        return None
    rows = [
        [one.label, column.column, _told(column.reference), _told(column.current), *map(str, places)]
        for one in report.attribution
        for column in one.columns
        for places in [(column.reference_rank, column.current_rank)]
    ]
    names = ("for", "column", "reference", "current", "place before", "place now")
    return _part("What the model looks at", [one.words for one in report.attribution], names, rows)


def _tested(report: DriftReport) -> Part:
    rows = [
        [
            "each column",
            f"{report.rows:,}",
            f"{report.reference_rows:,}",
            f"{report.level:g}" if report.method == "calibrated" else "-",
            f"{report.tested} of {len(report.columns)} columns",
        ]
    ]
    lines: tuple[str, ...] = ()
    if isinstance(report, EndpointReport):
        for name, found in (("quality by labels", report.realised), ("quality estimated", report.estimated)):
            if found is not None and is_judged(found):
                of = shared_out(found.metric, found)
                rows.append([name, f"{found.whole.rows:,}", f"{found.reference_rows:,}", f"{found.level:g}", of])
        if (quality := report.quality) is not None:
            counts = f"{quality.tests:,} tests"
            rows.append(
                ["data quality", f"{quality.rows:,}", f"{quality.baseline_rows:,}", f"{quality.level:g}", counts]
            )
        if (both := report.multivariate) is not None:
            rows.append(
                ["all columns together", f"{report.rows:,}", f"{report.reference_rows:,}", f"{both.level:g}", ""]
            )
        if (bias := report.bias) is not None:
            rows.append(["bias", f"{report.rows:,}", f"{report.reference_rows:,}", f"{bias.level:g}", ""])
        rows += [
            ["attribution", f"{one.rows:,}", f"{one.reference_rows:,}", f"{one.level:g}", one.label]
            for one in report.attribution
        ]
        lines = tuple(f"Left out: {one.section}. {one.reason}" for one in report.left_out)
    return _part("What was tested", lines, ("what", "rows", "reference rows", "level", "of"), rows)


def is_judged(found: RealisedQuality | EstimatedQuality) -> bool:
    """Whether anything had rows enough, with labels or without, to be tested; reports of older programs do not say."""
    return found.levels is None or bool(found.levels.words)


def shared_out(what: str, found: RealisedQuality | EstimatedQuality) -> str:
    """With what of the level the whole period and its pieces have; reports of older programs do not say."""
    return ": ".join(filter(None, [what, found.levels.words if found.levels else ""]))


def _told(value: float | str | None) -> str:
    return "–" if value is None else value if isinstance(value, str) else number(value)


def _interval(figure: Figure) -> str:
    return "–" if figure.low is None or figure.high is None else f"{_told(figure.low)} to {_told(figure.high)}"


def harm_text(column: ColumnDrift, report: DriftReport) -> str:
    """How much the model looks at a column and what its drift is likely to do; empty where nobody knows."""
    harm = report.harm if isinstance(report, EndpointReport) else None
    one = next((one for one in harm.columns if one.column == column.name), None) if harm is not None else None
    if one is None or one.importance is None:
        return ""
    return f"importance {percent(one.importance)}" + (f", harm {_told(one.harm)}" if one.harm is not None else "")


def examples_text(column: ColumnDrift, report: DriftReport) -> str:
    """Values of the column that are unlike the reference, and why these; empty where none are told."""
    told = report.examples if isinstance(report, EndpointReport) else ()
    one = next((one for one in told if one.column == column.name), None)
    return "" if one is None else f"{one.why[:1].upper()}{one.why[1:]}: {', '.join(one.values)}."
