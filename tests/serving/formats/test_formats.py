"""What holds for all formats."""

from serving.formats import Formats
from tests.portable import REGRESSOR


def test_few_rows_are_told_apart_without_reading_the_body() -> None:
    """What is called few has at most 50 rows; a usual single row is few."""
    rows = Formats(REGRESSOR).rows
    shortest = b'{"amount":1,"town":0,"visits":1,"seen":0}'
    assert rows["json"].has_few(shortest)
    assert not rows["json"].has_few(b"[" + b",".join([shortest] * 51) + b"]")
    assert rows["csv"].has_few(b"1,a,1,\n" * 50)
    assert not rows["csv"].has_few(b"1,a,1,\n" * 51)
