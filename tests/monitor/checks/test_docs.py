"""The guide to data quality tells what the code does."""

import doctest
import re
from pathlib import Path
from typing import get_args

from monitor.checks import Baseline, Constraints, Quality, Violation
from monitor.checks.check import EXAMPLES, LEAST_ROWS
from monitor.checks.suggest import MOST_LEVELS, MOST_REPEATED, MOST_SINGLE
from monitor.checks.violation import Check, QualityVerdict

PATH = Path(__file__).parents[3] / "docs" / "data-quality.md"
GUIDE = PATH.read_text(encoding="utf-8")


def keys(heading: str) -> set[str]:
    """Names in the first column of the table that is headed so."""
    lines = GUIDE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {name for line in lines for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def test_examples_give_what_the_guide_says() -> None:
    """To the letter, but for digits that are left out."""
    options = doctest.ELLIPSIS
    failed, attempted = doctest.testfile(str(PATH), module_relative=False, optionflags=options)
    assert (failed, attempted > 12) == (0, True)


def test_each_key_is_in_the_guide() -> None:
    """And none that is not there."""
    assert keys("key") == set(Quality.__struct_fields__)
    assert keys("key of a violation") == set(Violation.__struct_fields__)
    of_table = {"distinct_rows", "extra_columns"}
    assert keys("constraint") == set(Constraints.__struct_fields__) | of_table
    assert of_table < set(Baseline.__struct_fields__)


def test_each_check_and_verdict_is_in_the_guide() -> None:
    """By its name."""
    assert all(f"`{name}`" in GUIDE for name in (*get_args(Check), *get_args(QualityVerdict)))


def test_figures_are_those_of_the_code() -> None:
    """Whoever changes one changes the other."""
    assert f"`too few rows` below {LEAST_ROWS}" in GUIDE
    assert f"at most {MOST_LEVELS:,} levels of which at most {MOST_SINGLE:.0%} came once" in GUIDE
    assert (MOST_REPEATED, "at most a tenth repeats" in GUIDE) == (0.1, True)
    assert (EXAMPLES, "up to five different values" in GUIDE) == (5, True)
