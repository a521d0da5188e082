"""One verdict of both methods."""

import polars as pl
import pytest

from monitor.multivariate import MultivariateDrift, multivariate
from storage import SettingError
from tests.monitor.multivariate.tables import KINDS, draw, hourly


def test_either_method_alarms_at_half_of_the_level() -> None:
    """And the finding survives JSON."""
    found = multivariate(draw(0, 800), draw(1, 200, together=0.0), kinds=KINDS, level=0.02)
    assert (found.verdict, found.drifted) == ("drift", True)
    assert (found.classifier.threshold, found.reconstruction.threshold) == (0.01, 0.01)
    assert MultivariateDrift.parse(found.json()) == found


def test_nothing_to_look_at_is_too_few_rows_or_columns() -> None:
    """No verdict is made up."""
    few = multivariate(draw(0, 100), draw(1, 10), kinds=KINDS)
    assert (few.verdict, few.drifted) == ("too few rows", False)
    same = pl.DataFrame({"a": ["k"] * 100})
    assert multivariate(same, same).classifier.note == "There is no column to look at."
    assert multivariate(draw(0, 100).clear(), draw(1, 100), kinds=KINDS).verdict == "too few rows"


def test_findings_are_told_in_words() -> None:
    """What told it, how well, and what chance would give; why nothing was looked at, once."""
    apart = multivariate(draw(0, 800), draw(1, 200, together=0.0), kinds=KINDS)
    assert apart.classifier.auc is not None
    names = " and ".join(repr(told.column) for told in apart.classifier.told[:2])
    assert apart.words.startswith(f"Current rows can be told from the reference's, mostly by {names} (area under")
    alike = multivariate(draw(0, 800), draw(1, 200), kinds=KINDS)
    assert alike.words.startswith("Current rows cannot be told from the reference's (area under the ROC curve 0.")
    assert "They are as near to the reference's main directions as its own rows (mean error" in alike.words
    tied = multivariate(hourly(0, 600, memory=0.999), hourly(1, 200, memory=0.999))
    assert (tied.verdict, tied.drifted) == ("too few rows", False)
    assert tied.words == (
        "Rows depend on their neighbours: 200 current rows count as 1 to the test of all columns together; a "
        "comparison needs 10."
    )
    few = multivariate(draw(0, 100), draw(1, 10), kinds=KINDS)
    assert few.words == "A comparison needs 30 rows on either side; there are 100 and 10."


def test_a_level_out_of_its_range_is_an_error() -> None:
    """With what would be right."""
    with pytest.raises(SettingError, match="level is 1"):
        multivariate(draw(0, 50), draw(1, 50), level=1)
