"""What a server counts for a roll-out, and which questions the counts answer.

Each server tells sums since it began to count, apart for each revision of the endpoint: with each step the shares
change, and what is compared has to have been drawn with one share. Who reads takes what is new since it last read, so
nothing is counted twice, whether it is told late, again, or by a server that has died since.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct, field

from serving.rollouts.bets import Table
from storage.records import Guard, Measured

#: A score of an answer: probability of the second of two classes, a prediction, or the label of more classes.
Score = float | int | str


class Counts(Struct, array_like=True):
    """What one server counted of the old or the new variants, at one revision.

    replies: answers and faults; requests that were refused for a client's mistake are neither. faults: what is the
    server's fault, and rows that the version cannot read. cells: answers by score and time, first those of each bin
    that were quick, then those that were slow; empty before there is a measure of both.
    """

    replies: int = 0
    faults: int = 0
    cells: list[int] = field(default_factory=list[int])

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.replies + other.replies, self.faults + other.faults, _added(self.cells, other.cells))

    def __sub__(self, other: "Counts") -> "Counts":
        cells = _added(self.cells, [-count for count in other.cells])
        return Counts(self.replies - other.replies, self.faults - other.faults, cells)


class Sides(Struct, array_like=True):
    """The counts of old and new variants over the same time."""

    old: Counts = field(default_factory=Counts)
    new: Counts = field(default_factory=Counts)

    def __add__(self, other: "Sides") -> "Sides":
        return Sides(self.old + other.old, self.new + other.new)

    def __sub__(self, other: "Sides") -> "Sides":
        return Sides(self.old - other.old, self.new - other.new)


class Sample(Struct, array_like=True):
    """Answers of old variants as they were: milliseconds, and scores."""

    ms: list[float] = field(default_factory=list[float])
    scores: list[Score] = field(default_factory=list[Score])


class Counted(Struct):
    """All that one server tells: counts by the endpoint's revision, and the sample until there is a measure."""

    revisions: dict[int, Sides] = field(default_factory=dict[int, Sides])
    sample: Sample = field(default_factory=Sample)


def _added(some: Sequence[int], more: Sequence[int]) -> list[int]:
    if len(some) != len(more):
        return list(some or more)  # one is of before there was a measure
    return [a + b for a, b in zip(some, more, strict=True)]


class Question(NamedTuple):
    """Something that is true of a request or not. words: what was true, after "the requests that".

    true_of: how many were asked and of how many it is true, in some counts. is_two_sided: whether fewer are harm too.
    """

    kind: Literal["errors", "latency", "scores"]
    words: str
    true_of: Callable[[Counts], tuple[int, int]]
    is_two_sided: bool = False

    def table(self, sides: Sides) -> Table:
        """Its answers."""
        return Table(*self.true_of(sides.old), *self.true_of(sides.new))


def bins_of(measured: Measured) -> int:
    """How many bins of scores there are: between cuts, or one for each class and one for all others."""
    return 1 + len(measured.cuts or measured.classes)


def questions_of(guard: Guard, measured: Measured) -> list[Question]:
    """What a guard asks of each request."""
    bins = bins_of(measured)
    if guard.kind == "errors":
        return [Question("errors", "failed", _faults)]
    if guard.kind == "latency":
        words = f"took longer than {measured.slow_ms:.4g} ms"
        return [Question("latency", words, _slow)]
    cuts, classes = enumerate(measured.cuts), enumerate(measured.classes)
    above = [_score_question(f"got an answer above {cut:.4g}", range(at + 1, bins)) for at, cut in cuts]
    return above + [_score_question(f"got the label {name!r}", range(at, at + 1)) for at, name in classes]


def _faults(counts: Counts) -> tuple[int, int]:
    return counts.replies, counts.faults


def _slow(counts: Counts) -> tuple[int, int]:
    return sum(counts.cells), sum(counts.cells[len(counts.cells) // 2 :])


def _score_question(words: str, bins: range) -> Question:
    def count(counts: Counts) -> tuple[int, int]:
        half = len(counts.cells) // 2
        return sum(counts.cells), sum(counts.cells[at] + counts.cells[half + at] for at in bins if half)

    return Question("scores", words, count, is_two_sided=True)
