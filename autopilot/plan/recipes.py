"""Which ops feed which family of candidates: one table."""

from typing import Literal

from autopilot.plan.op import Op
from autopilot.plan.ops import (
    Arithmetic,
    CalendarParts,
    CharacterNgrams,
    Crosses,
    CyclicPairs,
    Frequencies,
    GroupAggregates,
    HashedWords,
    MissingFlags,
    Numbers,
    OneHot,
    OrdinalCodes,
    Powers,
    Quantiles,
    Scale,
    ScaledCalendar,
    TargetMean,
    TextCounts,
    TfidfComponents,
    TimeDifferences,
    WordMeans,
)
from storage.signature import Signature

Recipe = Literal["trees", "prepared", "linear", "dense"]

#: trees cut raw numbers with holes, and codes; linear models need fills, like scales and indicators; dense is for
#: distances and perceptrons. Both of these see a number scaled and by its rank: a linear model's r2 rose from 0.40 to
#: 0.45 on bike sharing and from 0.65 to 0.68 on California housing, and ranks alone lose what a tail tells (0.83 to
#: 0.48 on flights).
RECIPES: dict[Recipe, tuple[type[Op], ...]] = {
    "trees": (
        Numbers,
        OrdinalCodes,
        Frequencies,
        TargetMean,
        WordMeans,
        TfidfComponents,
        TextCounts,
        CalendarParts,
        TimeDifferences,
    ),
    "prepared": (
        Numbers,
        Arithmetic,
        OrdinalCodes,
        Frequencies,
        TargetMean,
        Crosses,
        GroupAggregates,
        WordMeans,
        TfidfComponents,
        HashedWords,
        CharacterNgrams,
        TextCounts,
        CalendarParts,
        TimeDifferences,
    ),
    "linear": (
        Scale,
        Powers,
        Quantiles,
        MissingFlags,
        OneHot,
        TargetMean,
        WordMeans,
        TfidfComponents,
        TextCounts,
        ScaledCalendar,
        CyclicPairs,
    ),
    "dense": (
        Scale,
        Quantiles,
        MissingFlags,
        OneHot,
        TargetMean,
        WordMeans,
        TfidfComponents,
        TextCounts,
        ScaledCalendar,
        CyclicPairs,
    ),
}

#: What linear and dense models read of numbers beside `Scale`: left out in tables of more than 500 number columns,
#: where it would double and treble a matrix that is wide enough.
_SECOND_VIEWS = (Powers, Quantiles)
_WIDE = 500

#: Recipes that make many features, of which those stay that beat a random probe.
SELECTED: frozenset[Recipe] = frozenset({"prepared"})


def ops_of(recipe: Recipe, signature: Signature) -> tuple[type[Op], ...]:
    """The recipe's ops for such a table."""
    is_wide = len(signature.of_kind("number")) > _WIDE
    return tuple(op for op in RECIPES[recipe] if not (is_wide and op in _SECOND_VIEWS))
