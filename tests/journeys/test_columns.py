"""Columns of every kind: what training decided holds for frames, rows, JSON, CSV and files alike."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import autopilot
from autopilot.candidates.linear import Linear
from autopilot.predict_file import predict_file
from serving.formats.csv_rows import CsvRows
from serving.formats.json_rows import JsonRows
from storage import Predictor
from storage.predictor import frame_of_outputs

ROWS = 240
MOMENTS = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=31 * row) for row in range(ROWS)]
TABLE = pl.DataFrame(
    {
        "zip": [f"{row * 7919 % 12:05}" for row in range(ROWS)],
        "store_id": [row * 31 % 7 + 100 for row in range(ROWS)],
        "ordered": [f"{moment:%d/%m/%Y %H:%M}" for moment in MOMENTS],
        "created_at": [int(moment.timestamp()) + row for row, moment in enumerate(MOMENTS)],
        "home": [
            {"at": {"lat": row % 9 / 2}, "city": f"city {row * 13 % 4}"} if row % 8 else None for row in range(ROWS)
        ],
        "emb": [[row % 5 / 3, row % 11 / 7] for row in range(ROWS)],
        "tags": [["red", "late"][: row % 3] for row in range(ROWS)],
        "paid": [row % 3 == 0 if row % 10 else None for row in range(ROWS)],
        "amount": [f" {row * 17 % 101}.5" for row in range(ROWS)],
        "again": [row * 17 % 101 + 0.5 for row in range(ROWS)],
        "y": [row % 7 / 2 + row % 5 for row in range(ROWS)],
    }
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A model of the table, opened from its file."""
    store, candidates = tmp_path_factory.mktemp("store"), (Linear(),)
    result = autopilot.fit(
        TABLE, "y", budget=60, max_trials=3, store=store, progress=False, candidates=candidates, guard=False
    )
    result.store.close()
    return Predictor(result.model.model_bytes)


def test_each_column_becomes_what_a_person_would_say(model: Predictor) -> None:
    """Kinds, formats, and the one that says nothing new."""
    found = {column.name: (column.kind, column.format) for column in model.signature.columns}
    assert found == {
        "zip": ("category", None),
        "store_id": ("category", None),
        "ordered": ("time", "%d/%m/%Y"),
        "created_at": ("time", "s"),
        "home.at.lat": ("number", None),
        "home.city": ("category", None),
        "emb[0]": ("number", None),
        "emb[1]": ("number", None),
        "tags": ("text", None),
        "paid": ("number", None),
        "amount": ("number", None),
    }
    assert [dropped.name for dropped in model.signature.dropped] == ["again"]


def test_each_way_of_asking_gives_the_same_answers(model: Predictor, tmp_path: Path) -> None:
    """The table itself, its rows, JSON, flat CSV, and files of each."""
    expected = model.predict(TABLE)
    answers = expected.get_column("prediction").to_list()
    rows = TABLE.to_dicts()
    assert [answer["prediction"] for answer in model.predict_rows(rows)] == answers
    assert _decoded(model, JsonRows(model.signature).decode(json.dumps(rows).encode())) == answers
    flat = _flat(rows)
    assert _decoded(model, JsonRows(model.signature).decode(json.dumps(flat).encode())) == answers
    text = pl.DataFrame(flat).drop("again", "y").write_csv()
    assert _decoded(model, CsvRows(model.signature).decode(text.encode())) == answers
    (tmp_path / "t.csv").write_text(text)
    TABLE.write_ndjson(tmp_path / "t.ndjson")
    TABLE.write_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.ndjson", "t.parquet"):
        predict_file(model, str(tmp_path / name), str(tmp_path / "o.parquet"), overwrite=True)
        assert pl.read_parquet(tmp_path / "o.parquet").get_column("prediction").to_list() == answers


def _decoded(model: Predictor, blocks: Any) -> list[float]:
    return frame_of_outputs(model.signature, model.run(blocks)).get_column("prediction").to_list()


def _flat(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with a name for each value, lists of words as text."""
    found: list[dict[str, Any]] = []
    for row in rows:
        flat = {name: value for name, value in row.items() if name not in ("home", "emb")}
        home = row["home"] or {"at": {"lat": None}, "city": None}
        flat |= {"home.at.lat": home["at"]["lat"], "home.city": home["city"], "tags": " ".join(row["tags"])}
        found.append(flat | {f"emb[{place}]": value for place, value in enumerate(row["emb"])})
    return found
