"""Which rows train, which validate, and which no decision ever sees.

    scheme                       from
    k-fold, repeated if small    up to 100,000 rows, as many folds as the time allows
    holdout                      more rows, or too little time for three folds
    group                        a group column: whole groups validate
    time                         a time column: what validates is later than what trained

docs/validation.md tells the rules to users, and why.
"""

from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.table.infer import Table

Rows = NDArray[np.int64]
Values = NDArray[np.float64]

#: The most folds of these are taken for which so many models as quick as LightGBM fit into this share of the time: the
#: others take several times as long, and few trials on many folds choose worse than many on few.
_FOLDS, _WINDOWS = (8, 5, 3), (5, 3)
_MODELS, _SHARE = 8, 0.5
_MOST_FOLDED_ROWS = 100_000
#: Few rows are divided several times, if there is time: below so many rows, so often.
_REPEATS = ((300, 5), (600, 3), (1000, 2))
#: Fewer rows, or groups, all validate, and the score is a nested estimate. Measured on adult, bank marketing and
#: electricity, 12 to 24 draws each: of 500 rows, the AUC of a fifth is off by 0.045 (root mean square), the nested
#: estimate by 0.022; of 1,000 rows by 0.023 and 0.015. The model, refitted on all rows, is as good either way.
NESTED_ROWS, NESTED_GROUPS = 500, 10
_LEAST_NESTED_FOLDS = 3

_HOLDOUT_PARTS, _MOST_HOLDOUT_ROWS = 6, 15_000
#: Windows of time that validate have an eighth of the rows each, and together at most half: models that are chosen by
#: them shall have learnt from about as many rows as the last one will.
_WINDOW_SHARE, _WINDOWS_SHARE = 1 / 8, 1 / 2

#: More rows than that are searched on a sample, and tested on another.
SAMPLED_ROWS = 1_000_000
SEARCH_ROWS, TEST_ROWS = 300_000, 50_000
#: Rows of a class that a sample has at least, if there are so many.
_LEAST_CLASS_ROWS = 10

#: Groups are dealt out one by one up to so many large ones; the others in so many bundles.
_MOST_LARGE_GROUPS = _BUNDLES = 2000
#: What groups are balanced by: so many classes, or ranges of values.
_MOST_STRATA, _RANGES = 100, 10


class Scheme(Struct, frozen=True):
    """How rows are divided.

    folds: how many parts validate, one for a holdout; fewer where there are not so many groups or times. repeats: how
    often all rows are divided. nested: whether no rows are kept for the test, so that the score is a nested estimate
    (`nested.py`). classes: how many the target has, each with its share of each part; 0 for values.
    """

    kind: Literal["k-fold", "holdout", "group", "time"]
    folds: int
    repeats: int = 1
    nested: bool = False
    classes: int = 0


class Fold(Struct, frozen=True):
    """Row numbers of the table that train and that validate, each in rising order."""

    train: Rows
    valid: Rows


class Folds(Struct, frozen=True):
    """A division of a table's rows; all row numbers in rising order.

    search: rows that train and validate. test: rows that are only scored at the very end; none where the score is a
    nested estimate. folds: divisions of `search`. In k-fold and group schemes each row of `search` validates once in
    each repeat; in a holdout and in time order some rows only train, and in time order later ones do not train yet.
    """

    search: Rows
    test: Rows
    folds: tuple[Fold, ...]
    scheme: Scheme

    @property
    def is_nested(self) -> bool:
        """Whether no rows are kept for a test."""
        return self.scheme.nested

    @property
    def validated(self) -> Rows:
        """The rows that validate, fold after fold; with repeats a row occurs several times."""
        return np.concatenate([fold.valid for fold in self.folds])

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where the rows of each fold are in `validated`."""
        ends = np.cumsum([len(fold.valid) for fold in self.folds]).tolist()
        return tuple(slice(end - len(fold.valid), end) for fold, end in zip(self.folds, ends, strict=True))


# --------------------------------------------------------------------------------------------------------- scheme


def choose_scheme(table: Table, *, fold_s: float, budget_s: float, workers: int) -> Scheme:
    """The scheme for a table and so much time.

    fold_s: seconds that the usual LightGBM takes to train on one of eight folds, until it learns no more.
    """
    rows, classes = len(table.y), len(table.signature.classes)
    affordable = _SHARE * budget_s * workers / (_MODELS * max(fold_s, 1e-6))
    if rows > _MOST_FOLDED_ROWS:
        affordable = 1.0
    if table.times is not None:
        return Scheme("time", _most(_WINDOWS, affordable), classes=classes)
    groups = None if table.groups is None else int(table.groups.max()) + 1
    nested = rows < NESTED_ROWS or (groups is not None and groups < NESTED_GROUPS)
    folds = max(_most(_FOLDS, affordable), _LEAST_NESTED_FOLDS if nested else 1)
    if groups is not None:
        return Scheme("group", min(folds, groups), nested=nested, classes=classes)
    most_repeats = next((repeats for limit, repeats in _REPEATS if rows < limit), 1)
    repeats = int(np.clip(affordable // folds, 1, most_repeats))
    return Scheme("holdout" if folds == 1 else "k-fold", folds, repeats, nested, classes)


def _most(choices: tuple[int, ...], affordable: float) -> int:
    return next((folds for folds in choices if folds <= affordable), 1)


# --------------------------------------------------------------------------------------------------------- divide


def divide(y: Values, scheme: Scheme, seed: int, groups: Rows | None = None, times: Rows | None = None) -> Folds:
    """Divide rows: in time order if they have times, by whole groups if they have groups, else at random.

    y: (rows,) class numbers or values; at least 10 rows. groups, times: (rows,), as of `Table`; at least two groups,
    or ten if some are for the test, and at least three times.

    At random, each class or range of values has its share of each part, to within one row; a class of two rows or more
    has one in each training part, and none of its rows is for the test unless two are left. Groups are dealt out so
    that parts have like numbers of rows and of each class. In time order the test rows are the latest, and rows of the
    same time stay together. Test rows: 20% of few rows, down to about 2,500 of many. Of more than a million rows,
    300,000 search and 50,000 test.

    >>> folds = divide(np.arange(1000.0), Scheme("time", 3), seed=0, times=np.arange(1000))
    >>> [(len(fold.train), len(fold.valid)) for fold in folds.folds], len(folds.test)
    ([(500, 100), (600, 100), (700, 100)], 200)
    """
    rng = np.random.default_rng(seed)
    if times is not None:
        return _in_time(times, scheme, rng)
    if len(y) <= SAMPLED_ROWS:
        rows, test_share = np.arange(len(y)), _test_share(len(y))
    else:
        rows, test_share = _sample(y, scheme.classes, rng), TEST_ROWS / (SEARCH_ROWS + TEST_ROWS)
    share = 0.0 if scheme.nested else test_share
    if groups is None:
        found = _at_random(y[rows], scheme, share, rng)
    else:
        found = _by_group(groups[rows], _strata(y[rows], scheme.classes), scheme, share, rng)
    folds = tuple(Fold(rows[fold.train], rows[fold.valid]) for fold in found.folds)
    return Folds(rows[found.search], rows[found.test], folds, scheme)


def _test_share(rows: int) -> float:
    """AutoGluon's rule for holdouts: small sets need a fifth, large ones a few thousand rows."""
    if rows < 5000:
        return float(np.clip(500 / rows, 0.1, 0.2))
    return float(np.clip(2500 / rows, 0.01, 0.1))


def _sample(y: Values, classes: int, rng: np.random.Generator) -> Rows:
    """Rows for search and test: so many that chance alone divides them alike, and at least a few of each class."""
    drawn = rng.choice(len(y), SEARCH_ROWS + TEST_ROWS, replace=False)
    if classes:
        numbers = y.astype(np.int64)
        is_rare = np.bincount(numbers[drawn], minlength=classes) < _LEAST_CLASS_ROWS
        rare = rng.permutation(np.flatnonzero(is_rare[numbers]))
        rare = rare[np.argsort(numbers[rare], kind="stable")]
        place = np.arange(len(rare)) - np.searchsorted(numbers[rare], numbers[rare])
        drawn = np.union1d(drawn, rare[place < _LEAST_CLASS_ROWS])
    return np.sort(drawn)


def _parts_of(rows: int) -> int:
    """Of these parts of all rows, one is a holdout."""
    return max(_HOLDOUT_PARTS, round(rows / _MOST_HOLDOUT_ROWS))


def _folds_of(search: Rows, part: Rows, parts: int) -> tuple[Fold, ...]:
    """Each part validates once. part: the number of the part of each row of `search`."""
    return tuple(Fold(search[part != number], search[part == number]) for number in range(parts))


# ------------------------------------------------------------------------------------------------------ at random


def _at_random(y: Values, scheme: Scheme, share: float, rng: np.random.Generator) -> Folds:
    in_test = np.zeros(len(y), dtype=np.bool_)
    if share:
        in_test = _unless_rare(_spread(y, round(1 / share), rng) == 0, y, scheme.classes, least=3)
    search = np.flatnonzero(~in_test)
    y = y[search]
    if scheme.folds == 1:
        valid = _unless_rare(_spread(y, _parts_of(len(y)), rng) == 0, y, scheme.classes, least=2)
        folds = [Fold(search[~valid], search[valid])]
    else:
        count = min(scheme.folds, len(y))
        folds = [fold for _ in range(scheme.repeats) for fold in _folds_of(search, _spread(y, count, rng), count)]
    return Folds(search, np.flatnonzero(in_test), tuple(folds), scheme)


def _spread(y: Values, parts: int, rng: np.random.Generator) -> Rows:
    """A part number for each row, such that rows of like target go to different parts."""
    order = np.lexsort((rng.random(len(y)), y))
    part = np.empty(len(y), dtype=np.int64)
    part[order] = (np.arange(len(y)) + rng.integers(parts)) % parts
    return part


def _unless_rare(chosen: NDArray[np.bool_], y: Values, classes: int, least: int) -> NDArray[np.bool_]:
    """The chosen rows but for those of classes with fewer rows than `least`; all where no other is chosen."""
    if not classes:
        return chosen
    numbers = y.astype(np.int64)
    frequent = chosen & (np.bincount(numbers, minlength=classes) >= least)[numbers]
    return frequent if frequent.any() else chosen


# ------------------------------------------------------------------------------------------------------- by group


def _by_group(groups: Rows, strata: Rows, scheme: Scheme, share: float, rng: np.random.Generator) -> Folds:
    in_test = np.zeros(len(groups), dtype=np.bool_)
    if share:
        in_test = _held_out(groups, strata, share, rng)
    search = np.flatnonzero(~in_test)
    groups, strata = groups[search], strata[search]
    if scheme.folds == 1:
        valid = _held_out(groups, strata, 1 / _parts_of(len(search)), rng)
        return Folds(search, np.flatnonzero(in_test), (Fold(search[~valid], search[valid]),), scheme)
    count = min(scheme.folds, len(np.unique(groups)))
    part = _deal(groups, strata, count, rng)
    return Folds(search, np.flatnonzero(in_test), _folds_of(search, part, count), scheme)


def _held_out(groups: Rows, strata: Rows, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Rows of whole groups, about this share of all: a fifth of few groups at least, of many at least five."""
    count = len(np.unique(groups))
    parts = min(round(1 / share), max(5, count // 5), count)
    part = _deal(groups, strata, parts, rng)
    return part == np.abs(np.bincount(part) - share * len(part)).argmin()


def _strata(y: Values, classes: int) -> Rows:
    """The class of each row, most frequent first and rare ones as one, or which tenth its value belongs to."""
    if not classes:
        return np.searchsorted(np.quantile(y, np.arange(1, _RANGES) / _RANGES), y)
    numbers = y.astype(np.int64)
    rank = np.argsort(np.argsort(-np.bincount(numbers, minlength=classes), kind="stable"))
    return np.minimum(rank[numbers], _MOST_STRATA - 1)


def _deal(groups: Rows, strata: Rows, parts: int, rng: np.random.Generator) -> Rows:
    """A part number for each row, the same for a group, such that parts have like numbers of rows and of each stratum.

    Largest group first, each to the part where the sum of squared shares over strata and rows grows least; rows count
    as much as all strata together. The first groups go to different parts, so that none is empty.
    """
    unit = _bundled(np.unique(groups, return_inverse=True)[1], strata, rng)
    kinds = int(strata.max()) + 1
    held = np.bincount(unit * kinds + strata, minlength=(int(unit.max()) + 1) * kinds).reshape(-1, kinds)
    contents = np.column_stack([held, held.sum(axis=1)]).astype(np.float64)
    prices = contents / np.maximum(contents.sum(axis=0), 1) ** 2
    prices[:, -1] *= kinds
    filled, part = np.zeros((parts, kinds + 1)), np.empty(len(contents), dtype=np.int64)
    for number in np.lexsort((rng.random(len(contents)), -contents[:, -1])):
        part[number] = (filled @ prices[number]).argmin()
        filled[part[number]] += contents[number]
    return part[unit]


def _bundled(group: Rows, strata: Rows, rng: np.random.Generator) -> Rows:
    """A number of what is dealt out as one for each row: its group, or of very many groups a bundle of small ones."""
    sizes = np.bincount(group)
    if len(sizes) <= _MOST_LARGE_GROUPS + _BUNDLES:
        return group
    order = np.argsort(-sizes, kind="stable")
    small = order[_MOST_LARGE_GROUPS:]
    unit = np.empty(len(sizes), dtype=np.int64)
    unit[order[:_MOST_LARGE_GROUPS]] = np.arange(_MOST_LARGE_GROUPS)
    means = np.bincount(group, weights=strata) / sizes
    unit[small] = _MOST_LARGE_GROUPS + _spread(means[small], _BUNDLES, rng)
    return unit[group]


# -------------------------------------------------------------------------------------------------------- in time


def _in_time(times: Rows, scheme: Scheme, rng: np.random.Generator) -> Folds:
    """The latest rows are for the test, and windows of those before them validate, each after all that trained."""
    rows = len(times)
    is_late = np.zeros(rows, dtype=np.bool_)
    if not scheme.nested:
        tested = TEST_ROWS if rows > SAMPLED_ROWS else _test_share(rows) * rows
        is_late = times >= _nearest_times(times, np.array([rows - tested]), least=2)
    search = np.flatnonzero(~is_late)
    if rows > SAMPLED_ROWS:
        search = _sample_in_time(search, times, rng)
    moments = np.unique(times[search], return_inverse=True)[1]
    starts = _nearest_times(moments, _window_starts(len(search), scheme.folds), least=1)
    ends = [*starts[1:], len(moments)]
    folds = tuple(
        Fold(search[moments < start], search[(start <= moments) & (moments < end)])
        for start, end in zip(starts, ends, strict=True)
    )
    return Folds(search, np.flatnonzero(is_late), folds, scheme)


def _window_starts(rows: int, windows: int) -> Values:
    """How many rows would be before each window if all had times of their own."""
    share = 1 / _parts_of(rows) if windows == 1 else min(_WINDOWS_SHARE, windows * _WINDOW_SHARE)
    return rows * np.linspace(1 - share, 1, windows + 1)[:-1]


def _nearest_times(times: Rows, wanted: Values, least: int) -> Rows:
    """The times, each once, before which the numbers of rows are nearest to those wanted; `least` times are before.

    times: (rows,) from 0 without gaps, at least one more than `least`.
    """
    before = np.cumsum(np.bincount(times))[least - 1 : -1]
    right = np.searchsorted(before, wanted).clip(max=len(before) - 1)
    left = (right - 1).clip(min=0)
    return least + np.unique(np.where(before[right] - wanted < wanted - before[left], right, left))


def _sample_in_time(search: Rows, times: Rows, rng: np.random.Generator) -> Rows:
    """Rows from all of the time, the first and the last of it among them, so that there are two."""
    ends = [times[search].argmin(), times[search].argmax()]
    drawn = rng.choice(len(search), min(SEARCH_ROWS, len(search)), replace=False)
    return search[np.union1d(drawn, ends)]
