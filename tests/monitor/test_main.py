"""`python -m monitor` as users start it: a process of its own."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.schedule import utc_now
from storage import Store
from storage.records import Schedule
from tests import portable
from tests.monitor import till

ROOT = Path(__file__).parents[2]


def spawn(*arguments: str, **environ: str) -> "subprocess.Popen[str]":
    """`python -m monitor ARGUMENTS`, with warnings as errors."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "monitor", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_missed_report_is_made_and_a_signal_ends_the_monitor(store: Store, number: signal.Signals) -> None:
    """The journey: traffic of the last hour, a schedule an hour old, one line when ready, a report, exit code 0."""
    now = utc_now()
    version = till.deploy(store, portable.classifier(), now - timedelta(hours=9))
    till.send(store, version, till.rows(60, seed=1, amount=9.0), now - timedelta(minutes=45))
    store.schedules.put(Schedule(till.ENDPOINT, "0,30 * * * *", 0.05, now - timedelta(hours=1)))
    process = spawn("--store", str(store.root))
    assert process.stdout is not None
    assert process.stdout.readline() == f"Monitoring {store.root}\n"
    end = time.monotonic() + 20
    while not any(found.status == "completed" for found in store.schedules.executions(till.ENDPOINT)):
        assert time.monotonic() < end, "no report was made"
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    [report] = store.reports.list()
    assert report.window_end - report.window_start == timedelta(minutes=30)


def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """One line, no traceback, exit code 1."""
    file = tmp_path / "file"
    file.write_text("")
    out, err = spawn("--store", str(file)).communicate(timeout=20)
    assert out == ""
    assert "cannot be made" in err
    assert "Traceback" not in err


def test_a_bad_option_is_told() -> None:
    """Exit code 2."""
    process = spawn("--shop")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "--shop" in err


def test_the_store_is_a_setting(tmp_path: Path) -> None:
    """Without --store, AUTOPILOT_STORE."""
    process = spawn(AUTOPILOT_STORE=str(tmp_path / "chosen"))
    assert process.stdout is not None
    assert process.stdout.readline() == f"Monitoring {tmp_path / 'chosen'}\n"
    process.terminate()
    assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 0
