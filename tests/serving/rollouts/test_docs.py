"""The guide tells what happens."""

import re
import shlex
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from autopilot.__main__ import run
from storage import Store
from storage.records import Guard
from tests import portable
from tests.serving.conftest import ROOT

GUIDE = (ROOT / "docs" / "rollouts.md").read_text()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store that the guide speaks of, in the working directory; `price:1` is served."""
    monkeypatch.chdir(tmp_path)
    store = Store.open("autopilot-store")
    portable.publish(store, portable.regressor(), name="price", endpoint="price")
    portable.publish(store, portable.regressor(0.1), name="price")
    return store


def test_its_python_prints_what_it_says(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """To the letter."""
    (block,) = re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - our own guide
    assert capsys.readouterr().out.splitlines() == re.findall("^# (.+)", block, flags=re.MULTILINE)


def test_its_commands_are_understood(store: Store) -> None:
    """Each begins what it says, and is taken back before the next."""
    commands = re.findall(r"^autopilot endpoints (rollout price price:2.*?)(?: {3,}.*)?$", GUIDE, flags=re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        assert run(["endpoints", *shlex.split(command), "--no-follow"]) == 0
        assert store.endpoints.get("price").revision % 2 == 0
        assert run(["endpoints", "rollback", "price"]) == 0
    plans = [(rollout.strategy, rollout.share, rollout.wait_s) for rollout in reversed(store.rollouts.list())]
    assert plans == [("canary", 0.1, 300), ("linear", 0.2, 60), ("blue_green", 1.0, 600), ("canary", 0.1, 300)]


def test_each_guard_is_in_the_guide() -> None:
    """By its name."""
    kinds = get_args(get_type_hints(Guard)["kind"])
    assert re.findall(r"^\| `(\w+)` \|", GUIDE, flags=re.MULTILINE) == list(kinds)
