"""Records what Evidently 0.7.23 says of `compared_tables.py`, in `evidently.json`.

    python -m venv VENV && VENV/bin/pip install evidently==0.7.23 "pandas<3"
    VENV/bin/python tests/monitor/goldens/record_evidently.py

Of each column: method, score, threshold, whether it drifted; of each table the share of drifted columns. Odd columns
are asked about one by one, as Evidently gives up on a whole report; where it does, the answer is null.
"""

import json
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "1")
import pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataDriftPreset

sys.path.insert(0, str(Path(__file__).parent))
from compared_tables import checksum, tables
from odd_columns import ODD_COLUMNS

TARGET = Path(__file__).with_name("evidently.json")
DTYPES = {"float": "float64", "int": "int64", "bool": "bool", "str": "object", "text": "object", "object": "object"}


def frame(table, side):
    """One side of a table, typed as its columns say."""
    return pd.DataFrame({name: pd.Series(getattr(s, side), dtype=DTYPES.get(s.type)) for name, s in table.items()})


def ask(table):
    """Evidently's answer on a table."""
    current, reference = (Dataset.from_pandas(frame(table, side)) for side in ("current", "reference"))
    report = Report([DataDriftPreset()], include_tests=True).run(current, reference).dict()
    drifted, *columns = report["metrics"]
    failed = {
        test["name"].removeprefix("Value Drift for column ") for test in report["tests"] if test["status"] == "FAIL"
    }
    return {
        "share": drifted["value"]["share"],
        "columns": {
            one["config"]["column"]: [
                one["config"]["method"],
                float(one["value"]),
                one["config"]["threshold"],
                one["config"]["column"] in failed,
            ]
            for one in columns
        },
    }


def ask_odd(sides):
    """Evidently's answer on one column, None where it has none."""
    try:
        return ask({"x": sides})["columns"].get("x")
    except Exception as error:  # noqa: BLE001 (whatever it gives up with)
        print(type(error).__name__, error)
        return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answers = [{"checksum": checksum(table), **ask(table)} for table in tables()]
    odd = {name: ask_odd(sides) for name, sides in ODD_COLUMNS.items()}
    lines = ",\n".join(json.dumps(answer) for answer in answers)
    TARGET.write_text(f'{{"tables": [\n{lines}\n],\n"odd": {json.dumps(odd, indent=0)}}}\n')
