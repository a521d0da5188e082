"""What a model's runs cost, measured when it is loaded: decides what the event loop may do itself."""

from time import perf_counter
from typing import NamedTuple

from storage.boundary import Blocks
from storage.predictor import Predictor

_REPEATS = 5  # the quickest counts: a busy machine only ever adds


class Cost(NamedTuple):
    """Seconds of a run: `fixed_s` for each, `row_s` for each of its rows."""

    fixed_s: float
    row_s: float

    def rows_within(self, seconds: float) -> int:
        """How many rows a run of so many seconds has; 0 if it has none.

        >>> Cost(fixed_s=0.001, row_s=0.0001).rows_within(0.002)
        10
        """
        return max(0, int((seconds - self.fixed_s) / self.row_s))


def cost_of(predictor: Predictor, rows: Blocks) -> Cost:
    """The cost of a model's runs, by runs of one and of all of these rows."""
    one, all_ = (_quickest(predictor, rows.slice(0, many)) for many in (1, rows.rows))
    row_s = max((all_ - one) / (rows.rows - 1), 1e-9)
    return Cost(max(one - row_s, 0.0), row_s)


def _quickest(predictor: Predictor, rows: Blocks) -> float:
    def seconds() -> float:
        began = perf_counter()
        predictor.run_once(rows)
        return perf_counter() - began

    return min(seconds() for _ in range(_REPEATS))
