"""Do texts still use the same words? The test of words, for columns of text.

A row is the unit, and not a word: the words of one row come together, and a row that says a word ten times says it
once. Words are hashed into `BUCKETS`; each bucket is a question, "does the row hold a word of it?", whose answers on
both sides are compared exactly. So the p-value keeps its promise at each size, whatever words have in common.

What is found: words, a topic or a language that come or go with at least a few rows in a hundred. What is not: topics
that are all still there in slightly other shares; and in scripts without spaces, words inside of a run of letters.
"""

import math
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.serial import Worth, weigh
from monitor.two_sample import LEAST_EXPECTED, Outcome, alike, contingency, expected_share

#: Buckets that words are hashed into: enough that a frequent word seldom hides another, and few enough that a p-value
#: times their number still finds a topic of 3% of 1,000 rows. Words too rare for a test of their own share one.
BUCKETS = 1024

#: Rows of each side that are looked at, evenly spaced ones of larger tables: chance differences of so many are below
#: the least effect that alarms, and a million texts take as long as these.
ROWS = 16_384

#: Buckets whose exact p-value is computed: the ones with the largest X². The others' could only be smaller by the
#: difference between the two orders, so that what is reported is at most a little too large.
_EXACT = 5

#: Buckets by which it is told whether rows depend on their neighbours.
_DEPENDENCE_BUCKETS = 8

_METHOD = "Fisher exact of words"


class Words(NamedTuple):
    """What the test of words found, and what both sides are worth to it; None for independent rows."""

    outcome: Outcome
    worth: Worth | None


def words(reference: pl.Series, current: pl.Series) -> Words:
    """Do as many rows of both sides hold words of each bucket?

    reference, current: String, in the rows' order; null is missing and left out. The p-value is the smallest of all
    buckets that expect `LEAST_EXPECTED` rows with and without a word of it in the smaller sample, times their number
    (Bonferroni). The effect is the change in that bucket's share of rows. Where no bucket expects enough rows, the
    sides count as alike. Rows that depend on their neighbours count as what they are worth (`serial.py`).

    >>> before = pl.Series(["late parcel again", "broken parcel", "parcel never came", "late again"] * 50)
    >>> after = pl.Series(["late parcel again", "broken parcel", "refund never came", "late again"] * 25)
    >>> found = words(before.shuffle(0), after.shuffle(0)).outcome
    >>> found.method, found.effect, found.p_value < 1e-9
    ('Fisher exact of words', 0.25, True)
    """
    x, y = (_rows_with(_spaced(series.drop_nulls())) for series in (reference, current))
    if not x.rows or not y.rows:
        return Words(alike(_METHOD), None)
    table = np.stack([np.bincount(side.bucket, minlength=BUCKETS) for side in (x, y)])
    sizes = np.array([[x.rows], [y.rows]])
    asked = _asked(table, sizes)
    if not len(asked):
        return Words(alike(_METHOD), None)
    worth = _worth(reference, current, asked, (x.rows, y.rows))
    tables = np.stack([table[:, asked], sizes - table[:, asked]])
    largest = np.argsort(-_pearson(tables))[:_EXACT]
    found = min((contingency(tables[:, 0, place], tables[:, 1, place], worth) for place in largest), key=_p_value)
    return Words(found._replace(method=_METHOD, p_value=min(found.p_value * len(asked), 1.0)), worth)


class _Rows(NamedTuple):
    """Of so many rows, each bucket that a row holds words of: the row's number and the bucket's, each pair once."""

    rows: int
    row: NDArray[np.int64]
    bucket: NDArray[np.int64]


def _spaced(texts: pl.Series) -> pl.Series:
    """At most `ROWS` rows, evenly spaced."""
    return texts.gather_every(max(1, math.ceil(len(texts) / ROWS)))


def _rows_with(texts: pl.Series) -> _Rows:
    found = texts.str.to_lowercase().str.extract_all(r"\w+")
    lengths = found.list.len().fill_null(0).to_numpy()
    said = found.explode(empty_as_null=False, keep_nulls=False)
    row = np.repeat(np.arange(len(texts)), lengths)
    pairs = np.unique(row * BUCKETS + (said.hash(0).to_numpy() % BUCKETS).astype(np.int64))
    return _Rows(len(texts), pairs // BUCKETS, pairs % BUCKETS)


def _asked(table: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The buckets that expect enough rows with and without a word of theirs, commonest in both sides together first."""
    rows = table.sum(axis=0)
    expected = np.minimum(rows, sizes.sum() - rows) * expected_share(sizes[0], sizes[1])
    order = np.argsort(-rows, kind="stable")
    return order[expected[order] >= LEAST_EXPECTED]


def _pearson(tables: NDArray[np.int64]) -> NDArray[np.float64]:
    """X², (K,), of K tables of two by two: (with or without, side, K)."""
    rows, sides = tables.sum(axis=1, keepdims=True), tables.sum(axis=0, keepdims=True)
    expected = rows * sides / tables.sum(axis=(0, 1))
    return ((tables - expected) ** 2 / expected).sum(axis=(0, 1))


def _p_value(outcome: Outcome) -> float:
    return outcome.p_value


def _worth(
    reference: pl.Series, current: pl.Series, asked: NDArray[np.int64], looked_at: tuple[int, int]
) -> Worth | None:
    """What the rows that are looked at are worth, by what neighbours say of the commonest buckets that are asked."""
    step = max(1, math.ceil(len(current) / ROWS))
    scores = [_scores(_latest(series, step), asked[:_DEPENDENCE_BUCKETS]) for series in (reference, current)]
    worth = weigh(scores[0], scores[1], (reference.count(), current.count()), step)
    if worth is None:
        return None
    rows = min(worth.reference, looked_at[0]), min(worth.current, looked_at[1])
    return worth._replace(reference=rows[0], current=rows[1])


def _latest(texts: pl.Series, step: int) -> pl.Series:
    """The latest rows, one of so many, at most `ROWS`."""
    return texts.gather_every(step, max(0, len(texts) - ROWS * step)).drop_nulls()


def _scores(texts: pl.Series, buckets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Whether each row holds a word of each bucket, (rows, buckets)."""
    found = _rows_with(texts)
    place = np.full(BUCKETS, -1)
    place[buckets] = np.arange(len(buckets))
    chosen = place[found.bucket] >= 0
    scores = np.zeros((found.rows, len(buckets)))
    scores[found.row[chosen], place[found.bucket[chosen]]] = 1
    return scores
