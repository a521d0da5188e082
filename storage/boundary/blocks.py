"""What comes out of the boundary: the packed inputs of the graph."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: A time that is missing: int64 has no NaN.
MISSING_TIME = -(2**63)


class Blocks(NamedTuple):
    """The packed inputs of N rows.

    number: float64 (N, P). text: object array of str (N, Q), categories and text in the signature's order.
    time: int64 (N, R).
    """

    number: NDArray[np.float64]
    text: NDArray[np.object_]
    time: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """N."""
        return len(self.number)

    def slice(self, start: int, stop: int) -> "Blocks":
        """The rows from `start` to before `stop`."""
        return Blocks(self.number[start:stop], self.text[start:stop], self.time[start:stop])
