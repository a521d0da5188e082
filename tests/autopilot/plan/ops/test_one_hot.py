"""Frequent levels become indicators."""

import polars as pl

from autopilot.plan.levels import Levels
from autopilot.plan.ops import OneHot
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

CATEGORY = signature_of(("category",))


def test_each_frequent_level_has_an_indicator() -> None:
    """Most frequent first, ties by name, missing as a level of its own; at least five rows."""
    train = raw_frame(("category",), [("b",)] * 6 + [("a",)] * 5 + [(None,)] * 5 + [("rare",)] * 4)
    op = OneHot.fit(rows_of(CATEGORY, train))
    assert op == OneHot(("c0",), (("b", "", "a"),))
    assert op.names() == ("c0 = b", "c0 = ", "c0 = a")
    frame = raw_frame(("category",), [("a",), (None,), ("b",), ("rare",), ("unseen",), ("A",)])
    assert both(op, CATEGORY, frame, Levels.fit(train, ("c0",))) == [
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_a_level_is_told_from_the_same_level_of_another_column() -> None:
    """Also where a text looks like the tag of another column."""
    kinds = ("category", "category")
    train = raw_frame(kinds, [("a", "b")] * 5 + [("0\x1fa", "1\x1fb")] * 5)
    op = OneHot.fit(rows_of(signature_of(("category",) * 2), train))
    assert op is not None
    assert op.levels == (("0\x1fa", "a"), ("1\x1fb", "b"))
    frame = raw_frame(kinds, [("a", "a"), ("b", "b"), ("0\x1fa", "b")])
    assert both(op, signature_of(kinds), frame, Levels.fit(train, ("c0", "c1"))) == [
        [0, 1, 0, 0],
        [0, 0, 0, 1],
        [1, 0, 0, 1],
    ]


def test_a_column_has_at_most_24_indicators() -> None:
    """The most frequent ones."""
    train = raw_frame(("category",), [(f"{i:02}",) for i in range(30) for _ in range(5 + (i == 29))])
    op = OneHot.fit(rows_of(CATEGORY, train))
    assert op is not None
    assert op.levels == (("29", *(f"{i:02}" for i in range(23))),)


def test_there_are_at_most_a_thousand_features() -> None:
    """However many columns."""
    columns = {f"c{i}": ["a"] * 5 + ["b"] * 5 for i in range(700)}
    op = OneHot.fit(rows_of(signature_of(("category",) * len(columns)), pl.DataFrame(columns)))
    assert op is not None
    assert 900 <= len(op.names()) <= 1000


def test_without_frequent_levels_there_is_no_op() -> None:
    """Ten different cells have none."""
    assert OneHot.fit(rows_of(CATEGORY, raw_frame(("category",), [(str(i),) for i in range(10)]))) is None
