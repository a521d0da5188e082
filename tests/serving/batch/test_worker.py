"""Jobs are worked off by processes that may die at any moment."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import psutil
import pytest
from onnx import numpy_helper

from storage import DataError, InputError, Predictor, Store, UnknownNameError
from storage.batch import Transform, TransformJob, jobs
from tests import portable
from tests.refusals import raises
from tests.serving.conftest import ROOT, serving

ROWS = 700_000


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that takes a while."""
    path = tmp_path_factory.mktemp("source") / "t.parquet"
    numbers = pl.DataFrame({"id": range(ROWS)})
    numbers.with_columns(
        amount=(pl.col("id") % 9).cast(pl.Float64),
        town=pl.lit("Ulm"),
        visits=pl.col("id") % 5,
        seen=pl.lit("2024-01-01"),
    ).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def model() -> bytes:
    """The classifier, which multiplies zeros for some microseconds beside: a job is to last some seconds."""
    found = onnx.load_model_from_string(portable.classifier())
    graph = found.graph
    (total,) = (node for node in graph.node if node.op_type == "Sum")
    total.input.append("nothing")
    wide, many = np.zeros((1, 450)), np.zeros((450, 450))
    graph.initializer.extend([numpy_helper.from_array(wide, "wide"), numpy_helper.from_array(many, "many")])
    slow = [
        onnx.helper.make_node("MatMul", ["bonus", "wide"], ["widened"]),
        onnx.helper.make_node("MatMul", ["widened", "many"], ["multiplied"]),
        onnx.helper.make_node("ReduceMax", ["multiplied", "last"], ["nothing"]),
    ]
    graph.initializer.append(numpy_helper.from_array(np.array([1]), "last"))
    at = list(graph.node).index(total)
    nodes = [*graph.node[:at], *slow, *graph.node[at:]]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(found)
    return found.SerializeToString()


@pytest.fixture
def store(tmp_path: Path, model: bytes) -> Iterator[Store]:
    """With a model."""
    opened = Store.open(tmp_path / "store")
    portable.publish(opened, model)
    yield opened
    opened.close()


def now() -> datetime:
    return datetime.now(UTC)


def asked(store: Store, source: Path, out: Path, **options: object) -> TransformJob:
    """A job that waits. One thread, so that tests beside this one go on."""
    transform = Transform("demo", str(source), str(out), id="id", workers=1, **options)  # type: ignore[arg-type]
    return jobs.create(store, transform, now())


def worker(store: Store) -> "subprocess.Popen[str]":
    """Works until no job is left, in no less a hurry than the test."""
    command = [sys.executable, "-W", "error", "-m", "serving.batch", "--store", str(store.root), "--once"]
    return subprocess.Popen([*command, "--nice", "0"], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def until(holds: Callable[[], bool]) -> None:
    """Wait patiently; the test's own limit is the machine's."""
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def begun(store: Store, job: TransformJob) -> bool:
    """Whether some of its rows are done."""
    progress = jobs.get(store, job.id).progress
    return progress is not None and progress.rows > 0


def ended(process: "subprocess.Popen[str]") -> str:
    """What a worker wrote, which has to end well."""
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return log


@pytest.mark.slow
def test_a_job_is_done_and_tells_how_far_it_is(store: Store, source: Path, tmp_path: Path) -> None:
    """The result is that of the same files scored at once."""
    job = asked(store, source, tmp_path / "o.parquet")
    assert (job.status, job.progress, job.result, job.transform.model) == ("queued", None, None, "demo:1")
    process = worker(store)
    until(lambda: begun(store, job))
    assert jobs.list_jobs(store, status="running")[0].id == job.id
    ended(process)
    done = jobs.get(store, job.id)
    assert (done.status, done.attempts, done.reason) == ("completed", 1, None)
    assert done.result is not None
    assert done.progress is not None
    assert (done.result.rows, done.progress.rows, done.progress.share) == (ROWS, ROWS, 1.0)
    found = pl.read_parquet(tmp_path / "o.parquet")
    expected = Predictor(portable.classifier()).predict(pl.read_parquet(source))
    assert found.drop("id").equals(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.parquet", "store"]


def test_a_job_is_stopped_and_leaves_nothing(store: Store, source: Path, tmp_path: Path) -> None:
    """Its worker ends by itself, and takes the next one."""
    job = asked(store, source, tmp_path / "o.parquet")
    process = worker(store)
    until(lambda: begun(store, job))
    assert jobs.stop(store, job.id, now()).status == "stopped"
    ended(process)
    assert jobs.get(store, job.id).status == "stopped"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert not list((store.root / "work").glob("*"))


@pytest.mark.slow
def test_after_a_kill_another_worker_goes_on(store: Store, source: Path, tmp_path: Path) -> None:
    """With what was done, and the same result."""
    job = asked(store, source, tmp_path / "o.csv")
    process = worker(store)
    until(lambda: begun(store, job))
    process.kill()
    process.communicate()
    owner = store.jobs.get(job.id).owner
    assert owner is not None
    store.jobs.expire(owner, now())  # as a dispatcher does, which sees its worker die; else the lease ends in 10 s
    ended(worker(store))
    done = jobs.get(store, job.id)
    assert (done.status, done.attempts) == ("completed", 2)
    assert done.result is not None
    assert done.result.resumed_rows > 0
    found = pl.read_csv(tmp_path / "o.csv")
    assert found["id"].equals(pl.Series("id", range(ROWS)))
    assert found["label"].equals(Predictor(portable.classifier()).predict(pl.read_parquet(source))["label"])


def test_a_worker_that_is_told_to_end_gives_its_job_back(store: Store, source: Path, tmp_path: Path) -> None:
    """The attempt does not count, and what was done is kept."""
    job = asked(store, source, tmp_path / "o.parquet")
    process = worker(store)
    until(lambda: begun(store, job))
    process.terminate()
    ended(process)
    waiting = jobs.get(store, job.id)
    assert (waiting.status, waiting.attempts) == ("queued", 0)
    jobs.stop(store, job.id, now())
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_worker_of_a_server_ends_well_when_no_job_waits(store: Store) -> None:
    """Although its standard input, by which it sees that its server is there, is open."""
    command = [sys.executable, "-m", "serving.batch", "--store", str(store.root), "--once", "--child"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    assert (process.wait(60), said) == (0, "")
    process.stderr.close()
    assert process.stdin is not None
    process.stdin.close()


def test_a_job_that_cannot_be_done_tells_why(store: Store, source: Path, tmp_path: Path) -> None:
    """And the next one is done."""
    bad = tmp_path / "bad.csv"
    bad.write_text("id,amount,town,visits,seen\n1,far,Ulm,1,\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").write_text("id,amount,town,visits,seen\n1,2,Ulm,1,\n")
    (tmp_path / "in/b.csv").write_text("id,amount\n1,2\n")
    one, many = asked(store, bad, tmp_path / "o.csv"), asked(store, tmp_path / "in", tmp_path / "out")
    fine = asked(store, bad, tmp_path / "s.csv", on_error="skip")
    ended(worker(store))
    failed = jobs.get(store, one.id)
    told = "Column 'amount' was number in training; row 0 holds 'far'. Send a number or null."
    assert (failed.status, failed.reason, failed.result) == ("failed", told, None)
    failed = jobs.get(store, many.id)
    assert failed.status == "failed"
    assert str(failed.reason).startswith("1 of 2 files could not be scored. The first: The data lacks 'town'")
    assert failed.result is not None
    assert [file.rows for file in failed.result.files] == [1, 0]
    assert jobs.get(store, fine.id).status == "completed"


def test_what_cannot_be_done_is_refused_when_it_is_asked_for(store: Store, source: Path, tmp_path: Path) -> None:
    """Before there is a job."""
    (tmp_path / "there.csv").touch()
    for out, options, kind, words in (
        ("there.csv", {}, InputError, "The output is there already: '"),
        ("none/o.csv", {}, DataError, "There is no folder '"),
        ("o.csv", {"columns": ()}, InputError, "No columns are to be written."),
    ):
        with raises(kind, words):
            asked(store, source, tmp_path / out, **options)
    with raises(DataError, "There is no file '"):
        asked(store, tmp_path / "gone.csv", tmp_path / "o.csv")
    for model, error in (("nobody", UnknownNameError), ("gone.onnx", DataError)):
        with pytest.raises(error):
            jobs.create(store, Transform(model, str(source), str(tmp_path / "o.csv")), now())
    assert jobs.list_jobs(store) == []


@pytest.mark.slow
def test_a_server_works_off_jobs_and_goes_on_when_a_worker_dies(store: Store, source: Path, tmp_path: Path) -> None:
    """One worker process at a time, which ends with its server."""
    few = tmp_path / "few.parquet"
    pl.read_parquet(source).head(50_000).write_parquet(few)
    job = asked(store, few, tmp_path / "o.csv")
    with serving(store) as server:
        until(lambda: jobs.get(store, job.id).status == "running")
        (child,) = _children(server.process.pid)
        assert 'autopilot_batch_jobs{status="running"} 1.0' in server.client.get("/metrics").text
        psutil.Process(child).kill()
        until(lambda: jobs.get(store, job.id).status == "completed")
        assert jobs.get(store, job.id).attempts == 2
        assert pl.read_csv(tmp_path / "o.csv").height == 50_000
        second = asked(store, few, tmp_path / "second.csv")
        until(lambda: jobs.get(store, second.id).status == "running")
        (child,) = _children(server.process.pid)
        server.kill()
    until(lambda: _is_gone(child))
    assert jobs.get(store, second.id).status == "running"  # until another server takes it


def _children(pid: int) -> list[int]:
    """Workers of batch jobs that a process started."""
    return [child.pid for child in psutil.Process(pid).children() if "serving.batch" in child.cmdline()]


def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
