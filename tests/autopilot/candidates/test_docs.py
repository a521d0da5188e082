"""The guide to candidates tells what there is."""

import doctest
from pathlib import Path

import pytest

from autopilot.candidates import CANDIDATES, DEFAULT_CANDIDATES
from autopilot.search import portfolio

PATH = Path(__file__).parents[3] / "docs" / "candidates.md"
GUIDE = PATH.read_text(encoding="utf-8")


@pytest.mark.slow
def test_examples_give_what_the_guide_says() -> None:
    """To the letter, but for the rest of a list of names."""
    failed, attempted = doctest.testfile(str(PATH), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert (failed, attempted > 15) == (0, True)


def test_each_candidate_stands_in_the_table_with_what_it_reads() -> None:
    """In the order of CANDIDATES, and with whether it is tried by default."""
    lines = GUIDE.split("| candidate |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    found = [(name.strip("`"), recipe, default) for name, _, recipe, _, default in cells]
    defaults = {True: "yes", False: "no"}
    assert found == [(one.name, one.recipe, defaults[one in DEFAULT_CANDIDATES]) for one in CANDIDATES]


def test_sizes_are_those_of_the_portfolio() -> None:
    """Where one order ends and the next begins."""
    assert f"less than {portfolio.SMALL_ROWS:,} rows, one up to {portfolio.LARGE_ROWS:,}" in GUIDE
