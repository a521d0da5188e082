"""A model's outputs as the body of an answer.

JSON:  {"predictions":[{"label":"yes","probabilities":{"no":0.25,"yes":0.75}}]}   or   {"predictions":[{"value":9.5}]}
CSV:   yes,0.25,0.75                                                              or   9.5

One entry or line for each row, in the request's order; probabilities in the order of the signature's classes. Numbers
are written so that they are read back to the bit. One that is not finite is null in JSON and an empty cell in CSV.
"""

import csv
import io
import math
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.media import Format
from storage.predictor import Outputs
from storage.signature import Signature


class Answers:
    """Encodes the answers of one model.

    Dictionaries handed to msgspec took 1.3 us for a row of two classes; text pieced together from parts that were
    encoded before took 4, since Python is slow to write a float.
    """

    def __init__(self, signature: Signature) -> None:
        self._names = [str(name) for name in signature.classes]
        self._csv_labels = {label: _csv_cell(str(label)) for label in signature.classes}

    def encode(self, outputs: Outputs, format: Format) -> bytes:
        """The body of an answer."""
        if outputs.prediction is not None:
            return _json_values(outputs.prediction) if format == "json" else _csv_values(outputs.prediction)
        assert outputs.label is not None  # noqa: S101 - for the type checker: a task has these or a prediction
        assert outputs.probabilities is not None  # noqa: S101
        rows = zip(outputs.label.tolist(), outputs.probabilities.tolist(), strict=True)
        return self._json_classes(rows) if format == "json" else self._csv_classes(rows)

    def _json_classes(self, rows: Iterable[tuple[str | int, list[float]]]) -> bytes:
        names = self._names
        predictions = [
            {"label": label, "probabilities": dict(zip(names, shares, strict=True))} for label, shares in rows
        ]
        return msgspec.json.encode({"predictions": predictions})

    def _csv_classes(self, rows: Iterable[tuple[str | int, list[float]]]) -> bytes:
        lines = [",".join((self._csv_labels[label], *map(_csv_number, shares))) for label, shares in rows]
        return ("\n".join(lines) + "\n").encode()


def _json_values(values: NDArray[np.float64]) -> bytes:
    return msgspec.json.encode({"predictions": [{"value": value} for value in values.tolist()]})


def _csv_values(values: NDArray[np.float64]) -> bytes:
    return "".join(f"{_csv_number(value)}\n" for value in values.tolist()).encode()


def _csv_number(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _csv_cell(text: str) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow([text])
    return file.getvalue()
