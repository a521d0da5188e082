"""The metrics of several workers as those of one server.

A worker's metrics are families of samples, as Prometheus has them. Counters and histograms are summed, and what ended
workers had counted stays in the sums, so that no counter ever goes down; gauges are summed or the worst one is told.
Pure data: the names are `exposition.py`'s.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from msgspec import Struct

_FORGET_S = 3600.0  # after this, what ended workers counted of versions that no worker knows any more is dropped
_VERSION = ("endpoint", "model", "version")


class Sample(Struct, frozen=True, array_like=True):
    """One number. labels: names and values, in the family's order."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


class Family(Struct, frozen=True, array_like=True):
    """One metric. kind: Prometheus' type. merge: what several workers' values become. lasts: whether the values of a
    worker that has ended still count."""

    name: str
    about: str
    kind: str
    merge: Literal["sum", "max", "min"]
    lasts: bool
    samples: tuple[Sample, ...]


#: What one worker told.
State = tuple[Family, ...]

_MERGE: dict[str, Callable[[float, float], float]] = {"max": max, "min": min, "sum": operator.add}


def merged(states: Iterable[State]) -> State:
    """The state of all workers together; families and samples in the order in which they are first seen.

    >>> one = Family("rows", "Rows.", "counter", "sum", True, (Sample("rows_total", (), 2.0),))
    >>> merged([(one,), (one,)])[0].samples[0].value
    4.0
    """
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for family in (family for state in states for family in state):
        families.setdefault(family.name, family)
        known, merge = values.setdefault(family.name, {}), _MERGE[family.merge]
        for sample in family.samples:
            key = (sample.name, sample.labels)
            known[key] = merge(known[key], sample.value) if key in known else sample.value
    return tuple(
        Family(family.name, family.about, family.kind, family.merge, family.lasts, _samples(values[family.name]))
        for family in families.values()
    )


def _samples(values: dict[tuple[str, tuple[tuple[str, str], ...]], float]) -> tuple[Sample, ...]:
    return tuple(Sample(name, labels, value) for (name, labels), value in values.items())


class Ended:
    """What workers that have ended had counted."""

    def __init__(self) -> None:
        self._state: State = ()
        self._seen_at: dict[tuple[str, ...], float] = {}

    def add(self, state: State) -> None:
        """Keep the counts of a worker that has ended."""
        self._state = merged([self._state, tuple(family for family in state if family.lasts)])

    def told(self, living: Sequence[State], now: float) -> State:
        """Their sums, without versions that no living worker has known for an hour. now: by `monotonic`."""
        for sample in (sample for state in living for family in state for sample in family.samples):
            self._seen_at[_version(sample)] = now
        for sample in (sample for family in self._state for sample in family.samples):
            self._seen_at.setdefault(_version(sample), now)
        self._seen_at = {version: at for version, at in self._seen_at.items() if now - at < _FORGET_S}
        self._state = tuple(
            Family(family.name, family.about, family.kind, family.merge, family.lasts, kept)
            for family in self._state
            if (kept := tuple(sample for sample in family.samples if _version(sample) in self._seen_at))
        )
        return self._state


def _version(sample: Sample) -> tuple[str, ...]:
    """What a sample is of; of the server as a whole it is empty."""
    return tuple(value for name, value in sample.labels if name in _VERSION)
