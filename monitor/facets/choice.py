"""Choices: which rows belong to a facet, and which outcomes are the favourable ones."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.pair import level_rows, values_of
from storage.errors import SettingError
from storage.facets import NamedFacet, fairness_columns, parse_facet
from storage.records import ModelVersion
from storage.signature import Signature

#: A value that a choice may name.
Value = str | int | float | bool

#: Whether each row is chosen: 1, 0, or -1 where its value is missing.
Chosen = NDArray[np.int64]


class Choice(Struct, frozen=True, kw_only=True):
    """Rows that have one of the `values`, or a number above the `threshold`; exactly one of the two is given.

    A value means what it shows: 1, 1.0 and "1" are the same, and True is "true". A value above a threshold is chosen
    and one at it is not, as Clarify's interval `(threshold, max]` has it.

    >>> Choice(values=("yes",)).of(pl.Series(["yes", "no", None])).tolist()
    [1, 0, -1]
    >>> Choice(threshold=40).of(pl.Series([40, 41, None])).tolist()
    [0, 1, -1]
    """

    values: tuple[Value, ...] = ()
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Raise SettingError unless there is one way to choose."""
        if bool(self.values) == (self.threshold is not None):
            raise SettingError(
                f"A choice has values {self.values!r} and threshold {self.threshold!r}. Give one of the two: values "
                "for categories, a threshold for numbers."
            )

    @property
    def value_or_threshold(self) -> str:
        """How Clarify's files name the choice.

        >>> Choice(values=("a", 1)).value_or_threshold, Choice(threshold=40.0).value_or_threshold
        ('a,1', '40')
        """
        chosen = self.values if self.threshold is None else (self.threshold,)
        return ",".join(_text(value) for value in chosen)

    def of(self, series: pl.Series) -> Chosen:
        """Which rows are chosen: int64 (rows,), 1, 0, or -1 where the value is missing or cannot be read."""
        if self.threshold is not None:
            chosen = values_of(series, "number") > self.threshold
        else:
            chosen = values_of(series, "category").is_in([_text(value) for value in self.values])
        return chosen.cast(pl.Int64).fill_null(-1).to_numpy()


class Facet(Choice, frozen=True, kw_only=True):
    """The rows of a table that may be put at a disadvantage: those of a column that are chosen, against all others."""

    column: str

    @property
    def name(self) -> str:
        """What people are told that the facet is.

        >>> Facet(column="sex", values=("f", "x")).name, Facet(column="age", threshold=40.0).name
        ('sex f,x', 'age > 40')
        """
        above = "" if self.threshold is None else "> "
        return f"{self.column} {above}{self.value_or_threshold}"


def facets_of(series: pl.Series, most: int = 12) -> tuple[Facet, ...]:
    """A facet for each value of a category, the commonest first, each against all others; the first `most` of them.

    >>> [facet.value_or_threshold for facet in facets_of(pl.Series("town", ["Ulm", "Bonn", "Ulm"]))]
    ['Ulm', 'Bonn']
    """
    levels = level_rows(values_of(series, "category")).head(most).get_column("level")
    return tuple(Facet(column=series.name, values=(level,)) for level in levels)


def facets_named(texts: Sequence[str], signature: Signature, usual: pl.DataFrame) -> tuple[Facet, ...]:
    """The facets that a schedule names: `sex=female`, `age>40`, or `sex` for each of the commonest values.

    usual: rows in which the values are looked for, such as the model's reference. Raises SettingError as `parse_facet`
    does.
    """
    named = [parse_facet(text, signature) for text in texts]
    return tuple(facet for one in named for facet in _facets(one, usual))


def facets_by_default(version: ModelVersion, usual: pl.DataFrame) -> tuple[Facet, ...]:
    """The facets of the columns that a model was fitted with as `fairness=`: each of the commonest values, and of
    numbers those above each quartile, as the report on the run compares quarters.

    usual: as of `facets_named`. Raises SettingError as `fairness_columns` does.
    """
    kinds = {column.name: column.kind for column in version.signature.columns}
    names = fairness_columns(version)
    return tuple(
        facet
        for name in names
        for facet in (quarters_of(usual[name]) if kinds[name] == "number" else facets_of(usual[name]))
    )


def quarters_of(series: pl.Series) -> tuple[Facet, ...]:
    """A facet of the numbers above each quartile, which is a value of the column; numbers of few values have fewer.

    >>> [facet.threshold for facet in quarters_of(pl.Series("age", [20, 30, 40, 50, None]))]
    [20.0, 30.0, 40.0]
    >>> [facet.threshold for facet in quarters_of(pl.Series("member", [False, True]))]
    [0.0]
    """
    values = values_of(series, "number").drop_nulls()
    cuts = [values.quantile(share, "lower") for share in (0.25, 0.5, 0.75)]
    found = sorted({cut for cut in cuts if cut is not None and cut < cast("float", values.max())})
    return tuple(Facet(column=series.name, threshold=cut) for cut in found)


def _facets(named: NamedFacet, usual: pl.DataFrame) -> tuple[Facet, ...]:
    if named.threshold is not None:
        return (Facet(column=named.column, threshold=named.threshold),)
    if named.value is not None:
        return (Facet(column=named.column, values=(named.value,)),)
    return facets_of(usual[named.column])


def group_codes(*tables: pl.Series) -> tuple[list[Chosen], int]:
    """The number of each row's group in each table, which number them alike, -1 where it is missing; and how many.

    >>> [codes.tolist() for codes in group_codes(pl.Series(["b", None]), pl.Series(["a", "b"]))[0]]
    [[1, -1], [0, 1]]
    """
    values = pl.concat([values_of(series, "category").rename("group") for series in tables])
    codes = (values.rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_numpy()
    ends = np.cumsum([len(series) for series in tables])[:-1].tolist()
    return np.split(codes, ends), values.drop_nulls().n_unique()


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
