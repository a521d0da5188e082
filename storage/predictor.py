"""The Predictor: an ONNX model file, opened with onnxruntime and NumPy alone."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from storage.boundary import Blocks, RowReader, blocks_of_frame, checked, typed
from storage.errors import DataError, InputError, ModelFileError
from storage.packed import PACK_TENSOR, pack, read_extra, read_metadata
from storage.records import Card
from storage.signature import BLOCKS, Block, Signature

if TYPE_CHECKING:
    import polars as pl

#: Rows of one call of the graph: a hundred times what a call's fixed cost is, and few enough that one text of 1,000
#: words, to which all of a call are filled up, or the distances to 3,000 rows, take some tens of MB.
_CHUNK_ROWS = 1_000


#: Where a model runs.
Provider = Literal["cpu", "cuda"]

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

#: What becomes of a row that is not as in training: it is raised as an error, or its outputs are null.
OnError = Literal["raise", "null"]


class Outputs(NamedTuple):
    """What the graph gives for N rows.

    label: (N,) of str or int64, and probabilities: float32 (N, C) in the order of `signature.classes`; or
    prediction: float64 (N,) for regression. What the task does not have is None. interval: float64 (N, 2), lower and
    upper end; set: bool (N, C), whether the class is in the set; None unless asked for.
    """

    label: NDArray[Any] | None
    probabilities: NDArray[np.float32] | None
    prediction: NDArray[np.float64] | None
    interval: NDArray[np.float64] | None = None
    set: NDArray[np.bool_] | None = None


class Predictor:
    """Predicts with a stored model; safe to share between threads.

    It runs the packed sister of the file (`storage/packed.py`) on one thread: on shared machines more threads made
    each size of request slower. `signature` tells inputs and outputs, `card` how the model came to be.
    """

    def __init__(self, model: bytes, *, provider: Provider = "cpu") -> None:
        """Open a model file's bytes. Raises ModelFileError if autopilot did not write them.

        provider: where it is to run; where onnxruntime has no `cuda`, the attribute `provider` tells that it is `cpu`.
        """
        metadata = read_metadata(model)
        try:
            self.signature = msgspec.json.decode(metadata["signature"], type=Signature)
            self.card = msgspec.json.decode(metadata["card"], type=Card)
        except (KeyError, msgspec.MsgspecError) as error:
            raise ModelFileError("The file is not a model that autopilot wrote: it has no signature.") from error
        self.model_bytes = model
        self._rows = RowReader(self.signature)
        widths: dict[Block, int] = {block: len(self.signature.block(block)) for block in BLOCKS}
        self._extra = read_extra(model)
        self._widths = widths
        self._session = open_session(pack(model, widths, without=self._extra), provider)
        self._fed = [(PACK_TENSOR.format(block), index) for index, block in enumerate(BLOCKS) if widths[block]]
        self._outputs = ["prediction"] if self.signature.task == "regression" else ["label", "probabilities"]

    @classmethod
    def open(cls, path: str | Path) -> "Predictor":
        """Open a model file. Raises DataError if there is none, ModelFileError if autopilot did not write it."""
        try:
            model = Path(path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise DataError(f"There is no model file {str(path)!r}. Give the path of an .onnx file.") from error
        except OSError as error:
            raise DataError(f"The model file {str(path)!r} cannot be read: {error.strerror}. Allow it.") from error
        return cls(model)

    def save(self, path: str | Path) -> Path:
        """Write the portable model file; it runs wherever onnxruntime does, without autopilot."""
        path = Path(path)
        path.write_bytes(self.model_bytes)
        return path

    @property
    def provider(self) -> Provider:
        """Where it runs."""
        return "cuda" if _CUDA in self._session.get_providers() else "cpu"

    @property
    def has_interval(self) -> bool:
        """Whether it can tell how sure it is: by an interval for values, a set of classes otherwise."""
        return self._extra is not None

    def predict(
        self, frame: "pl.DataFrame", *, interval: bool = False, on_error: OnError = "raise", first_row: int = 0
    ) -> "pl.DataFrame":
        """Predict a frame of raw columns; more columns than the model takes do no harm.

        Gives the rows in their order: `label` and `p_CLASS` for each class, or `prediction`. With `interval` also
        `lower` and `upper`, or for classes `set`, a list of those that the row may have. Raises DataError for the
        first cell that is not as in training. With `on_error="null"` the outputs of such a row are null instead, and a
        further column `error` tells what is wrong, null for sound rows; DataError then means that a column is absent.
        first_row: number of the frame's first row, for messages. Raises InputError if the model gives no interval.
        """
        if _check(on_error) == "raise":
            clean = typed(self.signature, frame, first_row=first_row)
            outputs = self.run(blocks_of_frame(self.signature, clean), interval=interval)
            return frame_of_outputs(self.signature, outputs)
        import polars as pl

        clean, errors = checked(self.signature, frame, first_row=first_row)
        sound = errors.is_null()
        outputs = self.run(blocks_of_frame(self.signature, clean.filter(sound)), interval=interval)
        answered = frame_of_outputs(self.signature, outputs)
        places = (sound.cum_sum().cast(pl.Int64) - 1).set(~sound, None)  # of each sound row among the sound ones
        return answered.select(pl.all().gather(places)).with_columns(errors)

    def predict_row(self, row: Mapping[str, Any], *, interval: bool = False) -> dict[str, Any]:
        """Predict one row given as a dictionary; the fastest way for one row. Raises RowError.

        The answer has the same keys as the columns of `predict`.
        """
        return self.predict_rows([row], interval=interval)[0]

    def predict_rows(
        self, rows: Sequence[Mapping[str, Any]], *, interval: bool = False, on_error: OnError = "raise"
    ) -> list[dict[str, Any]]:
        """Predict rows given as dictionaries, in their order.

        Raises RowError that names row and column. With `on_error="null"` the values of such a row are None instead, and
        the key `error` tells what is wrong, None for sound rows. interval: as of `predict`.
        """
        if _check(on_error) == "raise":
            return self._answers(self._rows.read(rows), interval=interval)
        blocks, errors = self._rows.checked(rows)
        answers = iter(self._answers(blocks, interval=interval))
        nothing = dict.fromkeys([*self.signature.outputs, *(self.extra_names if interval else ())])
        return [{**(nothing if error else next(answers)), "error": error} for error in errors]

    def _answers(self, blocks: Blocks, *, interval: bool) -> list[dict[str, Any]]:
        if not interval:
            return self._dictionaries(self.run_once(blocks)) if blocks.rows else []
        outputs = self.run(blocks, interval=True)
        answers = self._dictionaries(outputs)
        if outputs.interval is not None:
            ends = outputs.interval.tolist()
            return [{**answer, "lower": low, "upper": high} for answer, (low, high) in zip(answers, ends, strict=True)]
        sets = _named(self.signature, outputs.set)
        return [{**answer, "set": names} for answer, names in zip(answers, sets, strict=True)]

    def _dictionaries(self, outputs: Outputs) -> list[dict[str, Any]]:
        names = self.signature.outputs
        if outputs.label is None or outputs.probabilities is None:
            return [{"prediction": value} for value in np.asarray(outputs.prediction).tolist()]
        pairs = zip(outputs.label.tolist(), outputs.probabilities.tolist(), strict=True)
        return [dict(zip(names, (label, *shares), strict=True)) for label, shares in pairs]

    def run(self, blocks: Blocks, *, interval: bool = False) -> Outputs:
        """Run the graph on any number of rows, none too, in chunks of bounded memory.

        interval: with the interval or the sets. Raises InputError if the model gives none.
        """
        run_once = self._run_whole if interval else self.run_once
        if interval:
            self.check_interval()
        if not blocks.rows:  # operators over text refuse a tensor without elements
            return self._nothing(interval=interval)
        if blocks.rows <= _CHUNK_ROWS:
            return run_once(blocks)
        starts = range(0, blocks.rows, _CHUNK_ROWS)
        parts = [run_once(blocks.slice(start, start + _CHUNK_ROWS)) for start in starts]
        return Outputs(*(None if part[0] is None else np.concatenate(part) for part in zip(*parts, strict=True)))

    def run_once(self, blocks: Blocks) -> Outputs:
        """Run the graph once, on at least one row: the hot path of serving."""
        answer = self._session.run(self._outputs, {name: blocks[index] for name, index in self._fed})
        if len(answer) == 1:
            return Outputs(None, None, answer[0].reshape(-1))
        return Outputs(answer[0], answer[1], None)

    def _run_whole(self, blocks: Blocks) -> Outputs:
        """Run the graph once with the interval or the sets."""
        answer = self._whole.run([*self._outputs, self._extra], {name: blocks[index] for name, index in self._fed})
        if len(answer) == 2:
            return Outputs(None, None, answer[0].reshape(-1), answer[1])
        return Outputs(answer[0], answer[1], None, None, answer[2])

    @cached_property
    def _whole(self) -> Any:
        """A session of all outputs. Two threads may both open one; the last is kept."""
        return open_session(pack(self.model_bytes, self._widths), self.provider)

    @property
    def extra_names(self) -> tuple[str, ...]:
        """Columns of `predict` with an interval, beside the usual ones."""
        return ("lower", "upper") if self._extra == "interval" else ("set",)

    def check_interval(self) -> None:
        """Raise InputError if the model cannot tell how sure it is."""
        if not self.has_interval:
            what = "interval" if self.signature.task == "regression" else "sets of classes"
            raise InputError(
                f"The model {self.card.name!r} gives no {what}: it was trained on too few rows for it, or by a version "
                "that wrote none. Fit again with more rows, or predict without."
            )

    def _nothing(self, *, interval: bool) -> Outputs:
        """The outputs of no rows."""
        classes = len(self.signature.classes)
        if self.signature.task == "regression":
            return Outputs(None, None, np.empty(0), np.empty((0, 2)) if interval else None)
        sets = np.empty((0, classes), dtype=np.bool_) if interval else None
        return Outputs(np.empty(0, dtype=object), np.empty((0, classes), dtype=np.float32), None, None, sets)


def _check(on_error: OnError) -> OnError:
    if on_error not in get_args(OnError):
        raise InputError(f"on_error is {on_error!r}. Use {' or '.join(map(repr, get_args(OnError)))}.")
    return on_error


def open_session(model: bytes, provider: Provider = "cpu") -> Any:
    """An onnxruntime session as we want it everywhere: one thread, no spinning. Raises ModelFileError.

    provider: `cuda` is used where onnxruntime has it; what it cannot do there, and all without it, is done by the CPU.

    More threads, or spinning ones, made single rows and batches slower on shared cores; callers that have many rows
    run several calls at once, since `run` releases the interpreter lock.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [_CUDA, _CPU] if provider == "cuda" and _CUDA in onnxruntime.get_available_providers() else [_CPU]
    try:
        return onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise ModelFileError(f"onnxruntime {onnxruntime.__version__} cannot open the model: {error}") from error


def frame_of_outputs(signature: Signature, outputs: Outputs) -> "pl.DataFrame":
    """Outputs as a frame with the columns `signature.outputs`, and `lower` and `upper`, or `set`, if they are there."""
    import polars as pl

    if outputs.label is None or outputs.probabilities is None:
        frame = pl.DataFrame({"prediction": np.asarray(outputs.prediction, dtype=np.float64)})
        ends = outputs.interval
        return frame if ends is None else frame.with_columns(lower=pl.Series(ends[:, 0]), upper=pl.Series(ends[:, 1]))
    dtype = pl.String if isinstance(signature.classes[0], str) else pl.Int64
    shares = {f"p_{name}": outputs.probabilities[:, index] for index, name in enumerate(signature.classes)}
    frame = pl.DataFrame({"label": pl.Series(outputs.label.tolist(), dtype=dtype), **shares})
    if outputs.set is None:
        return frame
    return frame.with_columns(set=pl.Series(_named(signature, outputs.set), dtype=pl.List(dtype)))


def _named(signature: Signature, sets: NDArray[np.bool_] | None) -> list[list[str | int]]:
    """The classes of each row's set, by name."""
    names = np.array(signature.classes, dtype=object)
    return [names[row].tolist() for row in np.asarray(sets, dtype=np.bool_)]
