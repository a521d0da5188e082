"""The data-quality baseline: what a table's columns were like, and what is asked of later ones.

Plain data, read from and written as JSON that people may edit: a constraint that is taken out is no longer checked, a
limit that is changed counts from then on.

Each constraint says which share of rows may break it (`at_most`, or `at_least` for completeness). The share that a
suggestion has is what the sample leaves plausible, not what it held; and a window that has more has to be worse than
chance explains, given the size of both samples. `strict` takes the share at its word instead: one row too many is a
violation. That is for rules that somebody knows, such as "an age is at most 120".
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from storage.baselines.disk import read_file, write_file
from storage.errors import DataError
from storage.signature import AnyKind

#: The form of the file. A file of another form is refused.
FORM = 1

#: What the values of a column are. `Unknown`: there was none, or they are of a type that is not looked into.
ValueType = Literal["Integral", "Fractional", "Boolean", "String", "Time", "Unknown"]


#: A share of rows, and a number of them, which a file that people edited has to keep.
Part = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


class Completeness(Struct, frozen=True, forbid_unknown_fields=True):
    """At least this share of rows has a value."""

    at_least: Part
    strict: bool = False


class OfType(Struct, frozen=True, forbid_unknown_fields=True):
    """At most this share of values cannot be read as the type: for `Integral`, fractions too."""

    type: ValueType
    at_most: Part
    strict: bool = False


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """At most this share of values is below the minimum, and at most this share above the maximum.

    Numbers as they are, times in microseconds since 1970 UTC, text by its length in characters. None: no limit there.
    """

    minimum: float | None
    maximum: float | None
    at_most: Part
    strict: bool = False


class Domain(Struct, frozen=True, forbid_unknown_fields=True):
    """At most this share of values is none of the levels."""

    levels: tuple[str, ...]
    at_most: Part
    strict: bool = False


class Share(Struct, frozen=True, forbid_unknown_fields=True):
    """At most this share of values is what the constraint's name forbids."""

    at_most: Part
    strict: bool = False


class Constraints(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked of a column. None: not checked.

    required: the column has to be there. completeness, type, domain: as their classes say. range: of numbers and times.
    length: of text. non_negative, finite: no number below zero, none infinite. unique: no value repeats an earlier one.
    past: no time is later than the moment of the check.
    """

    required: bool = True
    completeness: Completeness | None = None
    type: OfType | None = None
    range: Limits | None = None
    length: Limits | None = None
    domain: Domain | None = None
    non_negative: Share | None = None
    finite: Share | None = None
    unique: Share | None = None
    past: Share | None = None


class Statistics(Struct, frozen=True, omit_defaults=True):
    """What a column held. Tests compare a window's counts with these.

    missing: rows without a value; null, NaN and blank text. present: the others, unreadable ones too.
    unreadable: values that are not of the column's kind; fractional: numbers that are not whole; negative, infinite:
    numbers that are. future: times later than the moment of the baseline. repeated: values that repeat an earlier one.
    distinct: different values. minimum, maximum, mean, std_dev: of finite numbers (the latter with n, not n - 1); the
    first two also of times and, for text, of the length. levels: rows of each level, where there are few of them.
    """

    missing: Count = 0
    present: Count = 0
    unreadable: Count = 0
    fractional: Count = 0
    negative: Count = 0
    infinite: Count = 0
    future: Count = 0
    repeated: Count = 0
    distinct: Count = 0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std_dev: float | None = None
    levels: dict[str, Count] = {}

    @property
    def readable(self) -> int:
        """Values that are of the column's kind."""
        return self.present - self.unreadable


class ColumnBaseline(Struct, frozen=True):
    """A column: what it is, what it held, what is asked of it.

    dtype: the Polars type that it had, as text. note: why nothing is asked, where the column could not be looked into.
    """

    name: str
    kind: AnyKind
    dtype: str
    statistics: Statistics
    constraints: Constraints
    note: str = ""


class Baseline(Struct, frozen=True):
    """A table. repeated: rows that repeat an earlier one as a whole.

    distinct_rows: at most this share of a window's rows repeats. extra_columns: whether a window may have columns that
    the baseline lacks.
    """

    rows: Count
    repeated: Count
    columns: tuple[ColumnBaseline, ...]
    distinct_rows: Share | None = None
    extra_columns: bool = False
    form: int = FORM

    def column(self, name: str) -> ColumnBaseline | None:
        """The column of that name; None if there is none."""
        return next((column for column in self.columns if column.name == name), None)

    def json(self) -> bytes:
        """The baseline as one JSON document, indented for people; `Baseline.parse` reads it back."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @classmethod
    def parse(cls, data: bytes, place: str = "This") -> "Baseline":
        """A baseline from its JSON. place: where it is, for the error.

        Raises DataError that names the place in it that is not as it should be.
        """
        try:
            found = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(
                f"{place} is no data-quality baseline: {error}. Make one with `autopilot monitor baseline FILE`."
            ) from error
        if found.form != FORM:
            raise DataError(f"The baseline is of form {found.form}; this version reads form {FORM}. Make it anew.")
        return found

    @classmethod
    def read(cls, path: Path) -> "Baseline":
        """A baseline from a file. Raises DataError if there is none."""
        return cls.parse(read_file(path, "The baseline "), repr(str(path)))

    def write(self, path: Path) -> None:
        """The baseline as a file. Raises as `write_file`."""
        write_file(path, self.json())
