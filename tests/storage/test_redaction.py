"""Nothing that is written tells a redacted value."""

import os
import shutil
import stat
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import Column, Signature
from storage.boundary import MISSING_TIME, Blocks
from storage.errors import StoreError
from storage.predictor import Outputs
from storage.redaction import REDACTIONS, Redaction, Redactor, discreet_signature, key_of, plain_signature
from storage.traffic import Header, Invocation, Traffic, packed, packed_inputs, redactions_of
from tests import processes

NOON_US = 1_714_564_800_000_000
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
SIGNATURE = Signature(
    "regression",
    "y",
    (
        Column("age", "number", "Float64"),
        Column("name", "category", "String"),
        Column("note", "text", "String"),
        Column("born", "time", "Date"),
    ),
)
KEY = bytes(range(32))

#: Values whose bytes are not found anywhere by chance.
secret_numbers = st.binary(min_size=6, max_size=6).map(lambda data: struct.unpack("<d", b"\x5a" + data + b"\x40")[0])
secret_texts = st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: f"<<{text}>>")
secret_times = st.binary(min_size=5, max_size=5).map(lambda data: struct.unpack("<q", b"\xa5" + data + b"\x05\x00")[0])
rows = st.tuples(
    st.none() | secret_numbers, st.just("") | secret_texts, st.just("") | secret_texts, st.none() | secret_times
)


def blocks_of(values: list[tuple[Any, str, str, Any]]) -> Blocks:
    """Rows of the signature; None is missing."""
    number = np.array([[np.nan if age is None else age] for age, _, _, _ in values]).reshape(-1, 1)
    text = np.array([[name, note] for _, name, note, _ in values], dtype=object).reshape(-1, 2)
    time = np.array([[MISSING_TIME if born is None else born] for _, _, _, born in values], dtype=np.int64)
    return Blocks(number, text, time.reshape(-1, 1))


def capture(
    traffic: Traffic, redact: Mapping[str, Redaction], values: list[Any], signature: Signature = SIGNATURE
) -> None:
    """Have rows in a journal that is ready for compaction."""
    writer = traffic.writer(Header("e", "m", 1, signature, redact=dict(redact)))
    writer.append([Invocation("id", NOON_US, blocks_of(values), Outputs(None, None, np.zeros(len(values))))])
    writer.rotate()


def read(traffic: Traffic) -> pl.DataFrame:
    return traffic.read("e", NOON, NOON + timedelta(seconds=1))


@given(
    values=st.lists(rows, min_size=1, max_size=5),
    redact=st.dictionaries(st.sampled_from(SIGNATURE.names), st.sampled_from(REDACTIONS), min_size=1),
)
@settings(max_examples=60)
def test_no_byte_of_a_redacted_value_is_written(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[Any, ...]], redact: dict[str, Redaction]
) -> None:
    """Neither of the rows, nor of what the signature knows of the column: in journals, and in Parquet."""
    folder = tmp_path_factory.mktemp("redacted")
    traffic = Traffic(folder / "traffic")
    columns = []
    for column, value in zip(SIGNATURE.columns, values[0], strict=True):
        known = {"minimum": value, "maximum": value} if column.kind == "number" else {"levels": (value or "-",)}
        columns.append(Column(column.name, column.kind, column.dtype, **({} if column.kind == "time" else known)))
    capture(traffic, redact, values, Signature("regression", "y", tuple(columns)))
    secrets = [
        secret
        for row in values
        for name, value in zip(SIGNATURE.names, row, strict=True)
        if name in redact and value not in (None, "")
        for secret in _spellings(value)
    ]
    plain = {value for row in values for name, value in zip(SIGNATURE.names, row, strict=True) if name not in redact}
    secrets = [secret for secret in secrets if not any(secret in one for p in plain if p for one in _spellings(p))]
    (journal,) = (folder / "traffic" / "journals").rglob("*.journal")
    written = journal.read_bytes()
    assert not any(secret in written for secret in secrets)
    frame = read(traffic)
    (parquet,) = (folder / "traffic" / "parquet").rglob("*.parquet")
    written = parquet.read_bytes() + frame.write_csv().encode() + b"".join(_cells(frame))
    assert not any(secret in written for secret in secrets)
    assert not any(name in frame.columns for name in redact)
    assert redactions_of(frame) == redact
    shutil.rmtree(folder)


def _spellings(value: Any) -> list[bytes]:
    """A value as it may stand in a file: packed either way, and in words."""
    if isinstance(value, str):
        return [value.encode(), value.encode("unicode_escape")]
    code = "d" if isinstance(value, float) else "q"
    return [struct.pack(f"<{code}", value), struct.pack(f">{code}", value), repr(value).encode()]


def _cells(frame: pl.DataFrame) -> list[bytes]:
    return [
        spelling
        for series in frame
        for value in series
        if isinstance(value, float | str)
        for spelling in _spellings(value)
    ]


def test_each_kind_is_redacted_in_each_way(tmp_path: Path) -> None:
    """A masked column says where values were; a hashed one which were equal; of a dropped one nothing is left."""
    traffic = Traffic(tmp_path / "traffic")
    values = [(1.0, "Ann", "hi", 5), (None, "", "", None), (1.0, "Ann", "ho", 5)]
    for redaction in REDACTIONS:
        capture(traffic, dict.fromkeys(SIGNATURE.names, redaction), values)
    frame = read(traffic)
    parts = {text: part for (text,), part in frame.partition_by("autopilot.redacted", as_dict=True).items()}
    assert not set(SIGNATURE.names) & set(frame.columns)
    masked = parts['{"age":"mask","born":"mask","name":"mask","note":"mask"}']
    hashed = parts['{"age":"hash","born":"hash","name":"hash","note":"hash"}']
    for name in SIGNATURE.names:
        assert masked.get_column(f"autopilot.masked.{name}").to_list() == [True, False, True]
        first, missing, third = hashed.get_column(f"autopilot.hashed.{name}").to_list()
        assert missing is None
        assert (len(first), first == third) == (32, name != "note")
        for part in (frame.filter(pl.col("autopilot.redacted").str.contains("drop")), masked):
            assert part.get_column(f"autopilot.hashed.{name}").null_count() == 3


def test_equal_values_have_equal_digests_in_all_columns_and_requests() -> None:
    """0.0 and -0.0 are equal; a number, its text and a time of that many microseconds are not."""
    signature = Signature(
        "regression",
        "y",
        (
            Column("a", "number", "Int64"),
            Column("b", "number", "Float64"),
            Column("c", "category", "String"),
            Column("d", "time", "Date"),
        ),
    )
    blocks = Blocks(np.array([[0.0, -0.0]]), np.array([["0.0"]], dtype=object), np.array([[0]]))
    redactor = Redactor(signature, dict.fromkeys("abcd", "hash"), lambda: KEY)
    a, b, c, d = redactor.apply(blocks).hashed
    assert a == b
    assert len({a, c, d}) == 3
    assert redactor.apply(blocks).hashed == [a, b, c, d]
    other = Redactor(signature, dict.fromkeys("abcd", "hash"), lambda: bytes(32))
    assert not set(other.apply(blocks).hashed) & {a, b, c, d}


def test_what_is_not_redacted_passes_as_it_is() -> None:
    """The very arrays; the key is not asked for."""

    def key() -> bytes:
        raise AssertionError

    blocks = blocks_of([(1.0, "Ann", "hi", 5)])
    assert Redactor(SIGNATURE, {}, key).apply(blocks).blocks is blocks
    assert Redactor(SIGNATURE, {"age": "drop"}, key).apply(blocks).blocks.number.shape == (1, 0)


def test_what_was_packed_as_it_was_sent_is_not_written_where_columns_are_redacted(tmp_path: Path) -> None:
    """Whoever packs has to know; if not, it is noticed before anything is written."""
    frame = packed(
        ["id"], NOON_US, [1], packed_inputs(blocks_of([(1.0, "Ann", "hi", 5)])), Outputs(None, None, np.zeros(1))
    )
    writer = Traffic(tmp_path).writer(Header("e", "m", 1, SIGNATURE, redact={"name": "hash"}))
    with pytest.raises(ValueError, match="Columns are to be redacted"):
        writer.append([], [frame])
    assert not list(tmp_path.iterdir())


def test_signatures_of_redacted_columns_tell_names_and_kinds() -> None:
    """Of what training saw in them, nothing."""
    columns = (
        Column("age", "number", "Int64", minimum=1, maximum=9),
        Column("name", "category", "String", levels=("Ann",)),
    )
    signature = Signature("regression", "y", columns)
    discreet = discreet_signature(signature, {"age": "mask", "name": "hash"})
    assert discreet.columns == (Column("age", "number", "Int64"), Column("name", "category", "String"))
    assert plain_signature(signature, {"age": "mask"}).columns == columns[1:]


# --------------------------------------------------------------------------------------------------- the key


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask is; beside the traffic, not in it."""
    before = os.umask(0)
    try:
        capture(Traffic(tmp_path / "traffic"), {"name": "hash"}, [(1.0, "Ann", "hi", 5)])
    finally:
        os.umask(before)
    path = tmp_path / "keys" / "redaction"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    key = key_of(path)
    assert len(key) == 32
    assert key_of(path) == key
    assert list(path.parent.iterdir()) == [path]
    assert not any(key in file.read_bytes() for file in (tmp_path / "traffic").rglob("*") if file.is_file())


def test_processes_that_need_a_key_at_once_get_the_same(tmp_path: Path) -> None:
    """Workers start together."""
    script = """
import sys
from pathlib import Path
from storage.redaction import key_of
input("ready\\n")
print(key_of(Path(sys.argv[1])).hex())
"""
    first, second = processes.run_at_once(script, tmp_path / "keys" / "redaction")
    assert first == second


def test_a_key_that_is_none_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    """Better no capture than one that is not redacted."""
    path = tmp_path / "keys" / "redaction"
    path.parent.mkdir()
    path.write_bytes(b"short")
    with pytest.raises(
        StoreError, match=r"The key of hashed columns, .* has 5 bytes instead of 32. Put the right file"
    ):
        capture(Traffic(tmp_path / "traffic"), {"name": "hash"}, [(1.0, "Ann", "hi", 5)])
    assert not list(tmp_path.rglob("*.open"))
