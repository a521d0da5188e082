"""The two commands, as the monitor's parser calls them."""

import argparse
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from monitor.checks import check, suggest
from monitor.checks.commands import add_commands
from monitor.checks.folder import read_baseline, read_sagemaker
from monitor.checks.sagemaker import ViolationsFile, judge
from storage.errors import DataError

MAY = pl.DataFrame({"age": [20, 31, 45, 58] * 250, "town": ["Ulm", "Bonn"] * 500})
JUNE = MAY.with_columns(town=pl.lit("Rome"))


def asked(*arguments: str) -> Any:
    """The document that a command gives, after JSON."""
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers().add_parser, pl.read_parquet)
    chosen = parser.parse_args(arguments)
    return json.loads(json.dumps(chosen.answer(chosen)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with both months and a baseline of the first one."""
    MAY.write_parquet(tmp_path / "may.parquet")
    JUNE.write_parquet(tmp_path / "june.parquet")
    asked("baseline", str(tmp_path / "may.parquet"), "--out", str(tmp_path / "baseline"))
    return tmp_path


def test_a_baseline_is_written_and_told(folder: Path) -> None:
    """Its columns with what they are asked."""
    told = asked("baseline", str(folder / "may.parquet"), "--out", str(folder / "other"))
    assert [column["name"] for column in told["columns"]] == ["age", "town"]
    assert told["columns"][0]["constraints"]["range"]["maximum"] == 58
    assert read_baseline(folder / "other") == suggest(MAY)


def test_a_baseline_says_how_small_a_drift_is_found(folder: Path) -> None:
    """In files of as many rows, or of those that are expected."""
    words = ("baseline", str(folder / "may.parquet"), "--out", str(folder / "other"))
    found, few = asked(*words)["finds"], asked(*words, "--rows", "100", "--level", "0.01")["finds"]
    assert (found["rows"], found["level"], found["power"]) == (1000, 0.05, 0.8)
    assert (few["rows"], few["level"]) == (100, 0.01)
    assert [one["name"] for one in found["columns"]] == ["age", "town"]
    assert 0 < found["columns"][1]["moved"] < few["columns"][1]["moved"] < 1


def test_an_empty_table_is_no_baseline(folder: Path) -> None:
    """It asks nothing of any window."""
    MAY.clear().write_parquet(folder / "empty.parquet")
    with pytest.raises(DataError, match=r"empty.parquet' has 0 rows and 2 columns. Give at least a few dozen rows"):
        asked("baseline", str(folder / "empty.parquet"), "--out", str(folder / "none"))
    assert not (folder / "none").exists()


def test_a_window_is_checked(folder: Path) -> None:
    """By our tests; the file for dashboards of others is written beside."""
    out = folder / "constraint_violations.json"
    told = asked("check", str(folder / "baseline"), str(folder / "june.parquet"), "--out", str(out))
    assert told["verdict"] == "violations"
    assert told["threshold"] == check(JUNE, suggest(MAY)).threshold
    [violation] = ViolationsFile.read(out).violations
    assert violation.description == told["violations"][0]["sentence"]


def test_a_window_of_few_rows_is_told_how_many_it_takes(folder: Path) -> None:
    """Beside its verdict; where there are enough, nothing is."""
    MAY.head(29).write_parquet(folder / "few.parquet")
    told = asked("check", str(folder / "baseline"), str(folder / "few.parquet"))
    assert told["verdict"] == "too few rows"
    assert told["note"].startswith("There are 29 rows, and the baseline has 1,000: that nothing was found in fewer")
    assert not asked("check", str(folder / "baseline"), str(folder / "may.parquet"))["note"]


def test_a_window_is_judged_by_sagemakers_rules(folder: Path) -> None:
    """The same file, with its texts."""
    out = folder / "constraint_violations.json"
    told = asked(
        "check", str(folder / "baseline"), str(folder / "june.parquet"), "--rules", "sagemaker", "--out", str(out)
    )
    assert told["verdict"] == "violations"
    assert ViolationsFile.read(out) == judge(JUNE, *read_sagemaker(folder / "baseline"))
    alright = asked("check", str(folder / "baseline"), str(folder / "may.parquet"), "--rules", "sagemaker")
    assert alright == {"verdict": "no violations", "rows": 1000, "violations": []}


def test_a_baseline_that_is_not_there_is_told(folder: Path) -> None:
    """An input error, not a traceback."""
    with pytest.raises(DataError, match="There is no baseline in"):
        asked("check", str(folder / "none"), str(folder / "may.parquet"))
