"""The guide tells what becomes of values."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from storage import Column, InputError, Signature
from storage.boundary import MISSING_TIME, TIME_FORMATS, Blocks, blocks_of_frame, blocks_of_rows, micros_of_text, typed

GUIDE = (Path(__file__).parents[2] / "docs" / "columns.md").read_text(encoding="utf-8")

COLUMNS = {
    "number": Column("x", "number", "Float64"),
    "boolean": Column("x", "number", "Boolean"),
    "category": Column("x", "category", "String"),
    "category of whole numbers": Column("x", "category", "Int64"),
    "category of booleans": Column("x", "category", "Boolean"),
    "text": Column("x", "text", "String"),
    "text of lists": Column("x", "text", "List(String)"),
    "time": Column("x", "time", "Date"),
}


def table(heading: str) -> list[list[str]]:
    """Cells of the rows of the table whose first column is headed so."""
    lines = GUIDE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def column_of(words: str) -> Column:
    """The column that the guide speaks of."""
    if words.startswith("time of "):
        return Column("x", "time", "any", format=words.removeprefix("time of "))
    return COLUMNS[words]


def examples() -> list[tuple[Column, Any, str]]:
    """A column, a value and what it is, for each value of the guide."""
    return [
        (column, json.loads(value), means)
        for words, values, means in table("a column of")
        for column in (COLUMNS.values() if words == "any kind" else [column_of(words)])
        for value in re.findall("`(.*?)`", values)
    ]


@pytest.mark.parametrize(("column", "value", "means"), examples())
def test_a_value_is_what_the_guide_says(column: Column, value: Any, means: str) -> None:
    """In a frame and in a row."""
    signature = Signature("regression", "y", (column,))
    frame = pl.DataFrame([pl.Series("x", [value])])
    for read in (
        lambda: blocks_of_frame(signature, typed(signature, frame)),
        lambda: blocks_of_rows(signature, [{"x": value}]),
    ):
        if means == "refused":
            with pytest.raises(InputError, match="row 0 holds"):
                read()
        else:
            check(read(), value, means)


def check(blocks: Blocks, value: Any, means: str) -> None:
    """That the one input is what is meant."""
    number, text, time = (block.tolist() for block in blocks)
    if means == "missing":
        assert (np.isnan(blocks.number).all(), text, time) in [
            (True, [[]], [[]]),
            (True, [[""]], [[]]),
            (True, [[]], [[MISSING_TIME]]),
        ]
    elif means.startswith("an infinity"):
        assert np.isinf(blocks.number).all()
    elif means.startswith("an unseen level"):
        assert text == [[value]]
    else:
        assert [cell for block in (number, text, time) for cell in block[0]] == [json.loads(means.strip("`"))]


def test_each_format_of_times_is_in_the_guide_with_examples_that_are_read() -> None:
    """Short years are told in one line for all of them."""
    told: set[str] = set()
    for formats, cells in table("format"):
        names = re.findall("`(.*?)`", formats)
        told |= set(names)
        for example in re.findall("`(.*?)`", cells):
            assert any(micros_of_text(example, name) is not None for name in (None, *TIME_FORMATS))
            assert any(micros_of_text(example, name) is not None for name in names or (None,)) or "%y" in formats
    assert {name for name in TIME_FORMATS if "%y" not in name} <= told
    assert told <= set(TIME_FORMATS)
