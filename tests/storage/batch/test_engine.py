"""Files are scored whole or not at all, all of them, and a kill costs nothing that was done."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from storage import DataError, FailureError, InputError, Predictor
from storage.batch import Progress, Summary, Transform
from storage.batch.engine import transform_files
from tests import portable
from tests.processes import ROOT
from tests.refusals import raises
from tests.storage.batch.files import read, write

pytestmark = pytest.mark.usefixtures("small_chunks")

BAD = "Column 'amount' was number in training; row {} holds 'far'. Send a number or null."


def transformed(predictor: Predictor, source: Path | str, out: Path | str, **options: Any) -> Summary:
    """Score without being looked at."""
    resume = options.pop("resume", False)
    return transform_files(predictor, Transform("demo", str(source), str(out), **options), resume=resume)


def names(folder: Path) -> list[str]:
    """Files in a folder, and in those below."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def with_far(rows: pl.DataFrame, *at: int) -> pl.DataFrame:
    """Rows of which some have an amount that is no number."""
    bad = pl.Series(range(len(rows))).is_in(at)
    return rows.with_columns(amount=rows["amount"].cast(pl.String).set(bad, "far"))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("out", ["o.parquet", "o.csv", "o.tsv", "o.ndjson", "o.arrow", "o.csv.gz", "o.ndjson.zst"])
def test_results_are_those_of_the_frame_in_its_order(
    out: str, workers: int, predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """With the input's columns, whatever the formats and however many threads."""
    write(rows, tmp_path / "t.parquet")
    summary = transformed(predictor, tmp_path / "t.parquet", tmp_path / out, join=True, workers=workers)
    assert (summary.rows, summary.bad_rows, summary.failed, summary.resumed_rows) == (1000, 0, (), 0)
    expected = pl.concat([rows, predictor.predict(rows)], how="horizontal")
    found = read(tmp_path / out)
    assert found.columns == expected.columns
    assert found["id"].cast(pl.Int64).equals(expected["id"])
    assert found["town"].equals(expected["town"])
    assert found["label"].equals(expected["label"])
    assert (found["p_yes"].cast(pl.Float64) - expected["p_yes"].cast(pl.Float64)).abs().max() < 1e-6  # type: ignore[operator]
    assert names(tmp_path) == sorted([out, "t.parquet"])


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ({}, ["label", "p_no", "p_yes"]),
        ({"probabilities": False}, ["label"]),
        ({"id": "id"}, ["id", "label", "p_no", "p_yes"]),
        ({"id": "town", "join": True}, ["town", "id", "amount", "visits", "seen", "label", "p_no", "p_yes"]),
        ({"columns": ("p_yes", "id")}, ["p_yes", "id"]),
        ({"columns": ("label",), "id": "id"}, ["id", "label"]),
        ({"on_error": "null", "probabilities": False}, ["label", "error"]),
    ],
)
def test_columns_are_those_that_are_asked_for(
    options: dict[str, Any], columns: list[str], predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """In their order."""
    write(rows, tmp_path / "t.csv")
    transformed(predictor, tmp_path / "t.csv", tmp_path / "o.parquet", **options)
    assert read(tmp_path / "o.parquet").columns == columns


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": ("label", "label")}, "Column 'label' is to be written twice."),
        ({"columns": ()}, "No columns are to be written."),
        ({"columns": ("age",)}, "t.csv' has no column 'age' to write. It has 'id', 'amount'"),
        ({"columns": ("p_yes",), "probabilities": False}, "has no column 'p_yes' to write."),
        ({"interval": True}, "The model 'demo' gives no sets of classes"),
        ({"workers": -1}, "-1 workers cannot score. Use 1 to 1024"),
        ({"on_error": "ignore"}, "on_error is 'ignore'. Use 'raise' or 'null' or 'skip'."),
        ({"suffix": "/x"}, "The suffix '/x' has a slash."),
        ({"delimiter": ",,"}, "The delimiter ',,' is not one character."),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: dict[str, Any], words: str, predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """And nothing is left behind."""
    write(rows, tmp_path / "t.csv")
    with raises(InputError, words):
        transformed(predictor, tmp_path / "t.csv", tmp_path / "o.parquet", **options)
    assert names(tmp_path) == ["t.csv"]


def test_a_column_that_the_answer_would_hide_is_not_lost_in_silence(
    predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """Where all are asked for; by name, the model's is meant."""
    write(rows.with_columns(label=pl.lit("mine")), tmp_path / "t.csv")
    with raises(DataError, "has a column 'label', and the model's answer is called so too."):
        transformed(predictor, tmp_path / "t.csv", tmp_path / "o.csv", join=True)
    transformed(predictor, tmp_path / "t.csv", tmp_path / "o.csv", columns=("id", "label"))
    assert set(read(tmp_path / "o.csv")["label"]) == {"no", "yes"}


# ----------------------------------------------------------------------------------------------------- bad rows


def test_bad_rows_go_to_a_side_file(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """With their number and the reason, broken ones too; the others are scored."""
    write(with_far(rows, 7, 250, 999), tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_text(text.replace("\n500,", "\n500,,,,,,,,", 1))
    summary = transformed(predictor, tmp_path / "t.csv", tmp_path / "o.parquet", on_error="skip", id="id")
    errors = str(tmp_path / "o.parquet.errors.ndjson")
    assert (summary.rows, summary.bad_rows, summary.files[0].errors) == (1000, 4, errors)
    lines = [json.loads(line) for line in Path(errors).read_text().splitlines()]
    assert [line["row"] for line in lines] == [7, 250, 500, 999]
    assert {line["file"] for line in lines} == {str(tmp_path / "t.csv")}
    assert lines[1]["reason"] == BAD.format(250)
    assert "It has 12 cells, and the header has 5." in lines[2]["reason"]
    sound = rows.filter(~pl.col("id").is_in([7, 250, 500, 999]))
    found = read(tmp_path / "o.parquet")
    assert found["id"].cast(pl.Int64).equals(sound["id"])
    assert found.drop("id").equals(predictor.predict(sound))


def test_without_bad_rows_there_is_no_side_file(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """And nothing tells of one."""
    write(rows, tmp_path / "t.csv")
    summary = transformed(predictor, tmp_path / "t.csv", tmp_path / "o.csv", on_error="skip")
    assert summary.files[0].errors is None
    assert names(tmp_path) == ["o.csv", "t.csv"]


def test_bad_rows_may_stay_in_their_places(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """With null outputs and the reason; whether a cell or the line is wrong."""
    write(with_far(rows, 7), tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_text(text.replace("\n500,", "\n500,,,,,,,,", 1))
    assert transformed(predictor, tmp_path / "t.csv", tmp_path / "o.parquet", on_error="null").bad_rows == 2
    found = read(tmp_path / "o.parquet")
    assert found.height == 1000
    assert found[7].row(0) == (None, None, None, BAD.format(7))
    assert found[500].row(0)[:3] == (None, None, None)
    assert "It has 12 cells" in found[500, "error"]
    assert found.filter(pl.col("error").is_null())["label"].null_count() == 0


def test_a_sensitive_value_is_in_no_reason(rows: pl.DataFrame, tmp_path: Path) -> None:
    """Neither in the side file nor in the column."""
    columns = (replace(portable.COLUMNS[0], sensitive=True, minimum=None, maximum=None), *portable.COLUMNS[1:])
    predictor = Predictor(portable.classifier(signature=replace(portable.CLASSIFIER, columns=columns)))
    write(with_far(rows, 7), tmp_path / "t.csv")
    for on_error, out in (("skip", "o.csv"), ("null", "n.csv")):
        transformed(predictor, tmp_path / "t.csv", tmp_path / out, on_error=on_error)
    told = (tmp_path / "o.csv.errors.ndjson").read_text() + (tmp_path / "n.csv").read_text()
    assert "row 7 holds a string of 3 characters" in told
    assert "far" not in told


# ------------------------------------------------------------------------------------------------------ folders


@pytest.fixture
def folder(rows: pl.DataFrame, tmp_path: Path) -> Path:
    """Tables, two of them broken."""
    for name in ("a.csv", "c.parquet", "deep/d.ndjson.gz"):
        write(rows, tmp_path / "in" / name)
    (tmp_path / "in/b.parquet").write_bytes(b"PAR1 broken")
    write(with_far(rows, 999), tmp_path / "in/e.csv")
    (tmp_path / "in/notes.txt").touch()
    return tmp_path / "in"


def test_a_broken_file_does_not_keep_others_from_being_scored(
    predictor: Predictor, folder: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """Nothing of it is written; mended, it is done without the others being done again."""
    out = tmp_path / "out"
    summary = transformed(predictor, folder, out, id="id")
    assert [Path(file.source).name for file in summary.failed] == ["b.parquet", "e.csv"]
    assert "b.parquet' cannot be read: " in str(summary.failed[0].reason)
    assert summary.failed[1].reason == BAD.format(999)
    assert (summary.rows, summary.ignored) == (3000, ("notes.txt",))
    assert names(out) == ["a.csv", "c.parquet", "deep/d.ndjson.gz"]
    for name in names(out):
        assert read(out / name)["label"].equals(predictor.predict(rows)["label"])

    before = {name: (out / name).stat().st_mtime_ns for name in names(out)}
    write(rows, folder / "b.parquet")
    write(rows, folder / "e.csv")
    summary = transformed(predictor, folder, out, id="id", resume=True)
    assert (summary.rows, summary.resumed_rows, summary.failed) == (5000, 3000, ())
    assert names(out) == ["a.csv", "b.parquet", "c.parquet", "deep/d.ndjson.gz", "e.csv"]
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    assert names(tmp_path) == [*(f"in/{name}" for name in names(folder)), *(f"out/{name}" for name in names(out))]


def test_the_first_broken_file_ends_all_if_asked(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    """What was done before stays."""
    with raises(DataError, "b.parquet' cannot be read: "):
        transformed(predictor, folder, tmp_path / "out", fail_fast=True)
    assert names(tmp_path / "out") == ["a.csv"]


def test_files_of_a_folder_may_have_another_format_and_names(
    predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    """Such as SageMaker's."""
    for name in ("b.parquet", "e.csv"):
        (folder / name).unlink()
    transformed(predictor, folder, tmp_path / "p", format="parquet")
    assert names(tmp_path / "p") == ["a.parquet", "c.parquet", "deep/d.parquet"]
    transformed(predictor, folder, tmp_path / "s", suffix=".out")
    assert names(tmp_path / "s") == ["a.csv.out", "c.parquet.out", "deep/d.ndjson.gz.out"]
    write(pl.read_csv(folder / "a.csv"), folder / "a.parquet")
    with raises(InputError, "Two inputs would be written to '"):
        transformed(predictor, folder, tmp_path / "two", format="csv")


def test_files_may_be_put_into_one(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """In the order of their names; their columns have to be the same."""
    write(rows.head(300), tmp_path / "in/a.csv")
    write(rows.slice(300), tmp_path / "in/b.parquet")
    transformed(predictor, tmp_path / "in", tmp_path / "o.parquet", id="id")
    assert read(tmp_path / "o.parquet")["id"].cast(pl.Int64).equals(rows["id"])
    write(rows.rename({"id": "number"}), tmp_path / "in/b.parquet")
    with raises(DataError, "b.parquet' has other columns from row 0 on than what was written before: 'number', "):
        transformed(predictor, tmp_path / "in", tmp_path / "o.csv", join=True)
    assert not (tmp_path / "o.csv").exists()


def test_a_file_that_fails_in_one_output_is_named(
    predictor: Predictor, folder: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """And what is done is kept, to go on with when it is mended."""
    (folder / "b.parquet").unlink()
    with raises(DataError, f"e.csv' cannot be scored. {BAD.format(999)} Mend it, and go on by --resume."):
        transformed(predictor, folder, tmp_path / "o.csv")
    assert not (tmp_path / "o.csv").exists()
    with raises(InputError, "An earlier transform into this output ended before its time"):
        transformed(predictor, folder, tmp_path / "o.csv")
    with raises(DataError, "e.csv' cannot be scored."):
        transformed(predictor, folder, tmp_path / "o.csv", resume=True)
    with raises(InputError, "holds parts of a transform with another model, other options, other files"):
        transformed(predictor, folder, tmp_path / "o.csv", resume=True, id="id")
    write(rows, folder / "e.csv")
    summary = transformed(predictor, folder, tmp_path / "o.csv", resume=True)
    assert (summary.rows, summary.resumed_rows) == (4000, 3000)
    labels = predictor.predict(rows)["label"].to_list()
    assert read(tmp_path / "o.csv")["label"].to_list() == labels * 4


def test_what_another_writes_meanwhile_is_not_overwritten(
    predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """Neither then nor when it goes on."""
    write(rows, tmp_path / "t.csv")
    write(rows, tmp_path / "in/t.csv")
    write(rows, tmp_path / "in/u.csv")
    out = tmp_path / "o.csv"
    transform = Transform("demo", str(tmp_path / "in"), str(out))
    with raises(DataError, "o.csv' was written by another meanwhile. Name another, or allow --overwrite."):
        transform_files(predictor, transform, observe=lambda progress: out.write_text("another's") and None)
    with raises(InputError, "The output is there already: '"):
        transform_files(predictor, transform, resume=True)
    assert out.read_text() == "another's"


def test_the_side_file_of_an_output_goes_with_it(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """Where it is overwritten by one without bad rows."""
    write(with_far(rows, 7), tmp_path / "t.csv")
    transformed(predictor, tmp_path / "t.csv", tmp_path / "o.csv", on_error="skip")
    assert (tmp_path / "o.csv.errors.ndjson").exists()
    write(rows, tmp_path / "t.csv")
    transformed(predictor, tmp_path / "t.csv", tmp_path / "o.csv", on_error="skip", overwrite=True)
    assert names(tmp_path) == ["o.csv", "t.csv"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_output_that_is_there_is_refused_before_any_work(
    scheme: str, predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    """And replaced only if that is asked for."""
    (folder / "b.parquet").unlink()
    (folder / "e.csv").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/c.parquet").write_text("mine")
    with raises(InputError, "The output is there already: '"):
        transformed(predictor, folder, f"{scheme}{tmp_path}/out/")
    assert names(tmp_path / "out") == ["c.parquet"]
    transformed(predictor, folder, f"{scheme}{tmp_path}/out/", overwrite=True)
    assert read(tmp_path / "out/c.parquet").height == 1000


@pytest.mark.parametrize(
    ("source", "out", "words"),
    [
        ("in", "in/out/", "lies in the input '"),
        ("in", "in", "would be read and written."),
        ("in/*.csv", "in/a.csv", "would be read and written."),
        ("in/a.csv", "in/a.csv", "would be read and written."),
        ("in/*.xyz", "out/", "holds no table."),
        ("in", "none/o.csv", "There is no folder '"),
        ("in/a.csv", "o.parquet.gz", "cannot be written: leave out .gz."),
        ("in/a.csv", "o.xlsx", "does not tell its format."),
    ],
)
def test_places_that_cannot_be_are_refused(
    source: str, out: str, words: str, predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    """And nothing is written."""
    before = names(tmp_path)
    with raises(InputError, words):
        transformed(predictor, tmp_path / source, f"{tmp_path}/{out}", overwrite=True)
    assert names(tmp_path) == before


def test_an_object_store_is_read_and_written(
    predictor: Predictor, folder: Path, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As folders are; nothing is left on this machine."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    summary = transformed(predictor, f"file://{folder}", f"file://{tmp_path}/out", on_error="skip", id="id")
    assert [Path(file.source).name for file in summary.failed] == ["b.parquet"]
    assert names(tmp_path / "out") == ["a.csv", "c.parquet", "deep/d.ndjson.gz", "e.csv", "e.csv.errors.ndjson"]
    write(rows, folder / "b.parquet")
    summary = transformed(
        predictor, f"file://{folder}", f"file://{tmp_path}/out", on_error="skip", id="id", resume=True
    )
    assert (summary.rows, summary.resumed_rows, summary.bad_rows) == (5000, 4000, 1)
    assert read(tmp_path / "out/b.parquet").drop("id").equals(predictor.predict(rows))
    assert names(tmp_path / "temporary") == []


# --------------------------------------------------------------------------------------------------- interruptions

KILLED = """
import os, signal, sys
from pathlib import Path
from storage import Predictor
from storage.batch import Transform, chunks, parts
from storage.batch.engine import transform_files
from tests.portable import classifier
chunks._BLOCK_BYTES, chunks._LEAST_ROWS, chunks._MOST_ROWS, parts._EVERY_S = 4_000, 100, 100, 0.0
source, out, told, full = sys.argv[1:]
count = 0
def observe(progress):
    global count
    count += 1
    if count == int(told):
        os.kill(os.getpid(), signal.SIGKILL)
if int(full):
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(full), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    transform_files(
        Predictor(classifier()), Transform("demo", source, out, join=True, on_error="skip"), observe=observe
    )
except Exception as error:
    print(type(error).__name__, error)
"""


def interrupted(source: Path, out: Path, told: int, full: int = 0) -> str:
    """Score in a process that is killed when it was told how far it is so many times, or whose disk is full."""
    command = [sys.executable, "-c", KILLED, str(source), str(out), str(told), str(full)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (0 if full else -signal.SIGKILL), done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("source", "out", "told"),
    [
        ("t.csv", "o.csv", 1),
        ("t.csv.gz", "o.csv.gz", 5),
        ("t.parquet", "o.parquet", 10),
        ("t.stream.arrow", "o.ndjson", 4),
        ("t.ndjson", "o.arrow", 7),
    ],
)
def test_after_a_kill_it_goes_on_with_what_was_done(
    source: str, out: str, told: int, predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """Nothing that was done is done again, and the result is the same as without it."""
    path = write(with_far(rows, 3, 7, 850, 999), tmp_path / source)
    options: dict[str, Any] = {"join": True, "on_error": "skip"}
    parts: list[Progress] = []
    transform = Transform("demo", str(path), str(tmp_path / f"whole.{out}"), **options)
    whole = transform_files(predictor, transform, observe=parts.append)
    assert interrupted(path, tmp_path / out, told) == ""
    assert not (tmp_path / out).exists()
    with raises(InputError, "Go on with it by --resume, or begin anew by --overwrite."):
        transformed(predictor, path, tmp_path / out, **options)
    seen: list[Progress] = []
    transform = Transform("demo", str(path), str(tmp_path / out), **options)
    summary = transform_files(predictor, transform, observe=seen.append, resume=True)
    assert summary.resumed_rows > 0
    assert (summary.rows, summary.bad_rows) == (whole.rows, whole.bad_rows) == (1000, 4)
    assert len(seen) == len(parts) - told
    if out.endswith(("csv", "ndjson", "gz")):
        assert (tmp_path / out).read_bytes() == (tmp_path / f"whole.{out}").read_bytes()
    assert read(tmp_path / out).equals(read(tmp_path / f"whole.{out}"))
    side = [Path(f"{tmp_path / name}.errors.ndjson").read_bytes() for name in (out, f"whole.{out}")]
    assert side[0] == side[1]
    assert names(tmp_path) == sorted(
        [source, out, f"whole.{out}", f"{out}.errors.ndjson", f"whole.{out}.errors.ndjson"]
    )


def test_after_a_kill_among_files_those_that_are_done_stay(
    predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """They are in their places already."""
    for name in ("a.csv", "b.parquet", "c.csv"):
        write(rows, tmp_path / "in" / name)
    interrupted(tmp_path / "in", tmp_path / "out", 14)
    assert names(tmp_path / "out") == ["a.csv"]
    (tmp_path / "out/a.csv").write_text("known by its place alone")
    summary = transformed(predictor, tmp_path / "in", tmp_path / "out", join=True, on_error="skip", resume=True)
    assert (summary.rows, [file.rows for file in summary.files]) == (3000, [1000, 1000, 1000])
    assert (tmp_path / "out/a.csv").read_text() == "known by its place alone"
    assert read(tmp_path / "out/c.csv").height == 1000


def test_what_is_not_whole_on_the_disk_is_not_taken_for_it(
    predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """A kill may come while a line of the manifest, or a part, is written."""
    write(rows, tmp_path / "t.csv")
    interrupted(tmp_path / "t.csv", tmp_path / "o.csv", 4)
    parts = tmp_path / ".o.csv.parts"
    with (parts / "manifest.ndjson").open("ab") as manifest:
        manifest.write(b'{"type":"PartDone","inp')
    with (parts / "0/whole").open("ab") as whole:
        whole.write(b"half a pa")
    transformed(predictor, tmp_path / "t.csv", tmp_path / "o.csv", join=True, on_error="skip", resume=True)
    assert read(tmp_path / "o.csv")["id"].to_list() == [str(id) for id in range(1000)]


def test_parts_of_another_input_model_or_wish_are_not_gone_on_with(
    predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """And are still there for who has the right ones."""
    path = write(rows, tmp_path / "t.csv")
    interrupted(path, tmp_path / "o.csv", 4)
    options: dict[str, Any] = {"join": True, "on_error": "skip", "resume": True}
    with raises(InputError, "holds parts of a transform with another model"):
        transformed(Predictor(portable.classifier(1.0)), path, tmp_path / "o.csv", **options)
    with raises(InputError, "holds parts of a transform with another model, other options"):
        transformed(predictor, path, tmp_path / "o.csv", resume=True)
    stamp = path.stat()
    write(rows.head(999), path)
    with raises(InputError, "t.csv' has changed since a part of it was scored."):
        transformed(predictor, path, tmp_path / "o.csv", **options)
    write(rows, path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert transformed(predictor, path, tmp_path / "o.csv", **options).resumed_rows > 0


def test_a_full_disk_is_a_failure_that_can_be_gone_on_from(
    predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """What was done is kept."""
    write(rows, tmp_path / "t.csv")
    message = interrupted(tmp_path / "t.csv", tmp_path / "o.csv", 0, full=20_000)
    parts = tmp_path / ".o.csv.parts"
    assert message == (
        f"FailureError '{tmp_path / 'o.csv'}' could not be written: [Errno 27] File too large. Free some disk, and go "
        f"on by --resume: what is done is kept in '{parts}'.\n"
    )
    assert not (tmp_path / "o.csv").exists()
    summary = transformed(predictor, tmp_path / "t.csv", tmp_path / "o.csv", join=True, on_error="skip", resume=True)
    assert 0 < summary.resumed_rows < 1000
    assert read(tmp_path / "o.csv").height == 1000


def test_two_processes_do_not_write_one_output(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """The second is told of the first, which goes on."""
    write(rows, tmp_path / "t.csv")
    transform = Transform("demo", str(tmp_path / "t.csv"), str(tmp_path / "o.csv"))
    told: list[str] = []

    def observe(progress: Progress) -> None:
        with raises(InputError, "Another process writes this output, and keeps its parts in '") as caught:
            transform_files(predictor, transform, resume=True)
        told.append(str(caught.value))

    transform_files(predictor, transform, observe=observe)
    assert told
    assert read(tmp_path / "o.csv").height == 1000


def test_what_an_observer_raises_ends_it_and_keeps_what_is_done(
    predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """As Ctrl-C does."""
    write(rows, tmp_path / "t.csv")

    def observe(progress: Progress) -> None:
        raise KeyboardInterrupt

    transform = Transform("demo", str(tmp_path / "t.csv"), str(tmp_path / "o.csv"))
    with pytest.raises(KeyboardInterrupt):
        transform_files(predictor, transform, observe=observe)
    assert transform_files(predictor, transform, resume=True).resumed_rows > 0


def test_progress_grows_to_the_end(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """Over all files, by their bytes."""
    for name in ("a.csv.gz", "b.parquet"):
        write(rows, tmp_path / "in" / name)
    seen: list[Progress] = []
    transform_files(predictor, Transform("demo", str(tmp_path / "in"), str(tmp_path / "out")), observe=seen.append)
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares)
    assert (seen[-1].share, seen[-1].rows, seen[-1].files_done, seen[-1].files) == (1.0, 2000, 2, 2)
    assert seen[-1].left_s == 0.0
    assert seen[-1].rows_per_s > 0


def test_columns_whose_types_differ_between_rows_find_a_common_one(predictor: Predictor, tmp_path: Path) -> None:
    """JSON has a whole number here and a fraction there."""
    rows = [
        {"id": n if n < 500 else n + 0.5, "amount": 1, "town": "Ulm", "visits": 1, "seen": None} for n in range(900)
    ]
    (tmp_path / "t.ndjson").write_text("\n".join(json.dumps(row) for row in rows))
    transformed(predictor, tmp_path / "t.ndjson", tmp_path / "o.parquet", id="id")
    assert read(tmp_path / "o.parquet")["id"].to_list() == [row["id"] for row in rows]


def test_lists_and_structs_are_json_in_csv(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """It has neither."""
    nested = rows.head(2).with_columns(tags=pl.Series([["a", "b"], None]), place=pl.Series([{"x": 1}, {"x": None}]))
    write(nested, tmp_path / "t.parquet")
    transformed(predictor, tmp_path / "t.parquet", tmp_path / "o.csv", columns=("tags", "place"))
    assert read(tmp_path / "o.csv").rows() == [('["a","b"]', '{"x":1}'), (None, '{"x":null}')]


def test_what_a_format_cannot_hold_is_told(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """With what to do."""
    write(rows.head(2).with_columns(blob=pl.lit(b"\xff")), tmp_path / "t.parquet")
    with raises(DataError, "cannot be written as csv: "):
        transformed(predictor, tmp_path / "t.parquet", tmp_path / "o.csv", join=True)


def test_no_rows_are_no_error(predictor: Predictor, rows: pl.DataFrame, tmp_path: Path) -> None:
    """A pipeline's quiet day."""
    for name in ("t.csv", "t.parquet", "t.arrow"):
        write(rows.head(0), tmp_path / name)
        for out in ("csv", "parquet"):
            transformed(predictor, tmp_path / name, tmp_path / f"{name}.{out}", on_error="skip")
            assert read(tmp_path / f"{name}.{out}").columns == ["label", "p_no", "p_yes"]


def test_an_input_that_cannot_be_read_is_told(predictor: Predictor, tmp_path: Path) -> None:
    """Such as one that went away."""
    (tmp_path / "t.csv").symlink_to(tmp_path / "gone.csv")
    with raises(DataError, "There is no file '"):
        transformed(predictor, tmp_path / "t.csv", tmp_path / "o.csv")
    if os.getuid():
        (tmp_path / "u.csv").touch(mode=0)
        with raises(DataError, "u.csv' cannot be read: [Errno 13] Permission denied"):
            transformed(predictor, tmp_path / "u.csv", tmp_path / "o.csv")


def test_an_object_store_that_goes_away_is_a_failure(predictor: Predictor, tmp_path: Path) -> None:
    """And no fault of the files."""
    with pytest.raises(FailureError, match="could not be reached"):
        transformed(predictor, "http://127.0.0.1:1/t.csv", tmp_path / "o.csv")
