"""What our check found, as `constraint_violations.json`, so that what reads that file reads ours."""

from monitor.checks.sagemaker.files import ConstraintCheck, ConstraintViolation, ViolationsFile
from monitor.checks.violation import Check, Quality

#: The name of our checks in SageMaker's file. Of those that it does not have, the nearest: an impossible value is a
#: wrong type, a repeated one a wrong value.
_NAMES: dict[Check, ConstraintCheck] = {
    "missing_column": "missing_column_check",
    "extra_column": "extra_column_check",
    "completeness": "completeness_check",
    "type": "data_type_check",
    "range": "data_type_check",
    "length": "data_type_check",
    "non_negative": "data_type_check",
    "finite": "data_type_check",
    "past": "data_type_check",
    "domain": "categorical_values_check",
    "unique": "categorical_values_check",
    "distinct_rows": "categorical_values_check",
    "inference_ids": "categorical_values_check",
}


def violations_of(quality: Quality) -> ViolationsFile:
    """`constraint_violations.json` of a check by our tests; the descriptions are our sentences."""
    return ViolationsFile(
        tuple(
            ConstraintViolation(violation.column or "All columns", _NAMES[violation.check], violation.sentence)
            for violation in quality.violations
        )
    )
