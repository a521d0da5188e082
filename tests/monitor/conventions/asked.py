"""The tables that other products were asked about, as columns for our conventions."""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from monitor.conventions import Column
from monitor.pair import pair_up

GOLDENS = Path(__file__).parents[1] / "goldens"
sys.path.insert(0, str(GOLDENS))
from compared_tables import Sides, checksum, tables  # noqa: E402  (the scripts that recorded import it by this name)
from odd_columns import ODD_COLUMNS  # noqa: E402

TYPES: dict[str, Any] = {
    "float": pl.Float64,
    "int": pl.Int64,
    "bool": pl.Boolean,
    "str": pl.String,
    "text": pl.String,
}


def column_of(name: str, sides: Sides) -> Column:
    """A column as `compare` makes it of two tables."""
    reference, current = (
        pl.Series(name, values, dtype=TYPES.get(sides.type)) for values in (sides.reference, sides.current)
    )
    return Column(pair_up(reference, current), reference, current)


@cache
def asked_tables() -> list[tuple[int, dict[str, Column]]]:
    """Each table's checksum, and its columns."""
    return [(checksum(table), {name: column_of(name, s) for name, s in table.items()}) for table in tables()]


def odd_columns() -> dict[str, Column]:
    """The odd columns by what is odd about them."""
    return {name: column_of("x", sides) for name, sides in ODD_COLUMNS.items()}


def answers_of(product: str) -> dict[str, Any]:
    """What a product said."""
    return json.loads((GOLDENS / f"{product}.json").read_text())
