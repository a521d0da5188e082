"""`fit` on small tables: what is registered, what is kept, and what the result tells."""

import io
import json
import time
from collections.abc import Callable
from datetime import date, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest

import autopilot
from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Fitted, Job, Problem
from autopilot.candidates.linear import Linear
from autopilot.errors import BudgetError
from autopilot.events import Asked, Checked, Event, Phase, Started, TrialEnded, Working
from autopilot.result import Result
from autopilot.search.space import Params
from storage.errors import FailureError, InputError, UnknownNameError
from storage.store import Store

SUMMARY_KEYS = {
    "model",
    "version",
    "task",
    "metric",
    "validation_score",
    "test_score",
    "baseline_score",
    "seconds",
    "budget_s",
    "onnx_path",
    "parity",
    "members",
    "leaderboard",
    "findings",
}


def shop(rows: int = 400) -> pl.DataFrame:
    """Orders: who pays depends on the amount and the town."""
    rng = np.random.default_rng(2)
    amount, town = rng.gamma(2.0, 20.0, rows), rng.choice(["Ulm", "Bonn", "Jena"], rows)
    pays = amount + 20 * (town == "Ulm") + rng.normal(0, 8, rows) > 45
    frame = pl.DataFrame({"<b>amount": amount, "town": town, "pays": np.where(pays, "yes", "no")})
    return frame.with_columns(pl.when(pl.int_range(pl.len()) % 11 > 0).then(pl.col("town")).alias("town"))


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> Result:
    """One short run, looked at by many tests."""
    store = tmp_path_factory.mktemp("store")
    return autopilot.fit(shop(), "pays", name="shop", budget=60, max_trials=8, store=store, progress=events.append)


def test_the_model_learnt_what_can_be_learnt(result: Result) -> None:
    """Far better than the constant guess, on rows that no decision has seen."""
    scores = result.metrics
    assert scores.metric == "roc_auc"
    assert scores.test_score > 0.9
    assert scores.baseline_score == 0.5
    assert scores.test["accuracy"] > scores.baseline["accuracy"]
    assert scores.test_rows == 0  # 400 rows: a nested estimate
    assert scores.test_error is not None


def test_the_summary_has_the_promised_keys(result: Result) -> None:
    """Scripts read them, so they survive JSON."""
    summary = json.loads(msgspec.json.encode(result.summary(), enc_hook=str))
    assert set(summary) >= SUMMARY_KEYS
    assert summary["parity"].keys() >= {"rows", "max_abs_diff", "label_flips"}
    assert {"candidate", "weight"} <= summary["members"][0].keys()
    assert sum(member["weight"] for member in summary["members"]) == pytest.approx(1.0)
    assert Path(summary["onnx_path"]).read_bytes() == result.model.model_bytes


def test_the_leaderboard_is_sorted_and_complete(result: Result) -> None:
    """Every trial is on it; complete ones first, best first; weights are the ensemble's."""
    board = result.leaderboard
    complete = board.filter(pl.col("status") == "completed")
    assert board.height == len(result.trials) == len(result.store.runs.trials(result.run.id))
    assert complete["score"].to_list() == sorted(complete["score"].to_list(), reverse=True)
    assert board["weight"].sum() == pytest.approx(1.0)
    assert set(complete["candidate"]) >= {"baseline", "linear", "lightgbm"}


def test_the_store_holds_run_trials_and_version(result: Result) -> None:
    """What another process needs to serve and to watch it."""
    store = Store.open(result.store.root)
    run = store.runs.get(result.run.id)
    assert (run.status, run.model, run.version, run.rows) == ("completed", "shop", 1, 400)
    version = store.models.get("shop:1")
    assert store.models.read_file(version) == result.model.model_bytes
    assert version.card.versions["onnxruntime"]
    reference = pl.read_parquet(io.BytesIO(store.models.read_reference(version)))
    assert reference.columns == [
        "<b>amount",
        "town",
        "autopilot.label",
        "autopilot.p_no",
        "autopilot.p_yes",
        "autopilot.truth",
    ]
    assert reference.height == 400


def test_the_reference_has_predictions_of_models_that_had_not_seen_the_rows(result: Result) -> None:
    """In-sample predictions would be too sure of themselves, and live traffic would look drifted."""
    reference = pl.read_parquet(io.BytesIO(result.store.models.read_reference(result.best)))
    joined = reference.join(shop(), on="<b>amount")
    right = (joined["autopilot.label"] == joined["pays"]).mean()
    assert isinstance(right, float)
    assert abs(right - result.metrics.test["accuracy"]) < 0.1


def test_the_file_opens_by_path_by_name_and_by_version(result: Result, tmp_path: Path) -> None:
    """Three ways to the same model."""
    path = result.model.save(tmp_path / "m.onnx")
    rows = shop()[:5]
    expected = result.predict(rows)
    store = result.store
    for model in (autopilot.load(path), autopilot.load("shop", store=store), autopilot.load("shop:1", store=store)):
        assert model.predict(rows).equals(expected)
    with pytest.raises(UnknownNameError, match="no model 'shop:9'"):
        autopilot.load("shop:9", store=store)


def test_one_row_gives_what_the_frame_gives(result: Result) -> None:
    """predict_row is the fast way, not another way."""
    rows = shop()[:20]
    one_by_one = pl.DataFrame([result.model.predict_row(row) for row in rows.to_dicts()])
    whole = result.predict(rows)
    assert one_by_one.columns == whole.columns
    assert one_by_one["label"].to_list() == whole["label"].to_list()
    np.testing.assert_allclose(one_by_one["p_yes"], whole["p_yes"], atol=1e-7)


def test_events_tell_the_story_in_order(result: Result, events: list[Event]) -> None:
    """What is to be done, each trial, each phase."""
    assert [type(event) for event in events[:4]] == [Working, Asked, Checked, Started]
    phases = [event.name for event in events if isinstance(event, Phase)]
    assert phases[:2] == ["registering a safe model", "searching"]
    assert phases[-1] == "publishing"
    assert sum(isinstance(event, TrialEnded) for event in events) == len(result.trials)


def test_a_notebook_shows_a_table_with_names_escaped(result: Result) -> None:
    """Column names and classes are data."""
    page = result._repr_html_()
    assert "<table>" in page
    assert "roc_auc" in page
    assert "<b>amount" not in page


def test_a_second_fit_is_the_next_version(result: Result) -> None:
    """Versions count up within a name; a pandas frame does as well."""
    again = autopilot.fit(
        pd.DataFrame(shop().to_dict(as_series=False)),
        "pays",
        name="shop",
        budget=60,
        max_trials=2,
        store=result.store,
        progress=False,
        candidates=(Baseline(), Linear()),
    )
    assert (again.best.name, again.best.version) == ("shop", 2)
    assert again.run.data == "a pandas DataFrame"


def test_regression_predicts_in_the_targets_own_unit(tmp_path: Path) -> None:
    """Standardised inside, dollars outside; metrics in dollars too."""
    frame = pl.DataFrame({"x": [float(i % 50) for i in range(300)]}).with_columns(y=1e6 + 1e4 * pl.col("x"))
    found = autopilot.fit(
        frame, "y", budget=60, max_trials=3, store=tmp_path, progress=False, candidates=(Baseline(), Linear())
    )
    assert found.metrics.metric == "rmse"
    assert found.metrics.test_score < 2000 < found.metrics.baseline_score
    assert found.predict(frame[:3])["prediction"].to_list() == pytest.approx([1e6, 1.01e6, 1.02e6], rel=1e-3)


class Slow(Linear):
    """Looks at its deadline, as a candidate has to, and would take forever without."""

    name = "slow"

    def fit(self, job: Job) -> Fitted:
        while not job.deadline.passed:
            time.sleep(0.01)
        return super().fit(job)


class Broken(Linear):
    """Raises."""

    name = "broken"

    def fit(self, job: Job) -> Fitted:
        raise ValueError("it does not like these rows")

    def points(self, problem: Problem) -> list[Params]:
        return super().points(problem)[:1]


@pytest.mark.slow
def test_a_candidate_without_end_is_ended_by_its_deadline(tmp_path: Path) -> None:
    """The whole call stays within its budget plus a tenth, and gives a model."""
    autopilot.fit(shop(100), "pays", budget=3, store=tmp_path, progress=False)  # imports are paid here
    began = time.monotonic()
    found = autopilot.fit(
        shop(100), "pays", budget=8, store=tmp_path, progress=False, candidates=(Baseline(), Slow(), Linear())
    )
    assert time.monotonic() - began < 8.8
    assert found.best.version == 2


def test_a_candidate_that_raises_is_a_failed_trial_with_its_reason(tmp_path: Path) -> None:
    """The others go on; the store and the leaderboard say what happened."""
    settings: dict[str, Any] = {"budget": 60, "max_trials": 6, "store": tmp_path, "progress": False}
    found = autopilot.fit(shop(), "pays", candidates=(Broken(), Baseline(), Linear()), **settings)
    failed = [trial for trial in found.store.runs.trials(found.run.id) if trial.status == "failed"]
    assert failed
    assert {trial.reason for trial in failed} == {"ValueError: it does not like these rows"}
    assert {member.candidate for member in found.best.card.members} == {"linear"}


def test_a_run_without_any_model_fails_with_the_reasons(tmp_path: Path) -> None:
    """And the store says so too."""
    with pytest.raises(FailureError, match="broken: ValueError: it does not like these rows"):
        autopilot.fit(shop(), "pays", budget=60, max_trials=2, store=tmp_path, progress=False, candidates=(Broken(),))
    assert Store.open(tmp_path).runs.list()[0].status == "failed"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda frame: autopilot.fit(frame, "pays", budget="soon"), BudgetError, "'soon' is no time"),
        (lambda frame: autopilot.fit(frame, "pays", budget=0.2), BudgetError, "too short"),
        (lambda frame: autopilot.fit(frame, "pays", metric="best"), InputError, "no metric 'best'"),
        (lambda frame: autopilot.fit(frame, "pays", name="a b"), InputError, "cannot name a model"),
        (lambda frame: autopilot.fit(frame, "pays", seed=-1), InputError, "The seed is -1. Use a whole number from 0"),
        (lambda frame: autopilot.fit(frame, "pays", seed=2**63), InputError, "The seed is 9223372036854775808"),
    ],
)
def test_a_wrong_argument_is_refused(
    call: Callable[[pl.DataFrame], Any],
    error: type[Exception],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        call(shop())
    assert not list(tmp_path.iterdir())


def test_targets_below_zero_are_learnt_and_reported(tmp_path: Path) -> None:
    """Metrics that are not defined for them are left out of the report, which is read again from store and file."""
    frame = pl.DataFrame({"x": [float(i % 50) for i in range(300)]}).with_columns(y=pl.col("x") - 25)
    found = autopilot.fit(
        frame, "y", budget=60, max_trials=3, store=tmp_path, progress=False, candidates=(Baseline(), Linear())
    )
    assert set(found.metrics.test) == set(found.metrics.baseline) == {"rmse", "mae", "median_ae", "r2", "mape", "smape"}
    assert found.store.models.get(found.best.name).card == found.best.card == found.model.card
    with pytest.raises(InputError, match="The metric 'rmsle' needs targets of 0 or more; the least is -25"):
        autopilot.fit(frame, "y", metric="rmsle", budget=4, store=tmp_path, progress=False)


def test_a_class_that_only_a_few_rows_have_is_one_of_the_classes(tmp_path: Path) -> None:
    """Also where some fold never saw it."""
    rare = ["a", "b"] * 100 + ["c"] * 3
    frame = pl.DataFrame({"x": [float(i % 7) for i in range(203)], "y": rare})
    found = autopilot.fit(frame, "y", budget=4, store=tmp_path, progress=False, metric="balanced_accuracy")
    assert found.model.signature.classes == ("a", "b", "c")
    assert found.predict(frame).columns == ["label", "p_a", "p_b", "p_c"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("flights.2013.csv", "flights"),
        ("Größe & Preis.csv", "Gr-e-Preis"),
        ("__.csv", "model"),
        ("x" * 90 + ".csv", "x" * 63),
    ],
)
def test_a_model_is_named_after_its_file(tmp_path: Path, file: str, name: str) -> None:
    """With what a URL cannot hold taken out."""
    shop(60).write_csv(tmp_path / file)
    options: Any = {"budget": 2, "store": tmp_path / "store", "progress": False, "candidates": (Baseline(),)}
    assert autopilot.fit(tmp_path / file, "pays", **options).best.name == name


def test_a_model_of_a_frame_is_named_after_its_target(tmp_path: Path) -> None:
    """Unless a name is given."""
    options: Any = {"budget": 2, "store": tmp_path, "progress": False, "candidates": (Baseline(),)}
    assert autopilot.fit(shop(60).rename({"pays": "pays? "}), "pays? ", **options).best.name == "pays"
    assert autopilot.fit(shop(60), "pays", name="my.model_1", **options).best.name == "my.model_1"


def test_columns_of_every_type_and_name_go_the_whole_way(tmp_path: Path) -> None:
    """Trained, exported, predicted as frame and as rows: the same to the bit."""
    numbers = range(120)
    frame = pl.DataFrame(
        {
            "two words": [n / 7 for n in numbers],
            "ä\n\"q'": [n % 9 for n in numbers],
            "0": [("x", "", "東京", None)[n % 4] for n in numbers],
            "p_a": [n % 3 == 0 for n in numbers],
            "decimal": [Decimal(n % 11) / 4 for n in numbers],
            "duration": [timedelta(seconds=n % 13) for n in numbers],
            "clock": [clock(n % 24) for n in numbers],
            "day": [date(2020, 1, 1) + timedelta(days=n % 17) for n in numbers],
            "moment": pl.Series([n * 10**12 for n in numbers]).cast(pl.Datetime("ns", "Europe/Berlin")),
            "level": pl.Series(["u", "v", "w"] * 40, dtype=pl.Categorical),
            "x" * 300: [None if n % 5 else n * 1.5 for n in numbers],
            "y": [("", "a,b", "東京\n", "a")[n % 4] for n in numbers],
        }
    )
    found = autopilot.fit(
        frame, "y", budget=60, max_trials=3, store=tmp_path, progress=False, candidates=(Baseline(), Linear())
    )
    assert len(found.model.signature.columns) == 11
    predicted = found.predict(frame)
    assert predicted.columns == ["label", "p_", "p_a", "p_a,b", "p_東京\n"]
    assert found.model.predict_rows(frame.to_dicts()) == predicted.to_dicts()
