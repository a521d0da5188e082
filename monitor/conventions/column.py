"""A column as a convention gets it."""

from typing import NamedTuple

import polars as pl

from monitor.calibrated import Finding
from monitor.pair import Pair


class Column(NamedTuple):
    """One column of both tables, as a pair and as it came: libraries have ideas of their own of what a column is.

    reference, current: in the rows' order, of the type that the table has. told: whether whoever compares said what
    kind it is; then a convention does not guess it.
    """

    pair: Pair
    reference: pl.Series
    current: pl.Series
    told: bool = False


def uncompared(why: str) -> Finding:
    """The finding on a column that a convention has no verdict on."""
    return Finding("none", None, None, None, None, drifted=False, note=why)
