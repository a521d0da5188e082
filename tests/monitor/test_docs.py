"""The guide tells what the monitor does."""

import doctest
import re
from pathlib import Path

from monitor.calibrated import GROUPS, MINIMUM_EFFECT
from monitor.compare import METHODS, MINIMUM_ROWS
from monitor.drift import ColumnDrift, DriftReport
from monitor.schedule import SETTLE

PATH = Path(__file__).parents[2] / "docs" / "monitor.md"
GUIDE = PATH.read_text(encoding="utf-8")


def keys(heading: str) -> set[str]:
    """Names in the first column of the table that is headed so."""
    lines = GUIDE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {name for line in lines for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def test_examples_give_what_the_guide_says() -> None:
    """To the letter."""
    failed, attempted = doctest.testfile(str(PATH), module_relative=False)
    assert (failed, attempted > 4) == (0, True)


def test_each_key_is_in_the_guide() -> None:
    """And none that is not there."""
    assert keys("key") == set(DriftReport.__struct_fields__)
    assert keys("key of a column") == set(ColumnDrift.__struct_fields__)


def test_figures_are_those_of_the_code() -> None:
    """Whoever changes one changes the other."""
    assert f"an `effect` of {MINIMUM_EFFECT}" in GUIDE
    assert f"fewer than {MINIMUM_ROWS} rows" in GUIDE
    assert f"up to {GROUPS} groups" in GUIDE
    assert SETTLE.total_seconds() == 3


def test_each_method_is_in_the_guide() -> None:
    """By the name that it is asked for."""
    assert [name for name in METHODS if f"`{name}`" not in GUIDE] == []
