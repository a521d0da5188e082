"""All ops. A new one is a file here, a line in OPS, and a place in `recipes.py`."""

from autopilot.plan.ops.arithmetic import Arithmetic
from autopilot.plan.ops.calendar_parts import CalendarParts
from autopilot.plan.ops.character_ngrams import CharacterNgrams
from autopilot.plan.ops.crosses import Crosses
from autopilot.plan.ops.cyclic_pairs import CyclicPairs
from autopilot.plan.ops.frequencies import Frequencies
from autopilot.plan.ops.group_aggregates import GroupAggregates
from autopilot.plan.ops.hashed_words import HashedWords
from autopilot.plan.ops.missing_flags import MissingFlags
from autopilot.plan.ops.numbers import Numbers
from autopilot.plan.ops.one_hot import OneHot
from autopilot.plan.ops.ordinal_codes import OrdinalCodes
from autopilot.plan.ops.powers import Powers
from autopilot.plan.ops.principal_components import PrincipalComponents
from autopilot.plan.ops.quantiles import Quantiles
from autopilot.plan.ops.scale import Scale
from autopilot.plan.ops.scaled_calendar import ScaledCalendar
from autopilot.plan.ops.target_mean import TargetMean
from autopilot.plan.ops.text_counts import TextCounts
from autopilot.plan.ops.tfidf_components import TfidfComponents
from autopilot.plan.ops.time_differences import TimeDifferences
from autopilot.plan.ops.word_means import WordMeans

AnyOp = (
    Numbers
    | Scale
    | Quantiles
    | Powers
    | Arithmetic
    | PrincipalComponents
    | MissingFlags
    | OneHot
    | OrdinalCodes
    | Frequencies
    | TargetMean
    | Crosses
    | GroupAggregates
    | CalendarParts
    | ScaledCalendar
    | CyclicPairs
    | TimeDifferences
    | HashedWords
    | WordMeans
    | TfidfComponents
    | CharacterNgrams
    | TextCounts
)

OPS = (
    Numbers,
    Scale,
    Quantiles,
    Powers,
    Arithmetic,
    PrincipalComponents,
    MissingFlags,
    OneHot,
    OrdinalCodes,
    Frequencies,
    TargetMean,
    Crosses,
    GroupAggregates,
    CalendarParts,
    ScaledCalendar,
    CyclicPairs,
    TimeDifferences,
    HashedWords,
    WordMeans,
    TfidfComponents,
    CharacterNgrams,
    TextCounts,
)

__all__ = [
    "OPS",
    "AnyOp",
    "Arithmetic",
    "CalendarParts",
    "CharacterNgrams",
    "Crosses",
    "CyclicPairs",
    "Frequencies",
    "GroupAggregates",
    "HashedWords",
    "MissingFlags",
    "Numbers",
    "OneHot",
    "OrdinalCodes",
    "Powers",
    "PrincipalComponents",
    "Quantiles",
    "Scale",
    "ScaledCalendar",
    "TargetMean",
    "TextCounts",
    "TfidfComponents",
    "TimeDifferences",
    "WordMeans",
]
