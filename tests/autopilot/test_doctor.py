"""The doctor tells versions, settings with their origin, the store's health, and whether schedules are followed."""

import importlib.metadata
import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autopilot.__main__ import run
from autopilot.doctor import examine
from storage import SettingError, Store
from storage.records import Execution, Monitor, Schedule
from storage.tables import HEAD
from tests import portable
from tests.monitor import till
from tests.monitor.alerts.told import channel
from tests.monitor.process import monitor
from tests.processes import soon

NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, for settings and store."""
    monkeypatch.chdir(tmp_path)


def test_a_healthy_store_has_no_complaints(tmp_path: Path) -> None:
    """It is made if there is none."""
    Store.open(tmp_path / "store").close()
    found = examine(str(tmp_path / "store"))
    assert found["store"]["path"] == str(tmp_path / "store")
    assert found["store"]["schema"] == HEAD
    assert found["healthy"] == (not found["store"]["complaints"])
    assert found["settings"]["store"] == {"value": str(tmp_path / "store"), "origin": "--store"}


def test_settings_come_with_their_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, file, default."""
    monkeypatch.setenv("AUTOPILOT_PORT", "9000")
    (tmp_path / "autopilot.toml").write_text('host = "0.0.0.0"')
    settings = examine()["settings"]
    assert settings["port"] == {"value": 9000, "origin": "AUTOPILOT_PORT"}
    assert settings["host"] == {"value": "0.0.0.0", "origin": "autopilot.toml"}  # noqa: S104 - nothing listens
    assert settings["threads"] == {"value": 0, "origin": "default"}
    assert settings["store"]["origin"] == "default"


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """But that there is one."""
    assert examine()["settings"]["webhook_secret"]["value"] == ""
    monkeypatch.setenv("AUTOPILOT_WEBHOOK_SECRET", "0123456789abcdef")
    assert examine()["settings"]["webhook_secret"] == {"value": "(a secret)", "origin": "AUTOPILOT_WEBHOOK_SECRET"}


def test_channels_that_could_not_be_told_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With why; another machine's monitor may have what is missing, so that the store is healthy all the same."""
    store = Store.open(tmp_path / "store")
    for made in (
        channel("webhook", "https://h.example/a", name="hook"),
        channel("email", "ops@h.example", name="mail"),
        channel("command", "no-such-program", name="run"),
        channel("command", "true", name="sound"),
    ):
        store.schedules.alerts.put_channel(made)
    store.close()
    found = examine(str(tmp_path / "store"))
    assert found["channels"] == {
        "hook": "The setting webhook_secret, which signs webhooks, has 0 characters. Give it 16 or more.",
        "mail": "No mail server is set. Set smtp_url and smtp_from, such as smtps://USER:PASSWORD@HOST.",
        "run": "'no-such-program' is no program that can be run. Name one that is there, or its whole path.",
    }
    assert found["healthy"] == (not found["store"]["complaints"])
    monkeypatch.setenv("AUTOPILOT_WEBHOOK_SECRET", "0123456789abcdef")
    monkeypatch.setenv("AUTOPILOT_SMTP_URL", "smtps://mail.example.com")
    assert set(examine(str(tmp_path / "store"))["channels"]) == {"run"}


def test_versions_are_those_installed() -> None:
    """Of Python and of the libraries that matter."""
    versions = examine()["versions"]
    assert versions["onnxruntime"] == importlib.metadata.version("onnxruntime")
    assert {"python", "autopilot", "polars", "lightgbm", "scikit-learn"} <= set(versions)
    assert "not installed" not in versions.values()


def test_a_store_that_cannot_be_opened_is_a_complaint(tmp_path: Path) -> None:
    """The doctor does not fall ill itself."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "autopilot.db").write_text("no database" * 100)
    found = examine(str(tmp_path / "store"))
    assert found["healthy"] is False
    (complaint,) = found["store"]["complaints"]
    assert "could not be opened" in complaint
    assert found["channels"] == {}


def test_a_bad_setting_is_an_error_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be said about a store that is not named."""
    monkeypatch.setenv("AUTOPILOT_PORT", "http")
    with pytest.raises(SettingError, match="AUTOPILOT_PORT sets port to 'http'"):
        examine()


def shown(capsys: pytest.CaptureFixture[str], path: Path) -> list[str]:
    """The lines on the monitor that `autopilot doctor` prints."""
    run(["doctor", "--store", str(path)])
    lines = capsys.readouterr().out.splitlines()
    return lines[next(number for number, line in enumerate(lines) if line.startswith("Monitor: ")) :]


def test_whether_schedules_are_followed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no monitor is there, with the way out; a process that monitors is named until it ends."""
    with closing(Store.open(tmp_path / "store")) as store:
        assert shown(capsys, store.root) == ["Monitor: none. `autopilot serve` starts one."]
        till.deploy(store, portable.classifier(), NOW)
        for name in ("hourly", "paused"):
            store.schedules.put(Schedule(name, till.ENDPOINT, "0 * * * *", 0.05, NOW))
        store.schedules.pause("paused", NOW)
        assert shown(capsys, store.root)[1] == "Nobody follows the schedules (1) meanwhile."
        with monitor("--store", str(store.root)) as process:
            [there] = soon(store.monitors.list)
            assert shown(capsys, store.root)[0] == (
                f"Monitor: process {process.pid} on {socket.gethostname()}, "
                f"since {there.started_at:%Y-%m-%d %H:%M:%S} UTC"
            )
            process.terminate()
            assert process.wait(60) == 0
        assert shown(capsys, store.root)[0] == "Monitor: none. `autopilot serve` starts one."


def test_a_monitor_that_died_and_the_last_check_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When it was last heard of, and what was made last."""
    with closing(Store.open(tmp_path / "store")) as store:
        till.deploy(store, portable.classifier(), NOW)
        store.schedules.put(Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, NOW))
        for hour, status, reason in (
            (1, "completed", None),
            (2, "failed", "The disk [/full] is full."),
            (3, "missed", ""),
        ):
            due = NOW + timedelta(hours=hour)
            ended = due + timedelta(seconds=5)
            verdict = "no drift" if status == "completed" else None
            store.schedules.claim(Execution("hourly", due, status, due, ended, None, reason, verdict=verdict))
        store.monitors.beat(Monitor("one", "here", 42, NOW, NOW))
        store.monitors.beat(Monitor("other", "here", 43, NOW, NOW + timedelta(seconds=9)))
        died, schedules, last = shown(capsys, store.root)
    assert died == (
        "Monitor: none; the last was heard of at 2024-05-06 12:00:09 UTC, and ended without a word. "
        "`autopilot serve` starts one."
    )
    assert schedules == "Nobody follows the schedules (1) meanwhile."
    assert last == (
        "Last check: hourly, due 2024-05-06 14:00:00 UTC, failed at 2024-05-06 14:00:05 UTC: The disk [/full] is full."
    )
    found = examine(str(tmp_path / "store"))["monitor"]
    assert [one["id"] for one in found["gone"]] == ["other", "one"]
    assert (found["running"], found["schedules"], found["last_check"]["status"]) == ([], 1, "failed")
