"""Traffic of several variants, whole and piece by piece."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace
from polars.testing import assert_frame_equal

from storage.traffic import Traffic, redactions_of
from tests.storage.test_traffic import (
    FAR_AHEAD,
    HEADER,
    HOUR_US,
    LONG_AGO,
    NOON,
    NOON_US,
    invocation,
    names_of,
)


@pytest.fixture
def traffic(tmp_path: Path) -> Traffic:
    """Three requests of two rows to each of two variants, an hour apart; the second one of `new` has a column less."""
    traffic = Traffic(tmp_path / "traffic")
    dropping = replace(HEADER, redact={"town": "drop"})
    for variant, header in (("main", HEADER), ("new", HEADER), ("new", dropping)):
        writer = traffic.writer(replace(header, variant=variant))
        for hour in range(3):
            writer.append([invocation(f"{variant}{len(header.redact)}{hour}", NOON_US + hour * HOUR_US, (1.0, 2.0))])
        writer.rotate()
    return traffic


def test_each_row_tells_its_variant_and_a_variant_is_read_alone(traffic: Traffic) -> None:
    """Its files are in a folder of its own, too."""
    frame = traffic.read("price", LONG_AGO, FAR_AHEAD)
    assert frame.height == 18
    assert frame.get_column("autopilot.variant").value_counts(sort=True).rows() == [("new", 12), ("main", 6)]
    alone = traffic.read("price", LONG_AGO, FAR_AHEAD, variant="main")
    assert names_of(alone) == [name for hour in range(3) for name in [f"main0{hour}"] * 2]
    assert traffic.read("price", LONG_AGO, FAR_AHEAD, variant="old").height == 0


def test_a_column_that_was_dropped_for_a_time_is_null_there(traffic: Traffic) -> None:
    """Where it was not, it is as it was sent."""
    frame = traffic.read("price", LONG_AGO, FAR_AHEAD)
    redacted = pl.col("autopilot.redacted").is_not_null()
    assert frame.filter(redacted).get_column("town").null_count() == 6
    assert frame.filter(~redacted).get_column("town").to_list() == ["Ulm"] * 12
    assert redactions_of(frame) == {"town": "drop"}
    assert redactions_of(frame.filter(~redacted)) == redactions_of(pl.DataFrame()) == {}


def test_batches_are_the_same_rows_hour_by_hour(traffic: Traffic) -> None:
    """Each with whole requests, of one variant, redacted alike."""
    batches = list(traffic.batches("price", LONG_AGO, FAR_AHEAD))
    whole = traffic.read("price", LONG_AGO, FAR_AHEAD)
    assert len(batches) == 9
    order = ["autopilot.time", "autopilot.inference_id", "autopilot.event_id", "autopilot.row"]
    assert_frame_equal(pl.concat(batches, how="diagonal").sort(order), whole, check_column_order=False)
    for batch in batches:
        assert batch.height == 2
        assert batch.get_column("autopilot.row").to_list() == [0, 1]
        assert batch.get_column("autopilot.event_id").n_unique() == 1
    hours = [batch.get_column("autopilot.time").item(0) for batch in batches]
    assert hours == sorted(hours)
    (one,) = traffic.batches("price", NOON, NOON + timedelta(hours=1), variant="main")
    assert names_of(one) == ["main00"] * 2


def test_only_the_columns_that_are_asked_for_are_read(traffic: Traffic) -> None:
    """Of those that a file has; rows are in the same order."""
    frames = list(traffic.batches("price", LONG_AGO, FAR_AHEAD, columns=["town", "autopilot.row", "nothing"]))
    widths = {tuple(frame.columns) for frame in frames}
    assert widths == {("town", "autopilot.row"), ("autopilot.row",)}
    assert all(frame.get_column("autopilot.row").to_list() == [0, 1] for frame in frames)


def test_event_ids_tell_requests_of_the_same_inference_id_apart(tmp_path: Path) -> None:
    """Clients may use an id again, even at the same moment. They are UUIDs."""
    traffic = Traffic(tmp_path)
    for _ in range(2):
        writer = traffic.writer(HEADER)
        writer.append([invocation("a", amounts=(1.0, 2.0)), invocation("a", amounts=(3.0,))])
        writer.append([invocation("a", amounts=(4.0,))])
        writer.rotate()
    frame = traffic.read("price", LONG_AGO, FAR_AHEAD)
    ids = frame.get_column("autopilot.event_id")
    assert ids.n_unique() == 6
    assert ids.str.contains(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").all()
    starts = frame.group_by("autopilot.event_id").agg("amount").get_column("amount").to_list()
    assert sorted(starts) == [[1.0, 2.0]] * 2 + [[3.0]] * 2 + [[4.0]] * 2
