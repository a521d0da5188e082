"""The report as Markdown, for a pull request, a chat or a notebook: what the page tells, without its charts.

Names come from strangers. In text, what Markdown or HTML would read is escaped; in a table a line break would end the
row, so it becomes a blank.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from monitor.charts import percent
from monitor.drift import ColumnDrift, DriftReport
from monitor.page import Subject, alarms_at, extra_text, meaning, missing_text, title, value_name, value_text
from monitor.parts import Part, parts
from monitor.report import EndpointReport
from storage.errors import counted
from storage.instants import span_of

#: Columns that get a row; a sentence counts the others.
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
    made = [("About", lambda: _about(report, subject)), ("Columns", lambda: _columns(report))]
    told = [line for name, tell in made for line in _safely(name, tell)]
    told += [line for part in parts(report) for line in _section(part)]
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
        yield f"Endpoint {text(subject.endpoint)}, model {text(model)}, {span_of(subject.start, subject.end)}."
    yield text(meaning(report))


def _section(part: Part) -> Iterator[str]:
    yield f"## {part.title}"
    if part.lines:
        yield "\n".join(f"- {text(line)}" for line in part.lines)
    if part.rows:
        yield _table(part.names, [[text(cell) for cell in row] for row in part.rows])


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
        value_name(report),
        "effect",
        "alarms at",
        "missing",
        "verdict",
        *(["importance"] if harm else []),
    )
    yield _table(names, rows[:MOST_ROWS])
    if len(ranked) > MOST_ROWS:
        yield f"The JSON report has {counted(len(ranked) - MOST_ROWS, 'further column')}."
    if extra := extra_text(report):
        yield text(extra)
    if notes := [f"- {text(column.name)}: {text(column.note)}" for column in ranked[:MOST_ROWS] if column.note]:
        yield "\n".join(notes)


def _column(column: ColumnDrift, report: DriftReport) -> list[str]:
    return [
        text(column.name),
        "not tested" if column.verdict.startswith("not") else column.method,
        value_text(column) or "-",
        "-" if column.verdict == "not tested" else percent(column.difference),
        alarms_at(column) or "-",
        missing_text(column, report),
        "**drift**" if column.drifted else column.verdict,
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
