"""Times as parts of the calendar."""

from collections.abc import Sequence
from typing import ClassVar, Final, Literal, Self, get_args

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from storage.boundary import MISSING_TIME
from storage.signature import Kind

Part = Literal["days", "year", "month", "day", "weekday", "hour", "minute"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

DAY_US = 86_400_000_000
#: The arithmetic is exact from 1900 to the end of 2100; other times are taken as the nearest of these.
FIRST_US = -25_567 * DAY_US
LAST_US = 47_847 * DAY_US - 1


class CalendarParts(Op, frozen=True):
    """Days since 1970, year, month, day, weekday (1 = Monday), hour and minute in UTC, as float32.

    Parts that never vary in training are left out. Missing is NaN. Times outside 1900-2100 count as the nearest end.
    The graph has pure int64 arithmetic: Hinnant, "chrono-compatible low-level date algorithms".
    """

    kind: ClassVar[Kind] = "time"
    about: ClassVar[str] = "parts of the calendar"
    parts: tuple[Part, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Keep the parts that vary in any of the columns."""
        columns = rows.signature.of_kind("time")
        parts = varying(rows.frame, columns)
        return cls(columns, parts) if parts else None

    def names(self) -> tuple[str, ...]:
        """PART of COLUMN."""
        return tuple(f"{part} of {name}" for part in self.parts for name in self.columns)

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Only the parts, and only the columns, that these features need."""
        wide = len(self.columns)
        parts = {self.parts[index // wide] for index in kept}
        columns = {self.columns[index % wide] for index in kept}
        return type(self)(
            tuple(name for name in self.columns if name in columns), tuple(part for part in self.parts if part in parts)
        )

    def polars(self) -> list[pl.Expr]:
        """Polars' own calendar."""
        return [polars_part(name, part).fill_null(float("nan")) for part in self.parts for name in self.columns]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """All columns at once: the number of nodes does not grow with them."""
        x = inputs.times(self.columns)
        parts = emit_parts(g, x, self.parts)
        joined = g.op("Concat", *(g.cast(part, TensorProto.FLOAT) for part in parts), axis=1)
        missing = g.op("Equal", x, g.const(np.int64(MISSING_TIME)))
        wide = g.op("Concat", *[missing] * len(parts), axis=1)
        return g.op("Where", wide, g.const(np.float32(np.nan)), joined)


def physical_time(name: str) -> pl.Expr:
    """A Datetime("us") column as Int64 microseconds within the calendar, null where missing."""
    return pl.col(name).to_physical().clip(FIRST_US, LAST_US)


def polars_part(name: str, part: Part) -> pl.Expr:
    """One part of a Datetime("us") column as Float32, null where missing."""
    when = physical_time(name)
    if part == "days":
        return (when // DAY_US).cast(pl.Float32)
    return getattr(when.cast(pl.Datetime("us")).dt, part)().cast(pl.Float32)


def emit_parts(g: Graph, x: str, parts: tuple[Part, ...]) -> list[str]:
    """int64 tensors of the shape of `x`, one for each part.

    ONNX integer Div truncates and Mod takes the divisor's sign, so that (a - a mod b) / b is floor division.
    """

    def c(value: int) -> str:
        return g.const(np.int64(value))

    def floor_div(a: str, b: int) -> str:
        return g.op("Div", g.op("Sub", a, g.op("Mod", a, c(b))), c(b))

    def div(a: str, b: int) -> str:
        return g.op("Div", a, c(b))

    def mul(a: str, b: int) -> str:
        return g.op("Mul", a, c(b))

    def add(a: str, b: int) -> str:
        return g.op("Add", a, c(b))

    def minus(a: str, *others: str) -> str:
        for other in others:
            a = g.op("Sub", a, other)
        return a

    when = g.op("Clip", x, c(FIRST_US), c(LAST_US))
    days = floor_div(when, DAY_US)
    time_of_day = g.op("Mod", when, c(DAY_US))
    shifted = add(days, 719_468)
    era = floor_div(shifted, 146_097)
    day_of_era = g.op("Mod", shifted, c(146_097))
    leap_days = minus(day_of_era, div(day_of_era, 1460))
    leap_days = minus(g.op("Add", leap_days, div(day_of_era, 36_524)), div(day_of_era, 146_096))
    year_of_era = div(leap_days, 365)
    begun = minus(g.op("Add", mul(year_of_era, 365), div(year_of_era, 4)), div(year_of_era, 100))
    day_of_year = minus(day_of_era, begun)
    shifted_month = div(add(mul(day_of_year, 5), 2), 153)
    day = add(minus(day_of_year, div(add(mul(shifted_month, 153), 2), 5)), 1)
    month = add(g.op("Mod", add(shifted_month, 2), c(12)), 1)
    next_year = g.cast(g.op("LessOrEqual", month, c(2)), TensorProto.INT64)
    found = {
        "days": days,
        "year": g.op("Add", g.op("Add", year_of_era, mul(era, 400)), next_year),
        "month": month,
        "day": day,
        "weekday": add(g.op("Mod", add(days, 3), c(7)), 1),
        "hour": div(time_of_day, 3_600_000_000),
        "minute": g.op("Mod", div(time_of_day, 60_000_000), c(60)),
    }
    return [found[part] for part in parts]


def varying(frame: pl.DataFrame, columns: tuple[str, ...]) -> tuple[Part, ...]:
    """The parts that take more than one value in any of the columns."""
    found = frame.select(
        pl.any_horizontal(polars_part(name, part).max() > polars_part(name, part).min() for name in columns).alias(part)
        for part in PARTS
    )
    return tuple(part for part, varies in zip(PARTS, found.row(0), strict=True) if varies)
