"""The guide tells what is looked for, and how it is decided."""

import doctest
import re
from pathlib import Path

from autopilot import guardrails
from autopilot.guardrails import cells, entities, leaks, target, twins
from autopilot.guardrails.guard import _REASONS, _SEVERITIES
from autopilot.guardrails.sample import MOST_ROWS

PATH = Path(__file__).parents[3] / "docs" / "guardrails.md"
GUIDE = PATH.read_text(encoding="utf-8")
SOURCES = "".join(path.read_text(encoding="utf-8") for path in Path(guardrails.__file__).parent.glob("*.py"))
#: Codes are in the second place of a finding, or are handed to what makes one.
CODES = set(
    re.findall(r'"(?:info|warning|error)"(?: if \w+(?: < \w+)? else "(?:info|warning)")?,\s*"([a-z_]+)"', SOURCES)
)
CODES = (CODES | set(_REASONS)) - set(_SEVERITIES)


def test_examples_give_what_the_guide_says() -> None:
    """To the letter."""
    failed, attempted = doctest.testfile(str(PATH), module_relative=False)
    assert (failed, attempted > 8) == (0, True)


def test_each_code_is_in_the_guide_and_no_other() -> None:
    """In the first column of its table."""
    assert set(re.findall(r"^\| `([a-z_]+)` \|", GUIDE, flags=re.MULTILINE)) == CODES


def test_figures_are_those_of_the_code() -> None:
    """Whoever changes one changes the other."""
    assert f"up to {MOST_ROWS:,} rows" in GUIDE
    assert f"at most {leaks._SUSPECT:.0%} unexplained" in GUIDE
    assert (leaks.AHEAD, leaks._FAR_AHEAD) == (1 / 4, 1 / 10)
    assert f"from {twins._TOGETHER:.0%} on" in GUIDE
    assert f"less than {target._VERY_UNEQUAL:.0%}, or {target._UNEQUAL:.0%}, of the rows" in GUIDE
    assert f"fewer than {target._LEAST_ROWS} rows" in GUIDE
    assert (cells._MOSTLY_MISSING, cells._MISSING, target._FAR_OUT) == (0.9, 0.5, 0.4)
    assert entities._THE_SAME > entities._MUCH_ALIKE > entities._ALIKE
