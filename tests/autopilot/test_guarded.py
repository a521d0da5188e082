"""What `fit` does with what the checks of a table find: it learns without it, tells it, and does the same again."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import autopilot
from autopilot.__main__ import run
from autopilot.events import Checked, Event, Note
from autopilot.notebooks.files import write_notebooks
from autopilot.report.archive import evidence_of
from autopilot.result import Result
from autopilot.tape import read_tape
from storage.errors import DataError, InputError
from storage.store import Store
from tests.autopilot.guardrails.tables import clean

ROWS = 900


def table() -> pl.DataFrame:
    """A clean table, a column that is known only afterwards, and a fifth of its rows once more."""
    frame = clean("binary", ROWS)
    is_paid = frame.get_column("y") == "yes"
    noise = np.random.default_rng(3).normal(size=ROWS)
    frame = frame.with_columns(fee=pl.when(is_paid).then(20 + pl.Series(noise)))
    return pl.concat([frame, frame.head(ROWS // 5)])


def short(frame: pl.DataFrame, store: Path, **options: object) -> Result:
    """One small model, whatever time it takes."""
    settings = {"budget": 120, "max_trials": 2, "candidates": ["lightgbm"], "progress": False, "name": "paid"}
    return autopilot.fit(frame, "y", store=store, **(settings | options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> Result:
    """A run on that table."""
    return short(table(), tmp_path_factory.mktemp("store"), progress=events.append)


def test_a_leak_is_no_column_of_the_model(result: Result) -> None:
    """It is left out, with a reason, and the score is what can be had without it."""
    assert "fee" not in result.best.signature.names
    [dropped] = [one for one in result.best.signature.dropped if one.name == "fee"]
    assert "only afterwards" in dropped.reason
    assert result.metrics.test_score < 0.97


def test_it_is_told_while_the_run_starts_and_in_the_result(result: Result, events: list[Event]) -> None:
    """What was found, what was done, and what to type to have it otherwise."""
    [told] = [event.message for event in events if isinstance(event, Note) and "'fee'" in event.message]
    assert told.endswith("It was left out. To keep it: columns={'fee': 'number'}.")
    gravest = result.findings[0]
    assert (gravest.severity, gravest.code, gravest.told) == ("error", "leak_missing", told)
    assert any(finding.code == "leak_missing" for finding in evidence_of(result.store, result.run.id).findings)


def test_equal_rows_are_never_on_both_sides(result: Result) -> None:
    """The decision is on the tape, and whoever divides the rows again does so in the same way."""
    [checked] = [event for event in read_tape(result.store, result.run.id) if isinstance(event, Checked)]
    assert checked.guarded["together"] is True
    assert evidence_of(result.store, result.run.id).group_count == ROWS


def test_a_replay_decides_nothing_anew(result: Result) -> None:
    """The same graph to the bit, from the whole table."""
    assert autopilot.replay(result.run.id, table(), store=result.store, progress=False).same


def test_the_notebook_looks_at_the_table_as_the_run_did(result: Result, tmp_path: Path) -> None:
    """Its cells leave the column out; the findings of both notebooks are those of the run."""
    for findings in (result.findings, None):
        paths = write_notebooks(result.store, result.run, tmp_path, data=table(), findings=findings)
        exploration, candidate = (json.loads(path.read_text(encoding="utf-8"))["cells"] for path in paths)
        assert any("tells nearly all of the target" in "".join(cell["source"]) for cell in exploration)
        assert any("left_out, **DECIDED).applied(table)" in "".join(cell["source"]) for cell in candidate)


@pytest.mark.parametrize("options", [{"guard": False}, {"columns": {"fee": "number"}}])
def test_the_user_has_the_last_word(options: dict[str, object], tmp_path: Path) -> None:
    """The table as it is, or one column of it: then the score is as flattering as the column."""
    kept = short(table(), tmp_path, **options)
    assert "fee" in kept.best.signature.names
    assert kept.metrics.test_score > 0.99
    assert any(finding.code == "leak_missing" for finding in kept.findings) is ("columns" in options)


def test_groups_are_compared_on_held_out_rows_by_a_column_that_is_not_learnt_from(tmp_path: Path) -> None:
    """An ignored column, and a number in quarters; the report has a part on them."""
    found = short(clean("binary", 1200), tmp_path, ignore=["town"], fairness=["town", "a"], max_trials=1)
    towns, quarters = evidence_of(found.store, found.run.id).fairness
    assert "town" not in found.best.signature.names
    assert {group.name for group in towns.groups} == {f"town {at}" for at in range(6)}
    assert len(quarters.groups) == 4
    assert sum(group.rows for group in towns.groups) == (found.metrics.test_rows or 1200)
    assert "By town" in found.charts
    assert found.best.card.fairness == ("town", "a")
    assert "By town" in found.report().html


def test_what_has_no_groups_is_refused(tmp_path: Path) -> None:
    """An unknown column, the target, and cells that hold several values."""
    frame = clean("binary", 200).with_columns(tags=pl.Series([["a"], []] * 100))
    with pytest.raises(DataError, match="no column 'twon'"):
        short(frame, tmp_path, fairness="twon")
    with pytest.raises(InputError, match="'y' is the target"):
        short(frame, tmp_path, fairness=["town", "y"])
    with pytest.raises(DataError, match=r"'tags' is List\(String\), which has no groups"):
        short(frame, tmp_path, fairness="tags", ignore="tags")


def test_the_command_line_can_take_the_table_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--no-guard, and --fairness."""
    path = tmp_path / "paid.parquet"
    table().write_parquet(path)
    options = ["--max-trials", "1", "--candidate", "linear", "--json", "--no-guard", "--fairness", "town"]
    assert run(["fit", str(path), "--target", "y", "--store", str(tmp_path / "store"), *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not any(finding["code"].startswith("leak") for finding in told["findings"])
    assert told["test_score"] > 0.99
    [compared] = evidence_of(Store.open(tmp_path / "store"), told["run"]).fairness
    assert compared.column == "town"
