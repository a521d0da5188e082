"""A run keeps what its report tells, and a report that fails never fails its job."""

from pathlib import Path

import polars as pl
import pytest

import autopilot
from autopilot import cli, training
from autopilot.report.archive import evidence_of
from autopilot.report.statistics import estimates
from storage.errors import FailureError
from tests import tables


def fit(folder: Path, frame: pl.DataFrame, target: str) -> autopilot.Result:
    """A short run."""
    return autopilot.fit(
        frame, target, budget=20, store=str(folder), candidates=["linear", "lightgbm"], max_trials=3, progress=False
    )


@pytest.mark.slow
def test_a_run_has_a_report_that_tells_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the result, by the command line, and by the evidence in the store; all are the same page."""
    result = fit(tmp_path, tables.mixed(800), "paid")
    found = evidence_of(result.store, result.run.id)
    assert {one.name: one.value for one in estimates(found)} == result.metrics.test
    assert [timed.trial for timed in found.trials] == list(result.trials)
    assert all(0 < timed.ended_s < 20 for timed in found.trials)
    page = result.report(tmp_path / "one.html")
    assert f"ROC AUC {result.metrics.test_score:.4g}" in page.html
    with pytest.raises(SystemExit) as ended:
        cli.app(["report", result.run.id, "-o", str(tmp_path / "two.html"), "--store", str(tmp_path)])
    assert ended.value.code in (0, None)
    assert "The report on run" in capsys.readouterr().out
    assert (tmp_path / "one.html").read_text() == (tmp_path / "two.html").read_text() == page.html


@pytest.mark.slow
def test_a_report_that_fails_never_fails_its_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is there; a note says what went wrong, and the report that there is none."""

    def broken(*args: object, **more: object) -> None:
        raise ZeroDivisionError("no rows at all")

    monkeypatch.setattr(training, "collect", broken)
    result = fit(tmp_path, tables.regression(300), "price")
    assert result.predict(tables.regression(5)).height == 5
    notes = [record.body for record in result.store.runs.events(result.run.id, kind="Note")]
    assert any("There will be no report on this run: ZeroDivisionError: no rows at all" in note for note in notes)
    with pytest.raises(FailureError, match="kept no evidence"):
        result.report()
