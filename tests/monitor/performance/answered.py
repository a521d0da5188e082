"""Answers with known truths, made as captured traffic has them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from storage.signature import Column, Signature

START = datetime(2024, 5, 1, tzinfo=UTC)
BINARY = Signature(
    "binary",
    "paid",
    (Column("x", "number", "Float64"), Column("town", "category", "String")),
    classes=("no", "yes"),
)
REGRESSION = Signature("regression", "price", BINARY.columns)
TOWNS = ("Bonn", "Rome", "Ulm")


def two_classes(rows: int, seed: int, *, middle: float = 0.0, worse: float = 0.0, towns: int = 3) -> pl.DataFrame:
    """Rows a minute apart of a model whose scores are too sure: the chance of `yes` is sigmoid(x), it says sigmoid(2x).

    middle: of x. worse: the share of rows of which the truth is tossed, whatever x is.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(middle, 1.5, rows)
    likely, said = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-2 * x))
    likely = np.where(rng.random(rows) < worse, 0.5, likely)
    truth = rng.random(rows) < likely
    return pl.DataFrame(
        {
            "x": x,
            "town": rng.choice(TOWNS[:towns], rows),
            "autopilot.label": np.where(said >= 0.5, "yes", "no"),
            "autopilot.p_no": 1 - said,
            "autopilot.p_yes": said,
            "autopilot.truth": np.where(truth, "yes", "no"),
            "autopilot.time": times(rows),
        }
    )


def values(rows: int, seed: int, *, middle: float = 0.0) -> pl.DataFrame:
    """Rows of a model that says 0 of a value whose deviation is exp(x / 4)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(middle, 1.0, rows)
    return pl.DataFrame(
        {
            "x": x,
            "town": rng.choice(TOWNS, rows),
            "autopilot.prediction": np.zeros(rows),
            "autopilot.truth": rng.normal(0, np.exp(x / 4)),
            "autopilot.time": times(rows),
        }
    )


def times(rows: int) -> list[datetime]:
    """A minute apart, from `START` on."""
    return [START + timedelta(minutes=number) for number in range(rows)]
