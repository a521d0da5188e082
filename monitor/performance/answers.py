"""Answers: what a model said of rows and, where it is known, what happened."""

from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from storage.labels.joined import TRUTH
from storage.signature import Signature
from storage.traffic import OUTPUT_PREFIX

_ID = f"{OUTPUT_PREFIX}inference_id"


class Answers(Struct, frozen=True, eq=False):
    """What a model said of N rows.

    classes: how many the model has; 0 for regression.
    label, truth: (N,) int64 class numbers; truth is -1 where it is not known. Regression has float64 values, and NaN.
    scores: float64 (N, classes), finite; (N, 0) for regression.
    request: (N,) int64, the same number for rows that clients gave one inference id: they may depend on one another.
    """

    classes: int
    label: NDArray[Any]
    truth: NDArray[Any]
    scores: NDArray[np.float64]
    request: NDArray[np.int64]

    def __len__(self) -> int:
        """Rows."""
        return len(self.label)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of which rows it is known what happened."""
        return self.truth >= 0 if self.classes else np.isfinite(self.truth)

    def of(self, rows: NDArray[Any]) -> "Answers":
        """Some of the rows."""
        return Answers(self.classes, self.label[rows], self.truth[rows], self.scores[rows], self.request[rows])


class Read(NamedTuple):
    """Answers, and which rows of the frame they are of: bool (rows,). The others cannot be scored."""

    answers: Answers
    readable: NDArray[np.bool_]


def read_answers(signature: Signature, frame: pl.DataFrame) -> Read:
    """The answers of a frame as captured traffic has them: `autopilot.label` and `autopilot.p_CLASS`, or
    `autopilot.prediction`; and `autopilot.truth`, `autopilot.inference_id` where there are such columns.

    A row cannot be scored if a probability or the value is missing, NaN or infinite, or its label is no class. A truth
    that is no class, or no finite number, counts as not known.

    >>> signature = Signature("binary", "paid", (), classes=("no", "yes"))
    >>> frame = pl.DataFrame(
    ...     {
    ...         "autopilot.label": ["yes", "no"],
    ...         "autopilot.p_no": [0.2, None],
    ...         "autopilot.p_yes": [0.8, 0.1],
    ...         "autopilot.truth": ["yes", "no"],
    ...     }
    ... )
    >>> answers, readable = read_answers(signature, frame)
    >>> len(answers), readable.tolist(), answers.truth.tolist()
    (1, [True, False], [1])
    """
    if signature.task == "regression":
        label = _numbers(frame, f"{OUTPUT_PREFIX}prediction")
        truth = _numbers(frame, TRUTH)
        scores = np.empty((frame.height, 0))
        readable = np.isfinite(label)
    else:
        names = {str(name): number for number, name in enumerate(signature.classes)}
        label, truth = (_class_numbers(frame, name, names) for name in (f"{OUTPUT_PREFIX}label", TRUTH))
        columns = [_numbers(frame, f"{OUTPUT_PREFIX}p_{name}") for name in signature.classes]
        scores = np.column_stack(columns) if frame.height else np.empty((0, len(columns)))
        readable = np.isfinite(scores).all(axis=1) & (label >= 0)
    answers = Answers(len(signature.classes), label, truth, scores, _requests(frame))
    return Read(answers.of(readable), readable)


def _numbers(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """A column as float64; what is missing or no number is NaN."""
    if name not in frame.columns:
        return np.full(frame.height, np.nan)
    return frame.get_column(name).cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()


def _class_numbers(frame: pl.DataFrame, name: str, numbers: dict[str, int]) -> NDArray[np.int64]:
    if name not in frame.columns:
        return np.full(frame.height, -1)
    text = frame.get_column(name).cast(pl.String)
    return text.replace_strict(numbers, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()


def _requests(frame: pl.DataFrame) -> NDArray[np.int64]:
    if _ID not in frame.columns:
        return np.arange(frame.height)
    ranks = frame.get_column(_ID).rank("dense").cast(pl.Int64)
    return cast("NDArray[np.int64]", ranks.fill_null(0).to_numpy())
