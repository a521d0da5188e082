"""Levels of categories: counted once, looked up alike in training and in the graph."""

import polars as pl
import pytest
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.levels import Levels, codes_of
from tests.graphs import run
from tests.strategies import raw_frame, signature_of


def fitted(*cells: str | None) -> Levels:
    """Levels of one column."""
    return Levels.fit(raw_frame(("category",), [(cell,) for cell in cells]), ("c0",))


def test_levels_are_ordered_by_frequency_then_name() -> None:
    """Missing is the level "" and ranks like another; a level of one row is none."""
    assert fitted("b", "b", "a", None, "c", "c", "c", None, "once").of("c0") == ("c", "", "b")


def test_at_most_a_hundred_thousand_levels_are_known() -> None:
    """The rest share the code that follows them."""
    frame = pl.DataFrame({"c0": [f"{i:06}" for i in range(100_002)] * 2})
    levels = Levels.fit(frame, ("c0",))
    assert codes_of(frame.with_columns(levels.polars()), "c0")[99_998:100_002].tolist() == [
        99_998,
        99_999,
        100_000,
        100_000,
    ]


@pytest.mark.parametrize("cell", ["a", "", None, "A", "unseen", "\x1f", "0\x1fa", "1\x1fa", "\0", "a\0", "\U0001f600"])
def test_a_cell_has_the_same_code_in_training_and_in_the_graph(cell: str | None) -> None:
    """Also where a text looks like the tag of another column."""
    kinds = ("category", "category")
    train = raw_frame(kinds, [("a", "b"), ("0\x1fa", "1\x1fb"), (None, "a"), ("\0", "\U0001f600")] * 2)
    levels = Levels.fit(train, ("c0", "c1"))
    frame = raw_frame(kinds, [(cell, cell)])
    coded = frame.with_columns(levels.polars())

    def emit(g: Graph) -> str:
        return levels.emit(g, ("c1", "c0"))

    found = run(signature_of(kinds), emit, frame, TensorProto.INT64)
    assert found.tolist() == [[codes_of(coded, "c1")[0], codes_of(coded, "c0")[0]]]


def test_without_known_levels_all_cells_share_one_code() -> None:
    """A column of different cells."""
    levels = fitted("a", "b")
    assert codes_of(raw_frame(("category",), [("a",), ("x",)]).with_columns(levels.polars()), "c0").tolist() == [0, 0]
