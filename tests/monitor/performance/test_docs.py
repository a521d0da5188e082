"""The guide tells what quality over time does."""

import doctest
from pathlib import Path

import pytest

from monitor.performance.estimated import LEAST_LIKE, LEAST_REFERENCE, MOST_OUTSIDE
from monitor.performance.figures import LEAST_DROP, LEAST_GROWTH
from monitor.performance.metrics import LEAST_REQUESTS, metrics_of
from monitor.performance.overlap import LEAST_WEIGHED
from monitor.performance.realised import LEAST_LABELLED, LEAST_OF_CLASS
from storage.signature import Task

PATH = Path(__file__).parents[3] / "docs" / "quality-over-time.md"
GUIDE = PATH.read_text(encoding="utf-8")


def test_examples_give_what_the_guide_says() -> None:
    """To the letter."""
    failed, attempted = doctest.testfile(str(PATH), module_relative=False)
    assert (failed, attempted > 20) == (0, True)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_each_metric_is_in_the_guide(task: Task) -> None:
    """In the order of reports."""
    assert f"`{' '.join(metric.name for metric in metrics_of(task))}`" in GUIDE


def test_figures_are_those_of_the_code() -> None:
    """Whoever changes one changes the other."""
    assert f"fewer than {LEAST_LABELLED} rows with a label, or fewer than {LEAST_OF_CLASS} of one" in GUIDE
    assert f"has to reach {LEAST_DROP}, or of losses {LEAST_GROWTH:.0%}".replace("%", " %") in GUIDE
    assert f"With {LEAST_REQUESTS} requests or more" in GUIDE
    assert f"more than {MOST_OUTSIDE:.0%} such rows".replace("%", " %") in GUIDE
    assert f"fewer than {LEAST_LIKE} rows of the reference like it" in GUIDE
    assert f"fewer than {LEAST_WEIGHED}, or none" in GUIDE
    assert f"fewer than {LEAST_REFERENCE} rows of the reference" in GUIDE
