"""The baseline: what windows are counted by and compared with, made once of a reference."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import cast

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from monitor.drift import Kind
from monitor.pair import Pair, pair_up, without_nulls
from monitor.sketches.cells import Cells, LevelCounter, NumberCells, level_cells, number_cells
from monitor.sketches.neighbours import (
    NOTHING,
    Grouping,
    Neighbours,
    Ordered,
    gaps_in_order,
    grouping_of,
    levels_in_order,
    neighbours_of,
    numbers_in_order,
)
from storage.errors import DataError, listed

#: The form of baselines. Profiles by one of another form cannot be merged with ours.
FORM = 1

#: What is counted of each column before its cells. rows: in which the column was there; missing: of them, without a
#: value; lost: of those, with one that is not of the column's kind; unmeasured: infinite, or too large to be squared;
#: unseen, unknown: with a level that the reference, or its choosing half, lacks.
COUNTERS = ("rows", "missing", "lost", "unmeasured", "unseen", "unknown")


class BaselineColumn(Struct, frozen=True):
    """A column of the reference.

    cells: None where values are not counted (times, lists, a column without any value). whole: the reference's rows in
    each cell; tested, unknown: those that tests compare with, as `cells.Levels` has them. missing, present: rows
    without and with a value. centre: is taken from numbers before they are squared. private: neither quantiles nor
    extremes of it are kept.
    """

    name: str
    kind: Kind
    cells: Cells | None
    whole: tuple[int, ...]
    tested: tuple[int, ...]
    unknown: int
    missing: int
    present: int
    centre: float
    private: bool

    @property
    def measured(self) -> bool:
        """Whether its values are numbers: with a mean and quantiles."""
        return isinstance(self.cells, NumberCells)

    @property
    def halved(self) -> bool:
        """Whether one half of the reference chose the cells, and the other half is what tests compare with."""
        return self.tested != self.whole


class Baseline(Struct, frozen=True, dict=True, omit_defaults=True):
    """A reference as profiles of windows are compared with it. Made by `Baseline.of`.

    digest names it: profiles that were made by another one cannot be merged. neighbours: how much the reference's rows
    depend on one another, for each column; empty of a baseline that was read back, which only counts with it.
    """

    form: int
    rows: int
    columns: tuple[BaselineColumn, ...]
    neighbours: tuple[Neighbours, ...] = ()

    @classmethod
    def of(
        cls, reference: pl.DataFrame, kinds: Mapping[str, Kind] | None = None, *, private: frozenset[str] = frozenset()
    ) -> "Baseline":
        """The baseline of a reference; the same reference always gives the same one.

        kinds: what columns are, where the caller knows better than their types tell. private: columns of which nothing
        is kept but counts. Raises DataError for a reference without columns.

        >>> baseline = Baseline.of(pl.DataFrame({"age": range(1000), "town": ["Ulm", "Bonn"] * 500}))
        >>> [(column.name, column.kind, column.cells.size) for column in baseline.columns]
        [('age', 'number', 122), ('town', 'category', 3)]
        """
        if not reference.width:
            raise DataError("The reference has no columns. Give the rows that windows are compared with.")
        pairs = [pair_up(series, series.clear(), (kinds or {}).get(series.name)) for series in reference]
        cells = cls(FORM, reference.height, tuple(_column(pair, pair.name in private) for pair in pairs))
        return replace(cells, neighbours=tuple(_neighbours(pair, cells, place) for place, pair in enumerate(pairs)))

    @cached_property
    def data(self) -> bytes:
        """The baseline as bytes, which `parse` reads, without its `neighbours`: nothing is counted by them."""
        return msgspec.msgpack.encode(replace(self, neighbours=()))

    @cached_property
    def digest(self) -> str:
        """sha256 of `data`: the name of its blob."""
        return hashlib.sha256(self.data).hexdigest()

    @classmethod
    def parse(cls, data: bytes) -> "Baseline":
        """A baseline from its bytes. Raises DataError for one of another form."""
        try:
            found = msgspec.msgpack.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise DataError(
                f"These {len(data)} bytes are no baseline: {error}. Make it anew of the reference."
            ) from error
        if found.form != FORM:
            raise DataError(f"The baseline has form {found.form}; this version reads {FORM}. Make it anew.")
        return found

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each column's counts begin in the vector of all, and where the last one's end."""
        sizes = [len(COUNTERS) + (column.cells.size if column.cells else 0) for column in self.columns]
        return (0, *np.cumsum(sizes).tolist())

    @cached_property
    def counters(self) -> tuple[LevelCounter | None, ...]:
        """What counts levels, for each column of categories."""
        return tuple(
            None if column.cells is None or isinstance(column.cells, NumberCells) else LevelCounter(column.cells)
            for column in self.columns
        )

    @cached_property
    def groupings(self) -> tuple[Grouping, ...]:
        """For each column the groups by which neighbours are compared."""
        return tuple(grouping_of(column.cells, np.array(column.whole, np.int64)) for column in self.columns)

    def in_order(self, place: int, values: pl.Series) -> Ordered:
        """A column's values, as its kind and in the order of the rows; nulls are passed over."""
        column, counter, grouping = self.columns[place], self.counters[place], self.groupings[place]
        values = without_nulls(values)
        if isinstance(column.cells, NumberCells):
            return numbers_in_order(values, column.cells, grouping)
        if counter is None:
            return NOTHING
        return levels_in_order(values, counter, grouping)

    def place(self, name: str) -> int:
        """Which column has this name. Raises DataError if none has."""
        for place, column in enumerate(self.columns):
            if column.name == name:
                return place
        raise DataError(f"The baseline has no column {name!r}. It has {listed([one.name for one in self.columns])}.")


def _column(pair: Pair, private: bool) -> BaselineColumn:
    values = _numbers(pair)
    cells: Cells | None = None
    whole: tuple[int, ...] = ()
    tested, unknown = whole, 0
    if pair.kind == "category" and pair.present.reference:
        names, rows = pair.levels.get_column("level").to_list(), pair.levels.get_column("reference").to_numpy()
        levels = level_cells(names, rows)
        cells, whole, tested, unknown = levels.cells, levels.whole, levels.tested, levels.unknown
    elif len(values):
        cells = number_cells(values)
        whole = tested = tuple(cells.count(values).tolist())
    middle = float(values[len(values) // 2]) if len(values) else 0.0
    return BaselineColumn(
        name=pair.name,
        kind=pair.kind,
        cells=cells,
        whole=whole,
        tested=tested,
        unknown=unknown,
        missing=pair.missing.reference,
        present=pair.present.reference,
        centre=middle if np.isfinite(middle) else 0.0,
        private=private,
    )


def _neighbours(pair: Pair, cells: Baseline, place: int) -> Neighbours:
    latest = pair.stretches[0]
    return neighbours_of(cells.in_order(place, latest), gaps_in_order(latest), cells.groupings[place])


def _numbers(pair: Pair) -> NDArray[np.float64]:
    """A pair's reference as ascending numbers; none for kinds that are not."""
    if pair.kind not in ("number", "text"):
        return np.empty(0)
    return cast("NDArray[np.float64]", pair.reference.drop_nulls().to_numpy())
