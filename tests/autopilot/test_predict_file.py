"""Scoring files: the same as scoring frames, in chunks, whole or not at all."""

from pathlib import Path

import polars as pl
import pytest

from autopilot import predict_file as module
from autopilot.predict_file import predict_file
from storage.errors import DataError
from storage.predictor import Predictor
from tests.portable import classifier

ROWS = pl.DataFrame(
    {
        "amount": [float(i % 9) for i in range(1000)],
        "town": ["Ulm", "Bonn", None, "é"] * 250,
        "visits": [i % 5 for i in range(1000)],
        "seen": ["2023-05-01", "2024-02-29T10:00:00Z", None, "1999-12-31"] * 250,
    }
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(classifier(0.0))


@pytest.mark.parametrize("out", ["o.parquet", "o.csv", "o.ndjson", "o.arrow"])
@pytest.mark.parametrize("source", ["t.csv", "t.tsv", "t.parquet", "t.ndjson", "t.arrow"])
def test_a_file_gives_what_its_frame_gives(
    source: str, out: str, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the formats, over several chunks, in the rows' order."""
    monkeypatch.setattr(module, "_CHUNK_ROWS", 300)
    path = tmp_path / source
    if source == "t.tsv":
        ROWS.write_csv(path, separator="\t")
    else:
        getattr(
            ROWS,
            {"csv": "write_csv", "parquet": "write_parquet", "ndjson": "write_ndjson", "arrow": "write_ipc"}[
                source.partition(".")[2]
            ],
        )(path)
    assert predict_file(predictor, str(path), str(tmp_path / out)) == 1000
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "ndjson": pl.read_ndjson, "arrow": pl.read_ipc}
    found = read[out.partition(".")[2]](tmp_path / out)
    expected = predictor.predict(ROWS)
    assert found.columns == expected.columns
    assert found["label"].to_list() == expected["label"].to_list()
    assert (found[:, 1:].cast(pl.Float64) - expected[:, 1:].cast(pl.Float64)).select(pl.all().abs().max()).row(0) < (
        1e-6,
        1e-6,
    )
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([source, out])


def test_a_wrong_cell_is_told_by_its_row_in_the_file(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are counted over chunks, and no half of an answer is left behind."""
    monkeypatch.setattr(module, "_CHUNK_ROWS", 300)
    text = ROWS.write_csv().splitlines()
    text[1 + 777] = "far," + text[1 + 777].partition(",")[2]
    (tmp_path / "t.csv").write_text("\n".join(text) + "\n")
    with pytest.raises(DataError, match=r"'amount' was number in training; row 777 holds 'far'"):
        predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet"))
    assert [item.name for item in tmp_path.iterdir()] == ["t.csv"]


def test_a_file_without_rows_gives_a_file_without_rows(predictor: Predictor, tmp_path: Path) -> None:
    """A pipeline's quiet day is no error."""
    (tmp_path / "t.csv").write_text("amount,town,visits,seen\n")
    assert predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet")) == 0
    assert pl.read_parquet(tmp_path / "o.parquet").columns == predictor.predict(ROWS[:1]).columns


@pytest.mark.parametrize(
    ("source", "out", "words"),
    [
        ("nothere.csv", "o.parquet", "no file"),
        ("t.csv", "nowhere/o.parquet", "no folder"),
        ("t.csv", "o.xlsx", "does not tell its format"),
        ("lacking.csv", "o.parquet", "lacks 'town'"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    source: str, out: str, words: str, predictor: Predictor, tmp_path: Path
) -> None:
    """Before anything is written."""
    ROWS.write_csv(tmp_path / "t.csv")
    ROWS.drop("town").write_csv(tmp_path / "lacking.csv")
    with pytest.raises(DataError, match=words):
        predict_file(predictor, str(tmp_path / source), str(tmp_path / out))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["lacking.csv", "t.csv"]
