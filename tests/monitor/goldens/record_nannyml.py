"""Records what NannyML 0.13.1 says of `compared_tables.py`, in `nannyml.json`.

    python -m venv VENV && VENV/bin/pip install nannyml==0.13.1 statsmodels
    VENV/bin/python tests/monitor/goldens/record_nannyml.py

Of each column: the largest distance of a current chunk, the threshold, and how many chunks alarm; first with NannyML's
default chunks, then with chunks of the current table's rows. Odd columns are asked about one by one; null where NannyML
gives up or gives no distance.
"""

import json
import logging
import math
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("NML_DISABLE_USAGE_LOGGING", "1")
import nannyml
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from compared_tables import checksum, tables
from odd_columns import ODD_COLUMNS

TARGET = Path(__file__).with_name("nannyml.json")
DTYPES = {"float": "float64", "int": "int64", "bool": "bool", "str": "object", "text": "object", "object": "object"}


def frame(table, side):
    """One side of a table, typed as its columns say."""
    return pd.DataFrame({name: pd.Series(getattr(s, side), dtype=DTYPES.get(s.type)) for name, s in table.items()})


def ask(table, chunk_size=None):
    """NannyML's answer on a table."""
    reference, current = frame(table, "reference"), frame(table, "current")
    calculator = nannyml.UnivariateDriftCalculator(column_names=list(table), chunk_size=chunk_size).fit(reference)
    found = calculator.calculate(current).filter(period="analysis").to_df()
    return {name: answer(found[name]["jensen_shannon"]) for name in table if name in found.columns.get_level_values(0)}


def answer(chunks):
    """Largest distance, threshold, alerts; None without any distance."""
    largest = float(chunks["value"].max())
    if math.isnan(largest):
        return None
    return [largest, float(chunks["upper_threshold"].iloc[0]), int((chunks["alert"] == True).sum())]  # noqa: E712


def ask_odd(sides):
    """NannyML's answer on one column, None where it has none."""
    try:
        return ask({"x": sides}).get("x")
    except Exception as error:  # noqa: BLE001 (whatever it gives up with)
        print(type(error).__name__, error)
        return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    answers = [{"checksum": checksum(t), "ten": ask(t), "window": ask(t, len(t["normal"].current))} for t in tables()]
    odd = {name: ask_odd(sides) for name, sides in ODD_COLUMNS.items()}
    lines = ",\n".join(json.dumps(answer) for answer in answers)
    TARGET.write_text(f'{{"tables": [\n{lines}\n],\n"odd": {json.dumps(odd, indent=0)}}}\n')
