"""MLflow's and TensorFlow Serving's bodies give the answers that rows give, in the shapes that their clients read."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.endpoints import LiveVariant
from serving.engine import Asked
from serving.errors import BodyError, OptionError
from serving.formats import Answer
from serving.options import DEFAULT
from serving.protocols.mlflow import MlflowBodies
from serving.protocols.tf_serving import TfBodies
from storage import Predictor, RowError
from tests.portable import ROWS, SCORES, classifier, regressor, with_interval, with_sets
from tests.records import endpoint_record

NAMES = list(ROWS[0])
COLUMNS = {name: [row[name] for row in ROWS] for name in NAMES}
LISTS = [list(row.values()) for row in ROWS]


def endpoint(model: bytes) -> LiveVariant:
    return LiveVariant(endpoint_record(), Predictor(model))


PRICE, PAID = endpoint(regressor()), endpoint(classifier())


def answer(live: LiveVariant, asked: Asked) -> Any:
    outputs = live.predictor.run(asked.blocks, interval=asked.options.interval)
    return json.loads(asked.write(Answer(outputs, asked.options)).body)


def mlflow(live: LiveVariant, body: Any) -> Any:
    bodies, text = live.of(MlflowBodies), json.dumps(body).encode()
    assert bodies.takes(text)
    return answer(live, bodies.read(text))


def tf(live: LiveVariant, body: Any) -> Any:
    return answer(live, live.of(TfBodies).read(DEFAULT, json.dumps(body).encode()))


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": NAMES, "index": [0, 1, 2, 3], "data": LISTS}},
        {"dataframe_split": {"columns": [*NAMES, "new"], "data": [[*cells, 1] for cells in LISTS]}},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [cells[::-1] for cells in LISTS]}},
        {"dataframe_split": {"data": LISTS}},
        {"dataframe_records": list(ROWS)},
        {"dataframe_records": [{**row, "new": 1} for row in ROWS]},
        {"dataframe_records": [{name: value for name, value in row.items() if value is not None} for row in ROWS]},
        {"inputs": COLUMNS},
        {"inputs": {name: [[cell] for cell in cells] for name, cells in COLUMNS.items()}},
        {"inputs": LISTS},
        {"inputs": list(ROWS), "params": {}},
        {"params": {}, "inputs": list(ROWS)},
    ],
)
def test_each_shape_of_mlflow_is_the_same_rows(body: Any) -> None:
    """Extra columns are dropped, absent keys are missing values, order is by name where there are names."""
    assert mlflow(PRICE, body) == {"predictions": list(SCORES)}


def test_mlflow_answers_classes_as_records() -> None:
    """As MLflow does for models that answer with a frame."""
    first = mlflow(PAID, {"dataframe_records": [ROWS[0]]})["predictions"][0]
    assert list(first) == ["label", "p_no", "p_yes"]
    assert first["label"] == "yes"


def test_params_are_options_of_the_answer() -> None:
    """By their names everywhere."""
    asked = {"inputs": ROWS[0], "params": {"interval": True}}
    assert mlflow(endpoint(with_interval()), asked) == {
        "predictions": [{"prediction": 1.0, "lower": 0.0, "upper": 3.0}]
    }
    asked = {"inputs": ROWS[0], "params": {"columns": ["label"], "interval": True}}
    assert mlflow(endpoint(with_sets()), asked) == {"predictions": [{"label": "yes"}]}


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ({"dataframe_split": 3}, BodyError, "dataframe_split is a number. Send an object"),
        ({"dataframe_split": {"columns": NAMES}}, BodyError, "dataframe_split.data is null. Send an array"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, BodyError, "twice"),
        (
            {"dataframe_split": {"data": [[1]]}},
            RowError,
            r"dataframe_split.data\[0\] is an array of 1 value. Send a list of 4",
        ),
        ({"dataframe_records": []}, BodyError, "no rows"),
        ({"dataframe_records": [3]}, BodyError, r"dataframe_records\[0\] is a number"),
        ({"inputs": {"amount": [1, 2], "town": ["x"]}}, BodyError, "'amount' has 2, 'town' has 1"),
        ({"inputs": [], "dataframe_records": []}, BodyError, "exactly one"),
        ({"inputs": [LISTS[0]], "params": 3}, BodyError, "params is a number"),
        ({"inputs": [LISTS[0]], "params": {"depth": 3}}, OptionError, "'depth' is no option"),
        ({"inputs": [LISTS[0]], "params": {"columns": "label,label"}}, OptionError, "names 'label' twice"),
    ],
)
def test_mlflow_bodies_that_cannot_be_read(body: Any, error: type[Exception], message: str) -> None:
    """Place, value, remedy."""
    with pytest.raises(error, match=message):
        PRICE.of(MlflowBodies).read(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "cell"),
    [
        ({"dataframe_split": {"data": [LISTS[0], ["x", "Ulm", 1, None]]}}, "dataframe_split.data[1].amount"),
        ({"dataframe_records": [{**ROWS[0], "amount": "x"}]}, "dataframe_records[0].amount"),
        ({"inputs": {**COLUMNS, "amount": [1, 2, "x", 3]}}, "inputs.amount[2]"),
    ],
)
def test_a_wrong_cell_is_named_by_its_place_in_the_body(body: Any, cell: str) -> None:
    """So that a client finds it in what it sent."""
    with pytest.raises(RowError) as caught:
        PRICE.of(MlflowBodies).read(json.dumps(body).encode())
    assert caught.value.cell == cell


def test_rows_are_not_taken_for_mlflow() -> None:
    """A model's own column called `inputs` comes before the protocol's word."""
    assert not PRICE.of(MlflowBodies).takes(json.dumps(ROWS[0]).encode())
    assert not PRICE.of(MlflowBodies).takes(b'[{"inputs": 3}]')


@pytest.mark.parametrize("instances", [list(ROWS), LISTS])
def test_instances_of_tf_serving(instances: Any) -> None:
    """Bare values where there is one output, named ones where there are several."""
    assert tf(PRICE, {"signature_name": "serving_default", "instances": instances}) == {"predictions": list(SCORES)}
    first = tf(PAID, {"instances": instances})["predictions"][0]
    assert first["label"] == "yes"
    assert sum(first["probabilities"]) == pytest.approx(1)


def test_inputs_of_tf_serving_are_columns() -> None:
    """And so are the outputs."""
    assert tf(PRICE, {"inputs": COLUMNS}) == {"outputs": list(SCORES)}
    assert list(tf(PAID, {"inputs": COLUMNS})["outputs"]) == ["label", "probabilities"]


def test_tf_serving_needs_instances_or_inputs() -> None:
    """A bare row is another protocol's."""
    with pytest.raises(BodyError, match='neither "instances" nor "inputs"'):
        PRICE.of(TfBodies).read(DEFAULT, json.dumps(ROWS[0]).encode())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["Ulm", "2024-05-01"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*NAMES, "columns", "data", "index"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(
        st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "params", "instances", "zz"]),
        JSON,
        max_size=3,
    )
)
def test_nothing_but_input_errors_comes_of_any_json(body: Any) -> None:
    """A client's mistake is never a defect of the server."""
    text = json.dumps(body).encode()
    for read in (PRICE.of(MlflowBodies).read, lambda text: PRICE.of(TfBodies).read(DEFAULT, text)):
        with contextlib.suppress(BodyError, RowError, OptionError):
            answer(PRICE, read(text))
