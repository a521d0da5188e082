"""Order: rows, or times, whose neighbours tell the target, so that random folds look it up."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from autopilot.guardrails.caught import Caught
from autopilot.guardrails.power import Codes, Values, at_least, explained, gap, held_out, power
from autopilot.guardrails.quick import MOST_COLUMNS, MOST_ROWS, features, learnt
from autopilot.guardrails.sample import Sample, outputs_of
from autopilot.table.findings import Finding

#: What a row's place explains, and its neighbour, from which they are told; and a table that is sorted by the target.
_PLACE, _NEIGHBOUR, _SORTED = 0.05, 0.1, 0.9
_BINS = 64
#: Times that are a calendar of their own, from which forward chaining makes sense.
_LEAST_TIMES = 20
#: What random folds flatter by, in power, from which it is told, and from which they are not used.
_TOLD, _SWITCHED = 0.03, 0.1
_LEAST_ROWS = 100
#: Rows of one stretch of time are alike, and count as one when the gap is told from chance.
_BLOCKS = 30


def row_order(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """A place in the table, or a row's neighbour, that tells the target."""
    if sample.is_divided:
        return
    height = sample.table.frame.height
    places = sample.rows * _BINS // height
    predicted = held_out(places, sample.outputs, sample.half)
    by_place = at_least(power(predicted, sample.outputs), sample.effective_rows)
    by_neighbour = at_least(_neighbours(sample), sample.effective_rows)
    if by_place < _PLACE and by_neighbour < _NEIGHBOUR:
        return
    told = f"{sample.told(predicted)} of the place in the table alone; neighbours explain {by_neighbour:.1%}"
    if by_place >= _SORTED:
        message = "The rows are sorted by the target, so that anything that counts rows would give it away."
    else:
        message = "The order of the rows tells the target: rows that are near in the table are alike."
    overrule = "If the order is that of time, make it a column and say time=; if neighbours belong together, group=."
    action = "Rows are divided at random; their place is no feature."
    yield Caught(Finding("warning", "row_order", message, None, told, action, overrule))


def _neighbours(sample: Sample) -> float:
    """The power of the next row's target."""
    first = sample.rows[sample.rows + 1 < sample.table.frame.height]
    both = outputs_of(sample.table, np.concatenate([first, first + 1]))
    return power(both[len(first) :], both[: len(first)])


def time_order(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Times after which the target is predicted worse than between them."""
    if sample.is_divided:
        return
    is_switched = False
    for name in sample.table.signature.of_kind("time"):
        if name in gone:
            continue
        caught = _judged(sample, name, gone, is_switched)
        if caught is not None:
            is_switched |= caught.time is not None
            yield caught


def _judged(sample: Sample, name: str, gone: frozenset[str], is_switched: bool) -> Caught | None:
    times = sample.numbers[name]
    known = np.flatnonzero(~np.isnan(times))
    if len(known) < _LEAST_ROWS or len(np.unique(times[known])) < _LEAST_TIMES:
        return None
    few = np.sort(sample.rng.choice(known, min(len(known), MOST_ROWS), replace=False))
    tried = _tried(sample, few, times[few], gone)
    if tried.gap < _TOLD:
        return None
    column = sample.table.frame.get_column(name)
    is_log = column.null_count() == 0 and (column.is_sorted() or column.is_sorted(descending=True))
    is_time = is_log and tried.gap >= _SWITCHED and name not in sample.kept and not is_switched
    message = f"The target changes with {name!r}: a score on rows between others is better than on rows after them."
    evidence = (
        f"the columns explain {tried.between:.1%} of the target in the later half of the times if they learn from rows "
        f"at random, {tried.after:.1%} if they learn from the earlier half; {tried.rows:,} rows scored"
    )
    if is_time:
        action = f"Later rows validate, and the latest test: the rows are in the order of {name!r}."
        overrule = f"To divide rows at random: columns={{{name!r}: 'time'}}."
    else:
        action, overrule = "Rows are divided at random.", f"If later rows will be predicted: time={name!r}."
    found = Finding("warning", "time_order", message, name, evidence, action, overrule)
    return Caught(found, time=name if is_time else None)


class _Tried(NamedTuple):
    """What the columns explain of later rows, learnt from rows at random and from earlier ones, and the sure gap."""

    between: float
    after: float
    gap: float
    rows: int


def _tried(sample: Sample, few: Codes, times: Values, gone: frozenset[str]) -> _Tried:
    """Both ways learn from as many rows, and are scored on the same."""
    names = sorted((one for one in sample.names if one not in gone), key=lambda one: -sample.powers[one])
    X, outputs = features(sample.frame[few], names[:MOST_COLUMNS]), sample.outputs[few]
    is_late = times > np.median(times)
    drawn = sample.rng.permutation(len(few))[: int((~is_late).sum())]
    valid = np.setdiff1d(np.flatnonzero(is_late), drawn)
    if not len(valid) or not len(drawn):
        return _Tried(0.0, 0.0, 0.0, 0)
    between, after = learnt(X, outputs, drawn, valid), learnt(X, outputs, np.flatnonzero(~is_late), valid)
    truth = outputs[valid]
    block = np.argsort(np.argsort(times[valid], kind="stable"), kind="stable") * _BLOCKS // len(valid)
    return _Tried(explained(between, truth), explained(after, truth), gap(between, after, truth, block), len(valid))
