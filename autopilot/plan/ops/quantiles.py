"""Numbers by their rank, as a normal distribution would have them."""

from typing import ClassVar, Self

import numpy as np

from autopilot.plan.curves import MOST_KNOTS, Curve, Curved
from autopilot.plan.number_sample import ordered_sample, quantiles
from autopilot.plan.op import Rows, Values
from storage.signature import Kind

#: Values end here, where 0.06 % of the rows are beyond.
_LIMIT = 3.25
#: Of values, so that the middle is 0.
_DIGITS = 9


class Quantiles(Curved, frozen=True):
    """The value that a standard normal distribution has at the number's rank: Phi^-1(rank), from -3.25 to 3.25.

    Between at most 64 quantiles of up to 100,000 training rows, evenly apart in the normal distribution, the way is
    straight (Bogner, Pappenberger and Cloke, "The normal quantile transformation", 2012). A number that many rows share
    gets the middle of their ranks. Missing becomes the median; numbers outside of training, and infinities, the nearest
    end. Columns that do not vary are left out.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "numbers by their rank, as a normal distribution has them"

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Quantiles, and the normal distribution's at the same ranks."""
        from scipy.special import ndtr

        columns = rows.signature.of_kind("number")
        levels: Values = ndtr(np.linspace(-_LIMIT, _LIMIT, MOST_KNOTS))
        levels[0], levels[-1] = 0.0, 1.0
        found = quantiles(ordered_sample(rows, columns), np.append(levels, 0.5))
        kept = {
            name: curve
            for name, row in zip(columns, found, strict=True)
            if (curve := _curve(row[:-1], levels, float(row[-1]))) is not None
        }
        return cls(tuple(kept), tuple(kept.values())) if kept else None

    def names(self) -> tuple[str, ...]:
        """Normal score of COLUMN."""
        return tuple(f"normal score of {name}" for name in self.columns)


def _curve(found: Values, levels: Values, median: float) -> Curve | None:
    """From each distinct quantile to the normal value in the middle of its levels."""
    from scipy.special import ndtri

    if np.isnan(median):
        return None
    knots, first, counts = np.unique(found, return_index=True, return_counts=True)
    middle = (levels[first] + levels[first + counts - 1]) / 2
    return Curve.through(median, knots, np.clip(ndtri(middle), -_LIMIT, _LIMIT).round(_DIGITS))
