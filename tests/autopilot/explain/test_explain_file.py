"""Explaining a file: what `explain` gives, as a file."""

from pathlib import Path

import polars as pl
import pytest

from autopilot.explain import explain
from autopilot.explain.explain_file import explain_file
from storage import Predictor
from storage.errors import DataError
from tests import portable

FRAME = pl.DataFrame(list(portable.ROWS), infer_schema_length=None)
PREDICTOR = Predictor(portable.classifier())


def test_a_file_is_explained_into_another(tmp_path: Path) -> None:
    """The first two rows of csv, against all of its rows."""
    FRAME.write_csv(tmp_path / "rows.csv")
    out = str(tmp_path / "why.parquet")
    found = explain_file(PREDICTOR, str(tmp_path / "rows.csv"), out, class_="yes", rows=2)
    expected = explain(PREDICTOR, FRAME[:2], background=FRAME, class_="yes").frame()
    assert pl.read_parquet(out).equals(found.frame())
    assert found.frame().equals(expected)


def test_where_it_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    """Before the file is read."""
    with pytest.raises(DataError, match="no folder"):
        explain_file(PREDICTOR, "nothing.csv", str(tmp_path / "absent" / "why.csv"))
