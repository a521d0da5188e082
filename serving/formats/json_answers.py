"""Answers as JSON.

{"predictions":[{"label":"yes","probabilities":{"no":0.25,"yes":0.75}}]}   or   {"predictions":[{"value":9.5}]}

One entry for each row, in the request's order; probabilities in the order of the signature's classes. As asked there
are also "interval":[lower,upper] or "set":["yes"], and
"explanation":{"of":"yes","base":0.4,"contributions":{"age":0.1}}. With the option `columns` entries are flat:
{"label":"yes","p_yes":0.75}. Numbers are written so that they are read back to the bit; one that is not finite is null.
"""

from typing import Any

import msgspec
import numpy as np

from serving.formats.answer import Answer, Explained, answer_columns, sets_of
from serving.options import DEFAULT
from storage.predictor import Outputs
from storage.signature import Signature


class JsonAnswers:
    """Writes the answers of one model.

    Dictionaries handed to msgspec took 1.3 us for a row of two classes; text pieced together from parts that were
    encoded before took 4, since Python is slow to write a float.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._names = [str(name) for name in signature.classes]

    def write(self, answer: Answer) -> bytes:
        """The body of an answer."""
        return msgspec.json.encode({"predictions": self.entries(answer)})

    def entries(self, answer: Answer) -> list[dict[str, Any]]:
        """What is told of each row."""
        if answer.options.columns:
            return flat_entries(self._signature, answer)
        entries = self._usual(answer.outputs, probabilities=answer.options.probabilities)
        if answer.options is not DEFAULT:
            self._add(entries, answer)
        return entries

    def _usual(self, outputs: Outputs, *, probabilities: bool) -> list[dict[str, Any]]:
        if outputs.prediction is not None:
            return [{"value": value} for value in outputs.prediction.tolist()]
        assert outputs.label is not None  # noqa: S101 - for the type checker: a task has these or a prediction
        assert outputs.probabilities is not None  # noqa: S101
        labels = outputs.label.tolist()
        if not probabilities:
            return [{"label": label} for label in labels]
        names = self._names
        return [
            {"label": label, "probabilities": dict(zip(names, shares, strict=True))}
            for label, shares in zip(labels, outputs.probabilities.tolist(), strict=True)
        ]

    def _add(self, entries: list[dict[str, Any]], answer: Answer) -> None:
        """What is told only if it was asked for."""
        outputs, _, explained = answer
        if outputs.interval is not None:
            _put(entries, "interval", outputs.interval.tolist())
        if outputs.set is not None:
            _put(entries, "set", sets_of(self._signature, outputs.set))
        if explained is not None:
            _put(entries, "explanation", _explanations(self._signature.names, explained))


def _explanations(names: tuple[str, ...], explained: Explained) -> list[dict[str, Any]]:
    """What is told of each row; standard errors only where there are any."""
    told: list[dict[str, Any]] = [
        {"of": of, "base": base, "contributions": dict(zip(names, row, strict=True))}
        for of, base, row in zip(explained.of, explained.base.tolist(), explained.contributions.tolist(), strict=True)
    ]
    for entry, errors in zip(told, explained.errors, strict=True):
        if errors.any():
            entry["standard_errors"] = dict(zip(names, errors.tolist(), strict=True))
    return told


def flat_entries(signature: Signature, answer: Answer) -> list[dict[str, Any]]:
    """What is told of each row, without anything inside anything: the columns of `Predictor.predict`."""
    columns = answer_columns(signature, answer)
    values = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _put(entries: list[dict[str, Any]], name: str, values: list[Any]) -> None:
    for entry, value in zip(entries, values, strict=True):
        entry[name] = value
