"""The report on an endpoint: the drift of its columns, and all else that was looked at in the same window."""

from datetime import datetime

from msgspec import Struct

from monitor.attribution import AttributionDrift
from monitor.checks.violation import Quality
from monitor.drift import ColumnDrift, DriftReport
from monitor.facets.bias import BiasReport
from monitor.harm import HarmRanking
from monitor.multivariate.both import MultivariateDrift
from monitor.performance.estimated import EstimatedQuality
from monitor.performance.realised import RealisedQuality
from storage.records import CheckKind


class Moment(Struct, frozen=True):
    """A column in a piece of the window.

    value: the mean of numbers, the mean length of text, the share of the reference's most frequent level of categories;
    None without rows. low, high: between which it lies in 95 of 100 such pieces of so many rows of the reference.
    """

    start: datetime
    rows: int
    value: float | None
    low: float | None
    high: float | None


class OverTime(Struct, frozen=True):
    """A column over the window. of: what the values are, in words. usual: the reference's value."""

    column: str
    of: str
    usual: float
    moments: tuple[Moment, ...]


class Examples(Struct, frozen=True):
    """Values of a column that show what is unlike the reference, up to five, the most telling first; and why these."""

    column: str
    why: str
    values: tuple[str, ...]


class LeftOut(Struct, frozen=True):
    """A section that this report does not have, and why: nobody asked, there is nothing to look at, or it failed."""

    section: str
    reason: str


class EndpointReport(DriftReport, frozen=True, kw_only=True):
    """What was found in a window of an endpoint's traffic.

    check: whose verdict counts. sentence: that verdict, for people. breached: whether it is bad; None where there is
    too little to say so. `verdict`, `drifted` and `columns` are of the columns' drift, whatever the check. Each section
    keeps its own level. A section that could not be made is None (or empty), and told under `left_out`.

    quality: data quality against what is asked of the reference. multivariate: all columns together. realised,
    estimated: the model's quality by labels and without. bias: by facets, if any were named. attribution: by class,
    what the model looks at. harm: the columns by what their drift is likely to do. over_time, examples: by column.
    """

    check: CheckKind
    sentence: str
    breached: bool | None
    quality: Quality | None = None
    multivariate: MultivariateDrift | None = None
    realised: RealisedQuality | None = None
    estimated: EstimatedQuality | None = None
    bias: BiasReport | None = None
    attribution: tuple[AttributionDrift, ...] = ()
    harm: HarmRanking | None = None
    over_time: tuple[OverTime, ...] = ()
    examples: tuple[Examples, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def ranked(self) -> tuple[ColumnDrift, ...]:
        """The columns by the harm that their drift is likely to do, where that was looked at."""
        if self.harm is None:
            return super().ranked
        place = {one.column: number for number, one in enumerate(self.harm.columns)}
        return tuple(sorted(super().ranked, key=lambda column: place.get(column.name, len(place))))
