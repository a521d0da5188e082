"""Columns that are sensitive: learnt from, and in no message, finding, chart or card."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import autopilot
from autopilot.__main__ import run
from autopilot.card import describe
from autopilot.events import Asked
from autopilot.guardrails import guard
from autopilot.predict_file import predict_file
from autopilot.report.archive import evidence_of
from autopilot.result import Result
from autopilot.table.infer import Table, infer
from autopilot.table.read import read
from autopilot.table.roles import Roles
from autopilot.tape import read_tape
from storage.errors import DataError, InputError
from storage.predictor import Predictor
from storage.store import Store
from tests.refusals import raises

ROWS = 300
SECRET = "Rumpelstiltskin"
HIDDEN = ("name", "salary", "born")


def people() -> pl.DataFrame:
    """Names that tell whether somebody paid, together with a salary and a day; a number that tells nothing."""
    rng = np.random.default_rng(5)
    names = rng.choice(["Rapunzel", "Sneewittchen", "Allerleirauh"], ROWS)
    return pl.DataFrame(
        {
            "name": names,
            "salary": rng.integers(717_001, 717_900, ROWS) / 4,
            "born": pl.date_range(pl.date(1871, 1, 1), pl.date(1871, 10, 27), eager=True),
            "visits": rng.integers(0, 9, ROWS),
            "paid": np.where((names == "Rapunzel") ^ (rng.random(ROWS) < 0.1), "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A short run."""
    settings: dict[str, Any] = {"max_trials": 1, "candidates": ["lightgbm"], "progress": False, "name": "paid"}
    store = tmp_path_factory.mktemp("store")
    return autopilot.fit(people(), "paid", budget=60, store=store, sensitive=HIDDEN, guard=False, **settings)


def test_it_is_learnt_from_and_the_file_knows_the_mark(result: Result) -> None:
    """The score says that the name was read; the signature in the file has neither levels nor ranges of them."""
    columns = {column.name: column for column in Predictor(result.model.model_bytes).signature.columns}
    assert {name for name, column in columns.items() if column.sensitive} == set(HIDDEN)
    for name in HIDDEN:
        assert (columns[name].levels, columns[name].minimum, columns[name].maximum) == ((), None, None)
    assert columns["visits"].maximum == 8
    assert result.metrics.test_score > 0.75


def test_predict_refuses_it_without_its_value(result: Result) -> None:
    """As a frame, as a pandas frame of which pyarrow would quote the cell, as a row."""
    row = {"name": "Rapunzel", "salary": SECRET, "born": "1871-01-01", "visits": 1}
    expected = "Column 'salary' was number in training; row 0 holds a string of 15 characters. Send a number or null."
    with raises(InputError, expected):
        result.predict(pl.DataFrame([row]))
    with raises(InputError, expected):
        result.model.predict_row(row)
    with pytest.raises(DataError, match=r"cannot be read: ArrowInvalid\. It has sensitive columns") as caught:
        result.predict(pd.DataFrame({"salary": [1.5, SECRET]}))
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_the_card_and_the_report_show_no_value(result: Result) -> None:
    """No level, no range, no example row, no dependence; how much the column matters is told."""
    found = describe(result.model.model_bytes)
    assert found.example is not None
    assert [found.example[name] for name in HIDDEN] == [None] * 3
    evidence = evidence_of(result.store, result.run.id)
    assert not {one.column for one in evidence.dependences} & set(HIDDEN)
    page = result.report().html
    assert "name" in page
    for value in ("Rapunzel", "Sneewittchen", "1871-", "1871"):
        assert value not in page


def test_a_replay_knows_it(result: Result) -> None:
    """The tape has what `fit` was asked for."""
    [asked] = [event for event in read_tape(result.store, result.run.id) if isinstance(event, Asked)]
    assert asked.sensitive == HIDDEN
    assert autopilot.replay(result.run.id, people(), store=result.store, progress=False).same


def test_the_notebooks_know_it(result: Result, tmp_path: Path) -> None:
    """They infer the same table, and fit with the same mark."""
    for path in result.notebooks(tmp_path, data=people()):
        assert "sensitive" in path.read_text()


def test_a_file_that_cannot_be_read_is_not_quoted(result: Result, tmp_path: Path) -> None:
    """Polars would show the line."""
    source = tmp_path / "new.csv"
    source.write_text(f'name,salary,born,visits\n"{SECRET},1,2,3\n')
    with raises(DataError, "new.csv") as caught:
        predict_file(result.model, str(source), str(tmp_path / "out.parquet"))
    assert SECRET not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
    with raises(DataError, "new.csv") as caught:
        read(source, sensitive=True)
    assert SECRET not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


@pytest.mark.parametrize(
    ("sensitive", "words"),
    [
        (["nmae"], "The data has no column 'nmae'. Its columns are 'name', 'salary', 'born', 'visits', 'paid'."),
        ("paid", "Column 'paid' is the target, which a model answers with, so it cannot be sensitive."),
    ],
)
def test_what_cannot_be_sensitive_is_refused(sensitive: Any, words: str) -> None:
    """An unknown column, and the target."""
    with raises(InputError, words):
        infer(people(), "paid", sensitive=sensitive)


def test_a_struct_is_sensitive_in_all_its_parts() -> None:
    """Those that are dropped, too; a part may be named alone."""
    home = pl.DataFrame({"zip": range(ROWS), "city": [f"c{at % 9}" for at in range(ROWS)]}).to_struct("home")
    frame = people().with_columns(home)
    whole, part = (infer(frame, "paid", sensitive=name).signature for name in ("home", "home.city"))
    marked = [{one.name for one in (*each.columns, *each.dropped) if one.sensitive} for each in (whole, part)]
    assert marked == [{"home.zip", "home.city"}, {"home.city"}]


NUMBERS = [f"{at}.7171" for at in range(ROWS)]
MISTAKES: list[tuple[list[Any], dict[str, Any]]] = [
    ([*NUMBERS[1:], SECRET], {}),
    ([*NUMBERS[1:], SECRET], {"columns": {"x": "number"}}),
    ([*["7171-02-03"] * (ROWS - 1), SECRET], {}),
    ([*["7171-02-03"] * (ROWS - 1), SECRET], {"columns": {"x": "time"}}),
    ([*["7171-02-03"] * (ROWS - 1), SECRET], {"roles": Roles(time="x")}),
    (
        [*["03/02/1971", "04/02/1971", "05/02/1971"] * (ROWS // 3 - 1), *["06/02/1971"] * 2, SECRET],
        {"roles": Roles(time="x"), "columns": {"x": "time:%d/%m/%Y"}},
    ),
    ([-7171.0] * ROWS, {"roles": Roles(weight="x")}),
]


@pytest.mark.parametrize(("values", "options"), MISTAKES)
def test_a_mistake_in_training_is_told_without_its_value(values: list[Any], options: dict[str, Any]) -> None:
    """By the message and by the errors that it came from; of another column it is told."""
    frame = people().with_columns(x=pl.Series(values))
    known, hidden = (refusal_of(frame, sensitive=names, **options) for names in ((), "x"))
    assert SECRET in known or "-7171" in known
    assert "'x'" in hidden
    assert SECRET not in hidden
    assert "7171" not in hidden


def refusal_of(frame: pl.DataFrame, **options: Any) -> str:
    """What the error says, and what those say that it came from."""
    with pytest.raises(InputError) as caught:
        infer(frame, "paid", **options)
    return f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


def seen(table: Table) -> str:
    """What is found in a table by reading it and by its checks."""
    return " ".join(f"{one.message} {one.evidence}" for one in (*table.findings, *guard(table, limit_s=60).findings))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (NUMBERS, {}),
        ([f"0{at % 9 + 1}/02/1971" for at in range(ROWS)], {}),
        ([f"{at % 28 + 1:02}.02.1971" for at in range(ROWS)], {}),
        ([1_717_100_000 + 60 * at for at in range(ROWS)], {}),
        ([20171001 + at % 30 for at in range(ROWS)], {}),
        ([717_100_000_000 + at * at for at in range(ROWS)], {"columns": {"x": "number"}}),
        ([f"1971-0{at % 9 + 1}-01" for at in range(ROWS)], {"roles": Roles(time="x")}),
        (np.random.default_rng(1).permutation(1200)[:ROWS] + 7_171_000, {"columns": {"x": "number"}}),
    ],
)
def test_findings_show_no_value(values: Any, options: dict[str, Any]) -> None:
    """Those of the table and those of its checks, which of another column show one."""
    frame = people().with_columns(x=pl.Series(values))
    assert "71" in seen(infer(frame, "paid", **options))
    assert "71" not in seen(infer(frame, "paid", sensitive="x", **options))


def test_the_command_line_takes_names_with_commas(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--sensitive name,salary`."""
    people().write_parquet(tmp_path / "people.parquet")
    options = ["--max-trials", "1", "--candidate", "linear", "--json", "--sensitive", "name,salary"]
    place = str(tmp_path / "store")
    assert run(["fit", str(tmp_path / "people.parquet"), "--target", "paid", "--store", place, *options]) == 0
    told = json.loads(capsys.readouterr().out)
    columns = Store.open(place).models.get(told["model"]).signature.columns
    assert {column.name for column in columns if column.sensitive} == {"name", "salary"}
