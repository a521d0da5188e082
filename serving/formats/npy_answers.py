"""Answers as NumPy arrays, read by `numpy.load` and the SageMaker SDK's NumpyDeserializer.

Values are float64 (N,), probabilities float32 (N, C) in the order of the signature's classes. Whatever else is asked
for makes it an array (N,) of named fields, the columns of `formats.answer`: numbers keep their types, labels are str or
int64, a set is its classes with | between.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.formats.answer import Answer, answer_columns
from storage.signature import Signature


class NpyAnswers:
    """Writes the answers of one model."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature

    def write(self, answer: Answer) -> bytes:
        """The body of an answer."""
        file, array = io.BytesIO(), self._array(answer)
        version = (1, 0) if array.dtype.names is None else (3, 0)  # of any length, in UTF-8
        np.lib.format.write_array(file, array, version, allow_pickle=False)
        return file.getvalue()

    def _array(self, answer: Answer) -> NDArray[Any]:
        outputs, options, explained = answer
        is_usual = not options.columns and options.probabilities and explained is None
        if is_usual and outputs.interval is None and outputs.set is None:
            array = outputs.probabilities if outputs.prediction is None else outputs.prediction
            return np.asarray(array)
        fields = {name: _field(values) for name, values in answer_columns(self._signature, answer).items()}
        table = np.empty(
            len(next(iter(fields.values()))), dtype=[(name, values.dtype) for name, values in fields.items()]
        )
        for name, values in fields.items():
            table[name] = values
        return table


def _field(values: NDArray[Any] | list[Any]) -> NDArray[Any]:
    """Values as a type that no pickle is needed for."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return values
    plain: list[Any] = list(values)
    if plain and isinstance(plain[0], list):
        plain = ["|".join(map(str, classes)) for classes in plain]
    return np.array(plain, dtype=np.int64 if all(isinstance(value, int) for value in plain) else np.str_)
