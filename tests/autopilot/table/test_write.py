"""A table is written into a file whole or not at all."""

from pathlib import Path

import polars as pl

from autopilot.table.write import write_table
from storage.errors import FailureError
from tests.refusals import raises


def test_what_cannot_be_written_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    """csv holds no lists; no part of the new file stays behind either."""
    out = tmp_path / "out.csv"
    write_table(pl.DataFrame({"a": [1, 2]}), str(out))
    with raises(FailureError, "out.csv' could not be written: "):
        write_table(pl.DataFrame({"a": [[1], [2]]}), str(out))
    assert out.read_text() == "a\n1\n2\n"
    assert list(tmp_path.iterdir()) == [out]
