"""A run's result and the command line explain predictions of the model that was registered."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import autopilot
from autopilot.__main__ import run
from tests import tables


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a small model, and a file of rows beside it."""
    folder = tmp_path_factory.mktemp("explained")
    frame = tables.mixed(300).drop("note")
    result = autopilot.fit(
        frame,
        "paid",
        name="run",
        store=folder,
        budget=60,
        max_trials=2,
        candidates=["lightgbm"],
        seed=3,
        progress=False,
    )
    frame.head(4).write_parquet(folder / "rows.parquet")
    explained = result.explain(frame.head(4))
    np.save(folder / "values.npy", explained.values)
    predicted = result.predict(frame.head(4)).drop("label").to_numpy()
    added = explained.base + explained.values.sum(axis=1)
    assert added == pytest.approx(predicted, abs=1e-6)
    return folder


def test_the_command_gives_what_the_result_gives(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As one JSON document, held against the sample that is stored with the version."""
    assert run(["explain", "run", str(place / "rows.parquet"), "--store", str(place), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 4
    expected = np.load(place / "values.npy")
    assert len(told["values"]) == expected.size
    assert sum(abs(row["value"]) for row in told["values"]) == pytest.approx(np.abs(expected).sum(), rel=1e-9)


def test_the_command_writes_a_table(place: Path) -> None:
    """Of any format that tables are read from."""
    out = place / "why.csv"
    assert (
        run(["explain", "run", str(place / "rows.parquet"), "--store", str(place), "-o", str(out), "--rows", "2"]) == 0
    )
    assert set(pl.read_csv(out).get_column("row")) == {0, 1}


def test_a_class_that_there_is_not_is_refused_with_those_that_there_are(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2."""
    arguments = ["explain", "run", str(place / "rows.parquet"), "--store", str(place), "--class", "perhaps"]
    assert run(arguments) == 2
    assert "There is no class 'perhaps' to explain. Choose one of no, yes." in capsys.readouterr().err
