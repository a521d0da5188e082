"""Capture writes what was answered, and never harms an answer that does not wait for it."""

import asyncio
import errno
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from serving import capture as capture_module
from serving import capture_plan as capture_plan_module
from serving import commits as commits_module
from serving.capture import Capture
from serving.capture_plan import Plan, plan_of
from serving.drain import Together
from serving.errors import UncapturedError
from serving.journals import Complaint
from serving.routes import place_of
from storage import Predictor, Store
from storage.boundary import Blocks, blocks_of_rows
from storage.records import CapturePolicy, Endpoint, Variant
from storage.redaction import Redaction
from storage.traffic import JournalWriter, packed_inputs
from tests.portable import REGRESSOR, ROWS, regressor

PREDICTOR = Predictor(regressor())
NOW_S = 1_700_000_000.0
NOW = datetime.fromtimestamp(NOW_S, UTC)


def plan(
    *,
    version: int = 1,
    variant: str = "main",
    share: float = 1.0,
    is_sync: bool = False,
    redact: Mapping[str, Redaction] | None = None,
) -> Plan:
    policy = CapturePolicy(share, "sync" if is_sync else "async", dict(redact or {}))
    serving = Variant(variant, "m", version)
    found = plan_of(Endpoint("demo", (serving,), 1, NOW, NOW, capture=policy), serving, REGRESSOR)
    assert found is not None
    return found


def take(capture: Capture, plan: Plan, rows: int = 1, name: str = "id") -> Any:
    """Capture an answer of the regressor."""
    blocks = blocks_of_rows(REGRESSOR, [ROWS[0]] * rows)
    return capture.take(plan, name, NOW_S, blocks, PREDICTOR.run(blocks))


def read(store: Store) -> pl.DataFrame:
    return store.traffic.read("demo", NOW, NOW + timedelta(seconds=9))


def names(store: Store) -> list[str]:
    frame = read(store)
    return frame.get_column("autopilot.inference_id").to_list() if frame.width else []


def full(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device", "/a/path")


# --------------------------------------------------------------------------------------------------- async


def test_leaving_the_context_writes_what_is_queued(store: Store) -> None:
    """Of each plan in a journal of its own."""
    plans = [plan(version=1), plan(version=2)]
    with Capture(store.traffic) as capture:
        for number in (0, 1, 0):
            take(capture, plans[number], 2)
    assert len(list((store.root / "traffic" / "journals").glob("*/*.journal"))) == 2
    assert read(store).height == 6
    counts = capture.counts["demo"]
    assert (counts.rows, counts.lost_rows) == (6, 0)
    assert counts.bytes > 6 * 5 * 8


def test_more_answers_than_are_packed_at_once_keep_their_order(store: Store) -> None:
    """Each with its own rows."""
    one = plan()
    with Capture(store.traffic) as capture:
        for number in range(600):
            take(capture, one, 1 + number % 3, f"{number:03}")
    expected = [f"{number:03}" for number in range(600) for _ in range(1 + number % 3)]
    assert names(store) == expected


def test_a_full_queue_drops_and_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What fits is kept, even a batch that is larger than the room left; the rest is told in the log."""
    capture = Capture(store.traffic)
    take(capture, plan())
    capture.pack()
    size_bytes = capture.queued_bytes
    monkeypatch.setattr(capture_module, "_QUEUE_BYTES", size_bytes + 1)
    for _ in range(3):
        take(capture, plan())
        capture.pack()
    assert capture.queued_bytes == 2 * size_bytes
    assert capture.lags_s(NOW_S + 3) == {"demo": 3.0}
    with capture:
        pass
    assert (capture.queued_bytes, capture.lags_s(NOW_S)) == (0, {})
    assert read(store).height == 2
    assert capture.counts["demo"].overflowed_rows == 2
    assert "2 rows of traffic were answered and not captured: rows arrived faster" in caplog.text


def test_a_flush_makes_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on what waits, not on what ever was."""
    monkeypatch.setattr(capture_module, "_QUEUE_BYTES", 1)
    capture = Capture(store.traffic)
    for _ in range(6):
        take(capture, plan())
        capture.flush()
    capture.rotate()
    assert read(store).height == 6


def test_a_full_disk_drops_and_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Capture goes on when there is space again."""
    append, one = JournalWriter.append, plan()
    with Capture(store.traffic) as capture:
        monkeypatch.setattr(JournalWriter, "append", full)
        take(capture, one, 3)
        capture.flush()
        monkeypatch.setattr(JournalWriter, "append", append)
        take(capture, one, 2)
    assert read(store).height == 2
    assert capture.counts["demo"].failed_rows == 3
    assert "3 rows of traffic were answered and not captured: No space left on device." in caplog.text


def test_a_defect_costs_its_batch_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback."""

    def broken(*_: Any) -> int:
        raise ZeroDivisionError

    append, one = JournalWriter.append, plan()
    capture = Capture(store.traffic)
    monkeypatch.setattr(JournalWriter, "append", broken)
    take(capture, one)
    capture.flush()
    monkeypatch.setattr(JournalWriter, "append", append)
    take(capture, one)
    capture.flush()
    capture.rotate()
    assert (capture.queued_bytes, read(store).height, capture.counts["demo"].failed_rows) == (0, 1, 1)
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_cannot_be_packed_is_given_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted as lost, and logged with its traceback."""

    def broken(*_: Any) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(capture_plan_module, "packed", broken)
    with Capture(store.traffic) as capture:
        assert take(capture, plan()) is None
    assert (read(store).height, capture.counts["demo"].failed_rows) == (0, 1)
    assert "ZeroDivisionError" in caplog.text


def test_a_journal_that_vanished_does_not_end_capture(store: Store, tmp_path: Path) -> None:
    """Somebody may delete the folder while the server runs."""
    capture = Capture(store.traffic)
    take(capture, plan())
    capture.flush()
    (store.root / "traffic").rename(tmp_path / "moved")
    capture.rotate()
    take(capture, plan())
    capture.flush()
    capture.rotate()
    assert read(store).height == 1


def test_complaints_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Not once a request."""
    complaint = Complaint("%d rows: %s.")
    for now_s in range(100):
        complaint.tell(now_s + 1, "full", float(now_s))
    assert [record.args for record in caplog.records] == [(1, "full"), (60, "full")]


# ------------------------------------------------------------------------------------------- what is captured


def test_a_share_is_drawn_by_inference_id(store: Store) -> None:
    """The same ids by every server and at every time; a greater share keeps those of a smaller one."""
    ids = [f"{number}" for number in range(2_000)]
    kept: dict[float, set[str]] = {}
    for share in (0.1, 0.3):
        some = plan(share=share)
        with Capture(store.traffic) as capture:
            for name in ids:
                take(capture, some, name=name)
        kept[share] = {name for name in ids if some.draws(name)}
    assert kept[0.1] < kept[0.3]
    assert set(names(store)) == kept[0.3]
    assert 160 < len(kept[0.1]) < 240  # three standard deviations of 200
    assert 540 < len(kept[0.3]) < 660


def test_what_is_captured_tells_nothing_of_the_variant() -> None:
    """Ids of the lower half of variants are captured as often as those of the upper half."""
    half = plan(share=0.5)
    drawn = [(place_of(f"{number}") < 0.5, half.draws(f"{number}")) for number in range(4_000)]
    for pair in ((False, False), (False, True), (True, False), (True, True)):
        assert 900 < drawn.count(pair) < 1_100


def test_an_endpoint_of_share_0_has_no_plan() -> None:
    """The hot path asks nothing else."""
    endpoint = Endpoint("demo", (Variant("main", "m", 1),), 1, NOW, NOW, capture=CapturePolicy(share=0.0))
    assert plan_of(endpoint, endpoint.main, REGRESSOR) is None


def test_rows_tell_their_variant_and_what_was_redacted(store: Store) -> None:
    """Columns that the variant does not take are passed over."""
    with Capture(store.traffic) as capture:
        take(capture, plan(variant="new", redact={"amount": "drop", "town": "mask", "other": "hash"}))
    row = read(store).row(0, named=True)
    assert "amount" not in row
    assert "town" not in row
    assert (row["autopilot.masked.town"], row["visits"], row["autopilot.variant"]) == (True, 2.0, "new")
    assert row["autopilot.redacted"] == '{"amount":"drop","town":"mask"}'


def test_what_waits_is_counted_in_bytes() -> None:
    """A queue of a million numbers takes 60 MB, one of a million long texts gigabytes: both have the same limit."""
    for redact in (dict[str, Redaction](), dict[str, Redaction](visits="drop")):
        for rows in (1, 51):
            blocks = blocks_of_rows(REGRESSOR, [{**ROWS[0], "town": "x" * 8_000}] * rows)
            one = plan(redact=redact)
            answers = one.taken(("id", NOW_S, blocks, PREDICTOR.run(blocks), None))
            assert (answers.batch is not None) == (rows == 1 and not redact)
            assert (answers.rows, answers.since) == (rows, NOW_S)
            assert 8_000 * rows < answers.size_bytes < 9_000 * rows


def run(ids: list[str]) -> tuple[Together, list[float]]:
    """Requests of one, two, three ... rows that ran together; and what was predicted."""
    requests = [blocks_of_rows(REGRESSOR, [{**ROWS[0], "visits": at}] * (at + 1)) for at in range(len(ids))]
    whole = Blocks(*(np.concatenate(blocks) for blocks in zip(*requests, strict=True)))
    outputs = PREDICTOR.run(whole)
    return Together([one.rows for one in requests], packed_inputs(whole), outputs), np.asarray(
        outputs.prediction
    ).tolist()


def test_what_ran_together_is_captured_as_if_each_had_run_alone(store: Store) -> None:
    """Beside what did run alone."""
    together, predicted = run(["0", "1", "2"])
    with Capture(store.traffic) as capture:
        take(capture, one := plan(), name="alone")
        capture.take_run(one, together, ["0", "1", "2"], NOW_S)
        take(capture, one, name="after")
    rows = read(store).filter(pl.col("autopilot.inference_id").is_in(["0", "1", "2"])).sort("autopilot.inference_id")
    assert rows.get_column("visits").to_list() == [0.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    assert rows.get_column("autopilot.prediction").to_list() == predicted
    assert rows.get_column("autopilot.row").to_list() == [0, 0, 1, 0, 1, 2]
    assert sorted(set(names(store))) == ["0", "1", "2", "after", "alone"]


def test_a_run_that_cannot_be_packed_is_counted_as_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its answers were given."""

    def broken(*_: Any) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(capture_plan_module, "packed", broken)
    with Capture(store.traffic) as capture:
        capture.take_run(plan(), run(["0", "1"])[0], ["0", "1"], NOW_S)
    assert (read(store).height, capture.counts["demo"].failed_rows) == (0, 3)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("rows", [0, 1, 50, 51, 1_000])
def test_answers_are_captured_alike_whoever_packs_them(store: Store, rows: int) -> None:
    """A few rows are packed in the event loop, others by the thread."""
    with Capture(store.traffic) as capture:
        take(capture, plan(), rows)
        take(capture, plan(redact={"seen": "drop"}), rows, "other")
    found = read(store)
    assert found.height == 2 * rows
    if rows:
        first = found.filter(pl.col("autopilot.inference_id") == "id")
        assert first.select("amount", "town", "visits").unique().rows() == [(4.0, "Ulm", 2.0)]
        assert first.get_column("autopilot.row").to_list() == list(range(rows))
        assert found.get_column("autopilot.prediction").to_list() == [1.0] * 2 * rows


# --------------------------------------------------------------------------------------------------- sync


def test_a_sync_answer_waits_until_it_is_written(store: Store) -> None:
    """When the future is done, a journal has it: the server may be killed."""

    async def answer(capture: Capture) -> None:
        await take(capture, one, 2)
        (path,) = (store.root / "traffic" / "journals").rglob("*.open")
        assert b"id" in path.read_bytes()

    one = plan(is_sync=True)
    with Capture(store.traffic) as capture:
        asyncio.run(answer(capture))
    assert read(store).height == 2
    assert capture.counts["demo"].rows == 2


def test_many_sync_answers_share_a_write(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come while others are written are written together."""
    append, sizes = JournalWriter.append, list[int]()

    def counted(self: JournalWriter, invocations: Any, frames: Any) -> int:
        sizes.append(len(frames))
        return append(self, invocations, frames)

    async def answer_all(capture: Capture) -> None:
        await asyncio.gather(*(take(capture, one, name=f"{number:03}") for number in range(300)))

    monkeypatch.setattr(JournalWriter, "append", counted)
    one = plan(is_sync=True)
    with Capture(store.traffic) as capture:
        asyncio.run(answer_all(capture))
    assert names(store) == [f"{number:03}" for number in range(300)]
    assert sum(sizes) == 300
    assert len(sizes) < 30  # two or three, unless the machine is busy


def test_a_sync_answer_that_cannot_be_written_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error tells why, without the server's paths, and the next is answered when there is space again."""

    async def answer(capture: Capture) -> None:
        monkeypatch.setattr(JournalWriter, "append", full)
        with pytest.raises(
            UncapturedError, match=r"^Endpoint 'demo' answers only what is captured, and this was not: No space left"
        ) as raised:
            await take(capture, one)
        assert "/a/path" not in str(raised.value)
        monkeypatch.setattr(JournalWriter, "append", append)
        await take(capture, one, name="later")

    append, one = JournalWriter.append, plan(is_sync=True)
    with Capture(store.traffic) as capture:
        asyncio.run(answer(capture))
    assert names(store) == ["later"]
    assert (capture.counts["demo"].refused, capture.counts["demo"].rows) == (1, 1)
    assert "1 requests were refused, for their answers could not be captured: No space left on device." in caplog.text


def test_sync_answers_beyond_what_may_wait_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs does not fill the memory."""
    monkeypatch.setattr(commits_module, "_MOST_BYTES", 1)

    async def answer_all(capture: Capture) -> list[Any]:
        kept = [take(capture, one) for one in (plan(is_sync=True), plan(is_sync=True))]
        return await asyncio.gather(*kept, return_exceptions=True)

    with Capture(store.traffic) as capture:
        first, second = asyncio.run(answer_all(capture))
    assert first is None
    assert isinstance(second, UncapturedError)
    assert read(store).height == 1


def test_a_defect_refuses_sync_answers(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for ever, in whichever thread it happens."""

    def broken(*_: Any) -> bytes:
        raise ZeroDivisionError

    async def answer(capture: Capture) -> None:
        for where, name in ((capture_plan_module, "packed"), (JournalWriter, "append")):
            with monkeypatch.context() as patched:
                patched.setattr(where, name, broken)
                with pytest.raises(UncapturedError, match="the server has a defect, which its log tells of"):
                    await take(capture, one)
        await take(capture, one, name="later")

    one = plan(is_sync=True)
    with Capture(store.traffic) as capture:
        asyncio.run(answer(capture))
    assert names(store) == ["later"]
    assert caplog.text.count("\nZeroDivisionError") == 2
    assert (capture.counts["demo"].refused, capture.counts["demo"].lost_rows) == (2, 0)


def test_a_client_that_does_not_wait_for_the_write_harms_nobody(store: Store) -> None:
    """What it asked is captured all the same."""

    async def answer(capture: Capture) -> None:
        kept = take(capture, one, name="gone")
        kept.cancel()
        await take(capture, one, name="waits")

    one = plan(is_sync=True)
    with Capture(store.traffic) as capture:
        asyncio.run(answer(capture))
    assert sorted(names(store)) == ["gone", "waits"]
