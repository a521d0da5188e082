"""Leaks by aggregates: a column that was computed from the target of the rows around.

- *The mean of the target by group*, with the row itself in it: then the mean target of the rows that share a value of
  the column is that value, exactly and whatever the groups were. Of a good predictor it is so about, never exactly.
- *The same without the row itself*, or any other line within groups, y = a + b x with a and b of the group: from a few
  rows of a group its others follow exactly.

Means over many rows tell little of one of them, and are left alone.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from autopilot.guardrails.caught import Caught, to_ignore, to_keep
from autopilot.guardrails.leaks import AHEAD, LEARNABLE, NEAR_PERFECT
from autopilot.guardrails.power import Codes, Values, at_least, power
from autopilot.guardrails.quick import MOST_ROWS, as_numbers
from autopilot.guardrails.sample import Sample, levels, standardised, whole_levels
from autopilot.table.findings import Finding

#: The squared correlation of values with the mean target of their rows, from which they are taken for it.
_EXACT = 0.9999
#: Distinct values that there must be, and rows that share one in the mean.
_LEAST_VALUES, _FEWEST_SHARING, _MOST_SHARING = 10, 1.5, 500.0
_LOOKED_AT = 200
#: Rows that are grouped by a column's values, of more about so many.
_GROUPED_ROWS = 200_000
#: Only columns with such a correlation with the target are grouped by: a mean of k rows has 1 / sqrt(k) at least.
_LEAST_R = 0.04
#: Columns of groups and of numbers that are tried against each other.
_MOST_GROUPED, _MOST_NUMBERS = 8, 60
#: Rows that lines must be known for, as a share.
_COVERED = 0.3
_WITHIN_BETTER = 0.2


def means(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Columns that are means of the target, the row itself among them."""
    names = [name for name in sample.numbers if name not in gone and _has_many(sample.numbers[name])]
    if not names:
        return
    numbers = standardised(np.stack([sample.numbers[name] for name in names], axis=1))
    r = numbers.T @ standardised(_targets(sample, sample.rows)) / len(sample.rows)
    for name, of_targets in zip(names, np.abs(r).max(axis=1), strict=True):
        each = _sharing(sample, name) if of_targets >= _LEAST_R else 0.0
        if not each:
            continue
        others = sample.without(gone | {name})[0]
        is_left_out = name not in sample.kept and others >= LEARNABLE
        message = f"{name!r} is the mean of the target over a few rows, each row's own among them."
        evidence = (
            f"the rows that share one of its values have just that mean, to a squared correlation of {_EXACT} or more; "
            f"{each:.1f} rows share a value; {sample.told(sample.predicted(name))} of this column alone"
        )
        gone |= {name} if is_left_out else set()
        yield _caught(sample, "leak_mean", name, message, evidence, is_left_out)


def _has_many(values: Values) -> bool:
    """Whether there are enough distinct values: of the first rows, mostly."""
    return len(np.unique(values[:_LOOKED_AT])) >= _LEAST_VALUES or len(np.unique(values)) >= _LEAST_VALUES


def _sharing(sample: Sample, name: str) -> float:
    """How many rows share a value, if a target's mean over them is a line of that value; 0 if it is not."""
    rows = whole_levels(sample.table.frame.get_column(name), _GROUPED_ROWS)
    values = as_numbers(sample.table.frame.get_column(name).gather(rows))
    is_known = ~np.isnan(values)
    values, rows = values[is_known], rows[is_known]
    place = levels(pl.Series(values)) - 1
    count = np.bincount(place)
    if len(count) < _LEAST_VALUES or not _FEWEST_SHARING <= len(place) / len(count) <= _MOST_SHARING:
        return 0.0
    of_value = np.bincount(place, values) / count
    means = [np.bincount(place, target) / count for target in _targets(sample, rows).T]
    is_line = any(_r2(of_value, mean, count.astype(np.float64)) >= _EXACT for mean in means)
    return len(place) / len(count) if is_line else 0.0


def _targets(sample: Sample, rows: Codes) -> Values:
    """The quantity, or 0 and 1 for each of the frequent classes, of some rows: (rows, targets)."""
    y, classes = sample.y, len(sample.table.signature.classes)
    if classes <= 2:
        return y[rows][:, None]
    frequent = np.argsort(-np.bincount(y.astype(np.int64)), kind="stable")[: sample.outputs.shape[1]]
    return (y[rows][:, None] == frequent).astype(np.float64)


def _r2(a: Values, b: Values, weights: Values) -> float:
    """Squared correlation, 0 if one is constant."""
    a, b = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
    both, bottom = float(weights @ (a * b)), float(weights @ a**2) * float(weights @ b**2)
    return both**2 / bottom if bottom > 0 else 0.0


# --------------------------------------------------------------------------------------------------- within groups


def lines(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Numbers from which the target follows within the levels of another column."""
    grouped = [name for name in _groupings(sample) if name not in gone][:_MOST_GROUPED]
    numbers = sorted((name for name in sample.numbers if name not in gone), key=lambda name: -sample.powers[name])
    for by in grouped:
        rows, level, half = _whole_levels(sample, by)
        outputs = _targets(sample, rows)
        for name in numbers[:_MOST_NUMBERS]:
            if name == by or name in gone:
                continue
            values = as_numbers(sample.table.frame.get_column(name).gather(rows))
            found, alone = _within(values, level, half, outputs)
            if 1 - found > NEAR_PERFECT or 1 - found > _WITHIN_BETTER * (1 - max(alone, sample.powers[name])):
                continue
            others, words = sample.without(gone | {name})
            if 1 - found > AHEAD * (1 - others):
                continue
            gone |= {name}
            message = f"Within the rows of one {by!r}, {name!r} gives the target: it was computed from it."
            evidence = (
                f"lines within values of {by!r} explain {found:.1%} of the target, its mean by {by!r} {alone:.1%}, "
                f"{words} of all others together, on rows that they had not learnt from"
            )
            is_left_out = name not in sample.kept and others >= LEARNABLE
            yield _caught(sample, "leak_within", name, message, evidence, is_left_out)


def _groupings(sample: Sample) -> list[str]:
    """Columns of levels that several rows share: categories, those of few rows each first, then whole numbers."""
    categories = sample.table.signature.of_kind("category")
    numbers = [name for name in sample.entities if name in sample.numbers]
    return [*sorted(categories, key=lambda name: -int(sample.codes[name].max())), *numbers]


def _whole_levels(sample: Sample, by: str) -> tuple[Codes, Codes, Codes]:
    """About 4,000 rows of whole levels, the level of each, and its half, so that each level is on both sides."""
    values = sample.table.frame.get_column(by)
    rows = whole_levels(values, MOST_ROWS if by in sample.entities else len(values))
    if len(rows) > 2 * MOST_ROWS:
        rows = np.sort(sample.rng.choice(rows, MOST_ROWS, replace=False))
    level = levels(values.gather(rows)) - 1
    order = np.lexsort((sample.rng.random(len(rows)), level))
    half = np.empty(len(rows), dtype=np.int64)
    half[order] = np.arange(len(rows)) % 2
    return rows, level, half


def _within(x: Values, level: Codes, half: Codes, outputs: Values) -> tuple[float, float]:
    """What lines within levels explain of the rows of the other half, and what means of levels do, of the best output.

    x: (rows,). Rows without a value, and of levels without two values in the other half, do not count; 0 if too few do.
    """
    known = ~np.isnan(x)
    if not known.any():
        return 0.0, 0.0
    x, level, half, outputs = x[known] - np.mean(x[known]), level[known], half[known], outputs[known]
    size = int(level.max()) + 1
    cells, other = level * 2 + half, level * 2 + 1 - half
    rows = np.maximum(np.bincount(cells, minlength=2 * size), 1)
    mean_x = np.bincount(cells, x, 2 * size) / rows
    apart = x - mean_x[cells]
    spread = np.bincount(cells, apart**2, 2 * size)
    is_known = spread[other] > 1e-12 * max(float((x**2).mean()), 1e-300)
    if is_known.sum() < _COVERED * len(x):
        return 0.0, 0.0
    safe = np.where(spread > 0, spread, 1.0)
    by_line, by_mean = np.empty_like(outputs), np.empty_like(outputs)
    for at, output in enumerate(outputs.T):
        mean = np.bincount(cells, output, 2 * size) / rows
        slope = np.bincount(cells, apart * output, 2 * size) / safe
        by_mean[:, at] = mean[other]
        by_line[:, at] = mean[other] + slope[other] * (x - mean_x[other])
    line, mean, truth = by_line[is_known], by_mean[is_known], outputs[is_known]
    count = float(is_known.sum())
    found = [
        (at_least(power(line[:, [at]], truth[:, [at]]), count), power(mean[:, [at]], truth[:, [at]]))
        for at in range(truth.shape[1])
    ]
    return max(found)


def _caught(sample: Sample, code: str, name: str, message: str, evidence: str, is_left_out: bool) -> Caught:
    action = "It was left out." if is_left_out else "It was kept."
    overrule = to_keep([(name, sample.kinds[name])]) if is_left_out else to_ignore([name])
    return Caught(Finding("error", code, message, name, evidence, action, overrule), (name,) if is_left_out else ())
