"""A Predictor opens a model file and answers for frames, rows and files of any number of rows."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
from storage import DataError, ModelFileError, Predictor, RowError
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
        budget=2,
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
