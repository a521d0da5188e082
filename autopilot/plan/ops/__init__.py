"""All ops. A new one is a file here, a line in OPS, and a place in `recipes.py`."""

from autopilot.plan.ops.calendar_parts import CalendarParts
from autopilot.plan.ops.crosses import Crosses
from autopilot.plan.ops.frequencies import Frequencies
from autopilot.plan.ops.group_aggregates import GroupAggregates
from autopilot.plan.ops.hashed_words import HashedWords
from autopilot.plan.ops.missing_flags import MissingFlags
from autopilot.plan.ops.numbers import Numbers
from autopilot.plan.ops.one_hot import OneHot
from autopilot.plan.ops.ordinal_codes import OrdinalCodes
from autopilot.plan.ops.scale import Scale
from autopilot.plan.ops.scaled_calendar import ScaledCalendar
from autopilot.plan.ops.target_mean import TargetMean

AnyOp = (
    Numbers
    | Scale
    | MissingFlags
    | OneHot
    | OrdinalCodes
    | Frequencies
    | TargetMean
    | Crosses
    | GroupAggregates
    | CalendarParts
    | ScaledCalendar
    | HashedWords
)

OPS = (
    Numbers,
    Scale,
    MissingFlags,
    OneHot,
    OrdinalCodes,
    Frequencies,
    TargetMean,
    Crosses,
    GroupAggregates,
    CalendarParts,
    ScaledCalendar,
    HashedWords,
)

__all__ = [
    "OPS",
    "AnyOp",
    "CalendarParts",
    "Crosses",
    "Frequencies",
    "GroupAggregates",
    "HashedWords",
    "MissingFlags",
    "Numbers",
    "OneHot",
    "OrdinalCodes",
    "Scale",
    "ScaledCalendar",
    "TargetMean",
]
