"""Entities: a column that says which rows are about one thing, so that random folds have that thing on both sides.

A column is looked at if it has many levels of a few rows each. Rows of one entity are alike in the target: the
intraclass correlation is the share of the target's variance that lies between entities, from a one-way analysis of
variance (Shrout and Fleiss, "Intraclass correlations", 1979). Whether random folds flatter is then tried: a small model
of the other columns is scored with rows at random on the other side, and again with whole entities there.

A column with that structure may as well be a good feature: the model of a car tells its price, and will be met again.
So rows are kept together without being asked only where each entity has one target, as a patient has one diagnosis, or
where folds flatter much and the column is named as people and things are. Else a warning says what to type. Whole
numbers may be amounts, and are looked at only if they have such a name.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopilot.guardrails.caught import Caught
from autopilot.guardrails.power import Codes, Values, at_least, explained, gap
from autopilot.guardrails.quick import MOST_COLUMNS, MOST_ROWS, crossed, features
from autopilot.guardrails.sample import Sample, levels, outputs_of, whole_levels
from autopilot.guardrails.twins import first_rows
from autopilot.table.findings import Finding
from autopilot.table.instants import words_of

#: The target's correlation within entities from which folds are tried, from which it is told, and which is "the same".
_ALIKE, _MUCH_ALIKE, _THE_SAME = 0.2, 0.5, 0.97
#: What random folds flatter by, in power, from which it is told, and from which they are not used.
_TOLD, _SWITCHED = 0.03, 0.1
#: Suspects that are tried, those most alike first: each takes half a second.
_MOST_TRIED = 3
_NAMES = {
    *("patient", "customer", "user", "person", "client", "member", "subject", "participant", "student", "employee"),
    *("household", "family", "account", "session", "visitor", "driver", "player", "team", "animal", "plant", "device"),
    *("sensor", "machine", "vehicle", "store", "shop", "site", "group", "entity", "owner", "author", "speaker", "id"),
}


class Suspect(NamedTuple):
    """A column that may name entities. alike: the target's intraclass correlation, less what may be chance.

    rows: int64, those of whole entities that were looked at. entity: int64 (rows,), which one each is of.
    """

    name: str
    alike: float
    rows: Codes
    entity: Codes


def entities(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Columns within which rows are alike, and the one that shall divide the rows."""
    if sample.is_divided:
        return
    found = [
        _suspect(sample, name, gone)
        for name in sample.entities
        if name not in gone and (name not in sample.numbers or _is_named(name))
    ]
    suspects = sorted((one for one in found if one.alike >= _ALIKE), key=lambda one: -one.alike)
    is_switched = False
    for suspect in suspects[:_MOST_TRIED]:
        caught = _judged(sample, suspect, gone, is_switched)
        if caught is not None:
            is_switched |= caught.group is not None
            yield caught


def _suspect(sample: Sample, name: str, gone: frozenset[str]) -> Suspect:
    """How alike the target is within the levels of a column, over about 4,000 rows of whole levels.

    Where it is not the same, equal rows count once: that they are alike is told by `twins.py`.
    """
    rows = whole_levels(sample.table.frame.get_column(name), MOST_ROWS, int(sample.rng.integers(2**31)))
    whole = _alike(sample, name, rows)
    if whole.alike >= _THE_SAME:
        return whole
    columns = [one for one in sample.names if one not in gone]
    return _alike(sample, name, rows[first_rows(sample.table.frame[rows].select(columns))])


def _alike(sample: Sample, name: str, rows: Codes) -> Suspect:
    if not len(rows):
        return Suspect(name, 0.0, rows, rows)
    entity = levels(sample.table.frame.get_column(name).gather(rows)) - 1
    found = max(intraclass(entity, outputs_of(sample.table, rows)), 0.0)
    sure = at_least(found**2, len(np.unique(entity)), len(sample.entities)) ** 0.5
    return Suspect(name, sure, rows, entity)


def _is_named(name: str) -> bool:
    """Whether a column is named as people and things are."""
    return bool(_NAMES & set(words_of(name)))


def intraclass(entity: NDArray[np.int64], outputs: Values) -> float:
    """ICC(1) = (MSB - MSW) / (MSB + (k - 1) MSW), k the rows of an entity; of several outputs, by their variance.

    entity: (rows,) numbers from 0. 0 where no entity has two rows.

    >>> intraclass(np.array([0, 0, 1, 1]), np.array([[1.0], [1.0], [5.0], [5.0]]))
    1.0
    """
    sizes = np.bincount(entity).astype(np.float64)
    count, rows = int((sizes > 0).sum()), float(len(entity))
    if count < 2 or count == rows:
        return 0.0
    k = (rows - (sizes**2).sum() / rows) / (count - 1)
    top = bottom = 0.0
    for output in outputs.T:
        means = np.bincount(entity, output) / np.maximum(sizes, 1.0)
        between = float(sizes @ (means - output.mean()) ** 2) / (count - 1)
        within = float(((output - means[entity]) ** 2).sum()) / (rows - count)
        top, bottom = top + between - within, bottom + between + (k - 1) * within
    return float(top / bottom) if bottom > 0 else 0.0


def _judged(sample: Sample, suspect: Suspect, gone: frozenset[str], is_switched: bool) -> Caught | None:
    name = suspect.name
    at_random, apart, sure = _tried(sample, suspect, gone)
    is_strong = suspect.alike >= _THE_SAME or (sure >= _SWITCHED and _is_named(name))
    if not is_strong and sure < _TOLD and suspect.alike < _MUCH_ALIKE:
        return None
    is_only = len(sample.names) - len(gone) < 2
    is_group = is_strong and name not in sample.kept and not is_switched and not is_only
    total = sample.entities[name]
    message = f"Rows with the same {name!r} are alike: a score on random rows is that of values that the model has met."
    evidence = (
        f"{total:,} values of {sample.table.frame.height / total:.1f} rows each; the target's correlation within them "
        f"is {suspect.alike:.2f} or more; the other columns explain {at_random:.1%} of the target on random rows, "
        f"{apart:.1%} on rows of other values"
    )
    if is_group:
        action = "Whole groups of it validate, and it is no feature."
        overrule = f"To divide rows at random: columns={{{name!r}: {sample.kinds[name]!r}}}."
    else:
        action = "Rows are divided at random."
        overrule = f"If the model will meet new values of it: group={name!r}."
    found = Finding("warning", "entities", message, name, evidence, action, overrule)
    return Caught(found, group=name if is_group else None)


def _tried(sample: Sample, suspect: Suspect, gone: frozenset[str]) -> tuple[float, float, float]:
    """What the other columns explain on the other half of the rows, and of the entities, and the sure gap."""
    names = [name for name in sample.names if name not in gone | {suspect.name}]
    others = sorted(names, key=lambda name: -sample.powers[name])[:MOST_COLUMNS]
    if not others:
        return 0.0, 0.0, 0.0
    X = features(sample.table.frame[suspect.rows], others)
    outputs = outputs_of(sample.table, suspect.rows)
    random_half = sample.rng.permutation(np.arange(len(outputs)) % 2)
    entity_half = sample.rng.integers(0, 2, int(suspect.entity.max()) + 1)[suspect.entity]
    at_random, apart = crossed(X, outputs, random_half), crossed(X, outputs, entity_half)
    sure = gap(at_random, apart, outputs, suspect.entity)
    return explained(at_random, outputs), explained(apart, outputs), sure
