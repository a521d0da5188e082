"""What `fit` gives: a leaderboard, scores beside the constant guess, a table for notebooks."""

from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from msgspec.structs import replace

from autopilot import Endpoint
from autopilot.result import Result
from autopilot.table.findings import Finding
from storage import DataError, InputError, Predictor, Store
from storage.records import Member, Scores, Trial
from tests import portable
from tests.records import run
from tests.refusals import raises

#: One trial a line: number, candidate, status, score.
TRIALS = (
    (0, "baseline", "completed", 0.5),
    (1, "lightgbm", "completed", 0.9),
    (2, "lightgbm", "raced", 0.95),
    (3, "linear", "failed", None),
    (4, "<b>mine</b>", "completed", 0.8),
)


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """A run of five trials, made up by hand around a model that exists."""
    store = Store.open(tmp_path / "store")
    version = portable.publish(store, portable.classifier())
    members = (Member(1, "lightgbm", 0.75), Member(4, "<b>mine</b>", 0.25))
    scores = Scores("roc_auc", 0.91, 0.89, 0.5, 80, {"roc_auc": 0.89, "f1": 0.7}, {"roc_auc": 0.5, "f1": 0.0})
    params = {"rate": 0.123456, "n": 7}
    trials = tuple(
        Trial("r1", number, name, params, status, score, (), 1.234, reason=None if score else "x")  # type: ignore[arg-type]
        for number, name, status, score in TRIALS
    )
    return Result(
        store=store,
        run=replace(run(), target="<i>paid</i>"),
        best=replace(version, card=replace(version.card, members=members, scores=scores)),
        model=Predictor(portable.classifier()),
        trials=trials,
        findings=(Finding("info", "task", "it has 2 classes", "paid"),),
        seconds=12.3456,
    )


def test_the_leaderboard_has_complete_trials_first_best_first(result: Result) -> None:
    """Then those that lost the race, then those that failed; ranks count from 1."""
    board = result.leaderboard
    assert board.get_column("trial").to_list() == [1, 4, 0, 2, 3]
    assert board.get_column("rank").to_list() == [1, 2, 3, 4, 5]
    assert board.get_column("score").to_list() == [0.9, 0.8, 0.5, 0.95, None]
    assert board.get_column("weight").to_list() == [0.75, 0.25, 0.0, 0.0, 0.0]
    assert board.get_column("status").to_list() == ["completed"] * 3 + ["raced", "failed"]
    assert board.row(0, named=True)["params"] == "rate=0.1235, n=7"
    assert board.get_column("seconds").to_list() == [1.23] * 5
    assert board.get_column("reason").to_list() == [None, None, None, None, "x"]


def test_smaller_is_better_where_the_metric_says_so(result: Result) -> None:
    """The same scores as losses."""
    scores = replace(result.metrics, greater_is_better=False)
    turned = replace(result, best=replace(result.best, card=replace(result.best.card, scores=scores)))
    assert turned.leaderboard.get_column("trial").to_list() == [0, 4, 1, 2, 3]


def test_the_summary_has_the_keys_that_scripts_rely_on(result: Result) -> None:
    """Those of design.md, section 8, each of a type that JSON has."""
    summary = msgspec.json.decode(msgspec.json.encode(result.summary()))
    promised = "model version task metric validation_score test_score baseline_score seconds budget_s onnx_path"
    assert set(promised.split()) <= set(summary)
    assert (summary["model"], summary["version"], summary["task"]) == ("demo", 1, "binary")
    assert (summary["validation_score"], summary["test_score"], summary["baseline_score"]) == (0.91, 0.89, 0.5)
    assert (summary["seconds"], summary["budget_s"]) == (12.346, 60.0)
    assert Path(summary["onnx_path"]).read_bytes() == portable.classifier()
    assert summary["parity"].items() >= {"rows": 4, "max_abs_diff": 0.0, "label_flips": 0}.items()
    assert [(member["candidate"], member["weight"]) for member in summary["members"]] == [
        ("lightgbm", 0.75),
        ("<b>mine</b>", 0.25),
    ]
    assert [row["trial"] for row in summary["leaderboard"]] == [1, 4, 0, 2, 3]
    assert summary["findings"] == [
        {
            "severity": "info",
            "code": "task",
            "message": "it has 2 classes",
            "column": "paid",
            "evidence": "",
            "action": "",
            "overrule": "",
        }
    ]


def test_in_a_notebook_it_is_a_table_and_names_are_escaped(result: Result) -> None:
    """A name from a table must not become part of a page."""
    page = result._repr_html_()
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;mine&lt;/b&gt;" in page
    assert "&lt;i&gt;paid&lt;/i&gt;" in page
    assert "<td>roc_auc</td><td>0.89</td><td>0.5</td>" in page
    assert page.count("<table>") == page.count("</table>") == 2


def test_as_text_it_says_how_good_the_model_is(result: Result) -> None:
    """In one line, beside the constant guess."""
    assert repr(result) == ("Result(demo:1, roc_auc 0.89 on 80 held-out rows, constant guess 0.5, 5 trials in 12 s)")
    assert result.metrics.test["f1"] == 0.7


def test_it_predicts_whatever_can_be_read(result: Result, tmp_path: Path) -> None:
    """A frame, or a file."""
    frame = pl.DataFrame(list(portable.ROWS), infer_schema_length=None)
    frame.write_csv(tmp_path / "t.csv")
    expected = ["yes", "yes", "no", "yes"]
    assert result.predict(frame).get_column("label").to_list() == expected
    assert result.predict(tmp_path / "t.csv").get_column("label").to_list() == expected
    with raises(DataError, "The data lacks 'town', which the model takes."):
        result.predict(frame.drop("town"))


def test_deploying_points_an_endpoint_at_this_version(result: Result) -> None:
    """And gives its client."""
    found: Any = result.deploy("live", capture=False)
    assert found == Endpoint("live")
    deployed = result.store.endpoints.get("live")
    assert (deployed.model, deployed.version, deployed.capture.share, deployed.revision) == ("demo", 1, 0.0, 1)
    with raises(InputError, "'a/b' cannot name an endpoint."):
        result.deploy("a/b")
