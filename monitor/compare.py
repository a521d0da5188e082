"""Compare a table with a reference: has any column drifted?"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import polars as pl
from polars.selectors import by_name

from monitor.calibrated import CONTROLS, Finding, calibrated, check_level, untested
from monitor.conventions import MEASURES, NAMES, Column, judged, table_drifted
from monitor.drift import MINIMUM_EFFECT, UNTESTED, Bars, ColumnDrift, Control, Counts, DriftReport, Histogram, Kind
from monitor.pair import BREAKS, Pair, paired, why_broken
from monitor.profile import chart_of
from storage.errors import DataError, SettingError, counted, listed

#: Names of all methods: ours, the rules of other products and single measures.
METHODS = ("calibrated", *NAMES)

#: Values of a file that are read at once.
_READ_VALUES = 1_000_000

#: What a table of another library has: the Arrow capsule interface, or the older exchange protocol of data frames.
_PROTOCOLS = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")

#: Fewer rows on either side are not judged: with ten columns, 30 rows show a shift by 0.8
#: standard deviations in four windows of five and little below, and a level needs a sixth of the rows for a cell of its
#: own. "No drift" would promise too much.
MINIMUM_ROWS = 30


def least_rows(method: str) -> int:
    """Rows that a method asks for on either side; others than ours judge one."""
    return MINIMUM_ROWS if method == "calibrated" else 1


def compare(
    reference: object,
    current: object,
    *,
    method: str = "calibrated",
    level: float = 0.05,
    kinds: Mapping[str, Kind] | None = None,
    control: Control = "bonferroni",
    minimum_effect: float = MINIMUM_EFFECT,
    threshold: float | None = None,
    bins: int | None = None,
) -> DriftReport:
    """Has any column of `current` drifted away from `reference`?

    reference, current: tables, as Polars frames (eager or lazy), pandas, pyarrow or anything with the Arrow capsule
        interface; or a `pathlib.Path` of a Parquet file, of which one column at a time is in memory. Each column of the
        reference must be in the current table; others there are listed, not compared.
    method: how columns are judged; a name of `METHODS`. All but "calibrated" are other products' rules and single
        measures (`conventions`), which state no chance of a false alarm: `level` is not theirs, but for single tests.
    level: the chance of any alarm in a report without drift, over all columns, above 0 and below 1. What each column's
        p-value has to reach is in the report.
    kinds: what columns are, where the caller knows better than their types tell.
    control: of the calibrated method, what `level` means where some columns drift; a name of `calibrated.CONTROLS`.
    minimum_effect: of the calibrated method, the effect that an alarm needs, from 0 to below 1.
    threshold: of a single measure, the distance from which on a column alarms, or the p-value up to which.
    bins: of a single measure that counts, how many bins of as many reference rows numbers are put into.

    Null and NaN are missing values, and a changed share of them is drift. Infinities are the largest and the smallest
    numbers. A value that cannot be read as the reference's type counts as missing. A column without any value, or of
    times, is reported as not tested, and so is one that breaks its test. With fewer than `MINIMUM_ROWS` on either side,
    none is. Rows are taken for ordered in time: those that depend on their neighbours count as fewer, and where that
    leaves too few for every column, the verdict is "too few rows" as well.

    Raises DataError if a side is no table, the reference has no columns or the current table lacks one of them, and
    SettingError for an unknown method, a level out of its range, or a threshold or bins that the method cannot have.

    >>> reference = pl.DataFrame({"age": range(1000), "town": ["Ulm", "Bonn"] * 500})
    >>> current = pl.DataFrame({"age": range(300, 1300), "town": ["Bonn", "Ulm"] * 500})
    >>> report = compare(reference, current)
    >>> report.verdict, report.rows
    ('drift', 1000)
    >>> for column in report.columns:
    ...     print(column.name, column.method, round(column.effect, 3), column.drifted)
    age Kolmogorov-Smirnov 0.3 True
    town Fisher exact 0.0 False
    """
    _check(method, level, control, minimum_effect)
    if method == "calibrated":
        _refuse_of_measures(threshold, bins)
    before, after = _table_of(reference, "reference"), _table_of(current, "current")
    looked = _Looked(before, after, _shared_names(before, after), kinds or {}, [])
    least = least_rows(method)
    enough = min(before.height, after.height) >= least
    if not enough:
        findings = [too_few(before.height, after.height, least) for _ in looked.columns()]
    elif method == "calibrated":
        pairs = (column.pair for column in looked.columns())
        findings = calibrated(pairs, level, control=control, minimum_effect=minimum_effect)
    else:
        findings = judged(method, list(looked.columns()), level, threshold, bins)
    starved = any(one.unjudged is not None for one in findings) and all(one.method == UNTESTED for one in findings)
    drifted, known = table_drifted(method, findings), set(before.columns)
    return DriftReport(
        verdict="drift" if drifted else "no drift" if enough and not starved else "too few rows",
        drifted=drifted,
        rows=after.height,
        reference_rows=before.height,
        method=method,
        level=level,
        columns=tuple(
            _column(told, finding, minimum_effect) for told, finding in zip(looked.told, findings, strict=True)
        ),
        extra=tuple(name for name in after.columns if name not in known),
        control=control,
        minimum_effect=minimum_effect,
    )


class _ParquetFile:
    """A Parquet file as far as a comparison asks a table: names of columns, their rows, and some columns at a time."""

    def __init__(self, path: Path, side: str) -> None:
        self._path, self._side = path, side
        self.columns = list(self._read(pl.scan_parquet(path).limit(0)).columns)
        self.height = int(self._read(pl.scan_parquet(path).select(pl.len())).item())

    def __getitem__(self, names: list[str]) -> pl.DataFrame:
        return self._read(pl.scan_parquet(self._path).select(by_name(names)))  # a name may look like a pattern

    def _read(self, rows: pl.LazyFrame) -> pl.DataFrame:
        try:
            return rows.collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"The {self._side} file {str(self._path)!r} cannot be read as Parquet: {error}. "
                "`autopilot monitor compare` reads more."
            ) from error


_Table = pl.DataFrame | _ParquetFile


def _table_of(data: object, side: str) -> _Table:
    if isinstance(data, str):
        raise _no_table(data, side, "a file is named by a pathlib.Path, and is Parquet")
    return _ParquetFile(data, side) if isinstance(data, Path) else frame_of(data, side)


def frame_of(data: object, side: str) -> pl.DataFrame:
    """A table of any kind as a Polars frame. Raises DataError that names the side."""
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if not any(hasattr(data, protocol) for protocol in _PROTOCOLS):
        raise _no_table(data, side, "it is none")
    try:
        return pl.DataFrame(cast("Any", data))
    except (ImportError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise _no_table(data, side, str(error)) from error


def _no_table(data: object, side: str, why: str) -> DataError:
    return DataError(
        f"The {side} table is a {type(data).__name__} that Polars cannot read: {why}. "
        "Give a Polars, pandas or pyarrow table."
    )


def _check(method: str, level: float, control: Control, minimum_effect: float) -> None:
    if method not in METHODS:
        raise SettingError(f"method is {method!r}, which is unknown. Methods are: {', '.join(METHODS)}.")
    check_level(level)
    if control not in CONTROLS:
        raise SettingError(f"control is {control!r}, which is unknown. Use one of: {', '.join(CONTROLS)}.")
    if not 0 <= minimum_effect < 1:
        raise SettingError(f"minimum_effect is {minimum_effect!r}. Use a share of rows from 0 to below 1.")


def _refuse_of_measures(threshold: float | None, bins: int | None) -> None:
    if not (threshold is None and bins is None):
        raise SettingError(
            f"threshold is {threshold!r} and bins {bins!r}, of which method 'calibrated' takes none: it has `level`. "
            f"Leave them out, or take a measure as method: {', '.join(MEASURES)}."
        )


class _Told(NamedTuple):
    """What a report tells of a column, whatever the verdict."""

    name: str
    kind: Kind
    note: str
    missing: Counts
    chart: Histogram | Bars | None


class _Looked(NamedTuple):
    """Columns as they are looked at, one after the other, so that few of them are in memory; `told` is what stays."""

    before: _Table
    after: _Table
    names: list[str]
    kinds: Mapping[str, Kind]
    told: list[_Told]

    def columns(self) -> Iterator[Column]:
        """Each column of both tables."""
        for before, after in self._sides():
            kind = self.kinds.get(before.name)
            pair = paired(before, after, kind)
            self.told.append(_Told(before.name, pair.kind, pair.note, pair.missing, _chart(pair)))
            yield Column(pair, before, after, told=kind is not None)

    def _sides(self) -> Iterator[tuple[pl.Series, pl.Series]]:
        """Of files, as many columns as `_READ_VALUES` together: each reading goes through the names of all columns."""
        at_once = max(1, _READ_VALUES // max(self.before.height, self.after.height, 1))
        for start in range(0, len(self.names), at_once):
            names = self.names[start : start + at_once]
            yield from zip(self.before[names], self.after[names], strict=True)


def _shared_names(before: _Table, after: _Table) -> list[str]:
    """The reference's columns, all of which the current table must have."""
    if not before.columns:
        raise DataError("The reference table has no columns. Give the rows that the current ones are compared with.")
    refuse_absent(before, after)
    return before.columns


def refuse_absent(reference: _Table, current: _Table) -> None:
    """Raise DataError where the current table lacks columns of the reference."""
    there = set(current.columns)
    absent = [name for name in reference.columns if name not in there]
    if absent:
        raise DataError(
            f"The current table lacks {listed(absent)}, which the reference has. It has {listed(current.columns)}. "
            "Add the column, or drop it from the reference."
        )


def too_few(reference_rows: int, rows: int, least: int = MINIMUM_ROWS) -> Finding:
    """What is found in each column where either side has fewer rows than it takes."""
    note = f"A comparison needs {counted(least, 'row')} on either side; there are {reference_rows:,} and {rows:,}."
    return untested(note)


def _column(told: _Told, finding: Finding, minimum_effect: float) -> ColumnDrift:
    note = " ".join(filter(None, [told.note, finding.note]))
    return finding.of(told.name, told.kind, told.missing, note=note, chart=told.chart, minimum_effect=minimum_effect)


def _chart(pair: Pair) -> Histogram | Bars | None:
    try:
        return chart_of(pair)
    except BREAKS as error:
        why_broken(pair.name, "drawn", error)
        return None
