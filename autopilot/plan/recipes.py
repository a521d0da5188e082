"""Which ops feed which family of candidates: one table."""

from typing import Literal

from autopilot.plan.op import Op
from autopilot.plan.ops import (
    CalendarParts,
    HashedWords,
    MissingFlags,
    Numbers,
    OneHot,
    OrdinalCodes,
    Scale,
    ScaledCalendar,
    TargetMean,
)
from storage.signature import Kind

Recipe = Literal["trees", "linear"]

#: Trees read raw numbers with holes, and cut codes; linear models need fills, like scales and indicators.
RECIPES: dict[Recipe, dict[Kind, tuple[type[Op], ...]]] = {
    "trees": {
        "number": (Numbers,),
        "category": (OrdinalCodes, TargetMean),
        "text": (HashedWords,),
        "time": (CalendarParts,),
    },
    "linear": {
        "number": (Scale, MissingFlags),
        "category": (OneHot, TargetMean),
        "text": (HashedWords,),
        "time": (ScaledCalendar,),
    },
}
