"""The guide tells how rows are divided."""

import doctest
from pathlib import Path

from autopilot.search import folds
from autopilot.search.folds import Scheme
from autopilot.table.roles import Roles

PATH = Path(__file__).parents[3] / "docs" / "validation.md"
GUIDE = PATH.read_text(encoding="utf-8")


def test_examples_give_what_the_guide_says() -> None:
    """To the letter."""
    failed, attempted = doctest.testfile(str(PATH), module_relative=False)
    assert (failed, attempted > 10) == (0, True)


def test_each_scheme_and_role_is_in_the_guide() -> None:
    """In a table's first column."""
    kinds = Scheme.__annotations__["kind"].__args__
    for name in (*kinds, *(f"`{role}`" for role in Roles.__struct_fields__)):
        assert f"\n| {name} |" in GUIDE


def test_figures_are_those_of_the_code() -> None:
    """Whoever changes one changes the other."""
    assert f"Below {folds.NESTED_ROWS} rows, or {folds.NESTED_GROUPS} groups" in GUIDE
    assert f"Above {folds.SAMPLED_ROWS:,} rows the search works on {folds.SEARCH_ROWS:,}" in GUIDE
    assert f"{folds.TEST_ROWS:,} others are tested" in GUIDE
