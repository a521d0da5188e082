"""What some columns say about rows: their order in time, which of them belong together, how much each counts.

docs/validation.md tells the rules to users.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import asdict
from numpy.typing import NDArray

from autopilot.table.findings import Finding
from autopilot.table.instants import written
from autopilot.table.target import MIN_ROWS
from storage.boundary import held, parse_times, typed
from storage.boundary.numbers import SPACE
from storage.errors import DataError, InputError
from storage.signature import Column, Signature

#: To train on, to validate on, to test on.
_LEAST_TIMES = 3
_LEAST_GROUPS = 2
_TEXT = (pl.String, pl.Categorical, pl.Enum)


class Roles(Struct, frozen=True):
    """Columns that say something about rows rather than about what is predicted; None where there is none.

    time: the order in time. group: rows with the same value belong together. weight: how much each row counts.
    """

    time: str | None = None
    group: str | None = None
    weight: str | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The column of each role that there is."""
        return {role: name for role, name in asdict(self).items() if name is not None}

    def no_features(self, wishes: Collection[str]) -> dict[str, str]:
        """Columns that the model does not take, with the reason. wishes: columns that the user gave a kind.

        The time stays a feature like others, and the group becomes one where the user gives it a kind.
        """
        found: dict[str, str] = {}
        if self.group is not None and self.group not in wishes:
            found[self.group] = "says which rows belong together"
        if self.weight is not None:
            found[self.weight] = "is the weight of each row"
        return found

    def refuse_clashes(self, target: str, wishes: Collection[str]) -> None:
        """Raise InputError where a column would be two things at once, or rows divided in two ways."""
        taken = {target: "target"}
        for role, name in self.columns.items():
            if name in taken:
                raise InputError(f"Column {name!r} is the {taken[name]} and cannot be the {role} too. Name another.")
            taken[name] = role
        if self.weight in wishes:
            raise InputError(
                f"Column {self.weight!r} is the weight of each row, so it has no kind. Do not give it one."
            )
        if self.time is not None and self.group is not None:
            raise InputError(
                f"Rows cannot be divided by the time {self.time!r} and by the group {self.group!r} at once. Name the "
                "time if the model will predict later rows of the groups that it knows, the group if it will meet new "
                "ones."
            )


class RowRoles(NamedTuple):
    """What the columns of all roles say. rows: numbers in the table of those that count; the others as of `Table`."""

    rows: pl.Series
    weights: NDArray[np.float64] | None
    groups: NDArray[np.int64] | None
    times: NDArray[np.int64] | None
    findings: list[Finding]


def read_roles(
    frame: pl.DataFrame, rows: pl.Series, roles: Roles, wishes: Mapping[str, str], sensitive: Collection[str] = ()
) -> RowRoles:
    """Read the columns of all roles in these rows of a table, those without weight left out.

    wishes: kinds that the user gave columns, for times with a format. sensitive: columns of which no value is told.
    Raises DataError.
    """
    weights = groups = times = None
    findings: list[Finding] = []
    if roles.weight is not None:
        values, is_sensitive = frame.get_column(roles.weight)[rows], roles.weight in sensitive
        rows, weights, findings = read_weights(values, rows, sensitive=is_sensitive)
    if roles.group is not None:
        groups, told = read_groups(frame.get_column(roles.group)[rows])
        findings += told
    if roles.time is not None:
        values, is_sensitive = frame.get_column(roles.time)[rows], roles.time in sensitive
        times, told = read_times(values, rows, wishes, sensitive=is_sensitive)
        findings += told
    return RowRoles(rows, weights, groups, times, findings)


def read_weights(
    values: pl.Series, rows: pl.Series, *, sensitive: bool = False
) -> tuple[pl.Series, NDArray[np.float64], list[Finding]]:
    """The rows that count, their weights with mean 1, and what the user should know.

    Rows of weight 0 are left out, since nothing would come of them. values: of the column, beside rows, which are the
    rows' numbers in the table. sensitive: whether no value is told. Raises DataError for what is no number of 0 or
    more, with the first such row, and where fewer rows are left than a table must have.
    """
    if not values.dtype.is_numeric():
        raise DataError(f"Column {values.name!r} is {values.dtype}, and weights are numbers. Convert it.")
    given = values.cast(pl.Float64).fill_nan(None)
    _refuse_nulls(given, rows, "is the weight of each row", "Give each row a weight, 0 to leave it out")
    weights = given.to_numpy()
    wrong = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(wrong):
        raise DataError(
            f"Column {values.name!r} is the weight of each row, but row {rows[int(wrong[0])]} holds "
            f"{held(values[int(wrong[0])], sensitive=sensitive)}. Give a number of 0 or more."
        )
    shares = weights / (weights.max() or 1.0)
    counting = np.flatnonzero(shares)
    if len(counting) < MIN_ROWS:
        raise DataError(
            f"Column {values.name!r} is above 0 in {len(counting)} rows with a target; at least {MIN_ROWS} are needed "
            "to train and to check a model. Give more rows a weight."
        )
    found = _tell_weights(values.name, len(shares), shares[counting])
    return rows.gather(counting), shares[counting] / shares[counting].mean(), found


def _tell_weights(name: str, rows: int, weights: NDArray[np.float64]) -> list[Finding]:
    """How many rows count, and for how many alike ones: (sum w)^2 / sum w^2 (Kish, "Survey Sampling", 1965)."""
    alike = round(weights.sum() ** 2 / (weights**2).sum())
    message = f"{name!r} weighs the rows: {len(weights)} of them tell as much as {alike} that count alike."
    found = [Finding("info", "weight", message, name)]
    if len(weights) < rows:
        left_out = f"{rows - len(weights)} of {rows} rows have the weight 0 and were left out."
        found.append(Finding("warning", "weight_zero", left_out, name))
    return found


def read_groups(values: pl.Series) -> tuple[NDArray[np.int64], list[Finding]]:
    """A number for each row's group, from 0 in the order of their first rows, and what the user should know.

    values: of any type. Rows without a value (null, NaN, blank text) are one group: they may belong together. Raises
    DataError if there is only one group.

    >>> read_groups(pl.Series("patient", ["b", "a", None, "b", ""]))[0]
    array([0, 1, 2, 0, 2])
    """
    known = _present(values)
    table = pl.DataFrame({"row": np.arange(len(known)), "group": known})
    firsts = table.select(pl.col("row").min().over("group")).to_series().to_numpy()
    groups = np.unique(firsts, return_inverse=True)[1].astype(np.int64)
    sizes = np.bincount(groups)
    if len(sizes) < _LEAST_GROUPS:
        raise DataError(
            f"Column {values.name!r} says which rows belong together, and all belong to one group. Name a column with "
            f"at least {_LEAST_GROUPS} groups, or none."
        )
    return groups, _tell_groups(values.name, sizes, known.null_count())


def _tell_groups(name: str, sizes: NDArray[np.int64], nulls: int) -> list[Finding]:
    low, high = sizes.min(), sizes.max()
    each = f"{low} to {high} rows" if low < high else f"{low} rows each"
    message = f"{name!r} keeps rows together: {len(sizes)} groups of {each}."
    found = [Finding("info", "group", message, name)]
    if high == 1:
        alone = f"{name!r} is different in each row, so that it keeps no rows together."
        found = [Finding("warning", "group_of_one", alone, name)]
    if nulls > 1:
        unknown = f"{name!r} has no value in {nulls} rows; they are taken for one group."
        found.append(Finding("warning", "group_missing", unknown, name))
    return found


def read_times(
    values: pl.Series, rows: pl.Series, wishes: Mapping[str, str], *, sensitive: bool = False
) -> tuple[NDArray[np.int64], list[Finding]]:
    """A number for each row's time, from 0, the same for the same time, and what the user should know.

    values: dates, times, durations, numbers, or text that is written as times are, which `wishes` may give a format.
    rows: the rows' numbers in the table. sensitive: whether no value is told. Raises DataError for what has no order,
    for rows without a value, and where fewer than three times are distinct.

    >>> read_times(pl.Series("day", ["31.1.2024", "1.2.2024", "31.1.2024", "1.3.2024"]), pl.Series(range(4)), {})[0]
    array([0, 1, 0, 2])
    """
    known = _present(values)
    _refuse_nulls(known, rows, "is the order in time", "Fill these cells or drop these rows")
    times = _instants(known, rows, wishes.get(values.name, ""), sensitive=sensitive)
    ranks = times.rank("dense").cast(pl.Int64).to_numpy() - 1
    distinct = int(ranks.max()) + 1
    if distinct < _LEAST_TIMES:
        raise DataError(
            f"Column {values.name!r} is the order in time, and has {distinct} distinct times; at least {_LEAST_TIMES} "
            "are needed: to train on, to validate on, to test on. Name a finer time, or none."
        )
    span = "" if sensitive else f", from {times.min()} to {times.max()}"
    message = f"{values.name!r} orders the rows in time{span}: {distinct} distinct times."
    return ranks, [Finding("info", "time", message, values.name)]


def _instants(known: pl.Series, rows: pl.Series, wish: str, *, sensitive: bool) -> pl.Series:
    """Values that sort as time goes."""
    if known.dtype not in _TEXT:
        if known.dtype.is_temporal() or known.dtype.is_numeric():
            return known
        raise DataError(
            f"Column {known.name!r} is {known.dtype}, which is no order in time. Name a column of dates, times or "
            "numbers."
        )
    text = known.cast(pl.String).str.strip_chars(SPACE)
    _, mark, time_format = wish.partition("time:")
    if mark:
        column = Column(text.name, "time", "String", format=time_format, sensitive=sensitive)
        return typed(Signature("regression", "", (column,)), text.to_frame()).to_series()
    found = written(text.unique(maintain_order=True), text)
    times = parse_times(text, found.format) if found else pl.Series(text.name, [None] * len(text))
    if times.null_count():
        wrong = times.is_null().arg_true()[0]
        told = held(text[wrong], sensitive=sensitive)
        raise DataError(
            f"Column {text.name!r} is the order in time, but row {rows[wrong]} holds {told}, which is not read as a "
            f"time. Correct it, or say how times are written: --column {text.name}=time:%d/%m/%Y."
        )
    return times


def _present(values: pl.Series) -> pl.Series:
    """Values with null for all that is missing: NaN and blank text too."""
    if values.dtype.is_float():
        return values.fill_nan(None)
    if values.dtype in _TEXT:
        text = values.cast(pl.String)
        return text.set(text.str.strip_chars(SPACE) == "", None)
    return values


def _refuse_nulls(values: pl.Series, rows: pl.Series, what: str, remedy: str) -> None:
    missing = values.is_null().arg_true()
    if len(missing):
        raise DataError(
            f"Column {values.name!r} {what}, but has no value in {len(missing)} rows, first in row {rows[missing[0]]}. "
            f"{remedy}."
        )
