"""Pairs of categories as the mean target of their joint level."""

from collections.abc import Sequence
from itertools import accumulate, combinations
from typing import ClassVar, Self

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.graph.graph import ML, Graph
from autopilot.plan.folded_means import FoldedMeans
from autopilot.plan.gain import Judge, joined
from autopilot.plan.levels import code, codes_of, emit_look_up, look_up
from autopilot.plan.op import Inputs, Op, Rows, Values
from storage.signature import Kind

_MOST_COLUMNS = 16
_MOST_PAIRS = 12
_MOST_LEVELS = 20_000
_LEAST_ROWS = 2
_JOINT = "\0joint code of {} and {}"


class Cross(Struct, frozen=True):
    """A pair of columns and what their joint levels mean.

    sizes: how many codes each column has. A joint level's key is left code * right size + right code. keys: of the
    known joint levels, most frequent first. means[target][place]: mean target of each; the last one is of all others.
    """

    left: str
    right: str
    sizes: tuple[int, int]
    keys: tuple[int, ...]
    means: tuple[tuple[float, ...], ...]

    def name(self) -> str:
        """LEFT x RIGHT."""
        return f"{self.left} × {self.right}"

    def joint(self) -> pl.Expr:
        """Each row's place among the keys, UInt32."""
        key = code(self.left).cast(pl.Int64) * self.sizes[1] + code(self.right).cast(pl.Int64)
        places = list(range(len(self.keys)))
        found = key.replace_strict(list(self.keys), places, default=len(places), return_dtype=pl.UInt32)
        return found.alias(_JOINT.format(self.left, self.right))


class Crosses(Op, frozen=True):
    """The smoothed mean target of the joint level of two categories, as `TargetMean` has it for one.

    At most 12 pairs, those that tell most of the target beyond what the two columns tell alone and added up (see
    `gain.py`). Known are joint levels of at least 2 rows, at most 20,000 a pair; the others are one level together, and
    unseen ones count as that. Missing is a level like another.
    """

    kind: ClassVar[Kind] = "category"
    about: ClassVar[str] = "mean target of the joint level of two categories, out of fold in training"
    crosses: tuple[Cross, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Choose the pairs on a sample, then take the means over all rows."""
        if len(rows.levels.columns) < 2 or not rows.target.values.shape[1]:
            return None
        return cls.of(rows, _choose(rows))

    @classmethod
    def of(cls, rows: Rows, pairs: Sequence[tuple[str, str]]) -> Self | None:
        """The crosses of these pairs of columns; None without any."""
        crosses = tuple(_cross(rows, left, right) for left, right in pairs)
        return cls(_columns(crosses), crosses) if crosses else None

    def names(self) -> tuple[str, ...]:
        """Target mean of LEFT x RIGHT."""
        many = len(self.crosses[0].means) > 1
        return tuple(
            f"target mean of {cross.name()}" + (f", class {index}" if many else "")
            for index in range(len(self.crosses[0].means))
            for cross in self.crosses
        )

    def words(self) -> str:
        """The pairs."""
        return f"{self.about}: {', '.join(cross.name() for cross in self.crosses)}"

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Only the pairs of which some feature is kept."""
        pairs = sorted({index % len(self.crosses) for index in kept})
        crosses = tuple(self.crosses[pair] for pair in pairs)
        return type(self)(_columns(crosses), crosses)

    def intermediate(self) -> list[pl.Expr]:
        """The joint codes."""
        return [cross.joint() for cross in self.crosses]

    def polars(self) -> list[pl.Expr]:
        """Look the joint code up."""
        return [
            look_up(cross.means[index], pl.col(_JOINT.format(cross.left, cross.right)))
            for index in range(len(self.crosses[0].means))
            for cross in self.crosses
        ]

    def of_training(self, rows: Rows) -> list[pl.Expr]:
        """The joint level's mean over the other folds' rows."""
        joints = [rows.frame.select(cross.joint()).to_series().to_numpy().astype(np.int64) for cross in self.crosses]
        return [
            _folded(rows, joint, cross, values).feature()
            for values in rows.target.values.T
            for cross, joint in zip(self.crosses, joints, strict=True)
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """Keys of all pairs at once, each pair's in a range of its own, and one look-up for them."""
        joint = self._emit_joint(g, inputs.codes(self.columns))
        targets = range(len(self.crosses[0].means))
        parts = [emit_look_up(g, [cross.means[index] for cross in self.crosses], joint) for index in targets]
        return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)

    def _emit_joint(self, g: Graph, codes: str) -> str:
        """int64 [N, pairs]: each row's place among the keys of each pair."""
        left = g.take(codes, [self.columns.index(cross.left) for cross in self.crosses])
        right = g.take(codes, [self.columns.index(cross.right) for cross in self.crosses])
        size = np.array([cross.sizes[1] for cross in self.crosses], dtype=np.int64)
        starts = _starts([cross.sizes[0] * cross.sizes[1] for cross in self.crosses])
        keys = g.op("Add", g.op("Mul", left, g.const(size)), right)
        found = g.op(
            "LabelEncoder",
            g.op("Add", keys, g.const(np.array(starts, dtype=np.int64))),
            domain=ML,
            keys_int64s=[key + start for cross, start in zip(self.crosses, starts, strict=True) for key in cross.keys],
            values_int64s=[place for cross in self.crosses for place in range(len(cross.keys))],
            default_int64=-1,
        )
        others = np.array([len(cross.keys) for cross in self.crosses], dtype=np.int64)
        return g.op("Where", g.op("Less", found, g.const(np.int64(0))), g.const(others), found)


def _starts(sizes: list[int]) -> list[int]:
    """Where each pair's range of keys begins."""
    return [0, *accumulate(sizes[:-1])]


def _columns(crosses: tuple[Cross, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for cross in crosses for name in (cross.left, cross.right)))


def _choose(rows: Rows) -> list[tuple[str, str]]:
    """The pairs with the largest certain gain, best first."""
    judge = Judge(rows)
    columns = judge.best([judge.category(name) for name in rows.levels.columns], _MOST_COLUMNS)
    found: list[tuple[float, str, str]] = []
    for left, right in combinations(columns, 2):
        codes = joined(*(codes_of(rows.frame, part.name)[judge.sample] for part in (left, right)))
        gain = judge.gain(judge.codes("", codes), left, right)
        if gain:
            found.append((-gain, left.name, right.name))
    return [(left, right) for _, left, right in sorted(found)[:_MOST_PAIRS]]


def _cross(rows: Rows, left: str, right: str) -> Cross:
    """The frequent joint levels and their means over all training rows."""
    sizes = len(rows.levels.of(left)) + 1, len(rows.levels.of(right)) + 1
    keys = codes_of(rows.frame, left) * sizes[1] + codes_of(rows.frame, right)
    distinct, counts = np.unique(keys, return_counts=True)
    order = np.lexsort((distinct, -counts))[:_MOST_LEVELS]
    known = distinct[order[counts[order] >= _LEAST_ROWS]]
    cross = Cross(left, right, sizes, tuple(known.tolist()), ())
    joint = rows.frame.select(cross.joint()).to_series().to_numpy().astype(np.int64)
    means = [_folded(rows, joint, cross, values).overall() for values in rows.target.values.T]
    return Cross(left, right, sizes, cross.keys, tuple(tuple(table.tolist()) for table in means))


def _folded(rows: Rows, joint: NDArray[np.int64], cross: Cross, values: Values) -> FoldedMeans:
    return FoldedMeans(joint, len(cross.keys) + 1, values, rows.folds, rows.target.weights)
