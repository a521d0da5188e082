"""Shows that the classes of the `sagemaker` SDK read our three files, and records what one of them writes of ours.

    python -m tests.monitor.checks.sagemaker.read_with_sdk write FOLDER        # with this project
    python -m venv VENV && VENV/bin/pip install 'sagemaker==2.257.7'
    VENV/bin/python tests/monitor/checks/sagemaker/read_with_sdk.py read FOLDER

The SDK reads from S3 only: the one function by which it does is answered from the folder. The last step wrote
`changed_by_sdk.json`, which `test_files.py` reads.
"""

import json
import sys
from pathlib import Path
from typing import Any


def write(folder: Path) -> None:
    """Our files of a small table and of a window that breaks them."""
    import polars as pl

    from monitor.checks import suggest
    from monitor.checks.sagemaker import constraints_of, judge, statistics_of

    training = pl.DataFrame({"age": range(4000), "share": [i / 7 for i in range(4000)], "town": ["Ulm", "Köln"] * 2000})
    baseline = suggest(training.with_columns(empty=None))
    statistics, constraints = statistics_of(training, baseline), constraints_of(baseline)
    folder.mkdir(parents=True, exist_ok=True)
    statistics.write(folder / "statistics.json")
    constraints.write(folder / "constraints.json")
    window = training.with_columns(pl.col("age") * 1.5, town=pl.lit("Rom"))
    judge(window, statistics, constraints).write(folder / "constraint_violations.json")


def read(folder: Path) -> None:
    """The SDK's classes on them. Raises if one of them cannot be read."""
    from unittest.mock import MagicMock, patch

    import pandas as pd
    from sagemaker.model_monitor import Constraints, ConstraintViolations, Statistics

    def stored(s3_uri: str, **_: Any) -> str:
        return (folder / s3_uri.rsplit("/", 1)[1]).read_text(encoding="utf-8")

    with patch("sagemaker.s3.S3Downloader.read_file", stored):
        statistics = Statistics.from_s3_uri("s3://b/statistics.json", sagemaker_session=MagicMock())
        constraints = Constraints.from_s3_uri("s3://b/constraints.json", sagemaker_session=MagicMock())
        violations = ConstraintViolations.from_s3_uri(
            "s3://b/constraint_violations.json", sagemaker_session=MagicMock()
        )
    print(pd.json_normalize(statistics.body_dict["features"]).to_string())
    print(pd.json_normalize(violations.body_dict["violations"]).to_string())
    constraints.set_monitoring(False)
    constraints.set_monitoring(True, feature_name="town")
    target = Path(__file__).with_name("changed_by_sdk.json")
    target.write_text(json.dumps(constraints.body_dict, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
