"""Times as places on circles."""

from typing import ClassVar, Final, Literal, Self, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows, Values
from autopilot.plan.ops.calendar_parts import Part, emit_parts, physical_time, varying
from storage.boundary import MISSING_TIME
from storage.signature import Kind

Cycle = Literal["time of day", "day of week", "day of year"]
CYCLES: Final[tuple[Cycle, ...]] = get_args(Cycle)

_TURN = 2 * np.pi
#: Days before each month of a leap year.
_BEFORE = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])
#: The angle of each minute of a day, of each weekday, and of each day of 12 months of 31 days.
_ANGLES: dict[Cycle, Values] = {
    "time of day": np.arange(1440) / 1440 * _TURN,
    "day of week": np.arange(7) / 7 * _TURN,
    "day of year": (np.repeat(_BEFORE, 31) + np.tile(np.arange(31), 12)) / 366 * _TURN,
}
#: Without these a cycle says nothing.
_PARTS: dict[Cycle, tuple[Part, ...]] = {
    "time of day": ("hour", "minute"),
    "day of week": ("weekday",),
    "day of year": ("month", "day"),
}


class CyclicPairs(Op, frozen=True):
    """Sine and cosine of the time of day (by minutes), the day of the week and the day of the year, in UTC.

    So that 23:59 is near 0:00 and December near January for models that weigh and measure. Cycles that never vary in
    training are left out. Missing is 0, the middle of the circle. Times outside 1900-2100 count as the nearest end.
    All from one table, which both renderings read.
    """

    kind: ClassVar[Kind] = "time"
    about: ClassVar[str] = "sine and cosine of the time of day, week and year"
    cycles: tuple[Cycle, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Keep the cycles that vary in any of the columns."""
        columns = rows.signature.of_kind("time")
        parts = varying(rows.frame, columns)
        cycles: tuple[Cycle, ...] = tuple(cycle for cycle in CYCLES if set(_PARTS[cycle]) & set(parts))
        return cls(columns, cycles) if cycles else None

    def names(self) -> tuple[str, ...]:
        """Sine of the CYCLE of COLUMN, then the cosines."""
        return tuple(
            f"{wave} of the {cycle} of {name}"
            for wave in ("sine", "cosine")
            for cycle in self.cycles
            for name in self.columns
        )

    def polars(self) -> list[pl.Expr]:
        """Look the minute or day up."""
        missing = len(self._table(np.sin)) - 1
        return [
            pl.lit(pl.Series(self._table(wave))).gather((_polars_step(name, cycle) + start).fill_null(missing))
            for wave in (np.sin, np.cos)
            for cycle, start in zip(self.cycles, self._starts(), strict=True)
            for name in self.columns
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """All cycles of all columns at once."""
        x = inputs.times(self.columns)
        steps = [
            g.op("Add", _emit_step(g, x, cycle), g.const(np.int64(start)))
            for cycle, start in zip(self.cycles, self._starts(), strict=True)
        ]
        is_missing = g.op("Equal", x, g.const(np.int64(MISSING_TIME)))
        missing = g.const(np.int64(len(self._table(np.sin)) - 1))
        places = g.op("Concat", *(g.op("Where", is_missing, missing, step) for step in steps), axis=1)
        waves = [g.op("Gather", g.const(self._table(wave)), places) for wave in (np.sin, np.cos)]
        return g.op("Concat", *waves, axis=1)

    def _starts(self) -> list[int]:
        """Where each cycle begins in the table."""
        return np.cumsum([0, *(len(_ANGLES[cycle]) for cycle in self.cycles)])[:-1].tolist()

    def _table(self, wave: np.ufunc) -> NDArray[np.float32]:
        """The wave at each step of each cycle, then 0 for missing."""
        angles = np.concatenate([_ANGLES[cycle] for cycle in self.cycles])
        return np.append(wave(angles), 0.0).astype(np.float32)


def _polars_step(name: str, cycle: Cycle) -> pl.Expr:
    when = physical_time(name).cast(pl.Datetime("us")).dt
    if cycle == "time of day":
        return when.hour().cast(pl.Int64) * 60 + when.minute()
    if cycle == "day of week":
        return when.weekday().cast(pl.Int64) - 1
    return when.month().cast(pl.Int64) * 31 + when.day() - 32


def _emit_step(g: Graph, x: str, cycle: Cycle) -> str:
    first, *second = emit_parts(g, x, _PARTS[cycle])
    if cycle == "day of week":
        return g.op("Sub", first, g.const(np.int64(1)))
    unit, offset = (60, 0) if cycle == "time of day" else (31, -32)
    whole = g.op("Add", g.op("Mul", first, g.const(np.int64(unit))), second[0])
    return g.op("Add", whole, g.const(np.int64(offset)))
