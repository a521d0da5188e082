"""Latencies and sizes as people write them."""

import pytest

from autopilot.quantities import parse_latency, parse_memory
from storage.errors import InputError


@pytest.mark.parametrize(
    ("written", "us"), [("500us", 500.0), ("0.5ms", 500.0), ("2 ms", 2000.0), ("1s", 1e6), (250, 250.0), (None, None)]
)
def test_latencies_are_microseconds(written: str | float | None, us: float | None) -> None:
    """With a unit, or as a number of microseconds."""
    assert parse_latency(written) == us


@pytest.mark.parametrize(
    ("written", "count"), [("2GB", 2 * 10**9), ("1gib", 2**30), ("512 MB", 512 * 10**6), (1024, 1024), (None, None)]
)
def test_sizes_are_bytes(written: str | int | None, count: int | None) -> None:
    """Powers of ten, or of two with an i."""
    assert parse_memory(written) == count


@pytest.mark.parametrize("written", ["soon", "-1ms", "0us", "", "5 hours"])
def test_what_is_no_latency_is_refused_with_the_way_to_write_it(written: str) -> None:
    """The value is named."""
    with pytest.raises(InputError, match=f"The latency {written!r} is no time. Write it as 500us, 2ms"):
        parse_latency(written)


@pytest.mark.parametrize("written", ["much", "-1GB", "0", "2TB"])
def test_what_is_no_size_is_refused_with_the_way_to_write_it(written: str) -> None:
    """The value is named."""
    with pytest.raises(InputError, match=f"The memory {written!r} is no size. Write it as 2GB, 512MB"):
        parse_memory(written)
