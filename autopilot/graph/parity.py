"""The parity gate: what the file gives is what was trained, on real and on hostile rows, or it is not published."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.model import TrainedModel
from storage.boundary import Blocks, blocks_of_frame
from storage.packed import PACK_TENSOR, pack
from storage.predictor import Outputs, open_session
from storage.records import Parity
from storage.signature import BLOCKS, Block, Signature

#: Largest difference of a probability, or of a prediction in units of the target's standard deviation (of its own
#: distance from the mean where that is more).
TOLERANCE = 1e-5

_REAL_ROWS = 2000
#: Columns varied one by one: 200, and fewer in wide tables, whose rows cost more.
_VARIED_COLUMNS = 200
_VARIED_CELLS = 200_000
#: Strings that no training table holds: unseen, long, other scripts, other cases, spaces.
_STRANGE_TEXTS = ("", "\U0001f600 never seen", "ÄÖÜ straße İ", "a" * 300, "  two  spaces ", "nan", "None", "0", "\t\n")
_STRANGE_NUMBERS = (float("inf"), float("-inf"), 1e308, -1e308, 5e-324, 0.0, -0.0, 16_777_217.0, 1e38, -1.5)
#: 0001-01-01, 1899, 1900-02-28, 1970 and just before, 2000-02-29, 2100-12-31, 2101, 9999-12-31.
_STRANGE_TIMES = (
    -62_135_596_800_000_000,
    -2_208_988_800_000_001,
    -2_203_977_600_000_000,
    0,
    -1,
    951_827_696_789_012,
    4_133_980_799_999_999,
    4_133_980_800_000_000,
    253_402_300_799_999_999,
)


def measure(model: TrainedModel, file: bytes, frame: pl.DataFrame, seed: int) -> Parity:
    """Run rows through the trained model and through the file, and tell how far they are apart.

    frame: the training rows, typed. The portable and the packed graph have to agree to the bit, or the difference
    counts as infinite.
    """
    rows = hostile_rows(model.signature, frame, seed)
    blocks = blocks_of_frame(model.signature, rows)
    packed = _run(pack(file, _widths(model.signature)), model.signature, _packed_feeds(model.signature, blocks))
    portable = _run(file, model.signature, _portable_feeds(model.signature, blocks))
    if not _identical(packed, portable):
        return Parity(rows.height, float("inf"), rows.height)
    return _compare(model, model.predict(rows), packed)


def passes(parity: Parity) -> bool:
    """Whether the difference is small enough to publish."""
    return parity.label_flips == 0 and parity.max_abs_diff <= TOLERANCE


def hostile_rows(signature: Signature, frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Real rows, and real rows with one column after the other made missing, unseen or extreme, and one all missing."""
    real = frame.sample(min(_REAL_ROWS, frame.height), seed=seed)
    columns = list(signature.columns)
    rng = np.random.default_rng(seed)
    most = min(_VARIED_COLUMNS, max(1, _VARIED_CELLS // len(columns)))
    if len(columns) > most:
        columns = [columns[i] for i in sorted(rng.choice(len(columns), most, replace=False))]
    schema = frame.schema
    varied = [_varied(real, column.name, _strange(schema[column.name])) for column in columns]
    nothing = real.head(1).select(pl.lit(None, dtype=dtype).alias(name) for name, dtype in real.schema.items())
    return pl.concat([real, *varied, nothing])


def _varied(real: pl.DataFrame, name: str, values: pl.Series) -> pl.DataFrame:
    """The first rows with strange values in one column."""
    rows = real.head(len(values))
    return rows.with_columns(values.head(rows.height).alias(name))


def _strange(dtype: pl.DataType) -> pl.Series:
    if dtype == pl.String:
        return pl.Series([None, *_STRANGE_TEXTS], dtype=pl.String)
    if dtype == pl.Float64:
        return pl.Series([None, *_STRANGE_NUMBERS], dtype=pl.Float64)
    return pl.Series([None, *_STRANGE_TIMES], dtype=pl.Int64).cast(pl.Datetime("us"))


def _run(file: bytes, signature: Signature, feeds: dict[str, NDArray[np.generic]]) -> Outputs:
    session: Any = open_session(file)
    if signature.task == "regression":
        return Outputs(None, None, session.run(["prediction"], feeds)[0].reshape(-1))
    label, shares = session.run(["label", "probabilities"], feeds)
    return Outputs(label, shares, None)


def _widths(signature: Signature) -> dict[Block, int]:
    return {block: len(signature.block(block)) for block in BLOCKS}


def _packed_feeds(signature: Signature, blocks: Blocks) -> dict[str, NDArray[np.generic]]:
    return {PACK_TENSOR.format(block): getattr(blocks, block) for block in BLOCKS if signature.block(block)}


def _portable_feeds(signature: Signature, blocks: Blocks) -> dict[str, NDArray[np.generic]]:
    return {
        name: getattr(blocks, block)[:, index : index + 1]
        for block in BLOCKS
        for index, name in enumerate(signature.block(block))
    }


def _identical(left: Outputs, right: Outputs) -> bool:
    pairs = zip(left, right, strict=True)
    return all(a is None if b is None else a is not None and np.array_equal(a, b) for a, b in pairs)


def _compare(model: TrainedModel, trained: Outputs, served: Outputs) -> Parity:
    if trained.probabilities is None:
        units = np.abs(model.unit.scale(_numbers(trained.prediction)))
        apart = np.abs(model.unit.scale(_numbers(served.prediction)) - model.unit.scale(_numbers(trained.prediction)))
        return Parity(len(apart), _largest(apart / np.maximum(1.0, units)), 0)
    apart = np.abs(_numbers(trained.probabilities) - _numbers(served.probabilities))
    top = np.sort(trained.probabilities, axis=1)
    decided = top[:, -1] - top[:, -2] > TOLERANCE  # a tie has no right label
    flips = int(np.sum(decided & (trained.label != served.label)))
    return Parity(len(apart), _largest(apart), flips)


def _numbers(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _largest(apart: NDArray[np.float64]) -> float:
    """The largest difference; what is not a number is infinitely far."""
    return float("inf") if not np.isfinite(apart).all() else float(apart.max())
