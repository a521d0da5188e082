"""What a check caught, and the words that all checks use."""

from collections.abc import Sequence
from typing import NamedTuple

from autopilot.table.findings import Finding

#: Names in a message.
SHOWN = 6


class Caught(NamedTuple):
    """A finding and what follows from it.

    left_out: columns that are not to be learnt from. group, time: the column that is to divide the rows. together:
    whether rows that are equal are to stay on one side.
    """

    finding: Finding
    left_out: tuple[str, ...] = ()
    group: str | None = None
    time: str | None = None
    together: bool = False


def to_keep(kinds: Sequence[tuple[str, str]]) -> str:
    """What to type so that columns stay. kinds: names with their kinds.

    >>> to_keep([("x", "number"), ("y", "category")])
    "To keep them: columns={'x': 'number', 'y': 'category'}."
    """
    return f"To keep {'it' if len(kinds) == 1 else 'them'}: columns={dict(kinds)}."


def to_ignore(names: Sequence[str]) -> str:
    """What to type so that columns are left out.

    >>> to_ignore(["x"])
    "To leave it out: ignore=['x']."
    """
    return f"To leave {'it' if len(names) == 1 else 'them'} out: ignore={list(names)}."
