"""Scoring files: the same as scoring frames, in chunks, whole or not at all."""

import gzip
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

import autopilot
from autopilot.candidates.baseline import Baseline
from autopilot.candidates.linear import Linear
from autopilot.predict_file import predict_file
from storage.batch import chunks
from storage.errors import DataError, InputError
from storage.predictor import Predictor
from tests import portable, processes
from tests.portable import classifier, with_interval, with_sets
from tests.refusals import raises

ROWS = pl.DataFrame(
    {
        "amount": [float(i % 9) for i in range(1000)],
        "town": ["Ulm", "Bonn", None, "é"] * 250,
        "visits": [i % 5 for i in range(1000)],
        "seen": ["2023-05-01", "2024-02-29T10:00:00Z", None, "1999-12-31"] * 250,
    }
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(classifier(0.0))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few hundred rows."""
    monkeypatch.setattr(chunks, "_BLOCK_BYTES", 8_000)
    monkeypatch.setattr(chunks, "_MOST_ROWS", 300)
    monkeypatch.setattr(chunks, "_LEAST_ROWS", 300)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("out", ["o.parquet", "o.csv", "o.ndjson", "o.arrow"])
@pytest.mark.parametrize("source", ["t.csv", "t.tsv", "t.parquet", "t.ndjson", "t.arrow"])
def test_a_file_gives_what_its_frame_gives(source: str, out: str, predictor: Predictor, tmp_path: Path) -> None:
    """Whatever the formats, over several chunks, in the rows' order."""
    path = tmp_path / source
    if source == "t.tsv":
        ROWS.write_csv(path, separator="\t")
    else:
        getattr(
            ROWS,
            {"csv": "write_csv", "parquet": "write_parquet", "ndjson": "write_ndjson", "arrow": "write_ipc"}[
                source.partition(".")[2]
            ],
        )(path)
    assert predict_file(predictor, str(path), str(tmp_path / out)) == 1000
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "ndjson": pl.read_ndjson, "arrow": pl.read_ipc}
    found = read[out.partition(".")[2]](tmp_path / out)
    expected = predictor.predict(ROWS)
    assert found.columns == expected.columns
    assert found["label"].to_list() == expected["label"].to_list()
    assert (found[:, 1:].cast(pl.Float64) - expected[:, 1:].cast(pl.Float64)).select(pl.all().abs().max()).row(0) < (
        1e-6,
        1e-6,
    )
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([source, out])


@pytest.mark.usefixtures("small_chunks")
def test_a_wrong_cell_is_told_by_its_row_in_the_file(predictor: Predictor, tmp_path: Path) -> None:
    """Rows are counted over chunks, and no half of an answer is left behind."""
    text = ROWS.write_csv().splitlines()
    text[1 + 777] = "far," + text[1 + 777].partition(",")[2]
    (tmp_path / "t.csv").write_text("\n".join(text) + "\n")
    with pytest.raises(DataError, match=r"'amount' was number in training; row 777 holds 'far'"):
        predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet"))
    assert [item.name for item in tmp_path.iterdir()] == ["t.csv"]


def test_a_file_without_rows_gives_a_file_without_rows(predictor: Predictor, tmp_path: Path) -> None:
    """A pipeline's quiet day is no error."""
    (tmp_path / "t.csv").write_text("amount,town,visits,seen\n")
    assert predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet")) == 0
    assert pl.read_parquet(tmp_path / "o.parquet").columns == predictor.predict(ROWS[:1]).columns


@pytest.mark.parametrize(
    ("source", "out", "words"),
    [
        ("nothere.csv", "o.parquet", "no file"),
        ("t.csv", "nowhere/o.parquet", "no folder"),
        ("t.csv", "o.xlsx", "does not tell its format"),
        ("lacking.csv", "o.parquet", "lacks 'town'"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    source: str, out: str, words: str, predictor: Predictor, tmp_path: Path
) -> None:
    """Before anything is written."""
    ROWS.write_csv(tmp_path / "t.csv")
    ROWS.drop("town").write_csv(tmp_path / "lacking.csv")
    with pytest.raises(DataError, match=words):
        predict_file(predictor, str(tmp_path / source), str(tmp_path / out))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["lacking.csv", "t.csv"]


def test_a_gzipped_file_is_read_as_what_it_holds(predictor: Predictor, tmp_path: Path) -> None:
    """As `fit` reads it."""
    for ending in ("csv", "tsv", "ndjson", "parquet"):
        content = {
            "csv": ROWS.write_csv(),
            "tsv": ROWS.write_csv(separator="\t"),
            "ndjson": ROWS.write_ndjson(),
            "parquet": _parquet(ROWS),
        }[ending]
        packed = gzip.compress(content if isinstance(content, bytes) else content.encode())
        (tmp_path / f"t.{ending}.gz").write_bytes(packed)
        out = tmp_path / f"{ending}.parquet"
        assert predict_file(predictor, str(tmp_path / f"t.{ending}.gz"), str(out)) == 1000
        assert pl.read_parquet(out).equals(predictor.predict(ROWS))


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_text_is_packed_as_the_name_of_the_output_says(predictor: Predictor, tmp_path: Path) -> None:
    """Parquet, which is packed by itself, is refused rather than written plain under a name that says otherwise."""
    ROWS.write_csv(tmp_path / "t.csv")
    predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.csv.gz"))
    assert pl.read_csv(gzip.decompress((tmp_path / "o.csv.gz").read_bytes())).height == 1000
    with raises(DataError, "o.parquet.gz' cannot be written: leave out .gz."):
        predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet.gz"))


def test_booleans_in_csv_are_those_of_training(tmp_path: Path) -> None:
    """Written in words in any case, or as 0 and 1; a frame with real ones gives the same."""
    columns = (
        replace(portable.COLUMNS[0], dtype="Boolean"),
        *portable.COLUMNS[1:],
    )
    predictor = Predictor(portable.regressor(signature=replace(portable.REGRESSOR, columns=columns)))
    lines = [f"{word},Ulm,0," for word in ("true", "True", "FALSE", "1", "0", "")]
    (tmp_path / "t.csv").write_text("\n".join(["amount,town,visits,seen", *lines]))
    predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet"))
    found = pl.read_parquet(tmp_path / "o.parquet").get_column("prediction").to_list()
    assert found == [1.5, 1.5, 1.0, 1.5, 1.0, 1.0]  # half a boolean, and 1 for Ulm
    with raises(DataError, "Column 'amount' was number in training; row 1 holds 'yes'."):
        (tmp_path / "t.csv").write_text("amount,town,visits,seen\ntrue,Ulm,0,\nyes,Ulm,0,\n")
        predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "refused.parquet"))


def test_a_failure_leaves_an_older_output_as_it_was(predictor: Predictor, tmp_path: Path) -> None:
    """Written whole or not at all, and only where the older one may be replaced."""
    (tmp_path / "o.csv").write_text("mine")
    (tmp_path / "t.csv").write_text("amount,town,visits,seen\nfar,Ulm,0,\n")
    with raises(DataError, "row 0 holds 'far'"):
        predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.csv"), overwrite=True)
    with raises(InputError, "o.csv'. Name another, or replace it by --overwrite."):
        predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.csv"))
    assert (tmp_path / "o.csv").read_text() == "mine"


FILL_THE_DISK = """
import resource, sys
from autopilot.predict_file import predict_file
from storage import FailureError, Predictor
from tests.portable import classifier
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), hard))
try:
    predict_file(Predictor(classifier()), sys.argv[1], sys.argv[2])
except FailureError as error:
    print(error)
"""


def test_a_full_disk_is_a_failure_and_leaves_nothing(tmp_path: Path) -> None:
    """If the first part does not fit. What is done else is kept: see the tests of `storage.batch`."""
    ROWS.write_parquet(tmp_path / "t.parquet")
    out = tmp_path / "o.csv"
    message = processes.run(FILL_THE_DISK, tmp_path / "t.parquet", out, 1000)
    assert message == f"'{out}' could not be written: [Errno 27] File too large. Free some disk.\n"
    assert [item.name for item in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"amount,town,visits,seen\n1,M\xfcnchen,0,\n", "t.csv' is broken. It is not UTF-8."),
        (b"amount,town,visits,seen\n1,Ulm,0,,,,\n", "t.csv' is broken. It has 7 cells"),
        (b"amount;town;visits;seen\n1;Ulm;0;\n", "The data lacks 'amount', 'town', 'visits', 'seen'"),
    ],
    ids=["empty", "latin-1", "long row", "semicolons"],
)
def test_a_file_that_is_no_table_is_refused(predictor: Predictor, tmp_path: Path, content: bytes, words: str) -> None:
    """And nothing is written."""
    (tmp_path / "t.csv").write_bytes(content)
    with raises(DataError, words):
        predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet"))
    assert [item.name for item in tmp_path.iterdir()] == ["t.csv"]


def test_codes_of_a_csv_file_are_the_same_levels_wherever_the_file_is_read(tmp_path: Path) -> None:
    """A zip code that is a category keeps its zeros in training, in `Result.predict`, in files and in rows."""
    codes = ["01234", "02345", "99999"]
    lines = [f"{codes[n % 3]},{n % 7},{'yes' if n % 3 == 0 else 'no'}" for n in range(120)]
    (tmp_path / "t.csv").write_text("\n".join(["zip,x,y", *lines]))
    options: Any = {"budget": 4, "store": tmp_path / "store", "progress": False, "candidates": (Baseline(), Linear())}
    found = autopilot.fit(tmp_path / "t.csv", "y", columns={"zip": "category"}, **options)
    assert set(found.model.signature.columns[0].levels) == set(codes)
    expected = found.model.predict(pl.read_csv(tmp_path / "t.csv", schema_overrides={"zip": pl.String}))
    predict_file(found.model, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet"))
    assert pl.read_parquet(tmp_path / "o.parquet").equals(expected)
    assert found.predict(tmp_path / "t.csv").equals(expected)
    rows = [{"zip": codes[n % 3], "x": n % 7} for n in range(120)]
    assert found.model.predict_rows(rows) == expected.to_dicts()


@pytest.mark.usefixtures("small_chunks")
def test_a_refused_row_of_a_file_does_not_spoil_the_others(predictor: Predictor, tmp_path: Path) -> None:
    """Over several parts; `error` names the row of the file."""
    text = ROWS.write_csv().splitlines()
    text[1 + 777] = "far," + text[1 + 777].partition(",")[2]
    (tmp_path / "t.csv").write_text("\n".join(text) + "\n")
    assert predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet"), on_error="null") == 1000
    found = pl.read_parquet(tmp_path / "o.parquet")
    assert found.columns == ["label", "p_no", "p_yes", "error"]
    assert found.filter(pl.col("error").is_not_null()).rows() == [
        (None, None, None, "Column 'amount' was number in training; row 777 holds 'far'. Send a number or null.")
    ]
    sound = found.with_row_index().filter(pl.col("index") != 777).select("label", "p_no", "p_yes")
    expected = predictor.predict(ROWS).with_row_index().filter(pl.col("index") != 777).drop("index")
    assert sound.equals(expected)


@pytest.mark.parametrize("out", ["o.csv", "o.ndjson", "o.arrow"])
def test_a_file_without_refused_rows_has_the_column_all_the_same(
    out: str, predictor: Predictor, tmp_path: Path
) -> None:
    """So that what reads it can rely on it."""
    ROWS.head(5).write_parquet(tmp_path / "t.parquet")
    predict_file(predictor, str(tmp_path / "t.parquet"), str(tmp_path / out), on_error="null")
    read = {"csv": pl.read_csv, "ndjson": pl.read_ndjson, "arrow": pl.read_ipc}[out.partition(".")[2]]
    assert read(tmp_path / out).get_column("error").to_list() == [None] * 5


@pytest.mark.parametrize("out", ["o.parquet", "o.csv", "o.tsv", "o.ndjson", "o.arrow"])
def test_intervals_and_sets_are_written(out: str, tmp_path: Path) -> None:
    """As the frame has them, null for refused rows too; csv has sets as JSON."""
    rows = ROWS.head(6).with_columns(amount=pl.Series(["4", "x", None, "9", "0", "1"]))
    rows.write_csv(tmp_path / "t.csv")
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "ndjson": pl.read_ndjson, "arrow": pl.read_ipc}
    for predictor in (Predictor(with_interval()), Predictor(with_sets())):
        predict_file(
            predictor, str(tmp_path / "t.csv"), str(tmp_path / out), interval=True, on_error="null", overwrite=True
        )
        kind = out.partition(".")[2]
        found = pl.read_csv(tmp_path / out, separator="\t") if kind == "tsv" else read[kind](tmp_path / out)
        expected = predictor.predict(rows, interval=True, on_error="null")
        assert found.columns == expected.columns
        if "set" in found.columns and kind in ("csv", "tsv"):
            found = found.with_columns(pl.col("set").str.json_decode(pl.List(pl.String)))
        for name in ("lower", "upper") if "lower" in found.columns else ("set",):
            assert found[name].to_list() == expected[name].to_list()


def test_a_model_without_an_interval_writes_none(predictor: Predictor, tmp_path: Path) -> None:
    """It says so, and leaves no file."""
    ROWS.write_csv(tmp_path / "t.csv")
    with raises(InputError, "gives no sets of classes"):
        predict_file(predictor, str(tmp_path / "t.csv"), str(tmp_path / "o.parquet"), interval=True)
    assert [item.name for item in tmp_path.iterdir()] == ["t.csv"]
