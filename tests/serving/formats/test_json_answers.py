"""Outputs become the bodies that the interface promises."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from serving.formats import Answer
from serving.formats.csv_answers import CsvAnswers
from serving.formats.json_answers import JsonAnswers
from serving.options import Options
from storage import Signature
from storage.predictor import Outputs

BINARY = Signature("binary", "y", (), classes=("no", "yes"))
REGRESSION = Signature("regression", "y", ())


def classes(labels: list[str] | list[int], shares: list[list[float]]) -> Outputs:
    return Outputs(np.array(labels, dtype=object), np.array(shares, dtype=np.float32), None)


def values(numbers: list[float]) -> Outputs:
    return Outputs(None, None, np.array(numbers))


def test_classes_as_json_and_csv() -> None:
    """The shapes that clients build against."""
    outputs = classes(["yes", "no"], [[0.25, 0.75], [0.5, 0.5]])
    assert JsonAnswers(BINARY).write(Answer(outputs)) == (
        b'{"predictions":[{"label":"yes","probabilities":{"no":0.25,"yes":0.75}},'
        b'{"label":"no","probabilities":{"no":0.5,"yes":0.5}}]}'
    )
    assert CsvAnswers(BINARY).write(Answer(outputs)) == b"yes,0.25,0.75\nno,0.5,0.5\n"


def test_labels_of_csv_are_quoted_as_rfc_4180_wants() -> None:
    """With commas, quotes and line ends."""
    outputs = classes(["a,b", 'say "x"', "two\nlines", "\r"], [[0.0, 1.0]] * 4)
    answers = CsvAnswers(Signature("multiclass", "y", (), classes=("", "")))
    body = answers.write(Answer(outputs, Options(columns=("label",))))
    assert body == b'"a,b"\n"say ""x"""\n"two\nlines"\n"\r"\n'


def test_values_as_json_and_csv() -> None:
    """Float64 in the fewest digits that give it back."""
    assert (
        JsonAnswers(REGRESSION).write(Answer(values([9.5, 1e-9]))) == b'{"predictions":[{"value":9.5},{"value":1e-9}]}'
    )
    assert CsvAnswers(REGRESSION).write(Answer(values([9.5, 0.1]))) == b"9.5\n0.1\n"


def test_whole_number_labels_stay_numbers() -> None:
    """Keys of a JSON object are text, labels are not."""
    answers = JsonAnswers(Signature("binary", "y", (), classes=(0, 1)))
    assert json.loads(answers.write(Answer(classes([1], [[0.0, 1.0]])))) == {
        "predictions": [{"label": 1, "probabilities": {"0": 0.0, "1": 1.0}}]
    }


@given(names=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, max_size=4, unique=True))
def test_class_names_may_hold_any_character(names: list[str]) -> None:
    """Quotes, percent signs and commas are written so that readers give them back."""
    answers = JsonAnswers(Signature("multiclass", "y", (), classes=tuple(names)))
    shares = [[1 / 8] * len(names)]
    row = json.loads(answers.write(Answer(classes([names[-1]], shares))))["predictions"][0]
    assert row == {"label": names[-1], "probabilities": dict.fromkeys(names, 0.125)}


@given(arrays(np.float32, (3, 2), elements=st.floats(0, 1, width=32)))
def test_probabilities_are_read_back_to_the_bit(shares: np.ndarray) -> None:
    """Whoever parses the numbers as float64 has them exactly."""
    body = JsonAnswers(BINARY).write(Answer(Outputs(np.array(["no"] * 3, dtype=object), shares, None)))
    read = [list(row["probabilities"].values()) for row in json.loads(body)["predictions"]]
    np.testing.assert_array_equal(np.array(read), shares)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_null_or_empty(bad: float) -> None:
    """JSON has no NaN."""
    outputs = classes(["no"], [[bad, 0.5]])
    assert json.loads(JsonAnswers(BINARY).write(Answer(outputs)))["predictions"][0]["probabilities"]["no"] is None
    assert CsvAnswers(BINARY).write(Answer(outputs)) == b"no,,0.5\n"
    assert JsonAnswers(REGRESSION).write(Answer(values([bad]))) == b'{"predictions":[{"value":null}]}'
    assert CsvAnswers(REGRESSION).write(Answer(values([bad, 1.0]))) == b"\n1.0\n"
