"""Columns as numbers: what the two multivariate methods see of a table's rows, which stay in their order."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.compare import refuse_absent
from monitor.drift import Kind
from monitor.pair import kind_of, level_rows, values_of

Values = NDArray[np.float64]

#: Buckets into which the words of a text are hashed: a classifier tells two topics apart by a few of them.
_BUCKETS = 16


#: What the notes of both tests say that they are of.
TOGETHER = "all columns together"
DEPENDENT = "Rows depend on their neighbours, and count as what they are worth."


class LeftOut(Struct, frozen=True):
    """A column that was not looked at, and why."""

    column: str
    reason: str


class Table(NamedTuple):
    """Both sides of a comparison, of the columns that can be looked at.

    values: of each column the reference's rows and then the current ones, as `pair.values_of` gives them, texts whole.
    rows: on both sides.
    """

    kinds: dict[str, Kind]
    values: dict[str, pl.Series]
    reference_rows: int
    current_rows: int
    left_out: tuple[LeftOut, ...]


def table_of(reference: pl.DataFrame, current: pl.DataFrame, kinds: Mapping[str, Kind] | None) -> Table:
    """The reference's columns in both tables. Raises DataError where the current one lacks some.

    Left out are times, which always move forward, what no test takes, and columns without a value or with only one.
    """
    refuse_absent(reference, current)
    seen: dict[str, Kind] = {}
    values: dict[str, pl.Series] = {}
    left_out: list[LeftOut] = []
    for name in reference.columns:
        kind = (kinds or {}).get(name) or kind_of(reference[name], current[name])
        if kind in _REASONS:
            left_out.append(LeftOut(name, _REASONS[kind]))
            continue
        both = pl.concat(values_of(side[name], "category" if kind == "text" else kind) for side in (reference, current))
        if both.n_unique() < 2:
            left_out.append(LeftOut(name, "All its rows are alike."))
            continue
        seen[name], values[name] = kind, both
    return Table(seen, values, reference.height, current.height, tuple(left_out))


_REASONS: dict[Kind, str] = {
    "time": "Instants always move forward.",
    "other": "Its type is not compared.",
}


def matrix_of(table: Table) -> tuple[Values, list[str]]:
    """Numbers for a classifier, NaN where missing: (rows, features); and of which column each feature is.

    A category is the place of its level among all, the commonest in both samples together first; text is its length in
    characters, its number of words and how many of them fall into each of 16 buckets. So what a row becomes depends on
    both samples alike, and never on which of them it is from.
    """
    parts: list[Values] = []
    names: list[str] = []
    for name, series in table.values.items():
        features = _features(series, table.kinds[name])
        parts.append(features)
        names += [name] * features.shape[1]
    rows = table.reference_rows + table.current_rows
    return (np.concatenate(parts, axis=1) if parts else np.empty((rows, 0))), names


def _features(series: pl.Series, kind: Kind) -> Values:
    if kind == "number":
        return series.to_numpy().astype(np.float64)[:, None]
    if kind == "category":
        return _places(series)[:, None]
    length = series.str.len_chars().cast(pl.Float64).to_numpy()
    words = _word_counts(series)
    return np.column_stack([length, words.sum(axis=1), words])


def _places(series: pl.Series) -> Values:
    """The place of each row's level, 0 for the commonest; of equals the first by name."""
    levels = level_rows(series).get_column("level")
    places = pl.Series(range(len(levels)), dtype=pl.Float64)
    return series.replace_strict(levels, places, default=None, return_dtype=pl.Float64).to_numpy()


def _word_counts(series: pl.Series) -> Values:
    """Words of each row by bucket: (rows, buckets)."""
    words = (
        pl.DataFrame({"row": np.arange(len(series)), "word": series.str.to_lowercase().str.extract_all(r"\w+")})
        .explode("word")
        .drop_nulls()
    )
    cell = words.get_column("row").to_numpy() * _BUCKETS
    cell = cell + (words.get_column("word").hash(seed=0) % _BUCKETS).cast(pl.Int64).to_numpy()
    return np.bincount(cell, minlength=len(series) * _BUCKETS).reshape(-1, _BUCKETS).astype(np.float64)


def drawn(frame: pl.DataFrame, most: int, rng: np.random.Generator) -> pl.DataFrame:
    """The rows, or as many as allowed, drawn at random."""
    return frame if frame.height <= most else frame[np.sort(rng.permutation(frame.height)[:most])]


def told_by(names: Sequence[str], amounts: Sequence[float]) -> "tuple[Told, ...]":
    """The columns with what they told, as shares of the sum, the largest first; those that told nothing are left out.

    >>> told_by(["a", "b", "c"], [1.0, 3.0, -0.5])
    (Told(column='b', share=0.75), Told(column='a', share=0.25))
    """
    pairs = [(name, amount) for name, amount in zip(names, amounts, strict=True) if amount > 0]
    total = sum(amount for _, amount in pairs)
    return tuple(Told(name, amount / total) for name, amount in sorted(pairs, key=lambda pair: -pair[1]))


class Told(Struct, frozen=True):
    """How much of what was found a column told, as a share of all columns, 0 to 1."""

    column: str
    share: float
