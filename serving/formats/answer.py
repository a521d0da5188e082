"""What is told of rows: a model's outputs and what was asked of them. Formats write it, each in its own way."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.errors import OptionError
from serving.options import DEFAULT, Options
from storage.predictor import Outputs
from storage.signature import Signature


class Explained(NamedTuple):
    """What each column added to the answers of N rows (Shapley values); base and a row's contributions sum to what is
    explained, a probability or a value.

    of: (N,), the class whose probability that is, or `prediction`. base: float64 (N,), its mean over rows of training.
    contributions: float64 (N, P), in the order of the signature's columns. errors: their standard errors; 0 where they
    are exact.
    """

    of: tuple[str | int, ...]
    base: NDArray[np.float64]
    contributions: NDArray[np.float64]
    errors: NDArray[np.float64]


class Answer(NamedTuple):
    """Outputs for N rows, with what the client asked of them."""

    outputs: Outputs
    options: Options = DEFAULT
    explained: Explained | None = None


#: The prefix of the columns that hold contributions in flat answers.
CONTRIBUTION = "contribution_"


def answer_columns(signature: Signature, answer: Answer) -> dict[str, NDArray[Any] | list[Any]]:
    """An answer as columns of N values, for formats that are tables.

    `label` and `p_CLASS` for each class, or `prediction`; then as asked `lower` and `upper`, or `set` (lists of
    classes); then `of`, `base` and `contribution_COLUMN` for each column of the signature. `options.columns` chooses
    among them and orders them. Raises OptionError for a name that is not among them.
    """
    outputs, options, explained = answer
    columns: dict[str, NDArray[Any] | list[Any]] = {}
    if outputs.prediction is not None:
        columns["prediction"] = outputs.prediction
    else:
        assert outputs.label is not None  # noqa: S101 - for the type checker: a task has these or a prediction
        assert outputs.probabilities is not None  # noqa: S101
        columns["label"] = outputs.label
        if options.probabilities:
            columns |= {f"p_{name}": outputs.probabilities[:, at] for at, name in enumerate(signature.classes)}
    if outputs.interval is not None:
        columns |= {"lower": outputs.interval[:, 0], "upper": outputs.interval[:, 1]}
    if outputs.set is not None:
        columns["set"] = sets_of(signature, outputs.set)
    if explained is not None:
        columns |= {"of": list(explained.of), "base": explained.base}
        columns |= {CONTRIBUTION + name: explained.contributions[:, at] for at, name in enumerate(signature.names)}
    return {name: columns[name] for name in _chosen(options.columns, columns)} if options.columns else columns


def sets_of(signature: Signature, sets: NDArray[np.bool_]) -> list[list[str | int]]:
    """The classes in each row's set."""
    names = np.array(signature.classes, dtype=object)
    return [names[row].tolist() for row in sets]


def _chosen(wanted: tuple[str, ...], columns: dict[str, Any]) -> tuple[str, ...]:
    for name in wanted:
        if name not in columns:
            raise OptionError(
                f"Option 'columns' names {name!r}. The answer has {', '.join(map(repr, list(columns)[:20]))}."
            )
    return wanted
