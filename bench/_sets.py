"""The tables that measurements run on: those of a manifest, or the demo's, and how they are divided."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from sklearn.model_selection import KFold, StratifiedKFold

FOLDS, SEED = 5, 20260711


class Set(NamedTuple):
    """A table to learn. drop: columns that give the answer away, or that name the row."""

    name: str
    path: Path
    task: str
    target: str
    drop: tuple[str, ...]

    def read(self) -> pl.DataFrame:
        """Rows whose target is known."""
        return pl.read_parquet(self.path).drop(self.drop).drop_nulls(self.target)


def read_sets(manifest: Path | None, only: str = "", *, forecasts: bool = False) -> list[Set]:
    """The manifest's tables, with or without those that are forecasts, or the demo's.

    only: names with commas between them, "" for all.
    """
    if manifest is None:
        flights = Path(__file__).parent.parent / "autopilot/demo_data/flights.parquet"
        return [Set("flights", flights, "binary", "late", ())]
    return [
        Set(
            entry["name"],
            manifest.parent / entry["file"],
            "binary" if entry["task"] == "text" else entry["task"],
            entry["target"],
            (*entry["leakage_cols"], *entry["id_cols"]),
        )
        for entry in json.loads(manifest.read_text())
        if (forecasts or entry["task"] != "forecast") and (not only or entry["name"] in only.split(","))
    ]


def divided(one: Set, fold: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Four fifths to train on, and the fold to test on: always the same five, of each class its share."""
    frame = one.read()
    kind = KFold if one.task == "regression" else StratifiedKFold
    labels = frame.get_column(one.target).cast(pl.String).to_numpy()
    train, test = list(kind(FOLDS, shuffle=True, random_state=SEED).split(np.zeros(len(labels)), labels))[fold]
    return frame[train], frame[test]
