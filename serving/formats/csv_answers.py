"""Answers as CSV: a line for each row in the request's order, without a header.

yes,0.25,0.75   or   9.5

The cells are the columns of `formats.answer`: the label and the probabilities in the order of the signature's classes,
or the value; then what else was asked for. A set is written as its classes with | between. Numbers are read back to the
bit; one that is not finite is an empty cell.
"""

import math
from typing import Any

import numpy as np

from serving.formats.answer import Answer, answer_columns
from storage.signature import Signature


class CsvAnswers:
    """Writes the answers of one model."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature

    def write(self, answer: Answer) -> bytes:
        """The body of an answer."""
        columns = answer_columns(self._signature, answer).values()
        cells = [[_cell(value) for value in _values(column)] for column in columns]
        return ("\n".join(map(",".join, zip(*cells, strict=True))) + "\n").encode()


def _values(column: Any) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return _quoted("|".join(map(str, value)) if isinstance(value, list) else str(value))  # pyright: ignore[reportUnknownArgumentType]


def _quoted(text: str) -> str:
    if not any(character in text for character in '",\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'
