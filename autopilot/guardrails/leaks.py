"""Leaks by one column: it tells nearly all of the target, and the others together far less.

A column that is known only once the target is: a copy, a sum with noise, a code for the outcome, a date that is there
only if it happened. What tells them from good columns is how far they are ahead: carat tells 93% of a diamond's price,
and the other columns together 98%.
"""

from collections.abc import Iterator

from autopilot.guardrails.caught import Caught, to_ignore, to_keep
from autopilot.guardrails.power import at_least, held_out, power
from autopilot.guardrails.sample import Sample
from autopilot.table.findings import Finding

#: What is unexplained by a column that is taken for a leak, and by one that is a suspect. AUC 0.995 or so is 0.1.
NEAR_PERFECT, _SUSPECT = 0.03, 0.1
#: A leak leaves at most this share of what the others together leave; one that is left out, this one.
AHEAD, _FAR_AHEAD = 0.25, 0.1
#: Left out only where the others tell so much: else nothing would be left to learn, as in a table made up to try us.
LEARNABLE = 0.05
#: The power of missing cells from which they are told. Workclass in adult, which those without work lack, has 0.01.
_MISSING_TELLS = 0.2
#: Of a column's power, what its missing cells alone have where they are what tells.
_BY_MISSING = 0.9


def leaks(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Columns that tell nearly all of the target alone."""
    unexplained = {
        name: 1 - at_least(sample.powers[name], sample.effective_rows, len(sample.names))
        for name in sample.names
        if name not in gone and not _is_left_to_groups(sample, name)
    }
    clear = {name for name, left in unexplained.items() if left <= NEAR_PERFECT}
    for name, left in sorted(unexplained.items(), key=lambda item: item[1]):
        if left > _SUSPECT:
            return
        others, words = sample.without(gone | clear | {name})
        if left <= AHEAD * (1 - others):
            is_far = left <= _FAR_AHEAD * (1 - others)
            is_left_out = is_far and name not in sample.kept and others >= LEARNABLE
            yield _told(sample, name, words, is_left_out)


def _is_left_to_groups(sample: Sample, name: str) -> bool:
    """Whether `entities.py` judges a column: of many levels with one target each, it keeps whole levels together."""
    return not sample.is_divided and name in sample.entities and name not in sample.numbers


def _told(sample: Sample, name: str, others: str, is_left_out: bool) -> Caught:
    codes = sample.codes[name]
    by_missing = sample.power_of((codes == 0).astype(codes.dtype)) >= _BY_MISSING * sample.powers[name]
    what = f"Whether {name!r} is missing" if by_missing else f"{name!r} alone"
    alone = sample.told(sample.predicted(name))
    evidence = (
        f"{alone} of this column alone, {others} of all others together, on rows that they had not learnt from; "
        f"{len(codes):,} rows looked at"
    )
    message = f"{what} tells nearly all of the target: it may be known only once the target is."
    action = "It was left out." if is_left_out else "It was kept."
    overrule = to_keep([(name, sample.kinds[name])]) if is_left_out else to_ignore([name])
    found = Finding("error", "leak_missing" if by_missing else "leak", message, name, evidence, action, overrule)
    return Caught(found, left_out=(name,) if is_left_out else ())


def missing_tells(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Columns whose missing cells tell a good part of the target, though not all of it."""
    for name in sample.names:
        is_missing = (sample.codes[name] == 0).astype(sample.half.dtype)
        if name in gone or not 0 < is_missing.mean() < 1:
            continue
        predicted = held_out(is_missing, sample.outputs, sample.half)
        if at_least(power(predicted, sample.outputs), sample.effective_rows, len(sample.names)) < _MISSING_TELLS:
            continue
        message = (
            f"Whether {name!r} is missing tells much of the target. If the cell is filled in only once the target is "
            "known, the column gives it away."
        )
        evidence = f"{sample.told(predicted)} of that alone; {is_missing.mean():.1%} of cells are missing"
        yield Caught(Finding("warning", "missing_tells", message, name, evidence, "It was kept.", to_ignore([name])))
