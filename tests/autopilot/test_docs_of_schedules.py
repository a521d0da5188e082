"""The commands of the guide to schedules and alerts run as they stand there."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

import autopilot
from autopilot.__main__ import run
from storage import Store
from tests import portable
from tests.monitor import till

GUIDE = (Path(autopilot.__file__).parent.parent / "docs" / "schedules.md").read_text(encoding="utf-8")


def test_its_commands_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, on a store with the endpoint that they speak of."""
    monkeypatch.setenv("AUTOPILOT_STORE", str(tmp_path / "store"))
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.classifier(), endpoint="flights")
    version = store.models.get("demo")
    till.send(store, version, till.rows(40, seed=1), datetime(2024, 6, 1, 12, tzinfo=UTC), endpoint="flights")
    found: list[list[str]] = []
    commands = re.findall(r"^\$ autopilot (.*)$", GUIDE, flags=re.MULTILINE)
    for command in commands:
        assert run(shlex.split(command)) == 0, command
        found.append([one.name for one in store.schedules.list()])
    assert len(commands) == 18
    assert found[4] == ["flights", "nightly", "quarters"]
    assert [one.status for one in store.schedules.executions("nightly")] == ["pending"]  # whatever is paused
    assert found[-1] == ["flights", "nightly"]
    assert store.schedules.get("flights").alert.channels == ("hook", "ops", "retrain")
    assert [one.kind for one in store.schedules.alerts.list_channels()] == ["webhook", "email", "command"]
    store.close()
