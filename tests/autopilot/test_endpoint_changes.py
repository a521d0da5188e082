"""`autopilot endpoints show`, `update`, `weights` and `delete`."""

import json
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from autopilot.__main__ import run
from storage import Store
from storage.records import Server, Serving, Tally
from storage.rollouts import Plan
from storage.shadows import ShadowTally, encoded, subject_of
from tests.portable import classifier, publish, regressor
from tests.serving.conftest import ROOT

Command = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with demo:1, demo:2, demo:3, and price:1, which predicts a number."""
    store = Store.open(tmp_path / "store")
    for shift in (0.0, 1.0, 2.0):
        publish(store, classifier(shift))
    publish(store, regressor(), name="price")
    return store


@pytest.fixture
def command(store: Store, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `autopilot endpoints ... --json` and reads what it prints; of a failed one what it says."""

    def ask(*arguments: str, code: int = 0) -> Any:
        assert run(["endpoints", *arguments, "--store", str(store.root), "--json"]) == code
        out, err = capsys.readouterr()
        return err if code else json.loads(out)

    return ask


def variants(endpoint: dict[str, Any], key: str = "variants") -> list[tuple[str, str, float]]:
    """Name, model version and weight of each."""
    return [(one["name"], f"{one['model']}:{one['version']}", one["weight"]) for one in endpoint[key]]


def test_an_endpoint_is_made_and_changed_by_what_is_named(command: Command) -> None:
    """The rest stays: weights, places, limits."""
    made = command("update", "paid", "--variant", "main=demo:1", "--max-rows", "100", "--max-body-bytes", "5000")
    assert (variants(made), made["revision"]) == ([("main", "demo:1", 1.0)], 1)
    changed = command("update", "paid", "--variant", "new=demo:2", "--shadow", "next=demo@0.5", "--provider", "cuda")
    assert variants(changed) == [("main", "demo:1", 1.0), ("new", "demo:2", 0.0)]
    assert variants(changed, "shadows") == [("next", "demo:3", 0.5)]
    assert (changed["limits"], changed["provider"]) == ({"max_body_bytes": 5000, "max_rows": 100}, "cuda")
    weighed = command("weights", "paid", "main=90", "new=10")
    assert variants(weighed) == [("main", "demo:1", 90.0), ("new", "demo:2", 10.0)]
    last = command("update", "paid", "--variant", "new=demo:3", "--remove", "next", "--max-rows", "0")
    assert variants(last) == [("main", "demo:1", 90.0), ("new", "demo:3", 10.0)]
    assert (last["shadows"], last["limits"]) == ([], {"max_body_bytes": 5000, "max_rows": None})
    assert command("delete", "paid") == {"deleted": "paid"}
    assert "no endpoint 'paid'" in command("show", "paid", code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("update", "other", "--max-rows", "5"), "The store has no endpoint 'other'."),
        (("update", "paid", "--variant", "new"), "'new' is no variant. Write it as NAME=MODEL:3 or NAME=MODEL:3@WEI"),
        (("update", "paid", "--variant", "new=demo:2@much"), "'much' in 'new=demo:2@much' is no weight."),
        (("update", "paid", "--variant", "new=demo:9"), "The store has no model 'demo:9'."),
        (("update", "paid", "--variant", "new=price:1"), "Variant 'new' predicts a number"),
        (("update", "paid", "--shadow", "next=demo:2@2"), "Shadow 'next' sees a share of 2.0 of requests."),
        (("update", "paid", "--remove", "old"), "has no variant 'old'. Its variants are 'main'."),
        (("update", "paid", "--remove", "main"), "has no production variant. Give it one."),
        (("weights", "paid"), "No weights are given. Write them as main=90 new=10."),
        (("weights", "paid", "main=0"), "The weights of endpoint 'paid' sum to 0."),
        (("weights", "paid", "old=1"), "has no variant 'old'. Its variants are 'main'."),
        (("weights", "paid", "main"), "'' in 'main' is no weight. Write a number, such as main=90."),
        (("weights", "paid", "main=1", "main=2"), "Variant 'main' is given two weights."),
        (("delete", "other"), "The store has no endpoint 'other'."),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(
    store: Store, command: Command, arguments: tuple[str, ...], message: str
) -> None:
    """With exit code 2."""
    command("update", "paid", "--variant", "main=demo:1")
    before = store.endpoints.list()
    assert message in command(*arguments, code=2)
    assert store.endpoints.list() == before


def test_what_is_known_of_an_endpoint_is_shown(
    store: Store, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its state by what servers say, and its shadows by what they counted; for people in tables."""
    command("update", "paid", "--variant", "main=demo:1", "--shadow", "next=demo:2", "--max-rows", "1000")
    assert command("show", "paid")["status"]["state"] == "Creating"
    endpoint, now = store.endpoints.get("paid"), datetime.now(UTC)
    counted = ShadowTally("demo:2", "demo:1", 5, 20, skipped=3, agreed=15, differences=20, difference_sum=4.0)
    counted.shadow.add(0.002)
    told = [Tally(subject_of(endpoint), "a" * 32, "next", now, encoded([counted]))]
    store.servers.beat(Server("a" * 32, "localhost", 42, now, now, {"paid": Serving(1)}), told)
    found = command("show", "paid")
    assert (found["status"]["state"], found["status"]["servers"][0]["pid"]) == ("InService", 42)
    assert (found["shadows"][0]["agreement"], found["shadows"][0]["mean_difference"]) == (0.75, 0.2)
    assert run(["endpoints", "show", "paid", "--store", str(store.root)]) == 0
    shown = capsys.readouterr().out
    for words in ("InService", "aaaaaaaa", "75.00%", "3 requests", "skipped", "A request may have 1,000 rows."):
        assert words in shown


def test_the_guides_commands_give_the_shares_that_they_say(
    store: Store, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tenth for the new version, and not all but a tenth; the line of the README does the same."""
    for shift in (0.1, 0.2):
        publish(store, regressor(shift), name="price")
    guide = (ROOT / "docs" / "endpoints.md").read_text()
    found = re.findall(r"^autopilot (?:endpoints )?((?:deploy|update|weights) price.*?)(?: {3,}.*)?$", guide, re.M)
    deploy, update, weights = (shlex.split(line) for line in found[:3])
    assert run([*deploy, "--store", str(store.root)]) == 0
    capsys.readouterr()
    assert variants(command(*update)) == [("main", "price:1", 90.0), ("new", "price:2", 10.0)]
    assert [weight for _, _, weight in variants(command(*weights))] == [50.0, 50.0]
    readme = (ROOT / "README.md").read_text()
    assert "update flights --variant main=flights:1@90 --variant new=flights:2@10 --shadow" in readme


def test_a_stopped_roll_out_is_shown_as_long_as_its_variants_share_the_requests(store: Store, command: Command) -> None:
    """With what returns to the variants before; `InService` alone would hide that nothing watches the new one."""
    command("update", "paid", "--variant", "main=demo:1")
    now = datetime.now(UTC)
    begun = store.rollouts.start("paid", Plan("demo:2", share=0.2), now)
    store.rollouts.claim(begun, "one", now)
    store.rollouts.advance(begun, "one", now)
    assert "Roll-out" not in command("show", "paid")["status"]["reason"]
    command("stop", "paid")
    reason = command("show", "paid")["status"]["reason"]
    assert f"Roll-out {begun.id} watches its variants no more. Stopped by hand; the variants stay as they are" in reason
    assert "To return to the variants before it: autopilot endpoints rollback paid." in reason
    command("weights", "paid", "v2=50")
    assert "autopilot deploy MODEL:VERSION --endpoint paid." in command("show", "paid")["status"]["reason"]
    command("weights", "paid", "v2=0")
    assert "Roll-out" not in command("show", "paid")["status"]["reason"]
