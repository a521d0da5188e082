"""Records what NannyML 0.13.1 says of the reconstruction of a small table, in `reconstruction.json`.

    python3.11 -m venv VENV && VENV/bin/pip install nannyml==0.13.1
    VENV/bin/python tests/monitor/goldens/record_reconstruction.py

The rows are written along, so the test needs no NannyML.
"""

import json
import logging
import os
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import numpy as np
import pandas as pd

TARGET = Path(__file__).with_name("reconstruction.json")
COLUMNS = ["x", "y", "z", "count", "town", "flag"]


def rows(seed, number, together):
    """x and y go together; z has gaps, so has town, and current rows have a town that the reference does not."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=number)
    towns = ["Ulm", "Bonn", "Rome", None] if seed == 0 else ["Ulm", "Bonn", "Oslo", None]
    return pd.DataFrame(
        {
            "x": x.round(3),
            "y": (together * x + np.sqrt(1 - together**2) * rng.normal(size=number)).round(3),
            "z": np.where(rng.random(number) < 0.1, np.nan, rng.exponential(size=number).round(3)),
            "count": rng.poisson(3, number),
            "town": rng.choice(np.array(towns, dtype=object), number, p=[0.5, 0.3, 0.15, 0.05]),
            "flag": rng.choice(np.array(["yes", "no"], dtype=object), number),
        }
    )


def columns_of(table):
    """Each column as a list; gaps are None."""
    return {name: [None if pd.isna(value) else value for value in table[name].tolist()] for name in table}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    reference, current = rows(0, 205, 0.9), rows(1, 60, 0.1)
    calculator = nannyml.DataReconstructionDriftCalculator(column_names=COLUMNS)
    calculator.fit(reference.copy())
    single = nannyml.DataReconstructionDriftCalculator(column_names=COLUMNS, chunk_size=60)
    single.fit(reference.copy())
    told = single.calculate(current.copy()).filter(period="analysis").to_df()["reconstruction_error"].iloc[0]
    limits = calculator.result.to_df()["reconstruction_error"].iloc[0]
    recorded = {
        "reference": columns_of(reference),
        "current": columns_of(current),
        "error": float(told["value"]),
        "sampling_error": float(told["sampling_error"]),
        "lower": None if pd.isna(limits["lower_threshold"]) else float(limits["lower_threshold"]),
        "upper": float(limits["upper_threshold"]),
        "directions": int(calculator._pca.n_components_),
    }
    TARGET.write_text(json.dumps(recorded) + "\n", encoding="utf-8")
