"""Answers are arrays that NumPy reads without pickle, with numbers of their own types."""

import io
from typing import Any

import numpy as np
import pytest

from serving.errors import OptionError
from serving.formats import Answer, Explained
from serving.formats.npy_answers import NpyAnswers
from serving.options import Options
from storage import Column, Signature
from storage.predictor import Outputs

BINARY = Signature("binary", "y", (Column("age", "number", "Int64"),), classes=("no", "Köln"))
SHARES = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
CLASSES = Outputs(np.array(["Köln", "no"], dtype=object), SHARES, None, None, np.array([[False, True], [True, True]]))


def read(signature: Signature, outputs: Outputs, options: Options, explained: Explained | None = None) -> Any:
    body = NpyAnswers(signature).write(Answer(outputs, options, explained))
    return np.load(io.BytesIO(body), allow_pickle=False)


def test_probabilities_are_an_array_of_float32() -> None:
    """(rows, classes)."""
    found = read(BINARY, CLASSES._replace(set=None), Options())
    assert found.dtype == np.float32
    assert found.tolist() == SHARES.tolist()


def test_values_are_an_array_of_float64() -> None:
    """(rows,), to the bit; what is not finite too."""
    values = np.array([0.1, np.nan, -np.inf])
    found = read(Signature("regression", "y", ()), Outputs(None, None, values), Options())
    assert found.dtype == np.float64
    assert found.tobytes() == values.tobytes()


def test_other_options_make_named_fields() -> None:
    """As of the option `columns`: classes in any script, sets with | between, contributions."""
    explained = Explained(("Köln", "no"), np.array([0.5, 0.5]), np.array([[0.25], [0.0]]), np.zeros((2, 1)))
    found = read(BINARY, CLASSES, Options(interval=True, explain=True), explained)
    assert found.dtype.names == ("label", "p_no", "p_Köln", "set", "of", "base", "contribution_age")
    assert found["p_Köln"].dtype == np.float32
    assert found[0].tolist() == ("Köln", 0.25, 0.75, "Köln", "Köln", 0.5, 0.25)
    assert found["set"].tolist() == ["Köln", "no|Köln"]
    assert read(BINARY, CLASSES, Options(columns=("label",))).tolist() == [("Köln",), ("no",)]
    assert read(BINARY, CLASSES._replace(set=None), Options(probabilities=False)).dtype.names == ("label",)


def test_whole_number_labels_are_int64() -> None:
    """Like `Predictor.predict`."""
    signature = Signature("binary", "y", (), classes=(0, 1))
    found = read(signature, CLASSES._replace(label=np.array([1, 0]), set=None), Options(columns=("label", "p_1")))
    assert found["label"].dtype == np.int64
    assert found.tolist() == [(1, 0.75), (0, 0.5)]


def test_columns_that_there_are_not_are_refused() -> None:
    """As in all formats."""
    with pytest.raises(OptionError, match="'p_maybe'"):
        read(BINARY, CLASSES, Options(columns=("p_maybe",)))
