"""When something is tried again: later each time, and not all at the same moment."""

from typing import NamedTuple


class Backoff(NamedTuple):
    """Pauses that grow by a factor with each attempt, up to a longest one."""

    first_s: float
    factor: float
    longest_s: float

    def pause_s(self, attempts: int, drawn: float) -> float:
        """Seconds to wait after so many attempts, at least 1. drawn: from 0 to 1, by chance; half of the pause is left
        to it, so that what failed together does not come back together.

        >>> [Backoff(2, 4, 300).pause_s(attempts, 1.0) for attempts in (1, 2, 3, 9)]
        [2.0, 8.0, 32.0, 300.0]
        >>> [TELLING.pause_s(attempts, 1.0) for attempts in (1, 2, 3, 20)], TELLING.pause_s(1, 0.0)
        ([2.0, 4.0, 8.0, 300.0], 1.0)
        """
        longest = min(self.longest_s, self.first_s * self.factor ** (attempts - 1))
        return longest * (1 + drawn) / 2


#: Of async answers: five attempts take about three minutes.
ANSWERS = Backoff(2.0, 4.0, 300.0)
#: Of whatever is told to others: a receiver may be away for a quarter of an hour.
TELLING = Backoff(2.0, 2.0, 300.0)
