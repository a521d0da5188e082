"""Rows asked of another version than the one that answered them: what it would have said, and how good that is."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from storage.boundary import Blocks, blocks_of_frame, checked
from storage.errors import CellError, InputError, listed
from storage.predictor import Outputs, Predictor
from storage.quality import Quality
from storage.replay.report import Against, Changed, Distribution, RowPair
from storage.replay.same import rows_of
from storage.signature import BLOCK_OF_KIND, Block, Signature

if TYPE_CHECKING:
    from collections.abc import Callable

_SAMPLE_ROWS = 200_000  # of which quantiles are told: within 0.1 % of the rows
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_DECISIONS = 100
_DTYPES: dict[Block, Any] = {"number": pl.Float64, "text": pl.String, "time": pl.Datetime("us")}


class Asked(NamedTuple):
    """Rows that another version was asked. outputs: of the rows that it can read. sound: bool (N,), which these are.
    errors: String (N,), what is wrong with the others. apart: float64, how far outputs are apart, of sound rows."""

    outputs: Outputs
    sound: NDArray[np.bool_]
    errors: pl.Series
    apart: NDArray[np.float64] | None


class Other:
    """Asks one version the rows that another has answered, and counts."""

    def __init__(self, predictor: Predictor, spec: str, answered: Signature, answered_spec: str, most: int) -> None:
        """most: examples. Raises InputError if the two predict different kinds of things."""
        self._predictor, self._spec, self._answered_spec = predictor, spec, answered_spec
        self._signature, self._answered = predictor.signature, answered
        if (answered.task == "regression") != (self._signature.task == "regression"):
            raise InputError(
                f"{spec!r} predicts {_what(self._signature)}, and {answered_spec!r} answered with {_what(answered)}. "
                "Name a version that predicts the same."
            )
        self._score = _score_of(self._signature)
        self._is_alike = set(self._signature.classes) == set(answered.classes)
        self._order = [answered.classes.index(name) for name in self._signature.classes] if self._is_alike else []
        self._rows = self._agreed = 0
        self._refused, self._reason = 0, None
        self._decisions: Counter[tuple[str | int, str | int]] = Counter()
        self._apart = _Spread()
        self._old, self._new, self._shift = _Spread(), _Spread(), _Spread()
        self._sample = _Sample()
        self._quality = Quality(self._signature, sides=2)
        self._examples = _Examples(most)

    def ask(self, frame: pl.DataFrame, captured: Outputs) -> Asked:
        """Ask rows of traffic, and count them. Raises CellError if they lack a column that the version takes."""
        blocks, errors = self._read(frame)
        sound = errors.is_null().to_numpy()
        outputs, old = self._predictor.run(blocks), rows_of(captured, sound)
        if self._is_alike and old.probabilities is not None:
            old = old._replace(probabilities=old.probabilities[:, self._order])
        apart = _apart(old, outputs) if self._is_alike else None
        self._count(old, outputs, apart)
        if not sound.all():
            self._refused += int((~sound).sum())
            self._reason = self._reason or str(errors.drop_nulls()[0])
        return Asked(outputs, sound, errors, apart)

    def judge(self, truth: pl.Series, captured: Outputs, asked: Asked) -> None:
        """Count what happened: `truth` is null where that is not known."""
        known = truth.is_not_null().to_numpy()
        if not (self._is_alike and (known & asked.sound).any()):
            return
        old = rows_of(captured, known & asked.sound)
        if old.probabilities is not None:
            old = old._replace(probabilities=old.probabilities[:, self._order])
        new = rows_of(asked.outputs, known[asked.sound])
        self._quality.add(truth.filter(pl.Series(known & asked.sound)), old, new)

    def show(self, asked: Asked, pair: "Callable[[int], RowPair]") -> None:
        """Keep those rows as examples that differ most. pair: a row by its number in the frame."""
        places = np.flatnonzero(asked.sound)
        apart = asked.apart if asked.apart is not None else np.zeros(len(places))
        self._examples.take(places, np.nan_to_num(apart, nan=0.0), pair)

    def report(self) -> Against:
        """What was counted."""
        model, _, version = self._answered_spec.rpartition(":")
        classifies = self._signature.task != "regression"
        return Against(
            model=model,
            version=int(version),
            rows=self._rows,
            refused=self._refused,
            reason=self._reason,
            agreement=self._agreed / self._rows if classifies and self._rows else None,
            decisions=_decisions(self._decisions),
            mean_difference=self._apart.mean if self._apart.rows else None,
            max_difference=self._apart.maximum if self._apart.rows else None,
            score=self._score,
            old=self._old.distribution(self._sample.side(0)),
            new=self._new.distribution(self._sample.side(1)),
            shift=self._shift.mean if self._shift.rows else None,
            labelled=self._quality.rows,
            quality=self._quality.pairs(),
            examples=self._examples.best,
        )

    def _read(self, frame: pl.DataFrame) -> tuple[Blocks, pl.Series]:
        """The inputs of the rows that can be read, and what is wrong with each of the others."""
        signature = self._signature
        wanted = {column.name: _DTYPES[BLOCK_OF_KIND[column.kind]] for column in signature.columns}
        if lacking := [name for name in wanted if name not in frame.columns]:
            raise CellError(
                f"{self._spec!r} takes {listed(lacking)}, which is not in the traffic that {self._answered_spec!r} "
                f"answered. Name a version that takes no more than {listed(self._answered.names)}.",
                column=lacking[0],
            )
        if all(frame.schema[name] == dtype for name, dtype in wanted.items()):
            return blocks_of_frame(signature, frame), pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
        clean, errors = checked(signature, frame)
        return blocks_of_frame(signature, clean.filter(errors.is_null())), errors

    def _count(self, old: Outputs, new: Outputs, apart: NDArray[np.float64] | None) -> None:
        rows = len(np.asarray(new.label if new.prediction is None else new.prediction))
        self._rows += rows
        if old.label is not None and new.label is not None:
            pairs = pl.DataFrame({"old": _labels(old), "new": _labels(new)}).group_by("old", "new").len()
            for one, other, count in pairs.iter_rows():
                self._decisions[one, other] += count
                self._agreed += count * (one == other)
        if apart is None:
            return
        self._apart.add(apart)
        scores = np.column_stack([_scores(old), _scores(new)])
        finite = scores[np.isfinite(scores).all(axis=1)]
        self._old.add(finite[:, 0])
        self._new.add(finite[:, 1])
        self._shift.add(finite[:, 1] - finite[:, 0])
        self._sample.add(finite)


def _what(signature: Signature) -> str:
    return "a number" if signature.task == "regression" else f"one of {listed([str(c) for c in signature.classes])}"


def _score_of(signature: Signature) -> str:
    """What is told of how outputs are spread."""
    if signature.task == "regression":
        return "prediction"
    return f"p_{signature.classes[1]}" if len(signature.classes) == 2 else "the label's probability"


def _scores(outputs: Outputs) -> NDArray[np.float64]:
    if outputs.probabilities is None:
        return np.asarray(outputs.prediction, dtype=np.float64)
    shares = outputs.probabilities
    return (shares[:, 1] if shares.shape[1] == 2 else shares.max(axis=1)).astype(np.float64)


def _apart(one: Outputs, other: Outputs) -> NDArray[np.float64]:
    """How far answers are apart, of probabilities the class that differs most; NaN where one of them is no number."""
    if one.probabilities is None or other.probabilities is None:
        old, new = np.asarray(one.prediction, dtype=np.float64), np.asarray(other.prediction, dtype=np.float64)
        with np.errstate(invalid="ignore"):  # infinity - infinity
            return np.abs(old - new)
    return np.abs(one.probabilities.astype(np.float64) - other.probabilities).max(axis=1)


def _labels(outputs: Outputs) -> list[str | int]:
    return np.asarray(outputs.label).tolist()


def _decisions(counts: "Counter[tuple[str | int, str | int]]") -> tuple[Changed, ...]:
    """Those that changed first, the most frequent of them first."""
    order = sorted(counts.items(), key=lambda item: (item[0][0] == item[0][1], -item[1], str(item[0])))
    return tuple(Changed(old, new, rows) for (old, new), rows in order[:_MOST_DECISIONS])


class _Spread:
    """Mean, deviation and ends of numbers; what is no finite number is left out."""

    def __init__(self) -> None:
        self.rows = 0
        self.mean = self._squares = 0.0
        self.minimum, self.maximum = np.inf, -np.inf

    def add(self, values: NDArray[np.float64]) -> None:
        """Count numbers: Chan, Golub and LeVeque's merging of means."""
        values = values[np.isfinite(values)]
        count = len(values)
        if not count:
            return
        mean, rows = float(values.mean()), self.rows + count
        moved = mean - self.mean
        self._squares += float(((values - mean) ** 2).sum()) + moved**2 * self.rows * count / rows
        self.mean += moved * count / rows
        self.rows = rows
        self.minimum, self.maximum = min(self.minimum, float(values.min())), max(self.maximum, float(values.max()))

    def distribution(self, sample: NDArray[np.float64]) -> Distribution | None:
        """With quantiles of a sample; None without numbers."""
        if not self.rows:
            return None
        q05, q25, median, q75, q95 = (float(value) for value in np.quantile(sample, _QUANTILES))
        std = float(np.sqrt(self._squares / self.rows))
        return Distribution(self.mean, std, self.minimum, q05, q25, median, q75, q95, self.maximum)


class _Sample:
    """So many rows of all, each as likely as any other: those of the smallest random keys."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._keys = np.empty(0)
        self._rows = np.empty((0, 2))

    def add(self, rows: NDArray[np.float64]) -> None:
        """Offer rows: (N, 2)."""
        keys = np.concatenate([self._keys, self._random.random(len(rows))])
        rows = np.concatenate([self._rows, rows])
        if len(rows) > _SAMPLE_ROWS:
            kept = np.argpartition(keys, _SAMPLE_ROWS)[:_SAMPLE_ROWS]
            keys, rows = keys[kept], rows[kept]
        self._keys, self._rows = keys, rows

    def side(self, number: int) -> NDArray[np.float64]:
        """One column of the sample."""
        return self._rows[:, number]


class _Examples:
    """The rows with the largest differences so far."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: list[tuple[float, RowPair]] = []

    def take(self, places: NDArray[np.int64], apart: NDArray[np.float64], pair: "Callable[[int], RowPair]") -> None:
        """Offer rows; only those that are kept are made into pairs."""
        least = self._found[-1][0] if len(self._found) >= self._most else -1.0
        wanted = np.flatnonzero(apart > least)
        for at in wanted[np.argsort(-apart[wanted], kind="stable")[: self._most]]:
            self._found.append((float(apart[at]), pair(int(places[at]))))
        self._found = sorted(self._found, key=lambda found: -found[0])[: self._most]

    @property
    def best(self) -> tuple[RowPair, ...]:
        """The largest first."""
        return tuple(found for _, found in self._found)


def missing_columns(frame: pl.DataFrame, signature: Signature, names: Sequence[str]) -> pl.DataFrame:
    """The frame with columns of the signature that it lacks, all null."""
    dtypes = {column.name: _DTYPES[BLOCK_OF_KIND[column.kind]] for column in signature.columns}
    return frame.with_columns(
        pl.lit(None, dtypes[name]).alias(name) for name in names if name in dtypes and name not in frame.columns
    )
