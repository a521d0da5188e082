"""The same rows are the same inputs in all formats, to the bit, and the same answers; no bytes are a defect."""

import csv
import io
import json
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serving.errors import BodyError, RequestError
from serving.formats import Answer, Formats, answer_columns
from serving.limits import Limits
from serving.media import Format, unpack
from serving.options import Options
from storage import DataError, Predictor, RowError, Signature
from storage.boundary import Blocks, RowReader, blocks_of_rows
from storage.predictor import Outputs
from tests import portable
from tests.serving.formats.encodings import ENCODINGS, PACKINGS, SIGNATURE, Row, frame

LIMITS = Limits(10_000_000, 100_000)
FORMATS: tuple[Format, ...] = get_args(Format)
TYPED = Formats(SIGNATURE, LIMITS)
PORTABLE = Formats(portable.REGRESSOR, LIMITS)
PREDICTOR = Predictor(portable.regressor())

numbers = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1e-320, 1.7e308, float("inf"), float("-inf"), 0.1])
#: NUL cannot end a text of NumPy, and csv readers of other versions stop at it; a lone surrogate is no Unicode.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6) | st.sampled_from(
    ["Ulm", "東京", "a,b", 'say "x"', "two\nlines", "\r\n", "é\u0301", "null", "NaN", "\U0001f600", " "]
)
#: float64 holds each microsecond until 2255.
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 - formats without zones have none
rows = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.none() | numbers,
            "visits": st.none() | st.integers(-(2**53), 2**53),
            "member": st.none() | st.booleans(),
            "town": st.none() | texts,
            "zone": st.none() | st.integers(-(2**53), 2**53),
            "note, with a comma": st.none() | texts,
            "seen": st.none() | times,
            "since": st.none() | st.integers(-(2**31), 2**32),
        }
    ),
    min_size=1,
    max_size=5,
)
EMPTY: Row = dict.fromkeys(SIGNATURE.names)


def bits(blocks: Blocks) -> tuple[bytes, list[Any], bytes, list[Any]]:
    """All that tells blocks apart; one NaN is as good as another."""
    number = np.where(np.isnan(blocks.number), np.nan, blocks.number).tobytes()
    shapes = [(block.dtype.str, block.shape) for block in blocks]
    return number, blocks.text.tolist(), blocks.time.tobytes(), shapes


@pytest.mark.parametrize("name", ENCODINGS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@example(rows=[EMPTY])
@example(rows=[{**EMPTY, "town": "Ulm"}, {**EMPTY, "amount": -0.0, "member": True}] * 4)
@given(rows=rows)
def test_the_same_rows_are_the_same_inputs(name: str, rows: list[Row]) -> None:
    """Against rows as dictionaries, which have no encoding at all; packed in each way too."""
    expected = bits(RowReader(SIGNATURE).read(rows))
    body = ENCODINGS[name].write(rows)
    reader = TYPED.rows[ENCODINGS[name].format]
    assert bits(reader.decode(body)) == expected
    for packing, pack in PACKINGS.items():
        assert bits(reader.decode(unpack(pack(body), packing.encode(), LIMITS.max_body_bytes))) == expected


# ---------------------------------------------------------------------------------------------------------- answers


def read_answers(format: Format, body: bytes) -> dict[str, Any]:
    """Columns of an answer that has been asked for `columns`, by readers that nobody here wrote."""
    file = io.BytesIO(body)
    if format == "json":
        return pl.DataFrame(json.loads(body)["predictions"], infer_schema_length=None).to_dict(as_series=False)
    if format == "jsonlines":
        return pl.DataFrame([json.loads(line) for line in body.splitlines()]).to_dict(as_series=False)
    if format == "npy":
        array = np.load(file, allow_pickle=False)
        return {name: array[name].tolist() for name in array.dtype.names}
    if format == "csv":
        cells = list(zip(*csv.reader(io.StringIO(body.decode(), newline="")), strict=True))
        return {
            "label": list(cells[0]),
            **{f"p_{at}": [float(cell) for cell in row] for at, row in enumerate(cells[1:])},
        }
    reads: dict[str, Callable[..., pl.DataFrame]] = {"arrow": pl.read_ipc_stream, "arrow_file": pl.read_ipc}
    return reads.get(format, pl.read_parquet)(file).to_dict(as_series=False)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=40)
@given(
    shares=st.lists(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2), min_size=1, max_size=5),
    labels=st.lists(texts.filter(str.strip), min_size=2, max_size=2, unique=True),
)
def test_each_format_gives_back_the_same_numbers(format: Format, shares: list[list[float]], labels: list[str]) -> None:
    """To the bit, and labels to the letter."""
    signature = Signature("binary", "y", (), classes=tuple(labels))
    label = np.array([labels[at % 2] for at in range(len(shares))], dtype=object)
    outputs = Outputs(label, np.array(shares, dtype=np.float32), None)
    names = ("label", *(f"p_{name}" for name in labels))
    body = Formats(signature).answers[format].write(Answer(outputs, Options(columns=names)))
    found = list(read_answers(format, body).values())
    assert found[0] == label.tolist()
    assert np.array(found[1:]).T.tobytes() == np.array(shares, dtype=np.float64).T.T.tobytes()


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
@pytest.mark.parametrize("format", ["npy", "arrow", "arrow_file", "parquet"])
def test_values_are_float64(format: Format, values: list[float]) -> None:
    """As `Predictor.predict` gives them."""
    body = PORTABLE.answers[format].write(Answer(Outputs(None, None, np.array(values))))
    found: Any = np.load(io.BytesIO(body)) if format == "npy" else np.array(read_answers(format, body)["prediction"])
    assert found.dtype == np.float64
    assert found.tobytes() == np.array(values).tobytes()


def test_answers_of_rows_are_the_same_whatever_they_came_in() -> None:
    """Through the model, of rows with all that may be missing."""
    expected = PREDICTOR.run(blocks_of_rows(portable.REGRESSOR, portable.ROWS)).prediction
    assert expected is not None
    assert expected.tolist() == list(portable.SCORES)
    table = pl.DataFrame(list(portable.ROWS))
    bodies = {
        "json": json.dumps(list(portable.ROWS)).encode(),
        "jsonlines": "\n".join(map(json.dumps, portable.ROWS)).encode(),
        "csv": table.write_csv().encode(),
        "arrow": written(table.write_ipc_stream),
        "arrow_file": written(table.write_ipc),
        "parquet": written(table.write_parquet),
    }
    for format, body in bodies.items():
        assert PREDICTOR.run(PORTABLE.rows[format].decode(body)).prediction.tobytes() == expected.tobytes()  # type: ignore[union-attr,index]


def written(write: Callable[..., object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def test_sets_and_contributions_are_columns_of_tables() -> None:
    """Classes as a list, in NumPy with | between."""
    signature = Signature("binary", "y", (), classes=("no", "yes"))
    outputs = Outputs(
        np.array(["yes", "no"], dtype=object),
        np.array([[0.25, 0.75], [0.5, 0.5]], np.float32),
        None,
        None,
        np.array([[False, True], [True, True]]),
    )
    answer = Answer(outputs, Options(interval=True))
    assert list(answer_columns(signature, answer)) == ["label", "p_no", "p_yes", "set"]
    for format in ("arrow", "arrow_file", "parquet"):
        found = read_answers(format, Formats(signature).answers[format].write(answer))
        assert found["set"] == [["yes"], ["no", "yes"]]
    found = read_answers("npy", Formats(signature).answers["npy"].write(answer))
    assert found["set"] == ["yes", "no|yes"]
    assert found["p_yes"] == [0.75, 0.5]


# ------------------------------------------------------------------------------------------------------ other bytes


def refuses(reader: Any, body: bytes) -> None:
    """Either rows, or an error of the client's."""
    try:
        reader.decode(body)
        reader.has_few(body)
    except (RequestError, RowError, DataError):
        pass


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.binary(max_size=200) | st.binary(max_size=60).map(b"\x93NUMPY\x01\0v\0".__add__))
def test_no_bytes_are_a_defect(format: Format, body: bytes) -> None:
    """Whatever they are."""
    refuses(TYPED.rows[format], body)


ROWS: list[Row] = [
    {**EMPTY, "amount": 1.5, "town": "Ulm", "seen": datetime(2024, 5, 1), "zone": 7},  # noqa: DTZ001 - without a zone
    {**EMPTY, "visits": 2, "member": True, "note, with a comma": "a longer text, beyond twelve bytes", "since": 5},
]


@pytest.mark.parametrize("name", ENCODINGS)
def test_no_sound_body_that_was_damaged_is_a_defect(name: str) -> None:
    """Cut, and with bytes changed; Polars itself is ended by some of them."""
    sound, draw = ENCODINGS[name].write(ROWS), random.Random(3)
    reader = TYPED.rows[ENCODINGS[name].format]
    times = 25 if ENCODINGS[name].format in ("arrow", "arrow_file", "parquet") else 500
    for _ in range(times):
        body = bytearray(sound)
        for _ in range(draw.choice([1, 1, 3])):
            at, width = draw.randrange(len(body)), draw.choice([1, 2, 4, 8])
            body[at : at + width] = (
                draw.randbytes(width) if draw.random() < 0.5 else bytes([draw.choice(b"\0\xff\x7f9")])
            )
        refuses(reader, bytes(body[: draw.randrange(len(body))] if draw.random() < 0.2 else body))
    assert bits(reader.decode(sound)) == bits(RowReader(SIGNATURE).read(ROWS))


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_is_cut_is_refused_where_the_format_has_an_end(name: str) -> None:
    """CSV and JSON Lines may end after any line, an Arrow stream after any batch, whose last bytes fill it up to 64."""
    sound = ENCODINGS[name].write(ROWS)
    if ENCODINGS[name].format not in ("csv", "jsonlines"):
        for length in (0, 1, len(sound) // 2, len(sound) - 100):
            with pytest.raises(BodyError):
                TYPED.rows[ENCODINGS[name].format].decode(sound[:length])


@pytest.mark.parametrize("format", FORMATS)
def test_a_body_without_rows_is_refused(format: Format) -> None:
    """In the same words."""
    of_format = [encoding for encoding in ENCODINGS.values() if encoding.format == format]
    body = {"npy": of_format[0].write, "json": of_format[0].write}.get(format, of_format[-1].write)([])
    with pytest.raises(BodyError, match="no rows"):
        TYPED.rows[format].decode(body)


@pytest.mark.parametrize("format", ["arrow", "arrow_file", "parquet"])
def test_columns_that_the_model_does_not_take_are_not_read(format: Format) -> None:
    """Not even if nothing here could read them; but all that it takes have to be there."""
    write = {"arrow": "write_ipc_stream", "arrow_file": "write_ipc", "parquet": "write_parquet"}[format]
    more = frame(ROWS).with_columns(new=pl.lit(1), odd=pl.lit(b"\xff"))
    assert bits(TYPED.rows[format].decode(written(getattr(more, write)))) == bits(RowReader(SIGNATURE).read(ROWS))
    with pytest.raises(RowError, match="lacks 'zone'") as caught:
        TYPED.rows[format].decode(written(getattr(more.drop("zone"), write)))
    assert (caught.value.row, caught.value.column) == (None, "zone")
    with pytest.raises(RowError, match="Column 'seen' was time in training; row 1 holds 'x'"):
        TYPED.rows[format].decode(written(getattr(more.with_columns(seen=pl.Series(["2024-05-01", "x"])), write)))


def test_text_beyond_the_limit_is_refused_where_it_is_written_once() -> None:
    """A dictionary of one long word, which each row means."""
    long = frame([{**EMPTY, "town": "w" * 1000}] * 1000).with_columns(pl.col("town").cast(pl.Categorical))
    few = Formats(SIGNATURE, Limits(900_000, 10_000))
    for format, write in (("arrow", long.write_ipc_stream), ("parquet", long.write_parquet)):
        body = written(write)
        assert len(body) < 100_000
        with pytest.raises(RequestError, match="longer than 900000 bytes, unpacked"):
            few.rows[format].decode(body)
        with pytest.raises(RequestError, match="more than 999 rows"):
            Formats(SIGNATURE, Limits(10_000_000, 999)).rows[format].decode(body)
