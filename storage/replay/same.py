"""Rows asked again of the version that answered them, and compared to the bit."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.boundary import Blocks
from storage.predictor import Outputs, Predictor

#: Rows of a request that run together, at most: what serving cuts long requests into.
PIECE_ROWS = 1_000


class Again(NamedTuple):
    """What N rows are answered now. same: bool (N,), whether to the bit what was captured. as_served: rows for which
    that takes the company that they were served in."""

    outputs: Outputs
    same: NDArray[np.bool_]
    as_served: int


def run_again(predictor: Predictor, blocks: Blocks, captured: Outputs, row: NDArray[np.int64]) -> Again:
    """Run rows as they were served, if that makes a difference.

    row: of each row, its number within its request; requests are whole, or begin and end with a piece.
    """
    outputs = predictor.run(blocks)
    same = same_bits(outputs, captured)
    as_served = 0
    for start, stop in _pieces_with(~same, row):
        piece = slice(start, stop)
        for found in _as_served(predictor, blocks.slice(start, stop)):
            alike = same_bits(found, rows_of(captured, piece))
            if alike.sum() > same[piece].sum():
                as_served += int(alike.sum() - same[piece].sum())
                same[piece] = alike
                _put(outputs, piece, found)
            if alike.all():
                break
    return Again(outputs, same, as_served)


def same_bits(one: Outputs, other: Outputs) -> NDArray[np.bool_]:
    """For each row, whether two answers are the same: labels, and each bit of the numbers; NaN is the same as NaN."""
    if one.label is None or one.probabilities is None:
        return _equal(np.asarray(one.prediction), np.asarray(other.prediction))
    labels = np.asarray(one.label, dtype=object) == np.asarray(other.label, dtype=object)
    shares: Any = _equal(one.probabilities, np.asarray(other.probabilities))
    return labels & shares.all(axis=1)


def _equal(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """-0.0 is not 0.0: another bit, and another path through the model."""
    return ((one == other) & (np.signbit(one) == np.signbit(other))) | (np.isnan(one) & np.isnan(other))


def _pieces_with(wanted: NDArray[np.bool_], row: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Where the pieces that hold a wanted row begin and end."""
    if not wanted.any():
        return
    starts = np.flatnonzero(row % PIECE_ROWS == 0)
    stops = np.append(starts[1:], len(row))
    for at in np.unique(np.searchsorted(starts, np.flatnonzero(wanted), side="right") - 1):
        yield int(starts[at]), int(stops[at])


def _as_served(predictor: Predictor, blocks: Blocks) -> Iterator[Outputs]:
    """What the rows of a piece are answered together; and with the nodes that tell how sure the model is, which some
    requests ask for."""
    yield predictor.run_once(blocks)
    if predictor.has_interval:
        yield predictor.run(blocks, interval=True)


def rows_of(outputs: Outputs, wanted: "slice | NDArray[np.bool_]") -> Outputs:
    """The answers of some rows."""
    picked: list[Any] = [None if values is None else values[wanted] for values in outputs]
    return Outputs(*picked)


def _put(outputs: Outputs, piece: slice, found: Outputs) -> None:
    for values, new in zip(outputs[:3], found[:3], strict=True):
        if values is not None and new is not None:
            values[piece] = new
