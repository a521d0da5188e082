"""Which ops feed which family of candidates: one table."""

from typing import Literal

from autopilot.plan.op import Op
from autopilot.plan.ops import (
    CalendarParts,
    Frequencies,
    HashedWords,
    MissingFlags,
    Numbers,
    OneHot,
    OrdinalCodes,
    Scale,
    ScaledCalendar,
    TargetMean,
)

Recipe = Literal["trees", "linear", "dense"]

#: trees cut raw numbers with holes, and codes; linear models need fills, like scales and indicators; dense is for
#: distances and perceptrons.
RECIPES: dict[Recipe, tuple[type[Op], ...]] = {
    "trees": (Numbers, OrdinalCodes, Frequencies, TargetMean, HashedWords, CalendarParts),
    "linear": (Scale, MissingFlags, OneHot, TargetMean, HashedWords, ScaledCalendar),
    "dense": (Scale, MissingFlags, OneHot, TargetMean, HashedWords, ScaledCalendar),
}
