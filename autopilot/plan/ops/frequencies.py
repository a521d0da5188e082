"""Categories as the frequency of their level."""

from typing import ClassVar, Self

import numpy as np
import polars as pl

from autopilot.graph.graph import Graph
from autopilot.plan.levels import code, codes_of, emit_look_up, look_up
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind

_LEAST_LEVELS = 5


class Frequencies(Op, frozen=True):
    """The share of the training rows that have the level: how usual a cell is.

    For columns of at least 5 levels; with fewer, the rank says the same. Rare and unseen levels count as one row.
    Missing is a level like another.
    """

    kind: ClassVar[Kind] = "category"
    about: ClassVar[str] = "frequency of the level"
    shares: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Count codes."""
        pairs = zip(rows.levels.columns, rows.levels.names, strict=True)
        kept = {name: _shares(rows, name, len(levels)) for name, levels in pairs if len(levels) >= _LEAST_LEVELS}
        return cls(tuple(kept), tuple(kept.values())) if kept else None

    def names(self) -> tuple[str, ...]:
        """Frequency of COLUMN."""
        return tuple(f"frequency of {name}" for name in self.columns)

    def polars(self) -> list[pl.Expr]:
        """Look the code up."""
        return [look_up(shares, code(name)) for name, shares in zip(self.columns, self.shares, strict=True)]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """One table for all columns."""
        return emit_look_up(g, self.shares, inputs.codes(self.columns))


def _shares(rows: Rows, name: str, levels: int) -> tuple[float, ...]:
    codes = codes_of(rows.frame, name)
    counts = np.bincount(codes, minlength=levels + 1)[:levels]
    return tuple((np.append(counts, 1) / len(codes)).tolist())
