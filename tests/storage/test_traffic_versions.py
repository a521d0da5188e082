"""Traffic that earlier versions wrote is read, and what later ones write is left to them.

`assets/traffic-1.*` were written by the version before variants: two requests, `a` of three rows and `b` of one, which
version 3 of the classifier of `tests/portable.py` answered for the endpoint `paid`.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from storage.boundary import blocks_of_rows
from storage.predictor import Predictor
from storage.traffic import Header, Invocation, Traffic, read_journal
from tests import portable

ASSETS = Path(__file__).with_name("assets")
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOON_US = 1_714_564_800_000_000


def expected(root: Path) -> pl.DataFrame:
    """The same two requests, as they are captured now."""
    predictor = Predictor(portable.classifier())
    traffic = Traffic(root)
    writer = traffic.writer(Header("paid", "demo", 3, portable.CLASSIFIER))
    for name, rows in (("a", portable.ROWS[:3]), ("b", portable.ROWS[3:])):
        blocks = blocks_of_rows(portable.CLASSIFIER, rows)
        writer.append([Invocation(name, NOON_US + (name == "b"), blocks, predictor.run(blocks))])
    writer.rotate()
    return read(traffic)


def read(traffic: Traffic) -> pl.DataFrame:
    return traffic.read("paid", NOON, NOON + timedelta(seconds=1))


def test_a_journal_of_before_is_compacted(tmp_path: Path) -> None:
    """A server that ran before the update left it. Its requests get event ids as new ones do."""
    folder = tmp_path / "old" / "journals" / "endpoint=paid"
    folder.mkdir(parents=True)
    shutil.copy(ASSETS / "traffic-1.journal", folder / "7cb1bda0d9d1443f8f7a41a7a4e1e9a1.journal")
    old, new = read(Traffic(tmp_path / "old")), expected(tmp_path / "new")
    assert_frame_equal(old.drop("autopilot.event_id"), new.drop("autopilot.event_id"))
    start = "7cb1bda0-d9d1-443f-8f7a-00000000000"
    assert old.get_column("autopilot.event_id").to_list() == [f"{start}0"] * 3 + [f"{start}1"]


def test_parquet_of_before_is_read_beside_new(tmp_path: Path) -> None:
    """As of the variant `main`, which it was; of its requests' ids one is made."""
    folder = tmp_path / "parquet" / "endpoint=paid" / "variant=main" / "date=2024-05-01" / "hour=12"
    folder.mkdir(parents=True)
    shutil.copy(ASSETS / "traffic-1.parquet", folder / "claim.demo.3.parquet")
    traffic = Traffic(tmp_path)
    old, new = read(traffic), expected(tmp_path / "new")
    assert_frame_equal(old.drop("autopilot.event_id"), new.drop("autopilot.event_id"))
    assert old.get_column("autopilot.event_id").unique().to_list() != [None]
    assert old.get_column("autopilot.event_id").n_unique() == 2
    expected(tmp_path)
    assert read(traffic).height == 8


def test_a_journal_of_a_later_version_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is neither read nor removed."""
    folder = tmp_path / "journals" / "endpoint=paid"
    folder.mkdir(parents=True)
    path = folder / "x.journal"
    path.write_bytes(b"APJ9" + bytes(100))
    assert Traffic(tmp_path).compact() == 0
    assert path.exists()
    assert "x.journal was written by a later version; it is left for that." in caplog.text


def test_a_journal_that_is_named_as_none_of_ours_is_read_too(tmp_path: Path) -> None:
    """A person may have moved it."""
    path = tmp_path / "moved by hand.journal"
    shutil.copy(ASSETS / "traffic-1.journal", path)
    journal = read_journal(path)
    assert journal is not None
    assert journal.header.variant == "main"
    assert [batch.inference_ids for batch in journal.batches] == [["a"], ["b"]]
    assert journal.id == read_journal(path)[0]  # type: ignore[index]
