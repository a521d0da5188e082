"""Capture writes what was answered, and never harms an answer."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving import capture as capture_module
from serving.capture import Capture, Captured, Losses
from storage import Predictor, Store
from storage.boundary import blocks_of_rows
from storage.traffic import Header, JournalWriter
from tests.portable import REGRESSOR, ROWS, regressor

PREDICTOR = Predictor(regressor())
NOW_US = 1_700_000_000_000_000


def captured(rows: int = 1, version: int = 1) -> Captured:
    blocks = blocks_of_rows(REGRESSOR, [ROWS[0]] * rows)
    return Captured(Header("demo", "m", version, REGRESSOR), "id", NOW_US, blocks, PREDICTOR.run(blocks))


def read_rows(store: Store) -> int:
    then = datetime.fromtimestamp(NOW_US / 1e6, UTC)
    return store.traffic.read("demo", then, then + timedelta(seconds=1)).height


def test_leaving_the_context_writes_what_is_queued(store: Store) -> None:
    """Of each version in a journal of its own."""
    with Capture(store.traffic) as capture:
        for version in (1, 2, 1):
            capture.take(captured(2, version))
    assert len(list((store.root / "traffic" / "journals").glob("*/*.journal"))) == 2
    assert read_rows(store) == 6


def test_a_full_queue_drops_and_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What fits is kept, even a batch that is larger than the room left; the rest is told in the log."""
    monkeypatch.setattr(capture_module, "_QUEUE_CELLS", 10)
    capture = Capture(store.traffic)
    for _ in range(4):
        capture.take(captured())  # 5 cells each: 4 columns and the row itself
    with capture:
        pass
    assert read_rows(store) == 2
    assert "2 rows of traffic were answered and not captured: rows arrived faster" in caplog.text


def test_a_flush_makes_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on what waits, not on what ever was."""
    monkeypatch.setattr(capture_module, "_QUEUE_CELLS", 10)
    capture = Capture(store.traffic)
    for _ in range(6):
        capture.take(captured())
        capture.flush()
    capture.rotate()
    assert read_rows(store) == 6


def test_a_full_disk_drops_and_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Capture goes on when there is space again."""
    append = JournalWriter.append

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with Capture(store.traffic) as capture:
        monkeypatch.setattr(JournalWriter, "append", full)
        capture.take(captured(3))
        capture.flush()
        monkeypatch.setattr(JournalWriter, "append", append)
        capture.take(captured(2))
    assert read_rows(store) == 2
    assert "3 rows of traffic were answered and not captured: [Errno 28] No space left on device." in caplog.text


def test_a_journal_that_vanished_does_not_end_capture(store: Store, tmp_path: Path) -> None:
    """Somebody may delete the folder while the server runs."""
    capture = Capture(store.traffic)
    capture.take(captured())
    capture.flush()
    (store.root / "traffic").rename(tmp_path / "moved")
    capture.rotate()
    capture.take(captured())
    capture.flush()
    capture.rotate()
    assert read_rows(store) == 1


def test_losses_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Not once a request."""
    losses = Losses()
    for now_s in range(100):
        losses.overflowed_rows += 1
        losses.log(float(now_s))
    assert [record.args for record in caplog.records] == [
        (1, "rows arrived faster than they could be written"),
        (60, "rows arrived faster than they could be written"),
    ]
