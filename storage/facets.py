"""Facets as a schedule names them: the people whom a model may put at a disadvantage, as text.

Where nobody names any, they are of the columns that the model was fitted with as `fairness=`.
"""

import math
from typing import NamedTuple

from storage.errors import SettingError, listed
from storage.records import ModelVersion
from storage.signature import Signature


class NamedFacet(NamedTuple):
    """Rows of a column with a value, or with a number above a threshold; with neither, each level is a facet."""

    column: str
    value: str | None = None
    threshold: float | None = None


def parse_facet(text: str, signature: Signature) -> NamedFacet:
    """`sex=female`, `age>40`, or `sex` for each level; of the columns that a model takes.

    Names of columns may hold `=` and `>` themselves: the longest one with which the text begins is meant. Raises
    SettingError for a column that the model does not take, and for a threshold that is no number or not of numbers.

    >>> from storage import Column
    >>> model = Signature("binary", "paid", (Column("sex", "category", "String"), Column("age", "number", "Float64")))
    >>> parse_facet("sex=female", model), parse_facet("age>40", model).threshold, parse_facet("sex", model).value
    (NamedFacet(column='sex', value='female', threshold=None), 40.0, None)
    """
    kinds = {column.name: column.kind for column in signature.columns}
    found = [name for name in kinds if text == name or text.startswith((f"{name}=", f"{name}>"))]
    if not found:
        raise SettingError(
            f"The facet {text[:80]!r} is of no column that the model takes. Write sex=female, age>40, or sex for each "
            f"level, with one of {listed(list(kinds))}."
        )
    column = max(found, key=len)
    sign, rest = text[len(column) : len(column) + 1], text[len(column) + 1 :]
    if sign != ">":
        return NamedFacet(column, rest if sign else None)
    threshold = _number(rest)
    if threshold is None or kinds[column] != "number":
        raise SettingError(
            f"The facet {text[:80]!r} asks for numbers above {rest[:80]!r} in column {column!r}, a {kinds[column]}. "
            f"Write a number after > and a column of numbers before it, or {column}=VALUE."
        )
    return NamedFacet(column, threshold=threshold)


def fairness_columns(version: ModelVersion) -> tuple[str, ...]:
    """The columns whose facets a bias check looks at where nobody names any: those of the card's `fairness` that the
    model takes, since traffic has no others; times have no groups.

    Raises SettingError where there is none, as for each version that was fitted without `fairness=`.
    """
    kinds = {column.name: column.kind for column in version.signature.columns}
    found = tuple(name for name in version.card.fairness if kinds.get(name, "time") != "time")
    if found:
        return found
    fitted = (
        f"compared the groups of {listed(list(version.card.fairness))} when it was fitted, and traffic has no groups "
        "of these"
        if version.card.fairness
        else "was fitted without fairness="
    )
    raise SettingError(
        f"No facet was named, and {version.name}:{version.version} {fitted}. Name one, such as sex=female, age>40, or "
        f"sex for each level, with one of {listed(list(kinds))}."
    )


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
