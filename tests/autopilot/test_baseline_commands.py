"""`autopilot monitor baseline --endpoint`: what is kept, told, and refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from autopilot.__main__ import run
from storage import Store
from tests import portable
from tests.monitor import till
from tests.records import NOW


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with an endpoint `till`, which the commands find; they run in a folder of their own."""
    monkeypatch.setenv("AUTOPILOT_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    opened = Store.open(tmp_path / "store")
    till.deploy(opened, portable.classifier(), NOW)
    yield opened
    opened.close()


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert run(["monitor", "baseline", *words, "--endpoint", "till", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_is_asked_is_written_edited_and_kept(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """As files; removed, the reference suggests again."""
    assert told(capsys, "-o", "rules")["baseline"] == "suggested by the reference"
    file = Path("rules/baseline.json")
    document = json.loads(file.read_text())
    document["columns"][0]["constraints"]["range"] = {"minimum": 0, "maximum": 120, "at_most": 0, "strict": True}
    file.write_text(json.dumps(document))
    assert str(told(capsys, "rules")["baseline"]).endswith(" UTC from 'rules'")
    kept = json.loads(store.baselines.get("till").body)
    assert kept["columns"][0]["constraints"]["range"]["maximum"] == 120
    assert run(["monitor", "baseline", "--endpoint", "till"]) == 0
    assert "the baseline is kept on" in capsys.readouterr().out
    assert told(capsys, "--remove")["baseline"] == "suggested by the reference"
    assert store.baselines.find("till") is None


def test_a_table_suggests_the_columns_that_the_model_takes(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Read as the model reads them: the target is left aside."""
    table = pl.DataFrame(till.rows(60, seed=3)).with_columns(paid=pl.lit("yes"))
    table.write_csv("may.csv")
    found = told(capsys, "may.csv")
    assert (found["rows"], str(found["baseline"]).endswith(" UTC from 'may.csv'")) == (60, True)
    names = [one["name"] for one in json.loads(store.baselines.get("till").body)["columns"]]
    assert names == ["amount", "town", "visits", "seen"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Name FILE, a table; or an --endpoint."),
        (["--endpoint", "nobody"], "The store has no endpoint 'nobody'."),
        (["--endpoint", "till", "--remove"], "No baseline is kept for endpoint 'till'"),
        (["x.json", "--endpoint", "till", "--remove"], "'x.json' is to be kept and removed."),
        (["x.json", "--endpoint", "till"], "The baseline 'x.json' cannot be read: No such file or directory."),
        (["few.csv", "--endpoint", "till"], "The table lacks column 'town', which the model takes."),
        (["odd.json", "--endpoint", "till"], "'odd.json' is no data-quality baseline: Object missing required field"),
    ],
)
def test_each_mistake_is_told(store: Store, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2, and nothing is kept."""
    Path("few.csv").write_text("amount\n1\n")
    Path("odd.json").write_text("{}")
    assert run(["monitor", "baseline", *words]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert store.baselines.find("till") is None
