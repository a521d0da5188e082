"""NannyML's univariate drift with its defaults, as version 0.13.1 has it.

Every column is compared by the Jensen-Shannon distance in bits, chunk by chunk: rows stay in their order and are cut
into chunks, an incomplete one at the end included. A chunk is compared with the whole reference, numbers in the bins
that Doane's rule finds for the reference and one for what lies beyond, strings and booleans by level and one for
levels that the reference lacks. It alarms above mean + 3 standard deviations of the reference's own chunks.

NannyML's own default is a tenth of the rows for a chunk, of the reference and of the current table each. A column has
drifted here if any current chunk alarms; `statistic` is the largest distance of one.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.calibrated import Finding, untested
from monitor.conventions.column import Column
from monitor.drift import Kind
from monitor.pair import values_of

_CHUNKS = 10
_DEVIATIONS = 3
_METHOD = "Jensen-Shannon distance of chunks"
_STRINGS = (pl.String, pl.Categorical, pl.Enum, pl.Boolean)

_Guess = Literal["number", "category", "other"]
_TOLD: dict[Kind, _Guess] = {
    "number": "number",
    "category": "category",
    "text": "category",
    "time": "other",
    "other": "other",
}
_Floats = NDArray[np.float64]


class _Chunk(NamedTuple):
    """The rows of a chunk that have a value, and how many of them each of the reference's cells holds."""

    rows: int
    cells: NDArray[np.int64]


def nannyml(columns: Sequence[Column]) -> list[Finding]:
    """Each column's verdict where both tables are cut into ten chunks.

    >>> from monitor.pair import pair_up
    >>> before, after = pl.Series("x", [1.0, 2.0, 3.0, 4.0] * 50), pl.Series("x", [2.0, 3.0, 4.0, 5.0] * 50)
    >>> finding = nannyml([Column(pair_up(before, after), before, after)])[0]
    >>> round(finding.statistic, 6), finding.drifted, finding.note
    (0.5, True, '10 of 10 chunks are above the threshold.')
    """
    return [_judge(column, None) for column in columns]


def nannyml_window(columns: Sequence[Column]) -> list[Finding]:
    """Each column's verdict where the current table is one chunk, and the reference is cut into chunks as long."""
    return [_judge(column, max(len(column.current), 1)) for column in columns]


def _judge(column: Column, chunk_rows: int | None) -> Finding:
    kind = _kind(column, column.reference)
    if kind == "other":
        return untested(f"NannyML does not compare columns of type {column.reference.dtype}.")
    if kind == "number" and _kind(column, column.current) != "number":
        return untested(f"NannyML gives no verdict: the column was numbers and is {column.current.dtype} now.")
    sides = [_chunk_rows(len(side), chunk_rows) for side in (column.reference, column.current)]
    if not all(sides):
        return untested(f"NannyML refuses tables of fewer than {_CHUNKS} rows.")
    if not column.pair.present.reference:
        return untested("NannyML gives no verdict: the reference has no value.")
    return _judge_numbers(column, *sides) if kind == "number" else _judge_levels(column, *sides)


def _kind(column: Column, series: pl.Series) -> _Guess:
    if column.told:
        return _TOLD[column.pair.kind]
    dtype = series.dtype
    if dtype.is_float() or dtype.is_integer():
        return "number"
    return "category" if dtype in _STRINGS else "other"


def _chunk_rows(rows: int, chunk_rows: int | None) -> int:
    return chunk_rows or rows // _CHUNKS


def _verdict(reference: Sequence[_Chunk], current: Sequence[_Chunk]) -> Finding:
    """The whole reference is the sum of its chunks."""
    whole = _Chunk(sum(chunk.rows for chunk in reference), np.sum([chunk.cells for chunk in reference], axis=0))
    usual, found = (
        np.array([_distance(whole, chunk) for chunk in chunks if chunk.rows]) for chunks in (reference, current)
    )
    usual, found = usual[~np.isnan(usual)], found[~np.isnan(found)]
    if not len(found) or not len(usual):
        return untested("NannyML gives no verdict: there is no chunk with a distance on one side.")
    threshold = float(usual.mean() + _DEVIATIONS * usual.std())
    above = int(np.count_nonzero(found > threshold))
    note = f"{above} of {len(current)} chunks are above the threshold."
    return Finding(_METHOD, float(found.max()), None, None, threshold, drifted=above > 0, note=note)


def _distance(reference: _Chunk, chunk: _Chunk) -> float:
    """The distance of a chunk's shares from the reference's.

    What lacks to 1 in the sum of the chunk's shares is the share of one more cell, rounding errors included: so two
    equal samples may be 1e-8 apart, as in NannyML. They may also be NaN apart: then a chunk counts for nothing.
    """
    from scipy.spatial.distance import jensenshannon

    p, q = reference.cells / reference.rows, chunk.cells / chunk.rows
    beyond = 1 - np.sum(q)
    if beyond > 0:
        p, q = np.append(p, 0), np.append(q, beyond)
    with np.errstate(invalid="ignore"):
        return float(jensenshannon(p, q, base=2))


# --------------------------------------------------------------------------------------------------------- numbers


def _judge_numbers(column: Column, reference_rows: int, current_rows: int) -> Finding:
    before, after = (values_of(side, "number").to_numpy() for side in (column.reference, column.current))
    known = before[~np.isnan(before)]
    if np.isinf(known).any():
        return untested("NannyML refuses a reference with infinities.")
    edges = np.histogram_bin_edges(known, bins="doane")
    return _verdict(
        [_binned(chunk, edges) for chunk in _cut(before, reference_rows)],
        [_binned(chunk, edges) for chunk in _cut(after, current_rows)],
    )


def _binned(values: _Floats, edges: _Floats) -> _Chunk:
    """As `np.histogram` has it: a bin holds its left edge, and the last one its right edge too."""
    ascending = np.sort(values)  # NaN last
    ascending = ascending[: np.searchsorted(ascending, np.nan, "left")]
    places = np.append(np.searchsorted(ascending, edges[:-1], "left"), np.searchsorted(ascending, edges[-1], "right"))
    return _Chunk(len(ascending), np.diff(places))


# ---------------------------------------------------------------------------------------------------------- levels


def _judge_levels(column: Column, reference_rows: int, current_rows: int) -> Finding:
    before, after = (side.cast(pl.String) for side in (column.reference, column.current))
    levels = before.drop_nulls().unique().sort()
    # A number is equal to no string, whatever it says.
    alike = column.told or _kind(column, column.reference) == _kind(column, column.current)
    known = levels if alike else levels.clear()
    return _verdict(
        [_by_level(chunk, len(levels)) for chunk in _cut(_numbered(before, levels), reference_rows)],
        [_by_level(chunk, len(levels)) for chunk in _cut(_numbered(after, known), current_rows)],
    )


def _numbered(series: pl.Series, levels: pl.Series) -> NDArray[np.int64]:
    """The number of each row's level, -1 for one that the reference lacks and -2 for a missing one."""
    table = pl.DataFrame({"level": levels, "number": np.arange(len(levels))})
    rows = series.to_frame("level").join(table, on="level", how="left", maintain_order="left")
    missing = pl.when(pl.col("level").is_null()).then(-2).otherwise(-1)
    return rows.select(pl.coalesce("number", missing)).to_series().to_numpy()


def _by_level(numbers: NDArray[np.int64], levels: int) -> _Chunk:
    return _Chunk(int(np.count_nonzero(numbers > -2)), np.bincount(numbers[numbers >= 0], minlength=levels))


def _cut(values: NDArray[Any], rows: int) -> Iterator[NDArray[Any]]:
    return (values[start : start + rows] for start in range(0, len(values), rows))
