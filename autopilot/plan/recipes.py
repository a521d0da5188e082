"""Which ops feed which family of candidates: one table."""

from typing import Literal

from autopilot.plan.op import Op
from autopilot.plan.ops import (
    CalendarParts,
    Crosses,
    Frequencies,
    GroupAggregates,
    HashedWords,
    MissingFlags,
    Numbers,
    OneHot,
    OrdinalCodes,
    Scale,
    ScaledCalendar,
    TargetMean,
)

Recipe = Literal["trees", "prepared", "linear", "dense"]

#: trees cut raw numbers with holes, and codes; linear models need fills, like scales and indicators; dense is for
#: distances and perceptrons.
RECIPES: dict[Recipe, tuple[type[Op], ...]] = {
    "trees": (Numbers, OrdinalCodes, Frequencies, TargetMean, HashedWords, CalendarParts),
    "prepared": (
        Numbers,
        OrdinalCodes,
        Frequencies,
        TargetMean,
        Crosses,
        GroupAggregates,
        HashedWords,
        CalendarParts,
    ),
    "linear": (Scale, MissingFlags, OneHot, TargetMean, HashedWords, ScaledCalendar),
    "dense": (Scale, MissingFlags, OneHot, TargetMean, HashedWords, ScaledCalendar),
}

#: Recipes that make many features, of which those stay that beat a random probe.
SELECTED: frozenset[Recipe] = frozenset({"prepared"})
