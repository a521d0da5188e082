"""The guide to bias, attributions and multivariate drift tells what the code does."""

import doctest
import re
from pathlib import Path

from monitor.attribution import _ROWS, THRESHOLD
from monitor.calibrated import MINIMUM_EFFECT
from monitor.compare import MINIMUM_ROWS
from monitor.facets.metrics import METRICS
from monitor.multivariate import classifier, reconstruction

PATH = Path(__file__).parents[3] / "docs" / "bias.md"
GUIDE = PATH.read_text(encoding="utf-8")


def test_examples_give_what_the_guide_says() -> None:
    """To the letter."""
    failed, attempted = doctest.testfile(str(PATH), module_relative=False)
    assert (failed, attempted > 15) == (0, True)


def test_each_metric_is_in_the_guide() -> None:
    """And none that there is not."""
    lines = GUIDE.split("\n| metric |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    told = [name for line in lines for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(told) == sorted([*(metric.name for metric in METRICS), "FT"])


def test_figures_are_those_of_the_code() -> None:
    """Whoever changes one changes the other."""
    assert f"by {MINIMUM_EFFECT}" in GUIDE
    assert f"fewer than {MINIMUM_ROWS} rows on a side" in GUIDE
    assert f"less than {THRESHOLD:.2f} a violation" in GUIDE
    assert f"up to {_ROWS} rows" in GUIDE
    assert classifier._MOST_ROWS == 10_000
    assert callable(reconstruction)
