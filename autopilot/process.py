"""One processing step on a table: fitted on it, applied to it, kept, and applied to later tables with the same bits.

    autopilot process houses.csv pca --components 3 -o components.parquet --save pca.json
    autopilot process later.csv --fitted pca.json -o later.parquet

A step is one op of the plan under the name that its field gives it. Ops that learn from a target are none: they need
folds, which only training has.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from autopilot.plan import Plan
from autopilot.plan.levels import Levels
from autopilot.plan.op import Op, Rows, Target
from autopilot.plan.ops import (
    AnyOp,
    CalendarParts,
    CyclicPairs,
    Frequencies,
    HashedWords,
    MissingFlags,
    OneHot,
    OrdinalCodes,
    Powers,
    PrincipalComponents,
    Quantiles,
    Scale,
    TextCounts,
    TfidfComponents,
    TimeDifferences,
)
from autopilot.table.columns import asked, count, judge
from autopilot.table.read import read
from storage.boundary import typed
from storage.errors import DataError, InputError, listed
from storage.signature import Column, Kind, Signature

STEPS: Final[dict[str, type[Op]]] = {
    "scale": Scale,
    "quantiles": Quantiles,
    "powers": Powers,
    "pca": PrincipalComponents,
    "missing_flags": MissingFlags,
    "one_hot": OneHot,
    "ordinal_codes": OrdinalCodes,
    "frequencies": Frequencies,
    "calendar_parts": CalendarParts,
    "cyclic_pairs": CyclicPairs,
    "time_differences": TimeDifferences,
    "hashed_words": HashedWords,
    "text_counts": TextCounts,
    "tfidf": TfidfComponents,
}

#: Of files that `save` writes.
_FORMAT = 1
_MOST_LEVELS = 24
#: Kinds whose cells are kept as a csv file has them: 007 is another level than 7.
_WRITTEN: tuple[Kind, ...] = ("category", "text")


class FittedStep(Struct, frozen=True):
    """A step that has learnt from a table; plain data, written as JSON and read without running code.

    step: a key of `STEPS`. signature: the columns that it takes. plan: one fitted op, and what it looks up by.
    """

    step: str
    signature: Signature
    plan: Plan
    format: int = _FORMAT

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it makes."""
        return self.plan.names()

    def apply(self, frame: pl.DataFrame, *, drop: bool = False) -> pl.DataFrame:
        """The table with the step's columns behind its own: Float32, null where there is no value.

        Where these have the names of the columns that it reads, as those of scale, they take their place. drop: leave
        out all columns that the step reads. Raises DataError if a column is absent, has a cell that cannot be read, or
        has the name of a new one.
        """
        takes_place = self.names == self.plan.ops[0].columns
        taken = [] if takes_place else [name for name in self.names if name in frame.columns]
        if taken:
            raise DataError(f"The table has columns that {self.step!r} would make: {listed(taken)}. Rename them.")
        made = pl.DataFrame(self.plan.features(typed(self.signature, frame)), schema=list(self.names)).fill_nan(None)
        gone = set(self.signature.names) if drop else set[str]()
        kept = [name for name in frame.columns if name not in gone and name not in self.names]
        return frame.with_columns(made.get_columns()).select(*kept, *self.names)

    def save(self, path: str | Path) -> None:
        """Write it as JSON, whole or not at all."""
        part = Path(f"{path}.part")
        part.write_bytes(msgspec.json.encode(self))
        part.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> "FittedStep":
        """Read what `save` wrote. Raises DataError if it is something else, or of a later version."""
        try:
            data = Path(path).read_bytes()
            step = msgspec.json.decode(data, type=cls)
        except OSError as error:
            raise DataError(f"{str(path)!r} cannot be read: {error.strerror}. Check the path.") from error
        except msgspec.MsgspecError as error:
            raise DataError(f"{str(path)!r} is no fitted step: {error}. Write one with --save.") from error
        if step.format > _FORMAT:
            raise DataError(
                f"{str(path)!r} has format {step.format}; this version reads up to {_FORMAT}. Update autopilot."
            )
        return step


def step_of(name: str | None, path: str | None) -> str | FittedStep:
    """A step by name, or the fitted one in a file; of which one has to be given."""
    if path is None:
        if name is None:
            raise InputError(f"Name a step, or a fitted one with --fitted. Steps are {', '.join(STEPS)}.")
        return name
    fitted = FittedStep.load(path)
    if name not in (None, fitted.step):
        raise InputError(f"{path!r} is a fitted {fitted.step!r}, not {name!r}. Leave the name out.")
    return fitted


class Processed(NamedTuple):
    """A table after a step, and the step."""

    frame: pl.DataFrame
    fitted: FittedStep


def process(
    data: Any,
    step: str | FittedStep,
    *,
    columns: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    components: int | None = None,
    max_levels: int | None = None,
    drop: bool = False,
    seed: int = 0,
    delimiter: str = ",",
) -> Processed:
    """Fit a processing step on a table, or take a fitted one, and give the table with the step's columns.

    data: as of `fit`. step: a key of `STEPS`, or what an earlier call or `FittedStep.load` gave. columns: that it
        reads; by default all of its kind but identifiers and constants. ignore: columns to leave as they are, such as a
        target.
    components: of pca; by default as many as explain 90 % of the variance, at most 8. max_levels: of one_hot, for each
        column, the most frequent first; by default 24.
    drop: leave out the columns that the step reads. seed: draws the sample of large tables.

    Raises InputError for a step or option that there is not, DataError for a table that the step cannot read.

    >>> table = pl.DataFrame({"town": ["Ulm", "Ulm", "Bonn", "Bonn", "Ulm"], "rent": [7.5, 9.0, 8.0, 6.5, 9.5]})
    >>> process(table, "one_hot").frame.columns
    ['town', 'rent', 'town = Ulm', 'town = Bonn']
    """
    if isinstance(step, FittedStep):
        _refuse_options(columns=columns, ignore=ignore or None, components=components, max_levels=max_levels)
        text = step.signature.of_kind(*_WRITTEN)
        return Processed(step.apply(read(data, delimiter=delimiter, text=text), drop=drop), step)
    _refuse_step(step, components, max_levels)
    frame = read(data, delimiter=delimiter, text=(columns or ()) if STEPS[step].kind in _WRITTEN else ())
    signature = _read_columns(frame, step, columns, ignore)
    fitted = FittedStep(step, signature, _fit(frame, signature, step, components, max_levels, seed))
    return Processed(fitted.apply(frame, drop=drop), fitted)


def _refuse_options(**options: object) -> None:
    """Raise for an option that decides what is fitted, beside a step that is fitted already."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"A fitted step takes no {given[0]}: it was decided when it was fitted. Leave it out.")


def _refuse_step(step: str, components: int | None, max_levels: int | None) -> None:
    if step not in STEPS:
        raise InputError(f"There is no step {step!r}. Steps are {', '.join(STEPS)}.")
    for name, value, owner in (("components", components, "pca"), ("max_levels", max_levels, "one_hot")):
        if value is not None and step != owner:
            raise InputError(f"{name} is an option of {owner}, not of {step!r}. Leave it out.")
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}. Give at least 1.")


def _read_columns(frame: pl.DataFrame, step: str, columns: Sequence[str] | None, ignore: Sequence[str]) -> Signature:
    """The columns that a step reads: those that were named, or those that are of its kind."""
    kind = STEPS[step].kind
    absent = [name for name in (*(columns or ()), *ignore) if name not in frame.columns]
    if absent:
        raise DataError(f"The table has no column {absent[0]!r}. Its columns are {listed(frame.columns)}.")
    chosen = frame.columns if columns is None else columns
    plain = frame.select(chosen).select(~(pl.selectors.nested() | pl.selectors.object())).drop(ignore, strict=False)
    rows = pl.int_range(frame.height, eager=True)
    verdicts = {
        name: judge(plain.get_column(name), facts, rows)
        if columns is None
        else asked(plain.get_column(name), facts, kind)
        for name, facts in count(plain).items()
    }
    kept = tuple(
        Column(name, kind, str(plain.schema[name]), format=verdict.format)
        for name, verdict in verdicts.items()
        if verdict.kind == kind and verdict.reason is None
    )
    if not kept:
        raise DataError(
            f"{step!r} reads columns of kind {kind}, and none of {listed(chosen)} is one that varies. Name other "
            "columns, or use another step."
        )
    return Signature("regression", "", kept)


def _fit(
    frame: pl.DataFrame, signature: Signature, step: str, components: int | None, max_levels: int | None, seed: int
) -> Plan:
    """A plan of the step alone."""
    clean = typed(signature, frame)
    nothing = Target(np.zeros(clean.height), 1)
    rows = Rows.of(clean, signature, nothing, np.zeros(clean.height, dtype=np.int64), seed)
    if step == "one_hot":
        op = _one_hot(rows.levels, max_levels or _MOST_LEVELS)
    else:
        op = PrincipalComponents.fit_some(rows, components) if components else STEPS[step].fit(rows)
    if op is None:
        raise DataError(f"{step!r} finds nothing to learn in {listed(signature.names)}. {_NEEDS.get(step, _VARY)}")
    if components and len(op.names()) < components:
        raise DataError(f"{step!r} finds {len(op.names())} components, not {components}. Ask for fewer.")
    return Plan(rows.levels, rows.tokens, (cast("AnyOp", op),))


_VARY = "Name columns that vary."
#: What a step needs beside columns that vary.
_NEEDS = {
    "pca": "It needs 4 columns that vary; for fewer, say how many components.",
    "powers": "It needs columns with a skewness beyond 1.",
    "missing_flags": "It needs columns that lack values in 5 rows, or in one of fifty.",
    "frequencies": "It needs columns with at least 5 levels of 2 rows each.",
    "time_differences": "It needs at least 2 columns of times.",
    "one_hot": "It needs levels of at least 2 rows.",
    "ordinal_codes": "It needs levels of at least 2 rows.",
}


def _one_hot(levels: Levels, most: int) -> OneHot | None:
    """Indicators of all known levels up to a number: alone, no model asks for fewer."""
    kept = {name: known[:most] for name, known in zip(levels.columns, levels.names, strict=True) if known}
    return OneHot(tuple(kept), tuple(kept.values())) if kept else None
