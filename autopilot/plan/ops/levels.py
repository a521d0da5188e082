"""The levels of category columns, and their numbers in the graph: shared by the ops over categories."""

import numpy as np
import polars as pl

from autopilot.graph.graph import ML, Graph

#: Between a column's number and its level in the keys of one LabelEncoder; no text of a table holds it in practice,
#: and if one did, it would still be behind the number and the first separator.
_SEPARATOR = "\x1f"


def level(name: str) -> pl.Expr:
    """A category column with missing as the level ""."""
    return pl.col(name).fill_null("")


def count_levels(frame: pl.DataFrame, name: str, least_rows: int, most: int) -> tuple[str, ...]:
    """The levels seen in at least `least_rows` rows, at most `most`; most frequent first, ties by name."""
    counts = frame.select(level(name).alias("level")).group_by("level").len()
    kept = counts.filter(pl.col("len") >= least_rows).sort("len", "level", descending=[True, False]).head(most)
    return tuple(kept.get_column("level").to_list())


def emit_codes(g: Graph, x: str, levels: tuple[tuple[str, ...], ...], unknown: int) -> str:
    """int64 [N, columns]: the running number of each cell's level over all columns, `unknown` for any other.

    Cells are tagged with their column's number, so that one node looks all columns up.
    """
    return g.op(
        "LabelEncoder",
        _tagged(g, x, len(levels)),
        domain=ML,
        keys_strings=_keys(levels),
        values_int64s=list(range(sum(map(len, levels)))),
        default_int64=unknown,
    )


def emit_values(g: Graph, x: str, levels: tuple[tuple[str, ...], ...], values: list[float], unknown: float) -> str:
    """float32 [N, columns]: a value for each cell's level, `unknown` for any other."""
    return g.op(
        "LabelEncoder",
        _tagged(g, x, len(levels)),
        domain=ML,
        keys_strings=_keys(levels),
        values_floats=[float(np.float32(value)) for value in values],
        default_float=float(np.float32(unknown)),
    )


def _tagged(g: Graph, x: str, columns: int) -> str:
    tags = np.array([f"{index}{_SEPARATOR}" for index in range(columns)], dtype=object)
    return g.op("StringConcat", g.const(tags), x)


def _keys(levels: tuple[tuple[str, ...], ...]) -> list[str]:
    return [f"{index}{_SEPARATOR}{name}" for index, names in enumerate(levels) for name in names]
