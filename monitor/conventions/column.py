"""A column as a convention gets it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from monitor.calibrated import Finding, ascending, untested
from monitor.distances import total_variation
from monitor.pair import BREAKS, Pair, why_broken


class Column(NamedTuple):
    """One column of both tables, as a pair and as it came: libraries have ideas of their own of what a column is.

    reference, current: in the rows' order, of the type that the table has. told: whether whoever compares said what
    kind it is; then a convention does not guess it.
    """

    pair: Pair
    reference: pl.Series
    current: pl.Series
    told: bool = False


def attempted(judge: Callable[[Column], Finding], column: Column) -> Finding:
    """What a rule says of a column; a column that breaks it has no verdict."""
    try:
        return judge(column)
    except BREAKS as error:
        return untested(why_broken(column.pair.name, "compared", error))


#: Places at which two distribution functions are held against each other for `effect_of`: exact to a thousandth, and
#: fifty times as fast as at each of a million values.
_PLACES = 1000


def effect_of(pair: Pair) -> float:
    """How far apart both sides are, 0 to 1 whatever the rule: the share of rows that would have to change.

    Numbers, lengths and times: the largest distance of the distribution functions, at a thousand places. Categories:
    the total variation of their levels. 1 where no value of a side can be read as the reference's kind.

    >>> from monitor.pair import pair_up
    >>> effect_of(pair_up(pl.Series(range(4)), pl.Series(range(2, 6))))
    0.5
    """
    if not pair.present.reference or not pair.present.current:
        return 1.0
    if pair.kind == "category":
        return total_variation(pair.levels["reference"].to_numpy(), pair.levels["current"].to_numpy())
    sides = [ascending(side.to_physical()) for side in (pair.reference, pair.current)]
    places = np.concatenate([side[np.linspace(0, len(side) - 1, _PLACES).astype(np.int64)] for side in sides])
    below = [np.searchsorted(side, places, "right") / len(side) for side in sides]
    return float(np.abs(below[0] - below[1]).max())
