"""The rows that checks look at, each column as levels."""

from collections.abc import Collection
from functools import cached_property
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.guardrails.power import Codes, Values, held_out, nearest, power
from autopilot.guardrails.quick import MOST_COLUMNS, as_numbers, crossed, features
from autopilot.guardrails.quick import MOST_ROWS as MOST_QUICK_ROWS
from autopilot.metric_formulas import roc_auc
from autopilot.table.infer import Table
from storage.signature import Kind

#: Of 20,000 rows, a power of 0.5 has a standard error of 0.005.
MOST_ROWS = 20_000
#: Of wide tables fewer: making levels of so many cells takes half a second, and half of the time may be spent on it.
_CELLS_A_SECOND, _LEAST_ROWS = 3_000_000, 500
#: Numbers become so many levels, of so many rows each at least. A copy of a quantity in 64 levels of equal rows keeps
#: 1 - 1/64^2 of the variance of its ranks.
_MOST_BINS, _BIN_ROWS, _LEAST_BINS = 64, 8, 4
#: The most frequent classes are outputs; of more, the rest have none.
_MOST_OUTPUTS = 12
#: The power from which a number is looked at more closely than by levels.
_STRONG = 0.5
#: A column may name entities if it has so many levels, of so many rows in the mean. In more rows levels are estimated,
#: to 2%: in a million, counting takes 30 ms a column.
_LEAST_LEVELS, _FEWEST_EACH, _MOST_EACH = 20, 1.5, 100.0
_COUNTED_ROWS = 100_000
#: The share of rows that one entity may have: the zeros of capital-gain in adult, nine tenths, are none.
_MOST_OF_ONE = 0.1


class Sample:
    """Up to 20,000 rows of a table, fewer of a wide one, drawn at random and in the table's order.

    table: the whole. names: all columns. kept: those that the user gave a kind: they are not left out, and divide
    no rows. limit_s: that all checks may take. rows: int64 (rows,), their numbers in the table. frame: of these
    rows. outputs: float64 (rows, outputs), the target as `power.py` has it, each of mean 0. half: int64 (rows,), 0
    or 1 at random. rng: for what checks draw.
    """

    def __init__(self, table: Table, kept: Collection[str], seed: int, limit_s: float) -> None:
        self.table, self.kept, self.names = table, frozenset(kept), table.signature.names
        self.rng = np.random.default_rng(seed)
        count = len(table.y)
        most = int(min(MOST_ROWS, max(_LEAST_ROWS, _CELLS_A_SECOND * limit_s / max(1, len(self.names)))))
        drawn = self.rng.choice(count, most, replace=False) if count > most else np.arange(count)
        self.rows = np.sort(drawn)
        self.frame = table.frame if count <= most else table.frame[self.rows]
        self.outputs = outputs_of(table, self.rows)
        self.half = self.rng.permutation(np.arange(len(self.rows)) % 2)
        few = min(len(self.rows), MOST_QUICK_ROWS)
        self._few = np.sort(self.rng.choice(len(self.rows), few, replace=False))
        self._powers_without: dict[frozenset[str], tuple[float, str]] = {}

    @property
    def is_divided(self) -> bool:
        """Whether the user said how rows belong together."""
        return self.table.groups is not None or self.table.times is not None

    @cached_property
    def y(self) -> Values:
        """The target of all rows, (rows,): class numbers, or values over the largest, so that squares are finite."""
        y = self.table.y
        return y if self.table.signature.classes else y / (np.abs(y).max() or 1.0)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each column."""
        return {column.name: column.kind for column in self.table.signature.columns}

    @cached_property
    def numbers(self) -> dict[str, Values]:
        """Numbers and times of the sample, as `as_numbers` has them."""
        return {
            name: as_numbers(self.frame.get_column(name)) for name in self.table.signature.of_kind("number", "time")
        }

    @cached_property
    def codes(self) -> dict[str, Codes]:
        """Each column's levels, from 1; 0 is missing."""
        bins = int(np.clip(len(self.rows) // (2 * _BIN_ROWS), _LEAST_BINS, _MOST_BINS))
        return {
            name: binned(self.numbers[name], bins) if name in self.numbers else levels(self.frame.get_column(name))
            for name in self.names
        }

    @cached_property
    def powers(self) -> dict[str, float]:
        """What each column explains alone."""
        return {name: power(self.predicted(name), self.outputs) for name in self.names}

    def predicted(self, name: str) -> Values:
        """What a column alone predicts for each row from the other half, (rows, outputs)."""
        by_level = held_out(self.codes[name], self.outputs, self.half)
        if name not in self.numbers or power(by_level, self.outputs) < _STRONG:
            return by_level
        by_place = nearest(self.numbers[name], self.outputs, self.half)
        return max(by_level, by_place, key=lambda predicted: power(predicted, self.outputs))

    @cached_property
    def entities(self) -> dict[str, int]:
        """Text and whole numbers of 20 levels or more with a few rows each, and how many levels: see `entities.py`."""
        looked_at = [
            name
            for name in self.names
            if self.kinds[name] == "category" or (name in self.numbers and _are_whole(self.numbers[name]))
        ]
        counts = {name: _count(self.table.frame.get_column(name)) for name in looked_at}
        return {name: count for name, count in counts.items() if self._has_few_rows_each(name, count)}

    def _has_few_rows_each(self, name: str, count: int) -> bool:
        known = self.table.frame.get_column(name).count()
        if count < _LEAST_LEVELS or not _FEWEST_EACH <= known / count <= _MOST_EACH:
            return False
        rows = self.frame.get_column(name).drop_nulls().alias("level").value_counts().get_column("count")
        return int(rows.to_numpy().max(initial=0)) <= _MOST_OF_ONE * len(self.rows)

    @cached_property
    def effective_rows(self) -> float:
        """Rows that tell as much about a correlation as so many of a quantity do: of rare classes, fewer."""
        if not self.table.signature.classes:
            return float(len(self.rows))
        spread = self.outputs.var(axis=0)
        return float(len(self.rows) * min(1.0, 4 * (spread**2).sum() / max(spread.sum(), 1e-12)))

    def power_of(self, codes: Codes) -> float:
        """What levels explain. codes: (rows,)."""
        return power(held_out(codes, self.outputs, self.half), self.outputs)

    def told(self, predicted: Values) -> str:
        """What predictions for all rows of the sample explain, in the words of the task. predicted: (rows, outputs)."""
        return self.words(predicted, np.arange(len(self.rows)))

    def words(self, predicted: Values, at: NDArray[np.int64]) -> str:
        """What predictions for some rows of the sample explain, in the words of the task. predicted: (at, outputs)."""
        if self.table.signature.task == "binary":
            shares = np.concatenate([-predicted, predicted], axis=1)
            return f"roc_auc {roc_auc(self.table.y[self.rows[at]], shares):.4f}"
        of_what = "" if self.table.signature.classes else " of the target's ranks"
        return f"r2 {power(predicted, self.outputs[at]):.4f}{of_what}"

    def without(self, names: Collection[str]) -> tuple[float, str]:
        """What all columns but these explain together, and the same in words. Takes a quarter of a second, once.

        Of very many columns, the 100 that explain most alone.
        """
        left_out = frozenset(names)
        if left_out not in self._powers_without:
            self._powers_without[left_out] = self._power_without(left_out)
        return self._powers_without[left_out]

    def _power_without(self, left_out: frozenset[str]) -> tuple[float, str]:
        names = sorted((name for name in self.names if name not in left_out), key=lambda name: -self.powers[name])
        if not names:
            return 0.0, "nothing"
        outputs = self.outputs[self._few]
        X = features(self.frame[self._few], names[:MOST_COLUMNS])
        predicted = crossed(X, outputs, self.half[self._few])
        return power(predicted, outputs), self.words(predicted, self._few)


def outputs_of(table: Table, rows: Codes) -> Values:
    """The target of some rows as columns of mean 0: (rows, outputs)."""
    y, classes = table.y[rows], len(table.signature.classes)
    if not classes:
        ranks = pl.Series(y).rank("average").to_numpy() / max(len(y), 1)
        return (ranks - ranks.mean())[:, None]
    if classes == 2:
        return (y - y.mean())[:, None]
    frequent = np.argsort(-np.bincount(y.astype(np.int64), minlength=classes), kind="stable")[:_MOST_OUTPUTS]
    is_class = (y[:, None] == np.sort(frequent)).astype(np.float64)
    return is_class - is_class.mean(axis=0)


def binned(values: Values, bins: int) -> Codes:
    """Levels of numbers, from 1, each with about as many rows; 0 for NaN. Equal numbers have the same level."""
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return np.zeros(len(values), dtype=np.int64)
    edges = np.unique(known[np.arange(1, bins) * len(known) // bins])
    found = np.searchsorted(edges, values, side="right") + 1
    return np.where(np.isnan(values), 0, found)


def _count(values: pl.Series) -> int:
    """Distinct values, missing among them; of many rows about so many."""
    return cast("int", values.approx_n_unique()) if len(values) > _COUNTED_ROWS else values.n_unique()


def _are_whole(values: Values) -> bool:
    known = values[~np.isnan(values)]
    return len(known) > 0 and bool((known % 1 == 0).all())


def levels(values: pl.Series) -> Codes:
    """Levels of text, from 1; 0 for null."""
    return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def whole_levels(values: pl.Series, most: int, seed: int = 0) -> Codes:
    """Numbers of rows, about `most`, such that all rows with a value are among them or none; none without a value."""
    parts = -(-len(values) // most)
    return ((values.hash(seed) % parts == 0) & values.is_not_null()).arg_true().to_numpy().astype(np.int64)


def standardised(X: Values) -> Values:
    """Columns of mean 0 and variance 1; missing values are the mean, and so is all of a constant column."""
    known = ~np.isnan(X)
    rows = np.maximum(known.sum(axis=0), 1)
    largest = np.maximum(np.where(known, np.abs(X), 0.0).max(axis=0), 1e-300)
    scaled = np.where(known, X / largest, 0.0)
    apart = np.where(known, scaled - scaled.sum(axis=0) / rows, 0.0)
    spread = np.sqrt((apart**2).mean(axis=0))
    return apart / np.where(spread > 0, spread, np.inf)
