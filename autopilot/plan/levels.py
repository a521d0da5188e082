"""The levels of category columns, counted once: what all ops over categories look up by.

A cell's level becomes its code, in training and in the graph alike, and each op is then a table over codes:

    town ── "Ulm" ── 0 ─┬─ one-hot      1, 0, 0
                        ├─ target mean  0.31
                        └─ frequency    0.18

So the strings stand in the file once, in one LabelEncoder for all columns, and a row of 40 categories costs one look-up
of strings however many ops read it.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.graph.graph import ML, Graph

_MOST_LEVELS = 100_000
_LEAST_ROWS = 2
_CODE = "\0code of {}"
#: Between a column's number and its level in the keys of one LabelEncoder; no text of a table holds it in practice,
#: and if one did, it would still be behind the number and the first separator.
_SEPARATOR = "\x1f"


class Levels(Struct, frozen=True):
    """The known levels of each category column, most frequent first, ties by name.

    Known are levels of at least two rows, at most 100,000 a column; missing is the level "". A level's code is its
    place here. All others, rare and unseen, share one code: the number of known levels.
    """

    columns: tuple[str, ...] = ()
    names: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: tuple[str, ...]) -> "Levels":
        """Count the levels of typed training rows."""
        counted = pl.collect_all([frame.lazy().group_by(_level(name).alias("level")).len() for name in columns])
        return cls(columns, tuple(map(_frequent, counted)))

    def of(self, column: str) -> tuple[str, ...]:
        """The known levels of a column."""
        return self.names[self.columns.index(column)]

    def polars(self) -> list[pl.Expr]:
        """A UInt32 column of codes for each category, which `code` refers to."""
        return [
            _level(name)
            .replace_strict(list(names), list(range(len(names))), default=len(names), return_dtype=pl.UInt32)
            .alias(_CODE.format(name))
            if names
            else pl.lit(0, dtype=pl.UInt32).alias(_CODE.format(name))
            for name, names in zip(self.columns, self.names, strict=True)
        ]

    def emit(self, g: Graph, columns: tuple[str, ...]) -> str:
        """int64 [N, columns]: each cell's code. Cells are tagged with their column's number, so that one node does."""
        tags = np.array([f"{index}{_SEPARATOR}" for index in range(len(self.columns))], dtype=object)
        found = g.op(
            "LabelEncoder",
            g.op("StringConcat", g.const(tags), g.columns("text", self.columns)),
            domain=ML,
            keys_strings=[f"{index}{_SEPARATOR}{name}" for index, names in enumerate(self.names) for name in names],
            values_int64s=[code for names in self.names for code in range(len(names))],
            default_int64=-1,
        )
        unknown = g.const(np.array([len(names) for names in self.names], dtype=np.int64))
        codes = g.op("Where", g.op("Less", found, g.const(np.int64(0))), unknown, found)
        if columns == self.columns:
            return codes
        return g.take(codes, [self.columns.index(name) for name in columns])


def code(column: str) -> pl.Expr:
    """The code column of a category, in the frames that ops see."""
    return pl.col(_CODE.format(column))


def codes_of(frame: pl.DataFrame, column: str) -> NDArray[np.int64]:
    """The codes of a category column in such a frame."""
    return frame.get_column(_CODE.format(column)).to_numpy().astype(np.int64)


def look_up(table: Sequence[float], codes: pl.Expr) -> pl.Expr:
    """A table's value at each code, as Float32."""
    return pl.lit(pl.Series(table, dtype=pl.Float64).cast(pl.Float32)).gather(codes)


def emit_look_up(g: Graph, tables: Sequence[Sequence[float]], codes: str) -> str:
    """float32 [N, k]: the value of the j-th table at each code of the j-th column of `codes` [N, k]."""
    starts = np.cumsum([0, *map(len, tables)])[:-1].astype(np.int64)
    whole = np.concatenate([np.asarray(table, dtype=np.float64) for table in tables]).astype(np.float32)
    return g.op("Gather", g.const(whole), g.op("Add", codes, g.const(starts)))


def _level(name: str) -> pl.Expr:
    return pl.col(name).fill_null("")


def _frequent(counts: pl.DataFrame) -> tuple[str, ...]:
    kept = counts.filter(pl.col("len") >= _LEAST_ROWS).sort("len", "level", descending=[True, False])
    return tuple(kept.head(_MOST_LEVELS).get_column("level").to_list())
