"""The guide's tables of features are the code's own."""

from pathlib import Path

import autopilot
from autopilot.candidates import CANDIDATES
from autopilot.plan.ops import OPS
from autopilot.plan.recipes import RECIPES

GUIDE = (Path(autopilot.__file__).parent.parent / "docs/features.md").read_text()


def table(header: str) -> list[list[str]]:
    """The cells of the rows below a header."""
    lines = GUIDE.split(header)[1].splitlines()[2:]
    until = lines.index("")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:until]]


def test_each_op_stands_with_the_recipes_that_it_feeds() -> None:
    """One line for each op."""
    expected = {
        (op.kind, f"`{op.__name__}`", op.about, *("x" if op in recipe else "" for recipe in RECIPES.values()))
        for op in OPS
    }
    assert list(RECIPES) == ["trees", "prepared", "linear", "dense"]
    assert {tuple(row) for row in table("| of | op | gives | trees | prepared | linear | dense |")} == expected


def test_each_candidate_stands_with_its_recipe() -> None:
    """All of them."""
    found = {
        (name, recipe) for recipe, names in table("| recipe | models that read it |") for name in names.split(", ")
    }
    assert found == {(f"`{candidate.name}`", candidate.recipe) for candidate in CANDIDATES}
