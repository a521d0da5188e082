"""Twins: rows that are equal in each column. At random, one trains and its twin validates.

Rows of few columns with few levels are equal by themselves, and those to come will be too; rows that were copied are
equal by accident. What is by itself is estimated by shuffling the column that has most values: copies fall apart, and
what is equal by chance is replaced by what is equal by chance.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.guardrails.caught import Caught
from autopilot.guardrails.sample import Sample
from autopilot.table.findings import Finding

#: The share of rows that have an earlier twin beyond chance from which they are told, and from which they are kept
#: together.
_TOLD, _TOGETHER = 0.01, 0.05
_LEAST_TWINS = 5
#: More than this share by chance, and what is beyond may be how columns go together.
_BY_CHANCE = 0.5


def twins(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Rows that say again what another says."""
    if sample.table.times is not None:
        return
    names = [name for name in sample.names if name not in gone]
    least = max(_LEAST_TWINS, _TOLD * sample.table.frame.height)
    most = sample.table.frame.get_column(_most_varied(sample, names))
    if sample.table.frame.height - most.n_unique() < least:  # rows repeat no more than the cells of any column
        return
    whole = digest_of(sample.table.frame.select(names))
    height = len(whole)
    repeated = _repeats(whole)
    if repeated < least:
        return
    by_chance = _by_chance(sample, names, whole) if len(names) > 1 else _of_one(sample, names[0], repeated)
    excess = (repeated - by_chance) / height
    if excess < _TOLD or repeated - by_chance < _LEAST_TWINS or by_chance > _BY_CHANCE * repeated:
        return
    is_together = excess >= _TOGETHER and not sample.is_divided
    differing = _differing(whole, sample.table.y)
    message = f"{repeated:,} of {height:,} rows are equal to an earlier row in every column but the target."
    evidence = (
        f"{repeated / height:.1%} of rows, {by_chance / height:.1%} if the values of a column are shuffled; "
        f"{differing:.1%} of them have another target than their first twin"
    )
    if is_together:
        action = "Equal rows are kept together, so that none validates what its twin taught."
        overrule = "If rows to come repeat these: guard=False."
    else:
        action = "Rows are divided at random." if not sample.is_divided else "Rows are divided as asked."
        overrule = "If they are copies, drop them from the table."
    yield Caught(Finding("warning", "twins", message, None, evidence, action, overrule), together=is_together)


def _most_varied(sample: Sample, names: Sequence[str]) -> str:
    return max(names, key=lambda name: sample.frame.get_column(name).n_unique())


def _repeats(values: NDArray[np.uint64]) -> int:
    return len(values) - pl.Series(values).n_unique()


def digest_of(frame: pl.DataFrame) -> NDArray[np.uint64]:
    """A number for each row, the same for rows that are equal and, but for a chance of 2^-64, for no others.

    The sum of a number for each cell, modulo 2^64, so that a column can be taken out again.
    """
    total = np.zeros(frame.height, dtype=np.uint64)
    for seed, name in enumerate(frame.columns):
        total += _digests(frame.get_column(name), seed)
    return total


def _digests(values: pl.Series, seed: int) -> NDArray[np.uint64]:
    return values.hash(seed).to_numpy()


def equal_rows(frame: pl.DataFrame) -> NDArray[np.int64]:
    """A number for each row from 0, the same for rows that are equal.

    >>> equal_rows(pl.DataFrame({"a": [1.0, 2.0, 1.0, None], "b": ["x", "x", "x", None]})).tolist()
    [0, 1, 0, 2]
    """
    table = pl.DataFrame({"row": np.arange(frame.height), "digest": digest_of(frame)})
    firsts = table.select(pl.col("row").min().over("digest")).to_series().to_numpy()
    return np.unique(firsts, return_inverse=True)[1].astype(np.int64)


def first_rows(frame: pl.DataFrame) -> NDArray[np.int64]:
    """Numbers of the rows that are equal to no earlier one."""
    return np.sort(np.unique(digest_of(frame), return_index=True)[1]).astype(np.int64)


def _by_chance(sample: Sample, names: Sequence[str], whole: NDArray[np.uint64]) -> int:
    """Rows that repeat another when the column with most values is shuffled."""
    name = _most_varied(sample, names)
    digests = _digests(sample.table.frame.get_column(name), names.index(name))
    return _repeats(whole - digests + sample.rng.permutation(digests))


def _of_one(sample: Sample, name: str, repeated: int) -> int:
    """Of a single column: prose does not repeat itself by chance, all else may."""
    return 0 if sample.kinds[name] == "text" else repeated


def _differing(whole: NDArray[np.uint64], y: NDArray[np.float64]) -> float:
    """The share of later twins whose target is not that of the first."""
    table = pl.DataFrame({"digest": whole, "y": y}).with_columns(
        first=pl.col("y").first().over("digest"), place=pl.int_range(pl.len()).over("digest")
    )
    later = table.filter(pl.col("place") > 0)
    return float(later.select((pl.col("y") != pl.col("first")).mean()).item() or 0.0)
