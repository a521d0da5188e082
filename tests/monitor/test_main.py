"""`python -m monitor` as users start it: a process of its own."""

import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from monitor.schedule import utc_now
from storage import Store
from storage.records import Schedule
from tests import portable
from tests.monitor import till
from tests.monitor.process import ROOT, monitor, ready
from tests.processes import soon


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_missed_report_is_made_and_a_signal_ends_the_monitor(store: Store, number: signal.Signals) -> None:
    """The journey: traffic of the last hour, a schedule an hour old, one line when ready, a report, exit code 0."""
    now = utc_now()
    version = till.deploy(store, portable.classifier(), now - timedelta(hours=9))
    till.send(store, version, till.rows(60, seed=1, amount=9.0), now - timedelta(minutes=45))
    store.schedules.put(Schedule("halves", till.ENDPOINT, "0,30 * * * *", 0.05, now - timedelta(hours=1)))
    with monitor("--store", str(store.root)) as process:
        assert ready(process) == f"Monitoring {store.root}\n"
        end = time.monotonic() + 60
        while not any(found.status == "completed" for found in store.schedules.executions("halves")):
            assert time.monotonic() < end, "no report was made"
            time.sleep(0.1)
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
    [report] = store.reports.list()
    assert report.window_end - report.window_start == timedelta(minutes=30)


def test_a_signal_that_comes_at_once_ends_the_monitor(tmp_path: Path) -> None:
    """As soon as it says that it is ready, however busy it is with its first looks."""
    for _ in range(3):
        with monitor("--store", str(tmp_path)) as process:
            ready(process)
            process.terminate()
            assert process.wait(60) == 0


def test_a_signal_that_comes_as_reports_begin_ends_the_monitor(store: Store) -> None:
    """What it has not begun waits for another one."""
    now = utc_now()
    till.deploy(store, portable.classifier(), now)
    names = ("one", "two", "three")
    for name in names:
        store.schedules.put(Schedule(name, till.ENDPOINT, "0 * * * *", 0.05, now - timedelta(days=900)))
    with monitor("--store", str(store.root)) as process:
        ready(process)
        soon(lambda: store.schedules.executions("one", 1))
        process.terminate()
        assert process.wait(60) == 0
    assert not [one for name in names for one in store.schedules.executions(name) if one.status == "running"]


def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """One line, no traceback, exit code 1."""
    file = tmp_path / "file"
    file.write_text("")
    with monitor("--store", str(file)) as process:
        out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 1)
    assert err.startswith("monitor: The store ")
    assert len(err.splitlines()) == 1


def test_a_bad_option_is_told() -> None:
    """Exit code 2."""
    with monitor("--shop") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--shop" in err


def test_the_store_is_a_setting(tmp_path: Path) -> None:
    """Without --store, AUTOPILOT_STORE."""
    with monitor(AUTOPILOT_STORE=str(tmp_path / "chosen")) as process:
        assert ready(process) == f"Monitoring {tmp_path / 'chosen'}\n"


def ask(*arguments: str) -> dict[str, Any]:
    """The JSON document that a command prints."""
    with monitor(*arguments) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return msgspec.json.decode(out)


def test_a_report_can_be_asked_for(store: Store) -> None:
    """`run` makes one now, on the last hours."""
    now = utc_now()
    version = till.deploy(store, portable.classifier(), now - timedelta(hours=9))
    till.send(store, version, till.rows(60, seed=1, amount=9.0), now - timedelta(hours=2))
    document = ask("run", till.ENDPOINT, "--store", str(store.root), "--hours", "3")
    assert (document["verdict"], document["drifted"], document["rows"]) == ("drift", True, 60)
    assert store.reports.get(document["id"]).endpoint == till.ENDPOINT
    assert ask("run", till.ENDPOINT, "--store", str(store.root), "--hours", "1")["rows"] == 0


def test_two_files_can_be_compared(tmp_path: Path) -> None:
    """`compare` needs no store, and writes the page where it is told to."""
    reference, current, page = (str(tmp_path / name) for name in ("a.parquet", "b.parquet", "page.html"))
    pl.DataFrame({"x": range(100)}).write_parquet(reference)
    pl.DataFrame({"x": range(90, 190)}).write_parquet(current)
    assert ask("compare", reference, current, "--out", page)["verdict"] == "drift"
    assert "<h1>Drift in 1 of 1 column</h1>" in Path(page).read_text(encoding="utf-8")


def test_charts_are_drawn_where_the_streams_are_closed(tmp_path: Path) -> None:
    """As some daemons are started: vl-convert looks at standard input, whatever file has its number."""
    reference, page = str(tmp_path / "a.parquet"), tmp_path / "page.html"
    pl.DataFrame({"x": range(100), "y": range(100)}).write_parquet(reference)
    command = [sys.executable, "-m", "monitor", "compare", reference, reference, "--out", str(page)]
    subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], cwd=ROOT, check=True)
    assert page.read_text(encoding="utf-8").count('class="drawing"') == 2


def refused(*arguments: str) -> tuple[int, str]:
    """The exit code and the one line that a command refuses with."""
    with monitor(*arguments) as process:
        out, err = process.communicate(timeout=60)
    assert (out, len(err.splitlines())) == ("", 1)
    return process.returncode, err


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that is not there, one that stands where the page is to be, and a form that is none of a report."""
    rows, folder, absent = str(tmp_path / "a.parquet"), tmp_path / "page.html", str(tmp_path / "absent" / "page.html")
    folder.mkdir()
    pl.DataFrame({"x": range(100)}).write_parquet(rows)
    for place, why in (
        (absent, f"There is no folder {str(tmp_path / 'absent')!r} to write 'page.html' into. Make it first."),
        (str(folder), f"{str(folder)!r} cannot be written: Is a directory. Name another place."),
        ("x.pdf", "'x.pdf' does not tell the form of the report. Name it with one of .html, .md, .json."),
    ):
        assert refused("compare", rows, rows, "--out", place) == (2, f"monitor: {why}\n")


@pytest.mark.parametrize("hours", ["0", "-5", "nan", "inf", "1e9"])
def test_hours_that_are_no_period_are_refused(store: Store, hours: str) -> None:
    """None of them is a report on nothing."""
    told = f"monitor: --hours is {float(hours):g}. Use a number above 0, such as 24; a year has 8760.\n"
    assert refused("run", till.ENDPOINT, "--store", str(store.root), f"--hours={hours}") == (2, told)
    assert not store.reports.list(till.ENDPOINT, 1)


def test_whoever_compares_two_files_waits_for_no_database(tmp_path: Path) -> None:
    """Nor for what opens models and makes schedules: their libraries take as long to load as small files to compare."""
    reference, page = str(tmp_path / "a.parquet"), str(tmp_path / "page.html")
    pl.DataFrame({"x": range(500), "y": [None] + ["a"] * 499}).write_parquet(reference)
    code = """
import sys
from monitor.__main__ import main
assert main(["compare", sys.argv[1], sys.argv[1], "--out", sys.argv[2]]) == 0
print(sorted({"apscheduler", "obstore", "onnxruntime", "scipy.stats", "sqlalchemy"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code, reference, page], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[-1] == "[]"


def test_what_cannot_be_read_as_a_schedule_is_told() -> None:
    """Exit code 2, and no traceback."""
    for words in (["backtest", "{}", "--from", "1d", "--to", "0d"], ["finds", "hourly"]):
        with monitor(*words) as process:
            out, err = process.communicate(timeout=60)
        assert (out, process.returncode) == ("", 2)
        assert err.startswith("monitor: The schedule cannot be read: ")
        assert len(err.splitlines()) == 1
