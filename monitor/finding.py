"""What people are told first of a report: its sentence, and which columns to look at, the worst first."""

from collections.abc import Iterator

from monitor.charts import percent
from monitor.report import EndpointReport
from storage.records import Finding, FoundColumn

#: Columns that are told; the report has all.
MOST_COLUMNS = 5


def finding_of(report: EndpointReport) -> Finding:
    """The sentence of a report's verdict, and the columns behind a bad one.

    Those are, in the order of likely harm: of data quality the ones with broken constraints, of all other checks the
    ones that drifted; of bias, those of the groups that alarm.
    """
    found = dict[str, str]()
    if report.breached:
        for name, words in _columns(report):
            found.setdefault(name, words)
    columns = [FoundColumn(name, words) for name, words in found.items()]
    return Finding(report.sentence, tuple(columns[:MOST_COLUMNS]))


def _columns(report: EndpointReport) -> Iterator[tuple[str, str]]:
    """Columns and what was found in them; one may come more than once."""
    if report.check == "bias" and report.bias is not None:
        yield from ((facet.column, facet.words) for facet in report.bias.facets if facet.alarms)
    elif report.check == "data-quality" and report.quality is not None:
        place = {column.name: number for number, column in enumerate(report.ranked)}
        broken = sorted(report.quality.violations, key=lambda one: place.get(one.column or "", -1))
        told = ((one.column, one.sentence) for one in broken if one.column is not None)
        yield from ((name, sentence.removeprefix(f"Column {name!r}: ")) for name, sentence in told)
    else:
        harm = {} if report.harm is None else {one.column: one.words for one in report.harm.columns}
        drifted = (column for column in report.ranked if column.drifted)
        yield from ((one.name, harm.get(one.name, f"A drift of {percent(one.effect or 0.0)}.")) for one in drifted)
