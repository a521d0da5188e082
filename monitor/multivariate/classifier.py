"""The domain classifier: can anything tell current rows from the reference's?

A classifier of boosted trees (LightGBM) learns to tell them apart. What columns do together, such as a correlation
that is gone, shows here although each column for itself is as ever. The area under its ROC curve, by five-fold
cross-validation, says how well: 0.5 is a guess, 1 tells all rows.

How high an area chance gives depends on everything (rows, columns, settings), so it is not compared with a constant.
Both samples are cut into five blocks, each with the same part of either. Each block but the first is scored by a
classifier that has learned from the blocks before it, and the scores of its two kinds of rows are compared by the
Mann-Whitney test. Given what the classifier has learned, rows of one distribution get scores of one distribution, so
that each block's test is calibrated whatever the classifier is; and given the blocks before it, so that the blocks'
normal scores may be added up. This takes four classifiers where permutations take thousands, and p-values of any size.

Current rows are cut into stretches of neighbours, so that what they are alike in does not reach from one block into the
next; if they do depend on their neighbours, so are the reference's, which are dealt out at random otherwise, since
nobody knows their order. Rows that depend on their neighbours count as what they are worth (`monitor/serial.py`).

Sources: Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017 (the test on rows that were held out);
Dawid, "Present position and potential developments: some personal views: statistical theory: the prequential
approach", JRSS A 1984 (each block by what came before).
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from monitor.calibrated import note_of
from monitor.compare import MINIMUM_ROWS, frame_of, too_few
from monitor.drift import MINIMUM_EFFECT, Counts, Kind
from monitor.multivariate.columns import (
    DEPENDENT,
    TOGETHER,
    LeftOut,
    Table,
    Told,
    drawn,
    matrix_of,
    table_of,
    told_by,
)
from monitor.serial import measure, weigh
from monitor.two_sample import Area, area_of

Values = NDArray[np.float64]
Places = NDArray[np.int64]

#: Rows of each side that are looked at; more would find what is too small to matter.
_MOST_ROWS = 10_000
_BLOCKS = 5
#: Small trees, few of them: the question is whether anything differs, not what in detail. One thread, since monitors
#: share their machine with servers.
_SETTINGS: dict[str, Any] = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 10,
    "max_bin": 63,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
    "verbose": -1,
}
_TREES = 40


class DomainClassifier(Struct, frozen=True):
    """How well current rows can be told from the reference's.

    auc: area under the ROC curve, cross-validated; None where nothing was looked at, `note` says why. effect: from 0
    (alike) to 1 (nothing in common), 2 auc - 1; 0 for areas below a half. p_value: of rows that are told apart so well
    without drift; it alarms at or below threshold, if the effect is at least `MINIMUM_EFFECT`. None where rows depend
    so much on one another that they are worth too few. rows, reference_rows: that were looked at. told: which columns
    told it, where there is drift. left_out: columns that were not looked at.
    """

    auc: float | None
    effect: float | None
    p_value: float | None
    threshold: float
    drifted: bool
    rows: int
    reference_rows: int
    told: tuple[Told, ...]
    left_out: tuple[LeftOut, ...]
    note: str = ""


def domain_classifier(
    reference: object,
    current: object,
    *,
    kinds: Mapping[str, Kind] | None = None,
    level: float = 0.05,
    seed: int = 0,
) -> DomainClassifier:
    """Whether current rows can be told from the reference's, at a chance of at most `level` without drift.

    reference, current: tables, as `compare` takes them, and kinds too. At most 10,000 rows of either are looked at,
    drawn by the seed, in their order. Raises DataError where a side is no table or a column is absent.
    """
    rng = np.random.default_rng(seed)
    before = drawn(frame_of(reference, "reference"), _MOST_ROWS, rng)
    after = drawn(frame_of(current, "current"), _MOST_ROWS, rng)
    table = table_of(before, after, kinds)
    X, names = matrix_of(table)
    rows, reference_rows = table.current_rows, table.reference_rows
    if note := _why_not(names, reference_rows, rows):
        return _untold(table, level, note)
    y = np.repeat([0, 1], [reference_rows, rows])
    places = _places(X)
    blocks = _dealt(places, y, rng)
    columns = weigh(places[y == 0], places[y == 1], (reference_rows, rows))
    p_value, serial_note = (
        _p_value(X, y, blocks)
        if columns is None or columns.enough
        else (None, note_of(columns, Counts(reference_rows, rows), TOGETHER))
    )
    models = list(_cross_validated(X, y, blocks))
    auc = _area(
        np.concatenate([one.scores for one in models]), np.concatenate([y[one.held_out] for one in models])
    ).value
    effect = max(2 * auc - 1, 0.0)
    drifted = p_value is not None and p_value <= level and effect >= MINIMUM_EFFECT
    return DomainClassifier(
        auc=auc,
        effect=effect,
        p_value=p_value,
        threshold=level,
        drifted=drifted,
        rows=rows,
        reference_rows=reference_rows,
        told=_told(X, y, names, models, rng) if drifted else (),
        left_out=table.left_out,
        note=serial_note,
    )


def _untold(table: Table, level: float, note: str) -> DomainClassifier:
    return DomainClassifier(
        auc=None,
        effect=None,
        p_value=None,
        threshold=level,
        drifted=False,
        rows=table.current_rows,
        reference_rows=table.reference_rows,
        told=(),
        left_out=table.left_out,
        note=note,
    )


def _why_not(names: list[str], reference_rows: int, rows: int) -> str:
    if min(reference_rows, rows) < MINIMUM_ROWS:
        return too_few(reference_rows, rows).note
    return "" if names else "There is no column to look at."


# ---------------------------------------------------------------------------------------------------- classifiers


class _HeldOut(NamedTuple):
    """A classifier, the rows that it has not seen, and its scores of them."""

    model: Any
    held_out: Places
    scores: Values


def _places(X: Values) -> Values:
    """The place of each value in its column, 0 to 1; missing ones come last, and equal ones share theirs."""
    return _ranks(np.where(np.isnan(X), np.inf, X)) / len(X)


def _dealt(places: Values, y: Places, rng: np.random.Generator) -> list[Places]:
    """Rows in blocks, each with the same part of either side; current rows in their order."""
    reference, current = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    if not measure(places[current], len(current)).dependent:
        reference = rng.permutation(reference)
    sides = [np.array_split(rows, _BLOCKS) for rows in (reference, current)]
    return [np.concatenate(both) for both in zip(*sides, strict=True)]


def _fitted(X: Values, y: Places) -> Any:
    import lightgbm

    return lightgbm.train(_SETTINGS, lightgbm.Dataset(X, y, params=_SETTINGS), num_boost_round=_TREES)


def _cross_validated(X: Values, y: Places, blocks: list[Places]) -> Iterator[_HeldOut]:
    """Each block by a classifier that has learned from all others."""
    for at, block in enumerate(blocks):
        others = np.concatenate(blocks[:at] + blocks[at + 1 :])
        model = _fitted(X[others], y[others])
        yield _HeldOut(model, block, model.predict(X[block]))


def _p_value(X: Values, y: Places, blocks: list[Places]) -> tuple[float | None, str]:
    """One-sided: without drift, the chance of rows that are told apart as well as these; and what is to be said of it.

    None where rows depend so much on one another that they are worth too few.
    """
    from scipy.special import stdtr

    scores: list[float] = []
    ranks = np.full(len(y), np.nan)
    for at in range(1, _BLOCKS):
        past, block = np.concatenate(blocks[:at]), blocks[at]
        found = _fitted(X[past], y[past]).predict(X[block])
        scores.append(_rank_score(found, y[block]))
        ranks[block] = _ranks(found) / len(block)
    score = sum(scores) / np.sqrt(len(scores))
    before, after = (ranks[(y == side) & ~np.isnan(ranks)][:, None] for side in (0, 1))
    worth = weigh(before, after, (len(before), len(after)))
    if worth is None:
        return float(stdtr(np.inf, -score)), ""
    if not worth.enough:
        return None, note_of(worth, Counts(len(before), len(after)), TOGETHER)
    excess = (1 / worth.reference + 1 / worth.current) / (1 / len(before) + 1 / len(after))
    return float(stdtr(worth.freedom, -score / np.sqrt(max(excess, 1.0)))), DEPENDENT


def _rank_score(scores: Values, y: Places) -> float:
    """The Mann-Whitney statistic in standard deviations, ties counted as halves.

    The deviation is that of scores without ties, so that ties make the test conservative. Corrected for them it would
    alarm wrongly where few rows stand out: of a flag that one row in a thousand has, one among six is no sign.
    """
    area = _area(scores, y)
    return (area.value - 0.5) / area.deviation


def _area(scores: Values, y: Places) -> Area:
    """How often a current row scores above a reference row."""
    return area_of(scores[y == 0], scores[y == 1])


def _ranks(values: Values) -> Values:
    """From 1 down the rows, ties in the middle."""
    from scipy.stats import rankdata

    return rankdata(values, axis=0)


def _told(X: Values, y: Places, names: list[str], models: list[_HeldOut], rng: np.random.Generator) -> tuple[Told, ...]:
    """How much of the area is lost where a column's values change places among the rows that were held out."""
    columns = list(dict.fromkeys(names))
    lost = np.zeros(len(columns))
    for one in models:
        rows = X[one.held_out]
        whole = _area(one.scores, y[one.held_out]).value
        order = rng.permutation(len(rows))
        for at, column in enumerate(columns):
            own = [place for place, name in enumerate(names) if name == column]
            shuffled = rows.copy()
            shuffled[:, own] = rows[order][:, own]
            lost[at] += whole - _area(one.model.predict(shuffled), y[one.held_out]).value
    return told_by(columns, lost.tolist())
