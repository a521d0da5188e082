"""Numbers beside what is usual for a category."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.gain import Judge, Part
from autopilot.plan.levels import code, codes_of
from autopilot.plan.op import Inputs, Op, Rows, Values
from storage.signature import Kind

_MOST_CATEGORIES = 8
_MOST_NUMBERS = 8
_MOST_PAIRS = 12
#: A level of so many rows is half its own mean, half the mean of all rows.
_SMOOTHING = 5.0
#: Numbers end here before they are compared, so that no difference of two is infinite.
_LARGEST = 1e30


class Group(Struct, frozen=True):
    """A number by a category. means: of the number for each code of the category, the last one of rare and unseen."""

    category: str
    number: str
    means: tuple[float, ...]

    def name(self) -> str:
        """NUMBER by CATEGORY."""
        return f"{self.number} by {self.category}"


class GroupAggregates(Op, frozen=True):
    """How far a number lies above the mean of its category's level: x - mean, in float64, then float32.

    The means are of the training rows, drawn towards the mean of all rows as if 5 more of these were there. At most 12
    pairs, those that tell most of the target beyond what number and category tell alone and added up (see `gain.py`).
    Missing numbers are NaN; missing is a level like another; rare levels are one level together, and unseen ones count
    as that. Numbers beyond 1e30, and infinities, count as 1e30 of their sign.
    """

    kind: ClassVar[Kind] = "category"
    about: ClassVar[str] = "a number less its mean in the category's level"
    groups: tuple[Group, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Choose the pairs on a sample, then take the means over all rows."""
        if not rows.signature.of_kind("number") or not rows.target.values.shape[1]:
            return None
        return cls.of(rows, _choose(rows))

    @classmethod
    def of(cls, rows: Rows, pairs: Sequence[tuple[str, str]]) -> Self | None:
        """The aggregates of these pairs of a category and a number; None without any."""
        groups = tuple(_group(rows, category, number) for category, number in pairs)
        return cls(_columns(groups), groups) if groups else None

    def names(self) -> tuple[str, ...]:
        """NUMBER less its mean by CATEGORY."""
        return tuple(f"{group.number} less its mean by {group.category}" for group in self.groups)

    def words(self) -> str:
        """The pairs."""
        return f"{self.about}: {', '.join(group.name() for group in self.groups)}"

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Only the pairs that are kept."""
        groups = tuple(self.groups[index] for index in kept)
        return type(self)(_columns(groups), groups)

    def polars(self) -> list[pl.Expr]:
        """Look the mean up and subtract it."""
        return [
            (pl.col(group.number).clip(-_LARGEST, _LARGEST) - _mean(group)).cast(pl.Float32).fill_null(float("nan"))
            for group in self.groups
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """One table for all pairs."""
        codes = inputs.codes(self.columns)
        own = g.take(codes, [self.columns.index(group.category) for group in self.groups])
        starts = np.cumsum([0, *(len(group.means) for group in self.groups)])[:-1].astype(np.int64)
        places = g.op("Add", own, g.const(starts))
        means = g.op("Gather", g.const(np.concatenate([group.means for group in self.groups])), places)
        x = inputs.numbers(tuple(group.number for group in self.groups))
        clipped = g.op("Clip", x, g.const(np.float64(-_LARGEST)), g.const(np.float64(_LARGEST)))
        return g.cast(g.op("Sub", clipped, means), TensorProto.FLOAT)


def _columns(groups: tuple[Group, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group.category for group in groups))


def _mean(group: Group) -> pl.Expr:
    return pl.lit(pl.Series(group.means, dtype=pl.Float64)).gather(code(group.category))


def _choose(rows: Rows) -> list[tuple[str, str]]:
    """The pairs with the largest certain gain, best first."""
    judge = Judge(rows)
    categories = judge.best([judge.category(name) for name in rows.levels.columns], _MOST_CATEGORIES)
    values = {name: _clipped(rows, name)[judge.sample] for name in rows.signature.of_kind("number")}
    numbers = judge.best([judge.number(name, x) for name, x in values.items()], _MOST_NUMBERS)
    found = [
        (-gain, category.name, number.name)
        for category in categories
        for number in numbers
        if (gain := _gain(judge, rows, category, number, values[number.name]))
    ]
    return [(category, number) for _, category, number in sorted(found)[:_MOST_PAIRS]]


def _gain(judge: Judge, rows: Rows, category: Part, number: Part, values: Values) -> float:
    codes = codes_of(rows.frame, category.name)[judge.sample]
    means = _means(codes, len(rows.levels.of(category.name)) + 1, values)
    return judge.gain(judge.number("", values - means[codes]), category, number)


def _group(rows: Rows, category: str, number: str) -> Group:
    size = len(rows.levels.of(category)) + 1
    return Group(category, number, tuple(_means(codes_of(rows.frame, category), size, _clipped(rows, number)).tolist()))


def _means(codes: NDArray[np.int64], size: int, values: Values) -> Values:
    """(sum + 5 * mean) / (rows + 5) for each code, over the rows that have a number."""
    known = ~np.isnan(values)
    overall = float(values[known].mean()) if known.any() else 0.0
    sums = np.bincount(codes[known], values[known], size)
    return (sums + _SMOOTHING * overall) / (np.bincount(codes[known], minlength=size) + _SMOOTHING)


def _clipped(rows: Rows, number: str) -> Values:
    """float64 (rows,), NaN where missing."""
    return np.clip(rows.frame.get_column(number).fill_null(float("nan")).to_numpy(), -_LARGEST, _LARGEST)
