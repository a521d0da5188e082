"""Captured traffic is neither lost nor doubled, whatever is killed, and is read back as it was."""

import resource
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec.structs import replace
from polars.testing import assert_frame_equal

from storage import Column, Signature, Store
from storage.boundary import Blocks, blocks_of_rows, typed
from storage.capture_export import export_captures
from storage.captures import capture_page
from storage.errors import StoreError
from storage.predictor import Outputs, Predictor, frame_of_outputs
from storage.replay import ReplaySpec
from storage.replay.replay import replay
from storage.signature import Task
from storage.traffic import Header, Invocation, JournalWriter, Traffic, read_journal
from tests import captured, portable, processes
from tests.strategies import levels, numbers, raw_frame, signature_of, times

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOON_US = 1_714_564_800_000_000  # date -d 2024-05-01T12:00Z +%s
HOUR_US = 3_600_000_000
HEADER = Header("price", "demo", 1, portable.REGRESSOR)
LONG_AGO, FAR_AHEAD = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@pytest.fixture
def traffic(tmp_path: Path) -> Traffic:
    """The traffic folder of an empty store."""
    return Traffic(tmp_path / "traffic")


def invocation(name: str, time_us: int = NOON_US, amounts: tuple[float, ...] = (1.0,)) -> Invocation:
    """One request and the regressor's answer, a row for each amount."""
    rows = [{"amount": amount, "town": "Ulm", "visits": 0, "seen": None} for amount in amounts]
    blocks = blocks_of_rows(portable.REGRESSOR, rows)
    return Invocation(name, time_us, blocks, Outputs(None, None, np.array([amount / 2 + 1 for amount in amounts])))


def names_of(frame: pl.DataFrame) -> list[str]:
    """The inference ids, one for each row, in the frame's order."""
    return frame.get_column("autopilot.inference_id").to_list() if frame.width else []


def all_names(traffic: Traffic) -> list[str]:
    """All rows ever captured for the endpoint `price`."""
    return names_of(traffic.read("price", LONG_AGO, FAR_AHEAD))


def only_journal(traffic_root: Path) -> Path:
    """The one journal there is."""
    (path,) = (traffic_root / "journals").rglob("*.*")
    return path


# ---------------------------------------------------------------------------------------------- what is kept


def test_a_captured_request_is_read_with_its_answer(traffic: Traffic) -> None:
    """Inputs typed as the reference sample, outputs and circumstances beside them."""
    predictor = Predictor(portable.classifier())
    blocks = blocks_of_rows(portable.CLASSIFIER, portable.ROWS)
    writer = traffic.writer(Header("paid", "demo", 3, portable.CLASSIFIER))
    writer.append([Invocation("abc", NOON_US, blocks, predictor.run(blocks))])
    writer.rotate()
    frame = traffic.read("paid", NOON, NOON + timedelta(seconds=1))
    assert frame.columns == [
        *("amount", "town", "visits", "seen"),
        *("autopilot.label", "autopilot.p_no", "autopilot.p_yes"),
        *("autopilot.inference_id", "autopilot.row", "autopilot.time", "autopilot.model", "autopilot.version"),
        *("autopilot.variant", "autopilot.event_id", "autopilot.redacted"),
    ]
    inputs = pl.DataFrame(list(portable.ROWS), infer_schema_length=None)
    assert_frame_equal(frame.select(portable.CLASSIFIER.names), typed(portable.CLASSIFIER, inputs))
    outputs = frame.select("autopilot.label", "autopilot.p_no", "autopilot.p_yes")
    assert_frame_equal(outputs.rename(lambda name: name.removeprefix("autopilot.")), predictor.predict(inputs))
    assert frame.get_column("autopilot.row").to_list() == [0, 1, 2, 3]
    assert set(
        frame.select("autopilot.inference_id", "autopilot.time", "autopilot.model", "autopilot.version").rows()
    ) == {("abc", NOON, "demo", 3)}


KINDS = ("number", "category", "time", "number")
ROWS_OF_CELLS = st.lists(st.tuples(numbers, levels, times, numbers), max_size=3)
CLASSES: dict[Task, Any] = {"binary": ("no", "yes"), "multiclass": (1, 2, 3), "regression": ()}


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[Signature, list[tuple[list[Any], Outputs]]]:
    """A signature, and requests with their answers."""
    task: Task = draw(st.sampled_from(["binary", "multiclass", "regression"]))
    signature = replace(signature_of(KINDS), task=task, classes=CLASSES[task])
    requests = draw(st.lists(ROWS_OF_CELLS, min_size=1, max_size=4))
    return signature, [(rows, draw(_outputs(signature, len(rows)))) for rows in requests]


@st.composite
def _outputs(draw: st.DrawFn, signature: Signature, rows: int) -> Outputs:
    if signature.task == "regression":
        return Outputs(None, None, np.array(draw(st.lists(st.floats(), min_size=rows, max_size=rows)), dtype=float))
    classes = signature.classes
    labels = draw(st.lists(st.sampled_from(classes), min_size=rows, max_size=rows))
    shares = draw(arrays(np.float32, (rows, len(classes)), elements=st.floats(0, 1, width=32)))
    return Outputs(np.array(labels, dtype=object), shares, None)


@given(exchange=exchanges())
@pytest.mark.slow
def test_whatever_was_asked_and_answered_comes_back(
    tmp_path_factory: pytest.TempPathFactory, exchange: tuple[Signature, list[tuple[list[Any], Outputs]]]
) -> None:
    """NaN, missing, infinite and -0.0 numbers, any text, any time; requests of several rows, and of none."""
    folder = tmp_path_factory.mktemp("traffic")
    signature, requests = exchange
    writer = Traffic(folder).writer(Header("e", "m", 1, signature))
    for number, (rows, outputs) in enumerate(requests):
        blocks = blocks_of_rows(signature, [dict(zip(signature.names, row, strict=True)) for row in rows])
        writer.append([Invocation(f"{number}", NOON_US, blocks, outputs)])
    writer.rotate()
    found = Traffic(folder).read("e", LONG_AGO, FAR_AHEAD)
    inputs = typed(signature, raw_frame(KINDS, [row for rows, _ in requests for row in rows]))
    assert found.height == inputs.height
    if inputs.height:
        assert_frame_equal(found.select(signature.names), inputs)
        answers = pl.concat(frame_of_outputs(signature, outputs) for _, outputs in requests)
        assert_frame_equal(
            found.select(f"autopilot.{name}" for name in answers.columns), answers.rename("autopilot.{}".format)
        )
    shutil.rmtree(folder)


def test_rows_are_sorted_by_time_request_and_row(traffic: Traffic) -> None:
    """Whatever the order in which servers wrote them."""
    for name, time_us in (("b", NOON_US + 5), ("c", NOON_US), ("a", NOON_US + 5)):
        writer = traffic.writer(HEADER)
        writer.append([invocation(name, time_us, (1.0, 2.0))])
        writer.rotate()
    frame = traffic.read("price", LONG_AGO, FAR_AHEAD)
    assert names_of(frame) == ["c", "c", "a", "a", "b", "b"]
    assert frame.get_column("amount").to_list() == [1.0, 2.0] * 3


# ------------------------------------------------------------------------------------------------- what is read


def test_a_window_is_half_open_and_exact_at_the_borders_of_hours(traffic: Traffic) -> None:
    """The last microsecond of an hour, the first of the next: each in its own window."""
    writer = traffic.writer(HEADER)
    writer.append([invocation(name, NOON_US + us) for name, us in (("before", -1), ("at", 0), ("last", HOUR_US - 1))])
    writer.append([invocation("next", NOON_US + HOUR_US)])
    writer.rotate()
    hour = timedelta(hours=1)
    assert names_of(traffic.read("price", NOON, NOON + hour)) == ["at", "last"]
    assert names_of(traffic.read("price", NOON - hour, NOON)) == ["before"]
    assert names_of(traffic.read("price", NOON + hour, NOON + 2 * hour)) == ["next"]
    assert names_of(traffic.read("price", NOON, NOON)) == []
    assert all_names(traffic) == ["before", "at", "last", "next"]


@pytest.mark.parametrize("offset_h", [-11, 0, 5, 14])
def test_a_window_may_be_given_in_any_time_zone(traffic: Traffic, offset_h: int) -> None:
    """It is the moment that counts, not how it is written."""
    writer = traffic.writer(HEADER)
    writer.append([invocation("before", NOON_US - 1), invocation("at"), invocation("after", NOON_US + HOUR_US)])
    writer.rotate()
    start = NOON.astimezone(timezone(timedelta(hours=offset_h)))
    assert names_of(traffic.read("price", start, start + timedelta(hours=1))) == ["at"]


def test_traffic_is_read_by_endpoint_model_and_version(traffic: Traffic) -> None:
    """A version's traffic is told from its successor's."""
    for endpoint, model, version in (
        ("price", "demo", 1),
        ("price", "demo", 2),
        ("price", "other", 1),
        ("late", "x", 1),
    ):
        writer = traffic.writer(Header(endpoint, model, version, portable.REGRESSOR))
        writer.append([invocation(f"{endpoint} {model} {version}")])
        writer.rotate()
    assert names_of(traffic.read("price", LONG_AGO, FAR_AHEAD, model="demo")) == ["price demo 1", "price demo 2"]
    assert names_of(traffic.read("price", LONG_AGO, FAR_AHEAD, model="demo", version=2)) == ["price demo 2"]
    assert names_of(traffic.read("price", LONG_AGO, FAR_AHEAD, version=1)) == ["price demo 1", "price other 1"]
    assert names_of(traffic.read("late", LONG_AGO, FAR_AHEAD)) == ["late x 1"]


def test_versions_whose_columns_changed_their_kind_are_read_together(traffic: Traffic) -> None:
    """A column that was a number and became a category is text in the whole."""
    for version, kind in ((1, "number"), (2, "category"), (3, "time")):
        signature = Signature("regression", "y", (Column("x", kind, "any"),))
        writer = traffic.writer(Header("price", "demo", version, signature))
        blocks = blocks_of_rows(signature, [{"x": "a" if kind == "category" else 1}])
        writer.append([Invocation(str(version), NOON_US, blocks, Outputs(None, None, np.array([0.0])))])
        writer.rotate()
    assert all_names(traffic) == ["1", "2", "3"]


def test_an_endpoint_without_traffic_gives_an_empty_frame(traffic: Traffic) -> None:
    """Before anything was ever written, too."""
    assert traffic.read("price", LONG_AGO, FAR_AHEAD).height == 0
    writer = traffic.writer(HEADER)
    writer.append([])
    writer.rotate()
    assert traffic.read("price", LONG_AGO, FAR_AHEAD).height == 0


def test_a_journal_that_a_server_is_writing_is_left_alone(traffic: Traffic) -> None:
    """It is read after `rotate`, and what follows goes to another."""
    writer = traffic.writer(HEADER)
    writer.append([invocation("a")])
    assert traffic.compact() == 0
    writer.rotate()
    writer.append([invocation("b")])
    assert traffic.compact() == 1
    writer.rotate()
    assert all_names(traffic) == ["a", "b"]


def test_rotating_a_writer_that_wrote_nothing_makes_no_file(tmp_path: Path) -> None:
    """Idle servers leave nothing behind."""
    JournalWriter(tmp_path / "journals", HEADER, bytes).rotate()
    assert list(tmp_path.iterdir()) == []


def test_compaction_leaves_nothing_but_parquet(tmp_path: Path, traffic: Traffic) -> None:
    """One file for each hour, in folders that any tool can read by; journals and claims are gone."""
    writer = traffic.writer(HEADER)
    writer.append([invocation("a", amounts=(1.0, 2.0)), invocation("b", NOON_US + HOUR_US)])
    writer.rotate()
    assert traffic.compact() == 3
    assert traffic.compact() == 0
    files = sorted(str(path.relative_to(tmp_path / "traffic")) for path in tmp_path.rglob("*") if path.is_file())
    claim = files[1].rpartition("/")[2].partition(".")[0]
    assert files == [
        "compact.lock",
        f"parquet/endpoint=price/variant=main/date=2024-05-01/hour=12/{claim}.demo.1.parquet",
        f"parquet/endpoint=price/variant=main/date=2024-05-01/hour=13/{claim}.demo.1.parquet",
    ]


# ------------------------------------------------------------------------------------------------ what goes wrong


@given(data=st.data())
@settings(max_examples=60)
def test_a_torn_journal_gives_all_whole_frames_before_the_tear(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut anywhere, or cut and then filled with zeros or noise, as a power cut leaves files."""
    folder = tmp_path_factory.mktemp("torn")
    writer = JournalWriter(folder, HEADER, bytes)
    sizes: list[int] = []
    for number in range(4):
        writer.append([invocation(str(number))])
        sizes.append(next(folder.iterdir()).stat().st_size)
    writer.rotate()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    stop = data.draw(st.integers(0, len(whole)))
    tail = data.draw(st.sampled_from([b"", bytes(64), bytes(5), b"\xff" * 20]))
    path.write_bytes(whole[:stop] + tail)
    journal = read_journal(path)
    found = [name for batch in journal.batches for name in batch.inference_ids] if journal else []
    assert found == [str(i) for i, size in enumerate(sizes) if size <= stop]
    shutil.rmtree(folder)


@pytest.mark.parametrize("content", [b"", b"APJ", b"APJ1", b"APJ2", b"other", bytes(100)])
def test_a_file_that_is_no_journal_does_not_stop_compaction(tmp_path: Path, traffic: Traffic, content: bytes) -> None:
    """The others are compacted."""
    writer = traffic.writer(HEADER)
    writer.append([invocation("a")])
    writer.rotate()
    (tmp_path / "traffic" / "journals" / "endpoint=price" / "x.journal").write_bytes(content)
    assert traffic.compact() == 1
    assert all_names(traffic) == ["a"]


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from tests.storage.test_traffic import HEADER, invocation
from storage.traffic import Traffic
writer = Traffic(Path(sys.argv[1])).writer(HEADER)
for number in range(5):
    writer.append([invocation(f"{number}a"), invocation(f"{number}b")])
    print(f"{number}a", f"{number}b", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_append_returned_from_survives_kill_9(tmp_path: Path) -> None:
    """The journal that a killed server leaves is found and read."""
    printed = processes.run(WRITE_AND_DIE, tmp_path, returncode=-9)
    assert sorted(all_names(Traffic(tmp_path))) == printed.split() == sorted(f"{n}{c}" for n in range(5) for c in "ab")


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from tests.storage.test_traffic import HEADER, invocation
from storage.traffic import Traffic
writer = Traffic(Path(sys.argv[1])).writer(HEADER)
writer.append([invocation("kept")])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
try:
    writer.append([invocation(f"lost {number}") for number in range(1000)])
except OSError as error:
    print("OSError", error.errno)
writer.append([invocation("small")])
resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
writer.rotate()
try:
    writer.append([invocation("no header fits")])
except OSError as error:
    print("OSError", error.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
writer.append([invocation("after")])
writer.rotate()
"""


def test_a_full_disk_is_an_os_error_and_costs_only_what_did_not_fit(tmp_path: Path) -> None:
    """Earlier records stay, none of a failed append appears, and later ones are written as before."""
    assert processes.run(FILL_THE_DISK, tmp_path) == "OSError 27\nOSError 27\n"  # EFBIG
    assert sorted(all_names(Traffic(tmp_path))) == ["after", "kept", "small"]


KILL_AT_EACH_STEP = """
import os, signal, sys
from pathlib import Path
from storage.traffic import Traffic
import tests.storage.test_traffic  # polars and all

TOUCHING = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree")
steps = left = 0

def count(event, arguments):
    global left
    if event in TOUCHING and left > 0 and (event in ("os.remove", "os.rmdir") or "traffic" in str(arguments)):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
for step in range(1, 1000):
    pid = os.fork()
    if not pid:
        left = step
        sys.addaudithook(count)
        Traffic(folder / f"traffic{step}").compact()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status == 0:
        print(step)
        break
"""


@pytest.mark.slow
def test_compaction_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Killed at each file that it opens, renames or removes in turn; whoever reads finds every row once, also while
    the disk is full, and the next compaction leaves no journal."""
    expected = _fill_three_journals(tmp_path / "traffic")
    for step in range(1, 60):
        shutil.copytree(tmp_path / "traffic", tmp_path / f"traffic{step}")
    steps = int(processes.run(KILL_AT_EACH_STEP, tmp_path))
    assert 15 < steps < 60
    for step in range(1, steps + 1):
        with disk_with_room_for(100):
            assert all_names(Traffic(tmp_path / f"traffic{step}")) == expected, step
        assert all_names(Traffic(tmp_path / f"traffic{step}")) == expected, step
        left = [path for path in (tmp_path / f"traffic{step}").rglob("*") if path.suffix in (".journal", ".done")]
        assert left == [], step


def _fill_three_journals(root: Path) -> list[str]:
    """Two endpoints' worth, over two hours; the names that the endpoint `price` should have, in order of time."""
    traffic = Traffic(root)
    for number in range(3):
        writer = traffic.writer(HEADER if number < 2 else replace(HEADER, endpoint="late"))
        writer.append([invocation(f"{number}", NOON_US + number), invocation(f"{number}x", NOON_US + HOUR_US + number)])
        writer.rotate()
    return ["0", "1", "0x", "1x"]


@contextmanager
def disk_with_room_for(size_bytes: int) -> Generator[None]:
    """A file may have so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_too_full_to_compact_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    """Polars' own error is ours; no half of a file stays, and the rows are there when there is room."""
    names = _fill_three_journals(tmp_path)
    traffic = Traffic(tmp_path)
    with disk_with_room_for(100), pytest.raises(StoreError, match=r"could not be compacted: .*Free some disk"):
        traffic.compact()
    assert not [*tmp_path.rglob("*.part")]
    assert sorted(all_names(traffic)) == sorted(names)


#: What happens to a traffic folder: so many requests of a variant in a journal, or a reader on a disk of such a size.
HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["main", "new"]), st.integers(1, 300)),
        st.tuples(st.just("read"), st.sampled_from([100, 4_500, 9_000, 1_000_000])),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(happenings=HAPPENINGS)
def test_rows_are_read_once_whatever_of_them_could_be_compacted(
    tmp_path_factory: pytest.TempPathFactory, happenings: list[tuple[str, int]]
) -> None:
    """On a disk that is full, or was while half of a claim was compacted; journals reach over two hours."""
    traffic = Traffic(tmp_path_factory.mktemp("traffic"))
    written: dict[str, list[str]] = {"main": [], "new": []}
    for what, size in happenings:
        if what == "read":
            with disk_with_room_for(size):
                for variant, names in written.items():
                    assert names_of(traffic.read("price", LONG_AGO, FAR_AHEAD, variant=variant)) == names
            continue
        writer = traffic.writer(replace(HEADER, variant=what))
        first = len(written[what])
        names = [f"{number:05}" for number in range(first, first + size)]
        writer.append([invocation(name, NOON_US + int(name) * 36_000_000) for name in names])  # 100 an hour
        writer.rotate()
        written[what] += names
    assert all_names(traffic) == sorted(written["main"] + written["new"])
    assert not traffic.compact()


def test_what_cannot_be_compacted_is_listed_exported_and_replayed(store: Store, tmp_path: Path) -> None:
    """Whoever reads goes on; whoever compacts is told."""
    version = portable.publish(store, portable.classifier(), endpoint="paid")
    captured.ask(store, "paid", version, {"a": portable.ROWS, "b": portable.ROWS[:1]})
    in_the_way = store.root / "traffic" / "parquet" / "endpoint=paid" / "variant=main"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"")
    with pytest.raises(StoreError, match="could not be compacted"):
        store.traffic.compact()
    found = capture_page(store.traffic, "paid")
    assert [one.inference_id for one in found.items] == ["b", "a"]
    exported = export_captures(store, "paid", LONG_AGO, FAR_AHEAD, tmp_path / "out", format="csv")
    assert (exported.requests, exported.rows) == (2, len(portable.ROWS) + 1)
    assert len(list((tmp_path / "out" / "uncompacted").iterdir())) == exported.files
    replayed = replay(store, "paid", ReplaySpec(start=LONG_AGO), FAR_AHEAD)
    assert (replayed.rows, replayed.is_identical) == (exported.rows, True)
    in_the_way.unlink()
    assert capture_page(store.traffic, "paid") == found


@settings(max_examples=40, deadline=None)
@given(
    times_us=st.lists(st.integers(0, 2 * HOUR_US), min_size=1, max_size=12, unique=True),
    is_left=st.lists(st.booleans(), min_size=12, max_size=12),
    limit=st.integers(1, 5),
)
def test_pages_of_what_cannot_be_compacted_follow_each_other(
    tmp_path_factory: pytest.TempPathFactory, times_us: list[int], is_left: list[bool], limit: int
) -> None:
    """The newest first, and each once, whether Parquet or a journal has the newer ones."""
    traffic = Traffic(tmp_path_factory.mktemp("traffic"))
    for kind in (False, True):
        for time_us, left in zip(times_us, is_left, strict=False):
            if left == kind:
                writer = traffic.writer(HEADER)
                writer.append([invocation(str(time_us), NOON_US + time_us)])
                writer.rotate()
        if not kind:
            traffic.compact()
    found: list[str] = []
    after = None
    with disk_with_room_for(100):
        while True:
            page = capture_page(traffic, "price", limit=limit, after=after)
            found += [one.inference_id for one in page.items]
            if (after := page.next) is None:
                break
    assert found == [str(time_us) for time_us in sorted(times_us, reverse=True)]


def test_two_compactions_at_once_share_the_work(tmp_path: Path) -> None:
    """Together they count each row once, and each row is there once."""
    traffic = Traffic(tmp_path)
    for number in range(30):
        writer = traffic.writer(HEADER)
        writer.append([invocation(f"{number:02}", NOON_US + number)])
        writer.rotate()
    script = """
import sys
from pathlib import Path
from storage.traffic import Traffic
import polars
input("ready\\n")
print(Traffic(Path(sys.argv[1])).compact())
"""
    counted = processes.run_at_once(script, tmp_path)
    assert sum(map(int, counted)) == 30
    assert all_names(traffic) == [f"{number:02}" for number in range(30)]


def test_a_reader_takes_no_file_that_is_still_being_written(tmp_path: Path, traffic: Traffic) -> None:
    """What a killed compaction left half-written beside the Parquet files is not read."""
    writer = traffic.writer(HEADER)
    writer.append([invocation("a")])
    writer.rotate()
    traffic.compact()
    (path,) = (tmp_path / "traffic" / "parquet").rglob("*.parquet")
    (path.parent / f"{path.name}.part").write_bytes(path.read_bytes()[:100])
    assert all_names(traffic) == ["a"]


def test_an_endpoints_traffic_is_in_the_store(store: Store) -> None:
    """`store.traffic` is the folder `traffic` of the store."""
    writer = store.traffic.writer(HEADER)
    writer.append([invocation("a")])
    writer.rotate()
    assert names_of(store.traffic.read("price", LONG_AGO, FAR_AHEAD)) == ["a"]
    assert (store.root / "traffic" / "parquet" / "endpoint=price").is_dir()


def test_blocks_of_no_columns_are_captured_too(traffic: Traffic) -> None:
    """A model of times alone has neither numbers nor text."""
    signature = Signature("regression", "y", (Column("t", "time", "Date"),))
    writer = traffic.writer(Header("price", "demo", 1, signature))
    blocks = Blocks(np.empty((2, 0)), np.empty((2, 0), dtype=object), np.array([[0], [1]]))
    writer.append([Invocation("a", NOON_US, blocks, Outputs(None, None, np.array([0.5, 1.5])))])
    writer.rotate()
    frame = traffic.read("price", LONG_AGO, FAR_AHEAD)
    assert frame.get_column("t").to_physical().to_list() == [0, 1]
    assert frame.get_column("autopilot.prediction").to_list() == [0.5, 1.5]


def test_whether_anything_was_captured_is_known_before_and_after_compaction(traffic: Traffic) -> None:
    """Of this endpoint."""
    assert not traffic.has("price")
    writer = traffic.writer(HEADER)
    writer.append([invocation("a")])
    writer.rotate()
    assert (traffic.has("price"), traffic.has("other")) == (True, False)
    traffic.compact()
    assert (traffic.has("price"), traffic.has("other")) == (True, False)
