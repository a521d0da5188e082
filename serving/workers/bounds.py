"""Between how many workers a server may have: `4`, `1..8`, or `auto` for one to as many as there are cores."""

import re
from typing import NamedTuple

from storage.errors import InputError

#: More processes than this on one machine are a slip of the pen.
MOST = 256

_BOUNDS = re.compile(r"([0-9]{1,9})(?:\.\.([0-9]{1,9}))?")


class Bounds(NamedTuple):
    """1 <= least <= most <= 256. Equal ones mean that always so many work."""

    least: int
    most: int

    def __str__(self) -> str:
        """As a user reads it."""
        if self.least == self.most:
            return f"{self.most} workers" if self.most > 1 else "1 worker"
        return f"{self.least} to {self.most} workers"


def bounds_of(text: str, cores: int) -> Bounds:
    """The bounds that a text means; cores: that this process may use. Raises InputError.

    >>> bounds_of("1..8", cores=4), bounds_of("auto", cores=4)
    (Bounds(least=1, most=8), Bounds(least=1, most=4))
    """
    if text == "auto":
        return Bounds(1, min(cores, MOST))
    found = _BOUNDS.fullmatch(text)
    if found is None:
        raise InputError(f"{text[:40]!r} is no number of workers. Write 4, 1..8 or auto.")
    bounds = Bounds(int(found[1]), int(found[2] or found[1]))
    if not 1 <= bounds.least <= bounds.most <= MOST:
        raise InputError(f"Workers cannot be {text[:40]!r}. Use 1 to {MOST}, the smaller number first.")
    return bounds
