"""A Predictor opens a model file and answers for frames, rows and files of any number of rows."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import autopilot
from autopilot import Result
from autopilot.candidates.baseline import Baseline
from autopilot.candidates.linear import Linear
from storage import DataError, InputError, ModelFileError, Predictor, RowError
from tests import portable, tables
from tests.refusals import raises

FRAME = pl.DataFrame(
    list(portable.ROWS), schema={"amount": pl.Float64, "town": pl.String, "visits": pl.Int64, "seen": pl.String}
)


@pytest.fixture(scope="module")
def classifier() -> Predictor:
    """p(yes) = sigmoid of scores that can be computed by hand."""
    return Predictor(portable.classifier())


@pytest.fixture(scope="module")
def regressor() -> Predictor:
    """The scores themselves."""
    return Predictor(portable.regressor())


def test_a_frame_gives_a_label_and_the_probability_of_each_class(classifier: Predictor) -> None:
    """In the rows' order; labels by the larger probability."""
    found = classifier.predict(FRAME)
    assert found.schema == {"label": pl.String, "p_no": pl.Float32, "p_yes": pl.Float32}
    assert found.get_column("label").to_list() == ["yes", "yes", "no", "yes"]
    assert found.get_column("p_yes").to_list() == pytest.approx(portable.PROBABILITIES, abs=1e-7)
    assert (found.get_column("p_no") + found.get_column("p_yes")).to_list() == pytest.approx([1.0] * 4, abs=1e-6)


def test_a_frame_gives_predictions_of_a_regression(regressor: Predictor) -> None:
    """One column, float64."""
    assert_frame_equal(regressor.predict(FRAME), pl.DataFrame({"prediction": portable.SCORES}))


def test_rows_give_what_a_frame_gives(classifier: Predictor, regressor: Predictor) -> None:
    """One at a time and all together."""
    for predictor in (classifier, regressor):
        expected = predictor.predict(FRAME).to_dicts()
        assert predictor.predict_rows(portable.ROWS) == expected
        assert [predictor.predict_row(row) for row in portable.ROWS] == expected


def test_a_trained_model_answers_rows_as_it_answers_frames(fitted: Result) -> None:
    """To the bit, missing values and all."""
    frame = tables.mixed(100, seed=1).drop("paid")
    assert fitted.model.predict_rows(frame.to_dicts()) == fitted.model.predict(frame).to_dicts()


def test_half_a_character_is_refused_by_row_and_column(classifier: Predictor) -> None:
    """UTF-8 cannot hold a lone surrogate, so the graph cannot read it."""
    with raises(
        RowError, "Column 'town' was category in training; row 1 holds '\\ud83d'. Send text that UTF-8 can hold."
    ):
        classifier.predict_rows([portable.ROWS[0], {**portable.ROWS[1], "town": "\ud83d"}])
    assert classifier.predict_row({**portable.ROWS[2], "town": "\U0001f600"})["label"] == "no"


def test_no_rows_give_no_answers(classifier: Predictor, regressor: Predictor, fitted: Result) -> None:
    """With the same columns, from models with text too."""
    for predictor in (classifier, regressor):
        assert predictor.predict_rows([]) == []
        assert_frame_equal(predictor.predict(FRAME.clear()), predictor.predict(FRAME).clear())
    frame = tables.mixed(1)
    assert_frame_equal(fitted.model.predict(frame.clear()), fitted.model.predict(frame).clear())


def test_many_rows_are_answered_in_parts_that_join_seamlessly(regressor: Predictor) -> None:
    """45,001 rows, in their order; more than two parts."""
    amounts = np.arange(45_001) / 2.0
    frame = pl.DataFrame({"amount": amounts, "town": "Ulm", "visits": 0, "seen": None})
    assert regressor.predict(frame).get_column("prediction").to_list() == (amounts / 2 + 1).tolist()


def test_columns_may_come_in_any_order_and_with_others(classifier: Predictor) -> None:
    """Their names say which they are."""
    shuffled = FRAME.select("visits", pl.lit("?").alias("other"), "seen", "town", "amount")
    assert_frame_equal(classifier.predict(shuffled), classifier.predict(FRAME))


def test_a_frame_without_a_column_is_refused(classifier: Predictor) -> None:
    """By the column's name."""
    with raises(DataError, "The data lacks 'town', which the model takes."):
        classifier.predict(FRAME.drop("town"))


def test_a_wrong_row_is_refused_by_number_and_column(classifier: Predictor) -> None:
    """The other rows are not answered either."""
    with raises(RowError, "Column 'amount' was number in training; row 1 holds 'x'.") as caught:
        classifier.predict_rows([portable.ROWS[0], {**portable.ROWS[1], "amount": "x"}])
    assert (caught.value.row, caught.value.column) == (1, "amount")


def test_whole_number_classes_stay_numbers(tmp_path: Path) -> None:
    """As labels of a frame and of rows."""
    result = autopilot.fit(
        tables.multiclass(120),
        target="grade",
        budget=60,
        max_trials=2,
        store=tmp_path,
        progress=False,
        candidates=(Baseline(), Linear()),
    )
    found = result.model.predict(tables.multiclass(20, seed=1))
    assert found.schema == {"label": pl.Int64, "p_1": pl.Float32, "p_2": pl.Float32, "p_3": pl.Float32}
    assert set(found.get_column("label").to_list()) <= {1, 2, 3}
    assert found.to_dicts() == result.model.predict_rows(tables.multiclass(20, seed=1).to_dicts())
    result.store.close()


def test_threads_may_share_a_predictor(classifier: Predictor) -> None:
    """Each gets its own rows' answers."""
    rows = [{"amount": float(number), "town": None, "visits": 0, "seen": None} for number in range(400)]
    with ThreadPoolExecutor(8) as executor:
        found = [answer["p_yes"] for answer in executor.map(classifier.predict_row, rows)]
    assert found == pytest.approx([1 / (1 + math.exp(-number / 2)) for number in range(400)], abs=1e-7)


def test_a_saved_file_is_the_same_file(classifier: Predictor, tmp_path: Path) -> None:
    """It opens by its path, and runs with onnxruntime alone."""
    path = classifier.save(tmp_path / "m.onnx")
    assert path.read_bytes() == portable.classifier()
    assert_frame_equal(Predictor.open(str(path)).predict(FRAME), classifier.predict(FRAME))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {"amount": [[4.0]], "town": [["Ulm"]], "visits": [[2.0]], "seen": np.array([[0]])}
    assert session.run(["label"], {name: np.array(value) for name, value in feeds.items()})[0].tolist() == ["yes"]


@pytest.mark.parametrize("place", ["no.onnx", ".", "file/no.onnx"])
def test_a_path_without_a_file_is_named(tmp_path: Path, place: str) -> None:
    """A folder is no file either."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"There is no model file '.*'. Give the path of an .onnx file."):
        Predictor.open(tmp_path / place)


def test_a_file_whose_graph_cannot_run_is_a_model_file_error() -> None:
    """onnxruntime's own words are passed on."""
    model = onnx.load_model_from_string(portable.classifier())
    del model.graph.node[-1]
    with pytest.raises(ModelFileError, match=r"onnxruntime \d.* cannot open the model: .*label"):
        Predictor(model.SerializeToString())


def test_the_card_tells_how_the_model_came_to_be(fitted: Result) -> None:
    """It travels in the file."""
    card = Predictor(fitted.model.model_bytes).card
    assert card == fitted.best.card
    assert card.rows == 400
    assert sum(member.weight for member in card.members) == pytest.approx(1.0)


# ----------------------------------------------------------------------------------------------- on_error="null"

WRONG_AMOUNT = "Column 'amount' was number in training; row 1 holds 'x'. Send a number or null."
WRONG_TIME = (
    "Column 'seen' was time in training; row 3 holds 'soon'. Send a date or time such as 2024-05-01 or "
    "2024-05-01T13:30:00Z, or null."
)
SPOILT = FRAME.with_columns(
    amount=pl.Series(["4", "x", None, " 9.0"]),
    seen=pl.Series(["2023-05-01", None, None, "soon"]),
)


def test_a_refused_row_of_a_frame_does_not_spoil_the_others(classifier: Predictor, regressor: Predictor) -> None:
    """Its outputs are null and `error` tells why; the others are answered as without it."""
    for predictor in (classifier, regressor):
        found = predictor.predict(SPOILT, on_error="null")
        assert found.get_column("error").to_list() == [None, WRONG_AMOUNT, None, WRONG_TIME]
        expected = predictor.predict(FRAME)
        assert found.columns == [*expected.columns, "error"]
        assert_frame_equal(found.drop("error")[[0, 2]], expected[[0, 2]])
        assert found.drop("error")[[1, 3]].null_count().row(0) == (2,) * expected.width
        assert found.drop("error").schema == expected.schema


@pytest.mark.parametrize("amounts", [["x"] * 4, [None] * 4])
def test_all_rows_or_none_may_be_refused(classifier: Predictor, amounts: list[str | None]) -> None:
    """The columns stay the same."""
    found = classifier.predict(FRAME.with_columns(amount=pl.Series(amounts, dtype=pl.String)), on_error="null")
    assert found.schema == {"label": pl.String, "p_no": pl.Float32, "p_yes": pl.Float32, "error": pl.String}
    assert found.null_count().get_column("label").item() == sum(amount == "x" for amount in amounts)
    assert_frame_equal(
        classifier.predict(FRAME.clear(), on_error="null"), classifier.predict(FRAME, on_error="null").clear()
    )


def test_a_refused_row_of_dictionaries_does_not_spoil_the_others(classifier: Predictor, regressor: Predictor) -> None:
    """The same keys as the columns of a frame."""
    rows = SPOILT.to_dicts()
    for predictor in (classifier, regressor):
        assert predictor.predict_rows(rows, on_error="null") == predictor.predict(SPOILT, on_error="null").to_dicts()
    odd: list[Any] = [portable.ROWS[0], {}, None, {**portable.ROWS[0], "amuont": 1}]
    answers = classifier.predict_rows(odd, on_error="null")
    assert [answer["label"] for answer in answers] == ["yes", None, None, None]
    assert [answer["error"] for answer in answers][1:3] == [
        "Row 1 lacks column 'amount'. Send it, or null if it is unknown.",
        "Row 2 is None. Send a dictionary with a value for each column.",
    ]
    assert classifier.predict_rows([], on_error="null") == []


def test_raising_is_the_default_and_other_words_are_refused(classifier: Predictor) -> None:
    """A frame raises DataError, rows raise RowError."""
    with raises(DataError, WRONG_AMOUNT):
        classifier.predict(SPOILT)
    with raises(RowError, WRONG_AMOUNT):
        classifier.predict_rows(SPOILT.to_dicts())
    wrong: Any = "ignore"
    for predict in (classifier.predict, classifier.predict_rows):
        with raises(InputError, "on_error is 'ignore'. Use 'raise' or 'null'."):
            predict(FRAME, on_error=wrong)


def test_models_of_older_versions_open(classifier: Predictor) -> None:
    """Their signatures lack formats and paths."""
    model = onnx.load_model_from_string(portable.classifier())
    entry = next(entry for entry in model.metadata_props if entry.key == "signature")
    signature = json.loads(entry.value)
    for part in (*signature["columns"], *signature["dropped"]):
        part.pop("format", None)
        part.pop("path", None)
    entry.value = json.dumps(signature)
    old = Predictor(model.SerializeToString())
    assert old.signature == classifier.signature
    assert_frame_equal(old.predict(FRAME), classifier.predict(FRAME))


# ----------------------------------------------------------------------------------------------- interval=True


def test_an_interval_is_two_more_columns() -> None:
    """Of a frame and of rows; without being asked for, nothing changes."""
    predictor = Predictor(portable.with_interval())
    plain = pl.DataFrame({"prediction": portable.SCORES})
    expected = plain.with_columns(lower=pl.col("prediction") - 1.0, upper=pl.col("prediction") + 2.0)
    assert predictor.has_interval
    assert_frame_equal(predictor.predict(FRAME, interval=True), expected)
    assert predictor.predict_rows(portable.ROWS, interval=True) == expected.to_dicts()
    assert predictor.predict_row(portable.ROWS[0], interval=True) == {"prediction": 1.0, "lower": 0.0, "upper": 3.0}
    assert_frame_equal(predictor.predict(FRAME), plain)
    assert predictor.predict_rows(portable.ROWS) == plain.to_dicts()


def test_a_set_is_one_more_column_of_labels() -> None:
    """p(yes) is 0.73, 0.62, 0.05 and 1.00: the second row may be either."""
    predictor, plain = Predictor(portable.with_sets()), Predictor(portable.classifier())
    sets = [["yes"], ["no", "yes"], ["no"], ["yes"]]
    expected = plain.predict(FRAME).with_columns(set=pl.Series(sets))
    assert_frame_equal(predictor.predict(FRAME, interval=True), expected)
    assert predictor.predict_rows(portable.ROWS, interval=True) == expected.to_dicts()
    assert predictor.predict_row(portable.ROWS[1], interval=True)["set"] == ["no", "yes"]
    assert_frame_equal(predictor.predict(FRAME), plain.predict(FRAME))


@pytest.mark.parametrize("make", [portable.with_interval, portable.with_sets])
def test_no_rows_and_refused_rows_have_the_same_columns(make: Any) -> None:
    """Nulls where the row is refused; many rows are answered in parts."""
    predictor = Predictor(make())
    whole = predictor.predict(FRAME, interval=True)
    assert_frame_equal(predictor.predict(FRAME.clear(), interval=True), whole.clear())
    assert predictor.predict_rows([], interval=True) == []
    found = predictor.predict(SPOILT, interval=True, on_error="null")
    assert found.columns == [*whole.columns, "error"]
    assert_frame_equal(found.drop("error")[[0, 2]], whole[[0, 2]])
    assert found.drop("error")[[1, 3]].null_count().row(0) == (2,) * whole.width
    assert predictor.predict_rows(SPOILT.to_dicts(), interval=True, on_error="null") == found.to_dicts()
    many = pl.concat([FRAME] * 600)
    assert_frame_equal(predictor.predict(many, interval=True), pl.concat([whole] * 600))


def test_a_model_without_an_interval_says_so(classifier: Predictor, regressor: Predictor) -> None:
    """As an error, for no rows too; the model still predicts."""
    for predictor, what in ((classifier, "sets of classes"), (regressor, "interval")):
        assert not predictor.has_interval
        for ask in (
            lambda predictor=predictor: predictor.predict(FRAME, interval=True),
            lambda predictor=predictor: predictor.predict_rows([], interval=True),
            lambda predictor=predictor: predictor.predict_row(portable.ROWS[0], interval=True),
        ):
            with raises(
                InputError,
                f"The model {predictor.card.name!r} gives no {what}: it was trained on too few rows for it, or by a "
                "version that wrote none. Fit again with more rows, or predict without.",
            ):
                ask()


def test_threads_may_ask_for_intervals_at_once() -> None:
    """The session for them is opened when first asked for."""
    predictor = Predictor(portable.with_interval())
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(lambda row: predictor.predict_row(row, interval=True)["upper"], portable.ROWS * 20))
    assert found == [score + 2.0 for score in portable.SCORES] * 20
