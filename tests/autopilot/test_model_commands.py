"""`autopilot models`, `models alias`, `models unalias` and `models delete`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autopilot.__main__ import run
from storage import Store
from tests.portable import classifier, publish

Command = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with demo:1 and demo:2."""
    store = Store.open(tmp_path / "store")
    for shift in (0.0, 1.0):
        publish(store, classifier(shift))
    return store


@pytest.fixture
def command(store: Store, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `autopilot models ... --json` and reads what it prints; of a failed one what it says."""

    def ask(*arguments: str, code: int = 0) -> Any:
        assert run(["models", *arguments, "--store", str(store.root), "--json"]) == code
        out, err = capsys.readouterr()
        return err if code else json.loads(out)

    return ask


def test_a_version_gets_another_name(command: Command, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """By its number or as the newest; the list shows it below the version."""
    assert command("alias", "demo:1", "production")["version"] == 1
    assert command("alias", "demo", "production")["version"] == 2
    assert store.models.get("demo:production").version == 2
    assert run(["models", "--store", str(store.root)]) == 0
    assert "production" in capsys.readouterr().out
    assert command("unalias", "demo", "production") == {"model": "demo", "removed": "production"}
    assert "Model 'demo' has no alias 'production'." in command("unalias", "demo", "production", code=2)


def test_a_version_that_nothing_uses_is_deleted(command: Command) -> None:
    """By its number alone."""
    command("alias", "demo:1", "production")
    assert "is used by alias 'production'" in command("delete", "demo:1", code=2)
    assert "'demo' names no single version. Write its number, such as churn:3." in command("delete", "demo", code=2)
    assert command("delete", "demo:2") == {"deleted": "demo:2"}
    assert [model["version"] for model in command()] == [1]
