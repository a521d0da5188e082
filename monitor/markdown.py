"""The report as Markdown, for a pull request, a chat or a notebook: what the page tells, without its charts.

Names come from strangers. In text, what Markdown or HTML would read is escaped; in a table a line break would end the
row, so it becomes a blank.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from monitor.attribution import AttributionDrift
from monitor.charts import number, percent
from monitor.checks import Quality
from monitor.drift import ColumnDrift, DriftReport
from monitor.facets.bias import BiasReport
from monitor.multivariate import MultivariateDrift
from monitor.page import Subject, chance, meaning, missing_text, p_text, title
from monitor.parts import is_judged, shared_out
from monitor.performance import EstimatedQuality, Figure, RealisedQuality
from monitor.report import EndpointReport, LeftOut

#: Columns and bias metrics that get a row; a sentence counts the others.
MOST_ROWS = 200

_log = logging.getLogger(__name__)

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def markdown(report: DriftReport, subject: Subject | None = None) -> str:
    """The report as GitHub's Markdown: of two tables, or of an endpoint with all of its sections.

    >>> from monitor import compare
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a|b": [0, 1] * 50})
    >>> print(markdown(compare(rows, rows)).splitlines()[0])
    # No drift
    """
    made = [
        ("About", lambda: _about(report, subject)),
        ("Columns", lambda: _columns(report)),
        *(_sections(report) if isinstance(report, EndpointReport) else []),
        ("What was tested", lambda: _tested(report)),
    ]
    told = [line for name, tell in made for line in _safely(name, tell)]
    return "\n\n".join([f"# {text(title(report))}", *told]) + "\n"


_Tell = Callable[[], Iterable[str]]


def _safely(name: str, tell: _Tell) -> list[str]:
    """The lines of a section; of one that cannot be told, a note in its place."""
    try:
        return list(tell())
    except Exception as error:  # noqa: BLE001 - whatever breaks a section must not lose the report
        _log.warning("section %r of a report in Markdown failed", name, exc_info=error)
        return [f"## {name}", f"This section could not be told ({type(error).__name__}); the log says more."]


def text(value: str) -> str:
    r"""A stranger's text on one line, as it is.

    >>> print(text("a|b `c`\n<d>"))
    a\|b \`c\` \<d\>
    """
    return _SPECIAL.sub(r"\\\1", " ".join(value.split()))


def _about(report: DriftReport, subject: Subject | None) -> Iterator[str]:
    if isinstance(report, EndpointReport):
        yield f"**{text(report.sentence)}**"
    if subject is not None:
        model = f"{subject.model}:{subject.version}"
        period = f"{subject.start:%Y-%m-%d %H:%M} to {subject.end:%Y-%m-%d %H:%M} UTC"
        yield f"Endpoint {text(subject.endpoint)}, model {text(model)}, {period}."
    yield text(meaning(report))


def _sections(report: EndpointReport) -> list[tuple[str, _Tell]]:
    """The sections of an endpoint's report, of which those that it does not have tell nothing."""
    return [
        ("All columns together", lambda: _multivariate(report.multivariate) if report.multivariate else ()),
        ("Data quality", lambda: _quality(report.quality) if report.quality else ()),
        ("Quality of answers", lambda: _performance(report.realised, report.estimated)),
        ("Bias", lambda: _bias(report.bias) if report.bias else ()),
        ("What the model looks at", lambda: _attribution(report.attribution) if report.attribution else ()),
        ("Left out", lambda: _left_out(report.left_out) if report.left_out else ()),
    ]


def _left_out(found: Sequence[LeftOut]) -> Iterator[str]:
    yield "## Left out"
    yield "\n".join(f"- {one.section}: {text(one.reason)}" for one in found)


# ---------------------------------------------------------------------------------------------------------- columns


def _columns(report: DriftReport) -> Iterator[str]:
    ranked, harm = report.ranked, report.harm if isinstance(report, EndpointReport) else None
    yield "## Columns"
    if harm is not None:
        yield f"By the harm that their drift is likely to do. {text(harm.note)}"
    shares = {one.column: one.importance for one in harm.columns} if harm else {}
    rows = [[*_column(column, report), *([_share(shares.get(column.name))] if harm else [])] for column in ranked]
    names = (
        "column",
        "test",
        "p-value",
        "effect",
        "alarms at",
        "missing",
        "verdict",
        *(["importance"] if harm else []),
    )
    yield _table(names, rows[:MOST_ROWS])
    if len(ranked) > MOST_ROWS:
        yield f"{len(ranked) - MOST_ROWS:,} further columns are in the JSON."
    if notes := [f"- {text(column.name)}: {text(column.note)}" for column in ranked[:MOST_ROWS] if column.note]:
        yield "\n".join(notes)


def _column(column: ColumnDrift, report: DriftReport) -> list[str]:
    threshold = (
        "-"
        if column.threshold is None
        else p_text(column.threshold)
        if column.p_value is not None
        else (f"{number(column.threshold)} or more")
    )
    return [
        text(column.name),
        "not tested" if column.verdict.startswith("not") else column.method,
        "-" if column.p_value is None or column.verdict == "not judged" else p_text(column.p_value),
        "-" if column.verdict == "not tested" else percent(column.difference),
        threshold,
        missing_text(column, report),
        "**drift**" if column.drifted else column.verdict,
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _tested(report: DriftReport) -> Iterator[str]:
    yield "## What was tested"
    level = f", at a level of {chance(report.level)}" if report.method == "calibrated" else ""
    lines = [
        f"{report.tested} of {len(report.columns)} columns, by the method {report.method!r}: {report.rows:,} rows "
        f"against {report.reference_rows:,} of the reference{level}."
    ]
    if isinstance(report, EndpointReport):
        if (quality := report.quality) is not None:
            lines.append(
                f"Data quality: {quality.tests:,} tests of {quality.rows:,} rows against {quality.baseline_rows:,}, "
                f"each at {p_text(quality.threshold)}."
            )
        for name, found in (("By labels", report.realised), ("Estimated", report.estimated)):
            if found is not None and is_judged(found):
                lines.append(
                    f"{name}: {found.metric} of {found.whole.rows:,} rows against {found.reference_rows:,}, at a level "
                    f"of {shared_out(chance(found.level), found)}."
                )
        if (both := report.multivariate) is not None:
            lines.append(f"All columns together: at a level of {chance(both.level)}.")
    yield "\n".join(f"- {text(line)}" for line in lines)


# --------------------------------------------------------------------------------------------------------- sections


def _multivariate(found: MultivariateDrift) -> Iterator[str]:
    yield "## All columns together"
    yield f"{found.verdict.capitalize()}. {text(found.words)}"


def _quality(found: Quality) -> Iterator[str]:
    yield "## Data quality"
    words = [] if found.violations else [f"{found.verdict.capitalize()}."]
    words += [f"The baseline was {text(found.baseline)}."] if found.baseline else []
    if words:
        yield " ".join(words)
    lines = [f"- {text(one.sentence)}{_examples(one.examples)}" for one in found.violations]
    lines += [f"- {text(one.column)} was not checked: {text(one.note)}" for one in found.unchecked]
    if lines:
        yield "\n".join(lines)


def _examples(values: Sequence[str]) -> str:
    return f" Such as {', '.join(map(text, values))}." if values else ""


def _performance(realised: RealisedQuality | None, estimated: EstimatedQuality | None) -> Iterator[str]:
    if realised is None and estimated is None:
        return
    yield "## Quality of answers"
    told = [(name, found) for name, found in (("by labels", realised), ("estimated", estimated)) if found is not None]
    for name, found in told:
        yield f"{name.capitalize()}: {found.verdict}. {text(' '.join(found.whole.notes))}".strip()
    rows = [
        [
            text(figure.metric),
            name,
            number_of(figure.value),
            _interval(figure),
            _before(found, figure),
            f"{figure.rows:,}",
        ]
        for name, found in told
        for figure in found.whole.figures
        if figure.value is not None
    ]
    if rows:
        yield _table(("metric", "how", "value", "95% interval", "reference", "rows"), rows)
    pieces = [
        [f"{window.start:%Y-%m-%d %H:%M}", name, window.verdict, number_of(figure.value), _interval(figure)]
        for name, found in told
        if len(found.windows) > 1
        for window in found.windows
        for figure in window.figures
        if figure.metric == found.metric and figure.value is not None
    ]
    if pieces:
        judged = dict.fromkeys(text(found.metric) for _, found in told)
        yield f"The metric that is judged ({' and '.join(judged)}), over time:"
        yield _table(("from", "how", "verdict", "value", "95% interval"), pieces)


def number_of(value: float | str | None) -> str:
    """A number in few characters; text, such as Infinity, as it is."""
    return "-" if value is None else value if isinstance(value, str) else number(value)


def _interval(figure: Figure) -> str:
    return "-" if figure.low is None else f"{number_of(figure.low)} to {number_of(figure.high)}"


def _before(found: RealisedQuality | EstimatedQuality, figure: Figure) -> str:
    return next((number_of(one.value) for one in found.reference if one.metric == figure.metric), "-")


def _bias(found: BiasReport) -> Iterator[str]:
    yield "## Bias"
    yield "\n".join(f"- {text(facet.words)}" for facet in found.facets)
    rows = [
        [
            text(facet.name),
            text(metric.description),
            number_of(metric.value),
            "-" if metric.low is None else f"{number_of(metric.low)} to {number_of(metric.high)}",
            number_of(metric.baseline),
            "-" if metric.p_value is None else p_text(metric.p_value),
            "**outside**" if metric.outside else "**drift**" if metric.drifted else "-",
        ]
        for facet in found.facets
        for metric in facet.metrics
        if metric.value is not None
    ]
    if rows:
        yield _table(("group", "metric", "value", "interval", "baseline", "p-value", "verdict"), rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        yield f"{len(rows) - MOST_ROWS:,} further lines are in the JSON."


def _attribution(found: Sequence[AttributionDrift]) -> Iterator[str]:
    yield "## What the model looks at"
    yield "\n".join(f"- {text(one.words)}" for one in found)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
