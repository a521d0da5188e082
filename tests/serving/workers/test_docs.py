"""The guide tells what workers do."""

import re

import pytest

from serving import server
from serving.workers import scaling, supervisor, worker
from serving.workers.bounds import bounds_of
from tests.serving.conftest import ROOT

GUIDE = (ROOT / "docs" / "workers.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"--workers ([\w.]+\d|auto)", GUIDE))
def test_each_example_is_understood(text: str) -> None:
    """As bounds."""
    assert bounds_of(text, cores=4).least >= 1


@pytest.mark.parametrize(
    "told",
    [
        f"more than {100 * scaling._HOT:.0f} % busy on average, for {scaling._HOT_S:.0f} s",
        f"would make them {100 * scaling._AIM:.0f} % busy",
        f"less than {100 * scaling._COOL:.0f} % busy, for {scaling._COOL_S / 60:.0f} minutes",
        f"({server._DRAIN_S} s at most)",
        f"for {server._WAIT_S:.0f} s whatever still comes is answered",
        f"hangs for {supervisor._SILENT_S:.0f} s",
        f"counted in its last {worker._TELL_S:.0f} s",
        "if five in a row die",
    ],
)
def test_its_figures_are_those_of_the_code(told: str) -> None:
    """To the letter."""
    assert told in GUIDE
    assert supervisor._MOST_DEATHS == 5
