"""Leaks by two columns: together they give the target, and each alone does not.

Of numbers: a weighted sum or difference, and a product or ratio, which is a sum of logarithms. For all pairs at once,
how much a plane explains follows from the correlations alone:

    R^2 = (r_ay^2 + r_by^2 - 2 r_ay r_by r_ab) / (1 - r_ab^2)

The best pairs are then scored on rows that they were not chosen by. Of categories: the target's mean in each cell of
two of them.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from autopilot.guardrails.caught import Caught, to_ignore, to_keep
from autopilot.guardrails.leaks import AHEAD, LEARNABLE
from autopilot.guardrails.power import Codes, Values, at_least, held_out, nearest, power
from autopilot.guardrails.sample import Sample, standardised
from autopilot.table.findings import Finding

#: What is unexplained by a pair that gives the target: of ranks, in 64 levels, and of classes, whose border lies within
#: one of them.
_NEAR_PERFECT_RANKS, _NEAR_PERFECT = 0.01, 0.03
#: A pair leaves at most this share of what the better of the two leaves.
_BETTER = 0.2
#: Columns that are paired, those that tell most alone, and the cost of screening: rows x columns^2, 0.2 s for 3e9.
_MOST_NUMBERS, _MOST_CATEGORIES, _MOST_COST, _LEAST_SCREENED = 1000, 20, 3e9, 500
#: Pairs that are scored, of each screen.
_SCORED = 6
#: Of categories, rows that a cell has in the mean at least.
_CELL_ROWS = 10
#: Two columns that are nearly the same say nothing more together: what is below is the noise of rounding.
_LEAST_APART = 1e-11


class Pair(NamedTuple):
    """Two columns, how they are combined, and what that explains. both: whether both are parts of the target.

    predicted: (rows, outputs), for each row from the other half.
    """

    left: str
    right: str
    how: str
    predicted: Values
    power: float
    both: bool


def pairs(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Pairs that give the target, one by one, each without the columns of those before."""
    found = sorted([*_of_numbers(sample, gone), *_of_categories(sample, gone)], key=lambda pair: -pair.power)
    for pair in found:
        names = {pair.left, pair.right}
        if names & gone:
            continue
        caught = _judged(sample, pair, gone)
        if caught is not None:
            gone |= names
            yield caught


def _judged(sample: Sample, pair: Pair, gone: frozenset[str]) -> Caught | None:
    names = (pair.left, pair.right)
    left = 1 - pair.power
    alone = min(1 - sample.powers[name] for name in names)
    if left > (_NEAR_PERFECT if sample.table.signature.classes else _NEAR_PERFECT_RANKS) or left > _BETTER * alone:
        return None
    others, words = sample.without(gone | set(names))
    if left > AHEAD * (1 - others):
        return None
    given = names if pair.both else (max(names, key=lambda name: (_end(sample, name), sample.powers[name])),)
    is_left_out = others >= LEARNABLE and not sample.kept & set(given)
    message = f"{pair.left!r} and {pair.right!r} give the target together, as {pair.how}."
    each = " and ".join(sample.told(sample.predicted(name)) for name in names)
    evidence = (
        f"{sample.told(pair.predicted)} of the two, {each} of each alone, {words} of all others together, on rows that "
        "they had not learnt from"
    )
    action = (" and ".join(map(repr, given)) + " left out.") if is_left_out else "They were kept."
    overrule = to_keep([(name, sample.kinds[name]) for name in given]) if is_left_out else to_ignore(given)
    found = Finding("error", "leak_pair", message, given[0], evidence, action, overrule)
    return Caught(found, left_out=given if is_left_out else ())


def _end(sample: Sample, name: str) -> float:
    """For times, so that of begin and end the end is left out; 0 for others."""
    return float(np.nanmean(sample.numbers[name])) if sample.kinds[name] == "time" else 0.0


# -------------------------------------------------------------------------------------------------------- numbers


def _of_numbers(sample: Sample, gone: frozenset[str]) -> Iterator[Pair]:
    """The best pairs of each screen, each as the combination that explains most."""
    names = sorted((name for name in sample.numbers if name not in gone), key=lambda name: -sample.powers[name])
    names = names[:_MOST_NUMBERS]
    if len(names) < 2:
        return
    learning = np.flatnonzero(sample.half == 0)
    learning = learning[: max(_LEAST_SCREENED, int(_MOST_COST / len(names) ** 2))]
    X = np.stack([sample.numbers[name][learning] for name in names], axis=1)
    y = sample.outputs[learning]
    quantity = None if sample.table.signature.classes else sample.y[sample.rows[learning]][:, None]
    chosen = _best(X, y if quantity is None else quantity)
    chosen |= _best(_logarithms(X), y if quantity is None else _logarithms(quantity))
    for left, right in sorted(chosen):
        yield _combined(sample, names[left], names[right], learning)


def _logarithms(X: Values) -> Values:
    """log |x|; NaN for 0."""
    return np.log(np.where(X == 0, np.nan, np.abs(X)))


def _best(X: Values, outputs: Values) -> set[tuple[int, int]]:
    """The pairs of columns whose planes explain most. X: (rows, columns). outputs: (rows, outputs)."""
    Z, y = standardised(X), standardised(outputs)
    among = Z.T @ Z / len(Z)
    apart = 1 - among**2
    explained = np.zeros_like(among)
    share = outputs.var(axis=0) if outputs.shape[1] > 1 else np.ones(1)
    for weight, r in zip(share / (share.sum() or 1.0), (Z.T @ y / len(Z)).T, strict=True):
        squares = r[:, None] ** 2 + r[None, :] ** 2 - 2 * np.outer(r, r) * among
        explained += weight * np.where(apart > _LEAST_APART, squares / np.maximum(apart, _LEAST_APART), 0.0)
    explained[np.tril_indices(len(explained))] = -1.0
    count = min(_SCORED, explained.size)
    flat = np.argpartition(-explained, count - 1, axis=None)[:count]
    found = zip(*np.unravel_index(flat, explained.shape), strict=True)
    return {(int(left), int(right)) for left, right in found if left < right}


def _combined(sample: Sample, left: str, right: str, learning: Codes) -> Pair:
    """The combination of two numbers that explains most of the half that was not screened."""
    a, b = sample.numbers[left], sample.numbers[right]
    with np.errstate(all="ignore"):
        ways = [(f"{left} x {right}", a * b, True), (f"{left} / {right}", a / b, False)]
        first, second = _plane(a[learning], b[learning], _targets(sample, learning))
        if first and second:
            sign = "+" if first * second > 0 else "-"
            told = f"{left} {sign} {abs(second / first):.3g} {right}"
            ways.append((told, first * a + second * b, sign == "+"))
    scored = sample.half == 1
    found: list[Pair] = []
    for how, numbers, both in ways:
        predicted = nearest(np.where(np.isfinite(numbers), numbers, np.nan), sample.outputs, sample.half)
        sure = at_least(power(predicted[scored], sample.outputs[scored]), sample.effective_rows / 2)
        explained = min(sure, power(predicted, sample.outputs))
        found.append(Pair(left, right, how, predicted, explained, both))
    return max(found, key=lambda pair: pair.power)


def _targets(sample: Sample, rows: Codes) -> Values:
    """What planes are fitted to, (rows, targets): the quantity, or each class."""
    if not sample.table.signature.classes:
        return sample.y[sample.rows[rows], None]
    return sample.outputs[rows]


def _plane(a: Values, b: Values, targets: Values) -> tuple[float, float]:
    """Slopes of the least squares plane of the target of which it explains most, (0, 0) if there is none."""
    known = ~(np.isnan(a) | np.isnan(b))
    if known.sum() < 3:
        return 0.0, 0.0
    a, b, y = (values[known] - values[known].mean(axis=0) for values in (a, b, targets))
    scale_a, scale_b = np.abs(a).max() or 1.0, np.abs(b).max() or 1.0
    X = np.stack([a / scale_a, b / scale_b], axis=1)
    slopes = np.linalg.lstsq(X, y, rcond=None)[0]
    explained = (y**2).sum(axis=0) - ((y - X @ slopes) ** 2).sum(axis=0)
    first, second = slopes[:, explained.argmax()]
    return float(first / scale_a), float(second / scale_b)


# ----------------------------------------------------------------------------------------------------- categories


def _of_categories(sample: Sample, gone: frozenset[str]) -> Iterator[Pair]:
    """Pairs of categories with enough rows in each cell."""
    names = [name for name in sample.table.signature.of_kind("category") if name not in gone]
    names = sorted(names, key=lambda name: -sample.powers[name])[:_MOST_CATEGORIES]
    sizes = {name: int(sample.codes[name].max()) + 1 for name in names}
    tried = [
        (left, right)
        for left, right in combinations(names, 2)
        if sizes[left] * sizes[right] * _CELL_ROWS <= len(sample.rows)
    ]
    for left, right in tried:
        cells = sample.codes[left] * sizes[right] + sample.codes[right]
        predicted = held_out(cells, sample.outputs, sample.half)
        explained = at_least(power(predicted, sample.outputs), sample.effective_rows, len(tried))
        yield Pair(left, right, "the mean of each pair of levels", predicted, explained, False)
