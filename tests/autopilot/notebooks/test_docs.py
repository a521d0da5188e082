"""The guide to notebooks runs, and tells the parts that there are."""

import doctest
import re
from pathlib import Path

from autopilot.notebooks import subject
from autopilot.notebooks.candidate import candidate_of

PATH = Path(__file__).parents[3] / "docs" / "notebooks.md"
GUIDE = PATH.read_text(encoding="utf-8")
TEMPLATE = Path(candidate_of.__code__.co_filename).parent / "templates" / "exploration.md.jinja"


def test_examples_give_what_the_guide_says() -> None:
    """To the letter."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, attempted = doctest.testfile(str(PATH), module_relative=False, optionflags=flags)
    assert (failed, attempted > 8) == (0, True)


def test_each_part_of_the_exploration_is_in_the_guide() -> None:
    """By its heading, in order."""
    parts = re.findall(r"^\| ([a-z ,]+) \| [^-]", GUIDE.split("## The exploration")[1], flags=re.MULTILINE)
    told = [part for line in parts[1:] for part in line.split(", ")]
    headings = re.findall("^## (.+)$", TEMPLATE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert told == [heading.lower() for heading in headings if heading != "From here"]


def test_its_figures_are_those_of_the_code() -> None:
    """How much of a table in memory is kept."""
    assert f"up to {subject._MOST_CELLS // 1_000_000} million cells" in GUIDE
