"""The drift report as one HTML page for people: no script, no font, no other file; it can be mailed and printed."""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from monitor import charts, pictures
from monitor.calibrated import STARVED
from monitor.compare import least_rows
from monitor.drift import ColumnDrift, DriftReport
from monitor.parts import QUALITY, Part, examples_text, harm_text, parts
from monitor.report import EndpointReport
from storage.drawing import draw
from storage.errors import agreed, counted, listed

#: Columns that get a row with charts, drifted ones and large effects first. At most 5.5 kB each keep the page
#: below 300 kB, without those of the next line.
SHOWN_COLUMNS = 50

#: The first of them have both sides drawn by Vega-Lite, at 36 ms and 9 kB each; the others by hand.
DRAWN_COLUMNS = 6
#: So many have their values over time.
TIMED_COLUMNS = 30

_log = logging.getLogger(__name__)

#: Names of further columns that are listed in a sentence.
_NAMED_COLUMNS = 100


class Subject(Struct, frozen=True):
    """What a report is on: an endpoint's traffic in `start <= time < end`, answered by one model version."""

    endpoint: str
    model: str
    version: int
    start: datetime
    end: datetime


def render(report: DriftReport, subject: Subject | None = None) -> str:
    """The page. Names of columns and levels come from strangers and are escaped.

    Up to `SHOWN_COLUMNS` columns are drawn, by harm where that is known, else in the order of
    `DriftReport.ranked`; all others are named or counted.
    """
    ranked = report.ranked
    further = ranked[SHOWN_COLUMNS:]
    return _template().render(
        report=report,
        subject=subject,
        headline=title(report),
        alarms=bool(report.breached) if isinstance(report, EndpointReport) else report.drifted,
        value_name=value_name(report),
        meaning=meaning(report),
        rows=[_safe_row(column, report, number) for number, column in enumerate(ranked[:SHOWN_COLUMNS])],
        further=_further_text(further),
        drifted=sum(column.drifted for column in report.columns),
        extra=extra_text(report),
        parts=[_with_picture(part, report) for part in parts(report)],
        sentence=report.sentence if isinstance(report, EndpointReport) else "",
    )


def _further_text(columns: Sequence[ColumnDrift]) -> str:
    """Which columns have no row, and how many of them drifted; empty without any."""
    if not columns:
        return ""
    drifted, count = sum(column.drifted for column in columns), len(columns)
    have = f"{counted(count, 'further column')} {agreed(count, 'have')} smaller effects"
    of_them = f" ({drifted:,} of them drifted)" if drifted else ""
    names = listed([column.name for column in columns], _NAMED_COLUMNS)
    return f"{have}{of_them} and {agreed(count, 'are')} not drawn: {names}. The JSON report holds them all."


class _Row(Struct, frozen=True):
    """What the page shows of a column. minis: thumbnails of both sides. picture: both sides; moments: over time."""

    column: ColumnDrift
    reading: str
    minis: tuple[Markup, Markup] = (Markup(""), Markup(""))
    picture: Markup = Markup("")
    moments: Markup = Markup("")
    beyond: str = ""
    examples: str = ""
    harm: str = ""
    missing: str = ""
    value: str = ""
    alarms_at: str = ""


def _safe_row(column: ColumnDrift, report: DriftReport, number: int) -> _Row:
    """A column's row; of one that cannot be drawn, one that says so."""
    try:
        return _row(column, report, number)
    except Exception as error:  # noqa: BLE001 - whatever breaks a column must not lose the page
        _log.warning("column %r of a report's page failed", column.name, exc_info=error)
        return _Row(column, f"This column could not be drawn ({type(error).__name__}); the log says more.")


def _row(column: ColumnDrift, report: DriftReport, number: int) -> _Row:
    return _Row(
        column=column,
        reading=reading(column, report),
        minis=(charts.mini(column, "reference"), charts.mini(column, "current")),
        picture=_picture(column, number),
        moments=_moments(column, report, number),
        beyond=beyond_text(column),
        examples=examples_text(column, report),
        harm=harm_text(column, report),
        missing=missing_text(column, report),
        value=value_text(column),
        alarms_at=alarms_at(column),
    )


def _picture(column: ColumnDrift, number: int) -> Markup:
    if column.chart is None or number >= DRAWN_COLUMNS:
        return charts.overlay(column)
    return draw(pictures.distribution(column), f"d{number}-").svg


def _moments(column: ColumnDrift, report: DriftReport, number: int) -> Markup:
    told = report.over_time if isinstance(report, EndpointReport) else ()
    found = next((one for one in told if one.column == column.name), None)
    if found is None or len(found.moments) < 2 or number >= TIMED_COLUMNS:
        return Markup("")
    return draw(pictures.over_time_chart(found), f"m{number}-").svg


def _with_picture(part: Part, report: DriftReport) -> tuple[Part, Markup]:
    """A section, and its chart where it has one; of one that cannot be drawn the section says so."""
    if part.title != QUALITY or not isinstance(report, EndpointReport):
        return part, Markup("")
    try:
        chart = pictures.quality_chart(report.realised, report.estimated)
        return part, Markup("") if chart is None else draw(chart, "q-").svg
    except Exception as error:  # noqa: BLE001 - as above
        _log.warning("the chart of quality over time failed", exc_info=error)
        note = f"Its chart could not be drawn ({type(error).__name__}); the log says more."
        return replace(part, lines=(*part.lines, note)), Markup("")


def title(report: DriftReport) -> str:
    """The verdict in a few words: of the check that was asked for."""
    if not isinstance(report, EndpointReport) or report.check == "drift":
        return headline(report)
    found = {True: "bad", False: "nothing found", None: "nobody can say"}[report.breached]
    return f"{report.check.replace('-', ' ').capitalize()}: {found}"


def headline(report: DriftReport) -> str:
    """The verdict in words.

    >>> headline(DriftReport("too few rows", False, 12, 5000, "calibrated", 0.05, ()))
    'Too few rows to judge'
    """
    if report.verdict == "too few rows":
        return "Too few rows to judge"
    drifted = sum(column.drifted for column in report.columns)
    if not drifted:
        unjudged = len(report.unjudged)
        columns = counted(len(report.columns), "column")
        return "No drift" + (f" found; {unjudged} of {columns} not judged" if unjudged else "")
    if not report.drifted:
        return f"No drift of the table; {drifted} of {counted(report.tested, 'column')} {agreed(drifted, 'differ')}"
    return f"Drift in {drifted} of {counted(report.tested, 'column')}"


def meaning(report: DriftReport) -> str:
    """What the verdict means and how far it can be trusted, in a few sentences."""
    if report.verdict == "too few rows":
        return f"{why_too_few(report)} So nothing was judged: this is not a finding of no drift."
    if report.method != "calibrated":
        return (
            f"Judged by the method {report.method!r}, which states no chance of a false alarm: it may see drift in few "
            f"rows where there is none, and none in many rows where there is. {_rule(report)}"
        ).strip()
    together = f", all {report.tested} tested columns taken together" if report.tested > 1 else ""
    promise = (
        "If nothing had changed, a report like this one would raise any alarm at all with a chance of at most "
        f"{charts.chance(report.level)}{together}."
    )
    is_of_model = isinstance(report, EndpointReport)
    usual = "the rows that the model was trained on" if is_of_model else "those of the reference"
    if report.drifted:
        seen = (
            "The model may be right all the same, but it is being asked about rows that it has seen less of."
            if is_of_model
            else "A model that learnt from the reference may be right all the same, but it has seen less of such rows."
        )
        return f"The columns marked below no longer look like {usual}. {seen} {promise}{unjudged_text(report)}"
    none = "No column that can be judged" if report.unjudged else "No column"
    return (
        f"{none} differs from {usual} by more than chance explains. {promise} Changes of less than "
        f"{charts.percent(report.minimum_effect)} of the rows never raise an alarm.{unjudged_text(report)}"
    )


def _rule(report: DriftReport) -> str:
    """Which way the numbers of another product's rule, or of a measure, go: it may have p-values and distances."""
    tested = [column for column in report.columns if column.tested]
    ways = [
        *(["whose p-value is at most the one that it alarms at"] if any(c.p_value is not None for c in tested) else []),
        *(["whose distance is at least the one that it alarms at"] if any(c.p_value is None for c in tested) else []),
    ]
    return f"It marks a column {' or '.join(ways)}." if ways else ""


def unjudged_text(report: DriftReport) -> str:
    """A sentence on the columns that differ and that nobody can judge, with a space in front; empty without any."""
    found = report.unjudged
    if not found:
        return ""
    most, verb = charts.percent(found[0].difference), "differs by" if len(found) == 1 else "differ by up to"
    names = listed([column.name for column in found])
    return f" Nobody can judge {names}, which {verb} {most}: the rows depend too much on their neighbours."


def why_too_few(report: DriftReport) -> str:
    """Why nothing was judged: too few rows on a side, or rows that depend so much that they are worth too few.

    >>> why_too_few(DriftReport("too few rows", False, 12, 5000, "calibrated", 0.05, ()))
    'There are 12 current rows and 5,000 reference rows, and a comparison needs 30 on either side.'
    """
    verb = "is" if report.rows == 1 else "are"
    current, reference = counted(report.rows, "current row"), counted(report.reference_rows, "reference row")
    there = f"There {verb} {current} and {reference}"
    starved = next((column for column in report.columns if STARVED in column.note), None)
    if starved is None:
        return f"{there}, and a comparison needs {least_rows(report.method)} on either side."
    return f"{there}, but they depend on one another. Column {starved.name!r}: {starved.note}"


def reading(column: ColumnDrift, report: DriftReport) -> str:
    """What was found in a column, in a sentence or two."""
    if column.statistic is None or column.threshold is None:
        times = "Later rows have later times, whatever has changed." if column.kind == "time" else ""
        return f"Not compared. {column.note or times}".strip()
    if column.p_value is None or report.method != "calibrated":
        return f"{_what_was_measured(column)} {column.note}".strip()
    if column.verdict == "not judged":
        return f"Not judged. {column.note}"
    change = f"{_what_changed(column, report)} {column.note}".strip()
    if column.drifted:
        return (
            f"{change} Without drift, the chance of a difference as large is {charts.p_text(column.p_value)}, "
            f"below the {charts.p_text(column.threshold)} at which a column of this report alarms."
        )
    if column.p_value <= column.threshold:
        least = charts.percent(report.minimum_effect)
        return f"{change} That is no accident, but less than the {least} that raise an alarm."
    return (
        f"{change} Chance explains that: without drift, the chance of a difference as large is "
        f"{charts.p_text(column.p_value)}, and an alarm needs {charts.p_text(column.threshold)} or less."
    )


def _what_was_measured(column: ColumnDrift) -> str:
    """Of a rule without a promise: its number, and those at which it alarms."""
    measured = "p-value" if column.p_value is not None else column.method
    return f"Its {measured} is {value_text(column)}, and the rule alarms at {alarms_at(column)}."


def value_text(column: ColumnDrift) -> str:
    """The p-value of a column that was tested, or its distance; empty of one that nobody can judge."""
    if column.statistic is None or column.verdict == "not judged":
        return ""
    return charts.number(column.statistic) if column.p_value is None else charts.p_text(column.p_value)


def value_name(report: DriftReport) -> str:
    """What these values are: p-values, distances, or some of each."""
    return "p-value" if all(column.p_value is not None for column in report.columns if column.tested) else "value"


def alarms_at(column: ColumnDrift) -> str:
    """The values at which a column alarms: small p-values, and large distances; empty where nothing was tested."""
    if column.threshold is None:
        return ""
    if column.p_value is None:
        return f"{charts.number(column.threshold)} or more"
    return f"{charts.p_text(column.threshold)} or less"


def _what_changed(column: ColumnDrift, report: DriftReport) -> str:
    points = f"{charts.number(round((column.effect or 0.0) * 100, 1))} percentage points"
    if column.method.endswith("missing values"):
        return f"The share of rows without a value: {missing_text(column, report)}."
    if column.method.endswith("of words"):
        return f"The share of rows that hold certain words is off by {points}."
    if column.method.endswith("unseen levels"):
        return f"The share of rows whose level the reference does not have is off by {points}."
    what = "length" if "length" in column.method else "value"
    if column.method.startswith("Kolmogorov-Smirnov"):
        return f"The share of rows below a given {what} differs by up to {points}."
    share = charts.percent(column.effect or 0.0)
    if "of groups" in column.method:  # within a group, rows may differ too
        return f"At least {share} of the rows would need another {what} for both sides to have the same shares."
    return f"{share} of the rows would need another {what} for both sides to have the same shares."


def extra_text(report: DriftReport) -> str:
    """Which columns only the current rows have; empty without any."""
    if not report.extra:
        return ""
    them = "it" if len(report.extra) == 1 else "them"
    return (
        f"Only the current rows have {listed(report.extra, _NAMED_COLUMNS)}; there is nothing to compare {them} with."
    )


def missing_text(column: ColumnDrift, report: DriftReport) -> str:
    """The share of rows without a value on both sides."""
    before = charts.percent(column.missing.reference / max(report.reference_rows, 1))
    after = charts.percent(column.missing.current / max(report.rows, 1))
    return before if before == after else f"{before} → {after}"


def beyond_text(column: ColumnDrift) -> str:
    """What the outermost bins of a histogram took in; empty where nothing, or where there is no histogram."""
    chart = column.chart
    if not isinstance(chart, charts.Histogram):
        return ""
    ends = ((chart.below, "below"), (chart.above, "above"))
    told = [
        f"{counts.reference:,} reference and {counted(counts.current, 'current value')} {where} the axis"
        for counts, where in ends
        if counts.reference or counts.current
    ]
    return f"The outermost bins also hold {' and '.join(told)}." if told else ""


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("monitor", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(p=charts.p_text, number=charts.number)
    return environment.get_template("report.html")
