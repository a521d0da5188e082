"""The drift report: what a comparison of two tables found, as plain data."""

import math
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from storage.errors import UnknownNameError, listed
from storage.signature import AnyKind

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

#: What a column is compared as: the four kinds of a signature, and `other` for what no test takes (lists, bytes).
Kind = AnyKind

Verdict = Literal["drift", "no drift", "too few rows"]

#: `not judged`: both sides differ, but rows depend on one another so much that nobody can say whether they always do.
ColumnVerdict = Literal["drift", "no drift", "not judged", "not tested"]

#: What a level means over the columns of a report; `calibrated.CONTROLS` are the rules.
Control = Literal["bonferroni", "benjamini-hochberg"]

#: An alarm needs at least this effect: two rows in a hundred have another value, level or gap. A normal column reaches
#: it when it moves by 0.05 standard deviations, about the least that any shift of scores could be traced to; and with
#: a reference of 5,000 rows the test itself finds nothing smaller.
MINIMUM_EFFECT = 0.02

#: The method of a column that was not tested.
UNTESTED = "none"


class Counts(Struct, frozen=True):
    """A number of rows in each sample."""

    reference: int
    current: int


class Histogram(Struct, frozen=True, tag="histogram"):
    """Both samples counted over the same bins.

    edges: ascending, one more than bins, finite. A bin holds what is >= its left edge and < its right one, the last
    one also its right edge. below, above: values beyond the edges, which the outermost bins count too.
    unit: `value`, `characters` for text, `time` for microseconds since 1970 UTC.
    """

    unit: Literal["value", "characters", "time"]
    edges: tuple[float, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
    below: Counts
    above: Counts


class Bars(Struct, frozen=True, tag="bars"):
    """Both samples counted by level: the largest levels, and the sum of the `others` levels that are left."""

    levels: tuple[str, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
    others: int
    rest: Counts


class ColumnDrift(Struct, frozen=True):
    """What was found in one column.

    method: the test that decided, in words; `none` for a column that was not tested, `note` says why.
    statistic, p_value, effect: of that test; the p-value is corrected for the tests that the column underwent, the
        effect goes from 0 (alike) to 1. None where not tested. A distance without a test has no p-value; JSON has
        null in place of an infinite one.
    threshold: the p-value at or below which the column alarms; of a distance, the distance at or above which.
    drifted: by the calibrated method, p_value <= threshold and effect >= the report's `minimum_effect`; by others, as
        they have it. verdict: the same in words, of a column that was not tested and of one that nobody can judge too.
    missing: rows without a value. chart: None where there is no value at all.
    unjudged: the largest effect of tests that were left out because rows depend on their neighbours and are worth too
        few; None where none was.
    """

    name: str
    kind: Kind
    method: str
    statistic: float | None
    p_value: float | None
    effect: float | None
    threshold: float | None
    drifted: bool
    note: str
    missing: Counts
    chart: Histogram | Bars | None
    unjudged: float | None = None
    verdict: ColumnVerdict = "not tested"

    @property
    def tested(self) -> bool:
        """Whether there was anything to test."""
        return self.method != UNTESTED

    @property
    def difference(self) -> float:
        """The largest effect, whether it was judged or not; 0 where nothing was tested."""
        return max(self.effect or 0.0, self.unjudged or 0.0)


class DriftReport(Struct, frozen=True):
    """The comparison of a table with a reference.

    verdict: `drift` if any column drifted, or as many as the method asks for; `too few rows` if either side has fewer
        than `MINIMUM_ROWS`.
    rows, reference_rows: of the current and the reference table.
    level: the chance of any alarm in a report without drift; nothing is promised by methods but `calibrated`.
    columns: one for each of the reference's, in its order. extra: columns that only the current table has.
    control, minimum_effect: what the level promises where some columns drift, and the effect that an alarm needs; of
        the method `calibrated` alone.
    """

    verdict: Verdict
    drifted: bool
    rows: int
    reference_rows: int
    method: str
    level: float
    columns: tuple[ColumnDrift, ...]
    extra: tuple[str, ...] = ()
    control: Control = "bonferroni"
    minimum_effect: float = MINIMUM_EFFECT

    @property
    def ranked(self) -> tuple[ColumnDrift, ...]:
        """The columns that drifted first, then by difference; those of which nothing was tested last."""
        return tuple(sorted(self.columns, key=lambda c: (not c.drifted, c.verdict == "not tested", -c.difference)))

    @property
    def unjudged(self) -> tuple[ColumnDrift, ...]:
        """Columns whose sides differ and that nobody can judge, by difference."""
        return tuple(column for column in self.ranked if column.verdict == "not judged")

    @property
    def tested(self) -> int:
        """How many columns were tested."""
        return sum(column.tested for column in self.columns)

    def chart(self, name: str) -> "alt.LayerChart | alt.Chart":
        """A column on both sides as an Altair chart, for notebooks. Raises UnknownNameError, and DataError for a column
        without values."""
        from monitor.pictures import distribution_chart

        found = {column.name: column for column in self.columns}.get(name)
        if found is None:
            raise UnknownNameError(
                f"The report has no column {name[:80]!r}. It has {listed([*(one.name for one in self.columns)])}."
            )
        return distribution_chart(found)

    def json(self) -> bytes:
        """The report as one JSON document, which `DriftReport.parse` reads back."""
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> "DriftReport":
        """A report from its JSON."""
        report = msgspec.json.decode(data, type=cls)
        return replace(report, columns=tuple(map(_with_infinity, report.columns)))

    def table(self) -> "pl.DataFrame":
        """One row for each column, in the order of `ranked`, without counts and charts."""
        import polars as pl

        schema = {
            "name": pl.String,
            "kind": pl.String,
            "method": pl.String,
            "statistic": pl.Float64,
            "p_value": pl.Float64,
            "effect": pl.Float64,
            "threshold": pl.Float64,
            "drifted": pl.Boolean,
            "note": pl.String,
        }
        rows = [[getattr(column, name) for name in schema] for column in self.ranked]
        return pl.DataFrame(rows, schema=schema, orient="row")


def _with_infinity(column: ColumnDrift) -> ColumnDrift:
    """A column as it was before JSON, which has null for the infinite statistic of one that was tested."""
    return replace(column, statistic=math.inf) if column.tested and column.statistic is None else column
