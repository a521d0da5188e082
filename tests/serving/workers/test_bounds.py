"""How many workers a user asks for."""

import pytest

from serving.workers.bounds import Bounds, bounds_of
from storage.errors import InputError


@pytest.mark.parametrize(
    ("text", "bounds", "told"),
    [
        ("4", Bounds(4, 4), "4 workers"),
        ("1", Bounds(1, 1), "1 worker"),
        ("1..8", Bounds(1, 8), "1 to 8 workers"),
        ("256..256", Bounds(256, 256), "256 workers"),
        ("auto", Bounds(1, 3), "1 to 3 workers"),
    ],
)
def test_a_number_bounds_or_auto(text: str, bounds: Bounds, told: str) -> None:
    """Auto is one to as many as there are cores."""
    assert bounds_of(text, cores=3) == bounds
    assert str(bounds) == told


@pytest.mark.parametrize(
    "text", ["", "0", "8..1", "0..4", "1..257", "1...4", "-1", "1.5", "many", "1..", "٣", "9" * 99]
)
def test_all_else_is_refused_with_its_value(text: str) -> None:
    """Also digits of other scripts, and numbers that nobody means."""
    with pytest.raises(InputError, match=r"workers|Workers"):
        bounds_of(text, cores=4)
