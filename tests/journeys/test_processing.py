"""Preparing a real file for a model of one's own: fitted on the past, applied to the future."""

from pathlib import Path

import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import autopilot
from autopilot.__main__ import run

FLIGHTS = Path(autopilot.__file__).parent / "demo_data" / "flights.parquet"
STEPS = (
    ("one_hot", "--columns", "carrier,origin", "--drop"),
    ("cyclic_pairs", "--drop"),
    ("scale", "--columns", "distance,temperature,humidity,precipitation,visibility"),
)


def test_three_steps_on_the_flights_feed_scikit_learns_logistic_regression(tmp_path: Path) -> None:
    """One after the other on the first 10,000 rows, then with the same bits on later ones: late or not."""
    flights = pl.read_parquet(FLIGHTS).sample(20_000, seed=0).sort("scheduled_departure")
    past, future = tmp_path / "past.csv", tmp_path / "future.csv"
    flights.head(10_000).write_csv(past)
    flights.tail(10_000).write_csv(future)
    for step, *options in STEPS:
        saved, wide_past, wide_future = (tmp_path / f"{step}{end}" for end in (".json", "-past.csv", "-future.csv"))
        assert run(["process", str(past), step, *options, "-o", str(wide_past), "--save", str(saved)]) == 0
        drop = ["--drop"] if "--drop" in options else []
        assert run(["process", str(future), "--fitted", str(saved), *drop, "-o", str(wide_future)]) == 0
        past, future = wide_past, wide_future
    train, test = pl.read_csv(past), pl.read_csv(future)
    assert train.columns == test.columns
    features = [name for name in train.columns if " = " in name or " of the " in name] + STEPS[2][2].split(",")
    assert len(features) > 20
    model = LogisticRegression(max_iter=1000).fit(train.select(features), train.get_column("late"))
    assert roc_auc_score(test.get_column("late"), model.predict_proba(test.select(features))[:, 1]) > 0.65
