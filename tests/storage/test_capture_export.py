"""Captured traffic leaves the store whole, in formats that others read, or not at all."""

import csv
import io
import json
import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from polars.testing import assert_frame_equal

from storage import Store
from storage.boundary import blocks_of_rows
from storage.capture_export import CaptureFormat, export_captures
from storage.errors import InputError, SettingError, StoreError
from storage.predictor import Predictor
from storage.traffic import Header, Invocation, Traffic
from tests import portable
from tests.storage.test_traffic import FAR_AHEAD, HEADER, HOUR_US, LONG_AGO, NOON, NOON_US, invocation

PREDICTOR = Predictor(portable.classifier())


def capture(store: Store, name: str, rows: Any, time_us: int = NOON_US, **of: Any) -> None:
    """Have the classifier's answer captured for the endpoint `paid`."""
    blocks = blocks_of_rows(portable.CLASSIFIER, rows)
    writer = store.traffic.writer(replace(Header("paid", "demo", 1, portable.CLASSIFIER), **of))
    writer.append([Invocation(name, time_us, blocks, PREDICTOR.run(blocks))])
    writer.rotate()


def lines_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The lines of each file, by its folder below `folder`."""
    return {
        str(path.parent.relative_to(folder)): [json.loads(line) for line in path.read_bytes().splitlines()]
        for path in folder.rglob("*.jsonl")
    }


def test_sagemakers_layout_is_written_as_sagemaker_has_it(store: Store, tmp_path: Path) -> None:
    """A folder for each endpoint, variant and hour; a line for each request; both sides in CSV."""
    portable.publish(store, portable.classifier())
    capture(store, "abc", portable.ROWS[:2])
    capture(store, "def", portable.ROWS[2:3], NOON_US + HOUR_US, variant="new")
    exported = export_captures(store, "paid", LONG_AGO, FAR_AHEAD, tmp_path / "out")
    assert (exported.requests, exported.rows, exported.files) == (2, 3, 2)
    lines = lines_of(tmp_path / "out")
    assert set(lines) == {"paid/main/2024/05/01/12", "paid/new/2024/05/01/13"}
    (line,) = lines["paid/main/2024/05/01/12"]
    event_id = line["eventMetadata"].pop("eventId")
    assert len(event_id) == 36
    answered = line["captureData"]["endpointOutput"].pop("data")
    labels, *shares = zip(*csv.reader(answered.split("\n")), strict=True)
    assert labels == ("yes", "yes")
    outputs = PREDICTOR.run(blocks_of_rows(portable.CLASSIFIER, portable.ROWS[:2]))
    assert np.array(shares, dtype=np.float32).T.tolist() == np.asarray(outputs.probabilities).tolist()  # to the bit
    assert line == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "4.0,Ulm,2.0,2023-05-01T00:00:00.000000Z\n1.0,Bonn,0.0,2024-01-01T00:00:00.000000Z",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv",
                "mode": "OUTPUT",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {"inferenceId": "abc", "inferenceTime": "2024-05-01T12:00:00Z"},
        "eventVersion": "0",
    }
    (line,) = lines["paid/new/2024/05/01/13"]
    assert line["captureData"]["endpointInput"]["data"] == ",Rome,3.0,"
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.jsonl")) == exported.bytes


def test_redacted_cells_keep_their_places(store: Store, tmp_path: Path) -> None:
    """A dropped one is empty, a masked one tells whether there was a value, a hashed one is its digest."""
    portable.publish(store, portable.classifier())
    redact = {"amount": "drop", "town": "mask", "visits": "hash"}
    capture(store, "abc", [portable.ROWS[0], portable.ROWS[3]], redact=redact)
    export_captures(store, "paid", LONG_AGO, FAR_AHEAD, tmp_path / "out")
    ((line,),) = lines_of(tmp_path / "out").values()
    first, second = csv.reader(line["captureData"]["endpointInput"]["data"].splitlines())
    assert (first[:2], first[3]) == (["", "***"], "2023-05-01T00:00:00.000000Z")
    assert len(first[2]) == 32
    assert second == ["", "", "", "2025-12-31T23:59:59.500000Z"]


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that examples share, each with an endpoint of its own."""
    return Store.open(tmp_path_factory.mktemp("shared"))


@given(texts=st.lists(st.text(max_size=12), min_size=1, max_size=4), number=st.floats(allow_nan=False))
@settings(max_examples=30)
def test_any_text_and_number_is_read_back_from_a_line(
    shared_store: Store, tmp_path_factory: pytest.TempPathFactory, texts: list[str], number: float
) -> None:
    """By Python's own reader of CSV: quotes, commas, line ends, any letters."""
    name = uuid.uuid4().hex
    folder = tmp_path_factory.mktemp("export") / "out"
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    rows = [{**portable.ROWS[0], "town": text, "amount": number} for text in texts]
    capture(shared_store, "abc", rows, endpoint=name)
    export_captures(shared_store, name, LONG_AGO, FAR_AHEAD, folder)
    ((line,),) = lines_of(folder).values()
    found = csv.reader(io.StringIO(line["captureData"]["endpointInput"]["data"], newline=""))
    assert [(float(row[0]), row[1]) for row in found] == [(number, text) for text in texts]


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_tables_hold_the_same_rows(store: Store, tmp_path: Path, format: CaptureFormat) -> None:
    """In folders by variant, date and hour, that other tools read as one table."""
    for number, variant in enumerate(("main", "new")):
        capture(store, f"{number}", portable.ROWS, NOON_US + number, variant=variant)
    exported = export_captures(store, "paid", LONG_AGO, FAR_AHEAD, tmp_path / "out", format=format)
    assert (exported.requests, exported.rows, exported.files) == (2, 8, 2)
    expected = store.traffic.read("paid", LONG_AGO, FAR_AHEAD)
    if format == "parquet":
        found = pl.read_parquet(tmp_path / "out" / "**" / "*.parquet", hive_partitioning=False)
    else:
        found = pl.concat(
            pl.read_csv(path, schema_overrides=expected.schema) for path in sorted((tmp_path / "out").rglob("*.csv"))
        )
    assert_frame_equal(found.select(expected.columns), expected)
    folders = {str(path.parent.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob(f"*.{format}")}
    assert folders == {f"variant={variant}/date=2024-05-01/hour=12" for variant in ("main", "new")}


def test_only_the_window_and_the_variant_that_are_asked_for_are_written(store: Store, tmp_path: Path) -> None:
    """To the microsecond."""
    for number, variant in enumerate(("main", "new", "main")):
        capture(store, f"{number}", portable.ROWS[:1], NOON_US + number, variant=variant)
    end = NOON + timedelta(microseconds=2)
    assert export_captures(store, "paid", NOON, end, tmp_path / "all").requests == 2
    assert export_captures(store, "paid", NOON, end, tmp_path / "new", variant="new").requests == 1


def test_a_folder_that_exists_is_left_as_it_is(store: Store, tmp_path: Path) -> None:
    """Even an empty one: who named it may have meant another."""
    capture(store, "a", portable.ROWS)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"out' exists. Name a folder that does not"):
        export_captures(store, "paid", LONG_AGO, FAR_AHEAD, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_to_export_is_told_with_what_there_is(store: Store, tmp_path: Path) -> None:
    """And makes no folder."""
    with pytest.raises(InputError, match=r"Nothing was captured of endpoint 'paid'. `autopilot endpoints` lists"):
        export_captures(store, "paid", LONG_AGO, FAR_AHEAD, tmp_path / "out")
    capture(store, "a", portable.ROWS)
    with pytest.raises(
        InputError, match=r"between 2024-05-01T13:00:00Z and .*from 2024-05-01T12:00:00Z to 2024-05-01T12:00:00Z; name"
    ):
        export_captures(store, "paid", NOON + timedelta(hours=1), FAR_AHEAD, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_an_unknown_format_is_refused(store: Store, tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(SettingError, match=r"The format is 'xml'. Use sagemaker, parquet, csv"):
        export_captures(store, "paid", LONG_AGO, FAR_AHEAD, tmp_path, format="xml")  # type: ignore[arg-type]


def test_an_export_that_fails_leaves_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the second of two files."""
    capture(store, "a", portable.ROWS)
    capture(store, "b", portable.ROWS, NOON_US + HOUR_US)
    left = [1]
    read_part = Traffic.read_part

    def full(*arguments: Any, **options: Any) -> Any:
        if not left.pop():
            raise OSError(28, os.strerror(28))
        left.append(0)
        return read_part(*arguments, **options)

    monkeypatch.setattr(Traffic, "read_part", full)
    with pytest.raises(StoreError, match=r"could not be written: No space left on device. Nothing is left of it"):
        export_captures(store, "paid", LONG_AGO, FAR_AHEAD, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_what_a_regressor_answered_is_a_number(store: Store, tmp_path: Path) -> None:
    """One for each row."""
    writer = store.traffic.writer(HEADER)
    writer.append([invocation("a", amounts=(1.0, 2.0))])
    writer.rotate()
    export_captures(store, "price", LONG_AGO, FAR_AHEAD, tmp_path / "out")
    ((line,),) = lines_of(tmp_path / "out").values()
    assert line["captureData"]["endpointOutput"]["data"] == "1.5\n2.0"
