"""Baselines in folders."""

from pathlib import Path

import polars as pl
import pytest

from monitor.checks import Baseline, suggest
from monitor.checks.folder import read_baseline, read_sagemaker, write_baseline
from monitor.checks.sagemaker import baseline_of, constraints_of, statistics_of
from storage.errors import DataError, StoreError

FRAME = pl.DataFrame({"age": [20, 31, 45, 58] * 25, "town": ["Ulm", "Bonn"] * 50})


def test_a_folder_holds_all_three(tmp_path: Path) -> None:
    """Ours is read, from the folder or by its path."""
    folder = tmp_path / "deep" / "baseline"
    written = write_baseline(FRAME, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["baseline.json", "constraints.json", "statistics.json"]
    assert read_baseline(folder) == read_baseline(folder / "baseline.json") == written == suggest(FRAME)
    assert read_sagemaker(folder) == (statistics_of(FRAME, written), constraints_of(written))


def test_without_ours_sagemakers_files_are_read(tmp_path: Path) -> None:
    """From the folder, or by the path of the constraints."""
    baseline = write_baseline(FRAME, tmp_path)
    foreign = baseline_of(statistics_of(FRAME, baseline), constraints_of(baseline))
    assert read_baseline(tmp_path / "constraints.json") == foreign
    (tmp_path / "baseline.json").unlink()
    assert read_baseline(tmp_path) == foreign


def test_a_folder_without_a_baseline_is_told(tmp_path: Path) -> None:
    """So is a path where there is nothing, and one where no folder can be."""
    for place, told in ((tmp_path, "has no baseline.json"), (tmp_path / "none.json", "No such file")):
        with pytest.raises(DataError, match=told):
            read_baseline(place)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        write_baseline(FRAME, tmp_path / "file" / "folder")


def test_a_baseline_that_was_edited_is_read(tmp_path: Path) -> None:
    """By hand, in the file."""
    write_baseline(FRAME, tmp_path)
    path = tmp_path / "baseline.json"
    path.write_text(path.read_text().replace('"extra_columns": false', '"extra_columns": true'))
    assert Baseline.read(path).extra_columns
