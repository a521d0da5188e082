"""`autopilot endpoints labels` and `replay`, and their guide."""

import json
import re
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from autopilot.__main__ import run
from storage import Store
from storage.boundary import blocks_of_rows
from storage.predictor import Predictor
from storage.replay import Against
from tests import portable, tables
from tests.captured import ask, capture, register
from tests.serving.conftest import serving
from tests.trained import train_model

GUIDE = (Path(__file__).parents[2] / "docs" / "ground-truth.md").read_text(encoding="utf-8")

Command = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store that the guide speaks of, in the working directory: `payments:1` has just answered two requests."""
    monkeypatch.chdir(tmp_path)
    store = Store.open("autopilot-store")
    version = portable.publish(store, portable.classifier(), name="payments", endpoint="paid")
    portable.publish(store, portable.classifier(shift=-0.7), name="payments")
    just_us = int(datetime.now(UTC).timestamp() * 1e6) - 10_000_000
    ask(store, "paid", version, {"order-1": portable.ROWS[:1], "order-2": portable.ROWS[1:2]}, start_us=just_us)
    Path("outcomes.csv").write_text("order,paid\norder-1,yes\norder-2,no\norder-9,no\n")
    return store


@pytest.fixture
def command(store: Store, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `autopilot endpoints ...` and gives what it prints; with --json as values, of a failed one what it says."""

    def ask(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert run(["endpoints", *arguments]) == code
        out, err = capsys.readouterr()
        return json.loads(out) if "--json" in arguments and out else out or err

    return ask


def test_labels_are_taken_in_and_answers_judged(command: Command) -> None:
    """Counts of labels, then metrics by version; again without a file."""
    found = command("labels", "paid", "outcomes.csv", "--id", "order", "--label", "paid", "--json")
    assert found["received"] == {
        "labels": 3,
        "new": 3,
        "same": 0,
        "replaced": 0,
        "unknown": 1,
        "unknown_ids": ["order-9"],
    }
    (version,) = found["versions"]
    assert (found["labels"], version["model"], version["version"], version["rows"]) == (3, "payments", 1, 2)
    assert [(each["metric"], each["value"]) for each in version["metrics"]][:2] == [("roc_auc", 1.0), ("accuracy", 0.5)]
    assert command("labels", "paid", "--json") == {**found, "received": None}
    text = command("labels", "paid", "outcomes.csv", "--id", "order", "--label", "paid")
    assert "3 labels: 0 new, 3 there already, 0 replaced" in text
    assert "1 are of rows that are not captured, or not yet, such as those of 'order-9'" in text
    assert "payments:1" in text
    assert "has 3 labels, of none of the rows that were captured then" in command("labels", "paid", "--to", "24h")


def test_labels_that_differ_are_refused_and_replaced_if_that_is_said(command: Command, store: Store) -> None:
    """Exit code 2, and nothing is kept."""
    command("labels", "paid", "outcomes.csv", "--id", "order", "--label", "paid")
    Path("others.csv").write_text("order,paid\norder-3,no\norder-2,yes\n")
    others = ("labels", "paid", "others.csv", "--id", "order", "--label", "paid")
    assert 'Row 0 of inference \'order-2\' has the label "no", and "yes" was sent.' in command(*others, code=2)
    assert store.labels.count("paid") == 3
    assert command(*others, "--replace", "--json")["received"]["replaced"] == 1
    assert "has no column 'inference_id'. It has 'order', 'paid'." in command("labels", "paid", "others.csv", code=2)


def test_captured_requests_are_replayed(command: Command, store: Store) -> None:
    """To the bit; one that was answered otherwise ends it with exit code 1."""
    assert "The same to the bit: 2 rows of payments:1" in command("replay", "paid")
    text = command("replay", "paid", "--id", "order-1")
    assert "order-1" in text
    assert "order-2" not in text
    found = command("replay", "paid", "--json")
    assert [(same["rows"], same["identical"]) for same in found["same"]] == [(2, 2)]
    version, blocks = store.models.get("payments:1"), blocks_of_rows(portable.CLASSIFIER, portable.ROWS[:1])
    wrong = Predictor(portable.classifier(0.001)).run(blocks)
    just_us = int(datetime.now(UTC).timestamp() * 1e6) - 5_000_000
    capture(store, "paid", version, [("odd", blocks, wrong)], start_us=just_us)
    text = command("replay", "paid", code=1)
    assert "Not the same: 1 of 3 rows of payments:1, by at most 0.000197" in text
    assert "odd" in text


def test_another_version_is_compared(command: Command) -> None:
    """As tables, as JSON, and row by row in a file."""
    command("labels", "paid", "outcomes.csv", "--id", "order", "--label", "paid")
    text = command("replay", "paid", "--model", "payments")
    for part in (
        "payments:2 on 2 rows that payments:1 has answered",
        "the same label in 50.00%",
        "Changed decisions",
        "p_yes",
        "Which was better, by 2 labels",
        "Rows that differ most",
    ):
        assert part in text
    for form, read in (("parquet", pl.read_parquet), ("csv", pl.read_csv), ("ndjson", pl.read_ndjson)):
        found = command("replay", "paid", "--model", "payments:2", "--out", f"o.{form}", "--json")
        assert found["against"][0]["agreement"] == 0.5
        frame = read(f"o.{form}")
        assert frame.get_column("autopilot.inference_id").to_list() == ["order-1", "order-2"]
        assert frame.get_column("replayed.label").to_list() == ["yes", "no"]
        assert frame.get_column("autopilot.truth").to_list() == ["yes", "no"]
    assert sorted(path.name for path in Path().iterdir() if path.name.startswith((".", "o."))) == [
        "o.csv",
        "o.ndjson",
        "o.parquet",
    ]


def test_rows_of_versions_with_other_columns_are_written_into_one_file(command: Command, store: Store) -> None:
    """What one of them lacks is null."""
    version = portable.publish(store, portable.regressor(), name="price", endpoint="paid")
    just_us = int(datetime.now(UTC).timestamp() * 1e6) - 2_000_000
    ask(store, "paid", version, {"later": portable.ROWS[:1]}, start_us=just_us)
    command("replay", "paid", "--out", "o.parquet")
    frame = pl.read_parquet("o.parquet")
    assert frame.get_column("replayed.prediction").is_null().to_list() == [True, True, False]
    assert frame.get_column("replayed.same").to_list() == [True] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("replay", "other"), "The store has no endpoint 'other'."),
        (("labels", "other"), "The store has no endpoint 'other'."),
        (("replay", "paid", "--model", "payments:9"), "The store has no model 'payments:9'."),
        (("replay", "paid", "--id", "x"), "No request 'x' to 'paid' is captured."),
        (("replay", "paid", "--from", "soon"), "--from is 'soon', which is no moment."),
        (("replay", "paid", "--from", "1h", "--to", "2h"), "The window is from"),
        (("replay", "paid", "--out", "o.txt"), "'o.txt' does not tell its format."),
        (("replay", "paid", "--out", "no/o.csv"), "There is no folder 'no' to write 'o.csv' into."),
        (("replay", "paid", "--to", "24h", "--out", "o.csv"), "No request to 'paid' is captured in the window"),
        (("labels", "paid", "none.csv"), "There is no file 'none.csv'."),
    ],
)
def test_what_cannot_be_done_is_told(command: Command, arguments: tuple[str, ...], message: str) -> None:
    """With exit code 2, and nothing is left behind."""
    assert message in command(*arguments, code=2)
    assert sorted(path.name for path in Path().iterdir()) == ["autopilot-store", "outcomes.csv"]


def test_a_quiet_window_is_no_failure(command: Command) -> None:
    """There is nothing that could differ."""
    assert "No request to paid is captured in the window: --from 24h looks further back." in command(
        "replay", "paid", "--to", "24h"
    )


def test_what_a_server_answered_under_load_is_replayed_to_the_bit(command: Command, store: Store) -> None:
    """Small requests at once, and a long one that ran in pieces; of a model whose last bits depend on the company."""
    frame = tables.regression(240)
    predictor, _ = train_model(frame, "price", "nearest_neighbours")
    store.endpoints.deploy("price", register(store, predictor, "price"), datetime.now(UTC))
    rows = json.loads(frame.select(predictor.signature.names).write_json())
    bodies = [rows[at : at + 1] for at in range(200)] + [rows[:7], rows[:60], rows * 5]
    with serving(store) as server, ThreadPoolExecutor(16) as pool:

        def ask(body: list[Any]) -> int:
            return server.client.post("/endpoints/price/invocations", json=body).status_code

        assert set(pool.map(ask, bodies)) == {200}
        server.stop()
    found = command("replay", "price", "--json")
    assert found["rows"] == sum(map(len, bodies))
    assert [(same["identical"], same["different"]) for same in found["same"]] == [(found["rows"], 0)]


# -------------------------------------------------------------------------------------------------------------- guide


def test_the_guides_python_prints_what_it_says(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """To the letter, one block after the other."""
    assert store
    names: dict[str, Any] = {}
    blocks = re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    for block in blocks:
        exec(block, names)  # noqa: S102 - our own guide
    told = [line for block in blocks for line in re.findall("^# (.+)", block, flags=re.MULTILINE)]
    assert capsys.readouterr().out.splitlines() == told


def test_the_guides_commands_run(command: Command) -> None:
    """Each as it stands, one after the other."""
    (block,) = re.findall("```console\n(.*?)```", GUIDE, flags=re.DOTALL)
    commands = [shlex.split(line.removeprefix("$ autopilot endpoints ")) for line in block.splitlines()]
    for arguments in commands:
        command(*arguments)
    assert len(commands) == 5
    assert Path("compared.parquet").exists()


def test_the_guide_names_each_part_of_the_report() -> None:
    """On another version."""
    table = GUIDE.split("\n| key |", 1)[1].split("\n\n", 1)[0]
    keys = {key for line in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert keys == set(Against.__struct_fields__) - {"model", "version"}
