"""Our findings in SageMaker's file."""

from typing import get_args

import polars as pl

from monitor.checks import check, suggest
from monitor.checks.sagemaker import violations_of
from monitor.checks.sagemaker.translate import _NAMES
from monitor.checks.violation import Check


def test_each_of_our_checks_has_a_name_there() -> None:
    """A new one is not forgotten."""
    assert set(_NAMES) == set(get_args(Check))


def test_a_finding_keeps_its_column_and_sentence() -> None:
    """What is of the whole table is of all columns."""
    frame = pl.DataFrame({"x": range(100)})
    quality = check(pl.DataFrame({"x": [1, 2, 3, 4] * 25, "y": 1}), suggest(frame))
    file = violations_of(quality)
    assert [(one.feature_name, one.constraint_check_type) for one in file.violations] == [
        ("y", "extra_column_check"),
        ("x", "categorical_values_check"),
        ("All columns", "categorical_values_check"),
    ]
    assert [one.description for one in file.violations] == [one.sentence for one in quality.violations]
