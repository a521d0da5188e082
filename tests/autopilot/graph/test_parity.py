"""The gate measures how far a file is from what was trained, on real rows and on hostile ones."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.graph.parity import hostile_rows, measure, passes, portable_feeds
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.table.infer import Table, infer
from storage.boundary import blocks_of_frame
from storage.records import Parity, Place
from tests import tables

TABLE = infer(tables.mixed(100), "paid")
NUMBERS = infer(tables.regression(100), "price")


class Steps:
    """A model that says 0.25 or 0.75 by its first feature, and a graph of it that is off by some error."""

    rounds = 0

    def __init__(
        self, error: float = 0.0, *, only_missing: bool = False, only_above: float | None = None, outputs: int = 2
    ) -> None:
        self._error, self._only_missing, self._only_above, self._outputs = error, only_missing, only_above, outputs

    def predict(self, X: Any) -> Any:
        second = np.where(X[:, :1] > 40, 0.75, 0.25).astype(np.float64)
        return second if self._outputs == 1 else np.hstack([1 - second, second])

    def emit(self, g: Graph, features: str) -> str:
        first = g.op("Gather", features, g.const(np.array([0])), axis=1)
        above = g.cast(g.op("Greater", first, g.const(np.float32(40))), TensorProto.DOUBLE)
        second = g.op("Add", g.op("Mul", above, g.const(np.float64(0.5))), g.const(np.float64(0.25)))
        error: Any = g.const(np.float64(self._error))
        if self._only_missing:
            error = g.op("Mul", g.cast(g.op("IsNaN", first), TensorProto.DOUBLE), error)
        if self._only_above is not None:
            above = g.op("Greater", first, g.const(np.float32(self._only_above)))
            error = g.op("Mul", g.cast(above, TensorProto.DOUBLE), error)
        second = g.op("Add", second, error)
        if self._outputs == 1:
            return second
        return g.op("Concat", g.op("Sub", g.const(np.float64(1)), second), second, axis=1)


def measured(steps: Steps, table: Table = TABLE, unit: Unit | None = None) -> Parity:
    """How far the steps' file is from the steps."""
    outputs = max(1, len(table.signature.classes))
    plan, _ = Plan.fit(table.frame, table.signature, "trees", Target(table.y, outputs), seed=0)
    model = TrainedModel(table.signature, {"trees": plan}, (TrainedMember(steps, "trees", 1.0),), unit or Unit())
    return measure(model, model.export().SerializeToString(), table.frame, seed=0)


def test_an_exact_file_passes() -> None:
    """No difference in any row, hence no place of it."""
    found = measured(Steps())
    assert found == Parity(found.rows, 0.0, 0, real_rows=100, worst=None)
    assert found.rows > 100
    assert passes(found)


def test_a_difference_is_measured_in_probabilities() -> None:
    """Up to 1e-5 passes."""
    found = measured(Steps(2e-5))
    assert found.max_abs_diff == pytest.approx(2e-5, rel=0.01)
    assert not passes(found)
    assert passes(measured(Steps(0.5e-5)))


def test_a_difference_in_a_regression_is_measured_in_deviations_of_the_target() -> None:
    """So that euros and cents are judged alike."""
    for deviation in (1e-6, 1.0, 1e6):
        found = measured(Steps(2e-5, outputs=1), NUMBERS, Unit(7.0, deviation))
        assert found.max_abs_diff == pytest.approx(2e-5, rel=0.01)
        assert not passes(found)


def test_labels_that_differ_are_counted() -> None:
    """Half of the real rows and more say another class."""
    found = measured(Steps(0.5))
    assert found.label_flips >= 30
    assert not passes(found)


def test_a_difference_that_only_missing_values_show_is_found() -> None:
    """The first column lacks values in training; hostile rows hold them in each column anyway."""
    full = replace(TABLE, frame=TABLE.frame.with_columns(pl.col("age").fill_null(30.0)))
    found = measured(Steps(0.5, only_missing=True), full)
    assert not passes(found)
    assert found.worst == Place("age", "null")


def test_the_certificate_tells_which_value_of_which_column_shows_the_difference() -> None:
    """Or that it is seen in rows as they are in training."""
    assert measured(Steps(2e-5, only_above=1e38)).worst == Place("age", "infinity")
    assert measured(Steps(2e-5)).worst == Place(None, "a real row")


def test_what_is_not_a_number_is_infinitely_far() -> None:
    """In the file or in the model."""
    found = measured(Steps(float("nan"), outputs=1), NUMBERS)
    assert found.max_abs_diff == float("inf")
    assert found.worst is not None
    assert not passes(found)


def test_hostile_rows_hold_missing_unseen_and_extreme_values_in_each_column() -> None:
    """Beside all real rows of a small table, and one row with nothing at all."""
    rows = hostile_rows(TABLE.signature, TABLE.frame, seed=0)
    assert rows.frame.schema == TABLE.frame.schema
    assert rows.real_rows == 100
    assert rows.frame.head(100).sort("age", "income").equals(TABLE.frame.sort("age", "income"))
    hostile = rows.frame.slice(100)
    assert hostile.null_count().row(0) >= (1,) * hostile.width
    assert hostile.tail(1).equals(TABLE.frame.clear(1))
    assert {float("inf"), float("-inf"), 1e308, 5e-324} <= set(hostile.get_column("income").to_list())
    assert {"\U0001f600 never seen", "a\0b late\0paid", "\u0301", "\t\n"} <= set(hostile.get_column("town").to_list())
    assert hostile.get_column("note").str.len_chars().max() == 20_000
    times = hostile.get_column("joined").to_physical()
    assert (times.min(), times.max()) == (-62_135_596_800_000_000, 253_402_300_799_999_999)


def test_each_row_knows_what_is_special_about_it() -> None:
    """As many places as rows, in their order."""
    rows = hostile_rows(TABLE.signature, TABLE.frame, seed=0)
    assert len(rows.places) == rows.frame.height
    assert set(rows.places[:100]) == {Place(None, "a real row")}
    assert rows.places[-1] == Place(None, "nothing but nulls")
    for place, value in (
        (Place("income", "minus infinity"), float("-inf")),
        (Place("town", "a lone combining mark"), "\u0301"),
        (Place("age", "null"), None),
        (Place("age", "the largest float32"), float(np.finfo(np.float32).max)),
        (Place("age", "the smallest normal float32"), float(np.finfo(np.float32).tiny)),
    ):
        assert rows.frame[place.column][rows.places.index(place)] == value


def test_a_table_of_three_rows_meets_every_hostile_value() -> None:
    """Its rows are used again."""
    rows = hostile_rows(TABLE.signature, TABLE.frame.head(3), seed=0)
    assert rows.real_rows == 3
    assert len({place for place in rows.places if place.column == "age"}) == 15
    assert rows.frame.height == 3 + 3 * 15 + 2 * 13 + 11 + 1


def test_wide_tables_have_hostile_values_in_200_columns() -> None:
    """So that 3,000 columns cost no more; drawn by the seed."""
    frame = pl.DataFrame({f"x{i}": [float(i), 1.0, 2.0] * 10 for i in range(500)} | {"y": [1, 0, 0] * 10})
    table = infer(frame, "y")
    rows = hostile_rows(table.signature, table.frame, seed=0)
    assert rows.frame.height == 30 + 200 * 15 + 1
    assert len({place.column for place in rows.places}) == 201


def test_the_portable_file_takes_one_column_for_each_raw_one() -> None:
    """Shape (rows, 1), by name."""
    feeds = portable_feeds(TABLE.signature, blocks_of_frame(TABLE.signature, TABLE.frame.head(4)))
    assert set(feeds) == set(TABLE.signature.names)
    assert {values.shape for values in feeds.values()} == {(4, 1)}
    assert feeds["town"].dtype == object
    assert feeds["joined"].dtype == np.int64
