"""What a check found, as plain data."""

from typing import Literal

import msgspec
from msgspec import Struct

#: What a violation is of, and of which constraint.
Check = Literal[
    "missing_column",
    "extra_column",
    "completeness",
    "type",
    "range",
    "length",
    "domain",
    "non_negative",
    "finite",
    "unique",
    "past",
    "distinct_rows",
    "inference_ids",
]

QualityVerdict = Literal["violations", "no violations", "too few rows", "no rows"]


class Violation(Struct, frozen=True):
    """One constraint that a window broke.

    column: None for what is of the table as a whole.
    rows: how many rows or values broke it, of `looked_at`. observed: their share; expected: the share that the baseline
        had. None where the columns themselves are at fault.
    p_value: the chance of as many or more without a change; None for what needs no test.
    sentence: for people. examples: up to five different values that broke it; of a sensitive column none.
    """

    column: str | None
    check: Check
    sentence: str
    rows: int | None = None
    looked_at: int | None = None
    observed: float | None = None
    expected: float | None = None
    p_value: float | None = None
    examples: tuple[str, ...] = ()


class Unchecked(Struct, frozen=True):
    """A column that could not be checked, and why."""

    column: str
    note: str


class Quality(Struct, frozen=True):
    """What a window's check found.

    verdict: `violations` if there is any. Without one, `no rows` for an empty window and `too few rows` below
        `LEAST_ROWS`: there, that nothing was found says nothing.
    level: the chance of any false violation. tests: among how many tests it was shared out; threshold: level / tests,
        the p-value at or below which each of them finds one.
    violations: columns that are missing or new first, then in the baseline's order.
    baseline: of an endpoint, where what is asked comes from: `suggested by the reference`, or when it was kept and of
        which file; empty for tables.
    note: how many rows it takes to say that there is no violation, where there are fewer.
    """

    verdict: QualityVerdict
    rows: int
    baseline_rows: int
    level: float
    tests: int
    threshold: float
    violations: tuple[Violation, ...]
    unchecked: tuple[Unchecked, ...] = ()
    baseline: str = ""
    note: str = ""

    def json(self) -> bytes:
        """As one JSON document, which `Quality.parse` reads back."""
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> "Quality":
        """A quality record from its JSON."""
        return msgspec.json.decode(data, type=cls)
