"""Whatever a user can get wrong: the message, the exit code, no traceback, nothing half-written."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from autopilot.__main__ import run
from tests import portable

ROWS = pl.DataFrame({"x": [float(i) for i in range(60)], "c": ["a", "b", "c"] * 20, "y": ["no", "yes"] * 30})


def write_csv(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text) and None


def write_bytes(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def frame_csv(frame: pl.DataFrame) -> Callable[[Path], None]:
    return lambda path: frame.write_csv(path)


REFUSED = {
    "an empty file": (write_csv(""), "is empty"),
    "a header only": (write_csv("x,y\n"), "rows"),
    "one row": (write_csv("x,y\n1,no\n"), "1 rows with a target"),
    "one class": (frame_csv(ROWS.with_columns(y=pl.lit("no"))), "'no' in every row"),
    "no target column": (frame_csv(ROWS.drop("y")), "no target 'y'"),
    "a target of nulls": (frame_csv(ROWS.with_columns(y=pl.lit(None, dtype=pl.String))), "null in all 60 rows"),
    "repeated names": (write_csv("x,x,y\n" + "1,2,no\n" * 30), "more than one column 'x'"),
    "bytes that are not UTF-8": (
        write_bytes("x,y\nM\xfcnchen,no\n".encode("latin1") * 30),
        "line 2 holds the byte 0xfc",
    ),
    "ragged rows": (write_csv("x,y\n1,no\n1,2,3,4\n" + "1,no\n" * 30), "cannot be read as csv"),
    "one stray word among numbers": (
        write_csv("x,y\n" + "".join(f"{i},{'no' if i % 2 else 'yes'}\n" for i in range(60)) + "n.a.,no\n"),
        "row 60 holds 'n.a.'",
    ),
    "nothing that varies": (write_csv("x,y\n" + "1,no\n1,yes\n" * 30), "No column is left"),
    "an infinite target": (
        write_csv("x,y\n" + "".join(f"{i},{i}.5\n" for i in range(60)) + "1,inf\n"),
        "is inf in row 60",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_table_that_cannot_be_used_is_refused_with_the_reason(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the place and the remedy, and no store is left with a model."""
    make, words = REFUSED[name]
    path = tmp_path / "data.csv"
    make(path)
    code = run(["fit", str(path), "--target", "y", "--budget", "5s", "--store", str(tmp_path / "store")])
    told = capsys.readouterr().err
    assert code == 2, told
    assert words in told
    assert "Traceback" not in told
    assert not list(tmp_path.glob("store/blobs/*/*"))


def test_another_delimiter_is_recognised_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A semicolon file is refused with the option that reads it, and read with it."""
    path = tmp_path / "data.csv"
    ROWS.write_csv(path, separator=";")
    base = ["fit", str(path), "--target", "y", "--budget", "5s", "--store", str(tmp_path / "store")]
    assert run(base) == 2
    assert "--delimiter ';'" in capsys.readouterr().err
    assert run([*base, "--delimiter", ";", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "binary"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit"], "DATA"),
        (["fit", "nothere.csv", "--target", "y"], "no file 'nothere.csv'"),
        (["fit", "DATA", "--target", "y", "--budget", "soon"], "'soon' is no time"),
        (["fit", "DATA", "--target", "y", "--metric", "rmse"], "no metric 'rmse' for binary"),
        (["fit", "DATA", "--target", "y", "--task", "regression"], "no quantity"),
        (["fit", "DATA", "--target", "y", "--ignore", "z"], "no column 'z'"),
        (["fit", "DATA", "--target", "y", "--column", "x=colour"], "cannot be 'colour'"),
        (["fit", "DATA", "--target", "y", "--column", "x"], "names no kind"),
        (["fit", "DATA", "--target", "y", "--name", "a/b"], "cannot name a model"),
        (["fit", "data.xlsx", "--target", "y"], "does not tell its format"),
        (["predict", "nobody", "DATA", "-o", "o.parquet"], "no model 'nobody'"),
        (["predict", "x.onnx", "DATA", "-o", "o.parquet"], "no model file 'x.onnx'"),
        (["deploy", "nobody", "--endpoint", "e"], "no model 'nobody'"),
        (["monitor", "run", "nobody"], "no endpoint 'nobody'"),
        (["runs", "nobody"], "no run 'nobody'"),
        (["fly"], "fly"),
    ],
)
def test_a_wrong_command_is_answered_with_code_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bad usage, bad names, bad values."""
    path = tmp_path / "data.csv"
    ROWS.write_csv(path)
    monkeypatch.chdir(tmp_path)
    code = run([str(path) if word == "DATA" else word for word in arguments])
    told = capsys.readouterr().err
    assert code == 2, told
    assert words in told
    assert "Traceback" not in told


def test_a_url_that_does_not_answer_fails_with_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The address and the reason."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/data.csv"
    assert run(["fit", url, "--target", "y", "--store", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert url in told
    assert "did not answer" in told


def test_a_store_that_cannot_be_made_fails_with_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "taken").write_text("a file")
    assert run(["models", "--store", str(tmp_path / "taken")]) == 1
    assert "cannot be made" in capsys.readouterr().err


@pytest.mark.slow
def test_infinities_and_extremes_in_the_table_are_learnt_from(tmp_path: Path) -> None:
    """They are numbers like others, and the graph agrees on them."""
    wild = ROWS.with_columns(x=pl.when(pl.col("x") < 5).then(float("inf")).otherwise(pl.col("x") * 1e300))
    path = tmp_path / "wild.parquet"
    wild.write_parquet(path)
    assert run(["fit", str(path), "--target", "y", "--budget", "6s", "--store", str(tmp_path / "store")]) == 0


@pytest.mark.slow
def test_three_thousand_columns_are_workable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wide table gives a model within its budget."""
    rows = 300
    wide = {f"n{i}": [float((i * row) % 17) for row in range(rows)] for i in range(3000)}
    frame = pl.DataFrame({**wide, "y": [row % 3 == 0 for row in range(rows)]})
    path = tmp_path / "wide.parquet"
    frame.write_parquet(path)
    assert run(["fit", str(path), "--target", "y", "--budget", "20s", "--json", "--store", str(tmp_path / "s")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["parity"]["label_flips"] == 0


@pytest.mark.slow
def test_five_hundred_classes_are_workable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Many classes give a model, if only a modest one."""
    frame = pl.DataFrame({"x": [float(i % 500) for i in range(4000)], "z": [float(i % 7) for i in range(4000)]})
    frame = frame.with_columns(y=pl.format("class {}", pl.col("x").cast(pl.Int64)))
    path = tmp_path / "many.parquet"
    frame.write_parquet(path)
    assert run(["fit", str(path), "--target", "y", "--budget", "20s", "--json", "--store", str(tmp_path / "s")]) == 0
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert summary["test_score"] < summary["baseline_score"], told.err


def test_a_bad_cell_ends_a_prediction_or_is_told_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As asked: by default nothing is written, with `--on-error null` the row has a reason in place of an answer."""
    (tmp_path / "m.onnx").write_bytes(portable.classifier())
    (tmp_path / "t.csv").write_text("amount,town,visits,seen\n4,Ulm,2,2023-05-01\nn.a.,Ulm,2,\n9,,,2025-12-31\n")
    base = ["predict", str(tmp_path / "m.onnx"), str(tmp_path / "t.csv"), "-o", str(tmp_path / "o.parquet")]
    assert run(base) == 2
    assert "row 1 holds 'n.a.'" in capsys.readouterr().err
    assert not (tmp_path / "o.parquet").exists()
    assert run([*base, "--on-error", "null"]) == 0
    found = pl.read_parquet(tmp_path / "o.parquet")
    assert found.get_column("label").to_list() == ["yes", None, "yes"]
    assert found.get_column("error").to_list() == [
        None,
        "Column 'amount' was number in training; row 1 holds 'n.a.'. Send a number or null.",
        None,
    ]
    assert run([*base, "--on-error", "ignore"]) == 2
