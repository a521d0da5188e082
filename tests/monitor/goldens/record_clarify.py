"""Records what smclarify 0.5 and fairlearn 0.15 say of small tables, in `clarify.json`.

    python -m venv VENV && VENV/bin/pip install smclarify==0.5 fairlearn==0.15.0
    VENV/bin/python tests/monitor/goldens/record_clarify.py

The tables are written along, so the tests need neither. A metric that smclarify refuses is null.
"""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from fairlearn.metrics import demographic_parity_difference, demographic_parity_ratio, true_positive_rate_difference
from smclarify.bias.metrics import POSTTRAINING_METRICS, PRETRAINING_METRICS, call_metric

TARGET = Path(__file__).with_name("clarify.json")


def table(seed, rows, facet_share=0.4, positive=(0.5, 0.5), right=(0.8, 0.7), groups=3):
    """A table with a facet, labels, predictions, groups and two features."""
    rng = np.random.default_rng(seed)
    facet = rng.random(rows) < facet_share
    side = facet.astype(int)
    label = rng.random(rows) < np.array(positive)[side]
    predicted = np.where(rng.random(rows) < np.array(right)[side], label, ~label)
    return {
        "facet": facet.astype(int).tolist(),
        "label": label.astype(int).tolist(),
        "predicted": predicted.astype(int).tolist(),
        "group": rng.integers(0, groups, rows).tolist(),
        "x": rng.normal(size=rows).round(3).tolist(),
        "z": rng.integers(0, 5, rows).tolist(),
    }


def changed(content, **columns):
    """The table with columns made of the others."""
    arrays = {name: np.array(values) for name, values in content.items()}
    return {**content, **{name: np.asarray(make(arrays)).astype(int).tolist() for name, make in columns.items()}}


TABLES = {
    "usual": table(0, 120),
    "unfair": table(1, 200, 0.2, (0.7, 0.3), (0.9, 0.6)),
    "few others": table(2, 40, 0.85),
    "rare label": table(3, 90, 0.5, (0.05, 0.1)),
    "one group": table(4, 60, groups=1),
    "many groups": table(5, 80, groups=12),
    "others never accepted": changed(table(6, 60), predicted=lambda t: (t["facet"] == 1) & (t["x"] > 0)),
    "nobody accepted": changed(table(7, 50), predicted=lambda t: t["x"] > 99),
    "all accepted": changed(table(8, 50), predicted=lambda t: t["x"] < 99),
    "facet has one label": changed(table(9, 70), label=lambda t: (t["label"] == 1) | (t["facet"] == 1)),
    "no label in common": changed(table(10, 70), label=lambda t: t["facet"]),
    "always right": changed(table(11, 70), predicted=lambda t: t["label"]),
    "always wrong": changed(table(12, 70), predicted=lambda t: 1 - t["label"]),
    "all false negatives": changed(table(13, 30), label=lambda t: t["x"] < 99, predicted=lambda t: t["x"] > 99),
    "empty facet": changed(table(14, 30), facet=lambda t: t["x"] > 99),
    "no others": changed(table(15, 30), facet=lambda t: t["x"] < 99),
}


def told(content):
    """All metrics of smclarify; null where it refuses."""
    frame = pd.DataFrame(content)
    facet, label, predicted = (frame[name] == 1 for name in ("facet", "label", "predicted"))
    given = {
        "df": frame[["x", "z"]],
        "feature": frame["facet"],
        "sensitive_facet_index": facet,
        "label": label,
        "positive_label_index": label,
        "positive_predicted_label_index": predicted,
        "group_variable": frame["group"],
    }
    found = {}
    for metric in (*PRETRAINING_METRICS, *POSTTRAINING_METRICS):
        try:
            value = float(call_metric(metric, **given))
        except Exception:  # noqa: BLE001 - whatever it is, it is refused
            value = float("nan")
        found[metric.__name__] = None if np.isnan(value) else value if np.isfinite(value) else str(value)
    return found


def fair(content):
    """What fairlearn says of the same."""
    label, predicted, facet = (np.array(content[name]) for name in ("label", "predicted", "facet"))
    if len(np.unique(facet)) < 2:
        return {}
    given = {"sensitive_features": facet}
    values = {
        "demographic_parity_difference": demographic_parity_difference(label, predicted, **given),
        "demographic_parity_ratio": demographic_parity_ratio(label, predicted, **given),
        "true_positive_rate_difference": true_positive_rate_difference(label, predicted, **given),
    }
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    recorded = {
        name: {"rows": content, "smclarify": told(content), "fairlearn": fair(content)}
        for name, content in TABLES.items()
    }
    TARGET.write_text(json.dumps(recorded) + "\n", encoding="utf-8")
