"""The baseline as a file that people edit."""

from pathlib import Path

import msgspec
import polars as pl
import pytest

from monitor.checks import Baseline, check, suggest
from storage.errors import DataError

FRAME = pl.DataFrame({"age": [20, 31, 45, 58] * 250, "town": ["Ulm", "Bonn"] * 500})


def edited(path: str, value: object) -> Baseline:
    """The baseline of FRAME with another value at a path of its JSON."""
    document = msgspec.json.decode(suggest(FRAME).json())
    *way, last = path.split(".")
    node = document
    for step in way:
        node = node[int(step)] if step.isdigit() else node[step]
    node[last] = value
    return Baseline.parse(msgspec.json.encode(document))


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And is readable: one key a line."""
    baseline = suggest(FRAME)
    baseline.write(tmp_path / "baseline.json")
    assert Baseline.read(tmp_path / "baseline.json") == baseline
    assert '\n  "rows": 1000,\n' in (tmp_path / "baseline.json").read_text()


def test_a_constraint_that_is_taken_out_is_not_checked() -> None:
    """Null, or no key at all."""
    window = FRAME.with_columns(age=pl.lit(1000))
    assert [one.check for one in check(window, suggest(FRAME)).violations] == ["range"]
    assert check(window, edited("columns.0.constraints.range", None)).verdict == "no violations"


def test_a_limit_that_was_changed_counts() -> None:
    """Ages up to 120 are allowed now."""
    limits = {"minimum": 0, "maximum": 120, "at_most": 0.001}
    window = FRAME.with_columns(age=pl.lit(100))
    assert check(window, edited("columns.0.constraints.range", limits)).verdict == "no violations"


def test_a_strict_limit_takes_no_row() -> None:
    """One age of 121 in a thousand is no chance where somebody knows that there is none."""
    limits = {"minimum": 0, "maximum": 120, "at_most": 0, "strict": True}
    window = FRAME.with_columns(age=pl.Series([121, *[31] * 999]))
    [violation] = check(window, edited("columns.0.constraints.range", limits)).violations
    assert violation.sentence == "Column 'age': 1 of 1,000 values (0.1%) is above 120. None may."
    assert violation.p_value is None


def test_a_column_that_is_not_required_may_be_missing() -> None:
    """And new columns may come where the baseline says so."""
    window = FRAME.drop("age").with_columns(new=pl.lit(1))
    assert [one.check for one in check(window, suggest(FRAME)).violations] == ["missing_column", "extra_column"]
    assert [one.check for one in check(window, edited("columns.0.constraints.required", False)).violations] == [
        "extra_column"
    ]
    assert [one.check for one in check(window, edited("extra_columns", True)).violations] == ["missing_column"]


def test_a_constraint_that_does_not_fit_costs_no_other_column() -> None:
    """A number has no length: the column's note says so, and the others are judged."""
    baseline = edited("columns.0.constraints.length", {"minimum": 1, "maximum": 2, "at_most": 0})
    quality = check(FRAME.with_columns(town=pl.lit("Rome")), baseline)
    assert [one.column for one in quality.unchecked] == ["age"]
    assert [one.check for one in quality.violations] == ["domain"]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"[", "no data-quality baseline"),
        (b"\xff", "no data-quality baseline"),
        (b'{"rows": 1, "repeated": 0, "columns": [{}]}', r"\$\.columns\[0\]"),
        (suggest(FRAME).json().replace(b'"at_least": 0.9', b'"at_least": 1.9'), r"completeness\.at_least"),
        (suggest(FRAME).json().replace(b'"required"', b'"r"').replace(b'"range"', b'"rnage"'), "rnage"),
        (suggest(FRAME).json().replace(b'"form": 1', b'"form": 2'), "form 2"),
    ],
)
def test_a_mistake_is_told_with_its_place(data: bytes, place: str) -> None:
    """Shares beyond 1 and constraints that do not exist are no typing errors to pass over."""
    with pytest.raises(DataError, match=place):
        Baseline.parse(data)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """And a place where none can be."""
    with pytest.raises(DataError, match="No such file"):
        Baseline.read(tmp_path / "none.json")
    with pytest.raises(DataError, match=r"cannot be written: Is a directory. Name another place."):
        suggest(FRAME).write(tmp_path)
