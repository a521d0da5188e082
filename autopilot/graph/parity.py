"""The parity gate: what the file gives is what was trained, on real and on hostile rows, or it is not published."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from storage.boundary import Blocks, blocks_of_frame
from storage.packed import PACK_TENSOR, pack, read_extra
from storage.predictor import Outputs, open_session
from storage.records import Parity, Place
from storage.signature import BLOCKS, Block, Signature

if TYPE_CHECKING:  # checking a file needs nothing of what trains
    from autopilot.graph.calibration import Head
    from autopilot.model import TrainedModel

#: Largest difference of a probability, or of a prediction in units of the target's standard deviation (of its own
#: distance from the mean where that is more).
TOLERANCE = 1e-5

_REAL_ROWS = 2000
#: Columns varied one by one: 200, and fewer in wide tables, whose rows cost more.
_VARIED_COLUMNS = 200
_VARIED_CELLS = 200_000
#: Rows of one call: a text's words are padded to the longest of a call, so that one long text costs all of them.
_CHUNK_ROWS = 256
#: What no training table holds, by what to call it. Sizes, signs and edges of float32 and float64:
_STRANGE_NUMBERS = {
    "null": None,
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "1e308": 1e308,
    "-1e308": -1e308,
    "1e38": 1e38,
    "the largest float32": 3.4028234663852886e38,
    "what rounds to no float32": 3.4028235677973366e38,  # halfway to 2 ** 128
    "the smallest normal float32": 1.1754943508222875e-38,
    "a subnormal float32": -1e-40,
    "the smallest float64": 5e-324,
    "zero": 0.0,
    "minus zero": -0.0,
    "16,777,217": 16_777_217.0,  # the first whole number that float32 lacks
    "-1.5": -1.5,
}
#: Unseen, long, other scripts, other cases, spaces, and the words that a careless boundary makes of a null.
_STRANGE_TEXTS = {
    "null": None,
    "empty": "",
    "unseen, with an emoji": "\U0001f600 never seen",
    "other scripts": "ÄÖÜ straße İ",
    "NUL inside": "a\0b late\0paid",
    "a lone combining mark": "\u0301",
    "20,000 letters": "a" * 20_000,
    "1,000 words": "late " * 1000,
    "spaces": "  two  spaces ",
    "tab and newline": "\t\n",
    "the word nan": "nan",
    "the word None": "None",
    "the digit 0": "0",
}
#: Microseconds since 1970.
_STRANGE_TIMES = {
    "null": None,
    "the year 1": -62_135_596_800_000_000,
    "the end of 1899": -2_208_988_800_000_001,
    "28 February 1900": -2_203_977_600_000_000,
    "July 1969": -14_182_940_123_457,
    "just before 1970": -1,
    "1970": 0,
    "29 February 2000": 951_827_696_789_012,
    "the end of 2100": 4_133_980_799_999_999,
    "2101": 4_133_980_800_000_000,
    "the year 9999": 253_402_300_799_999_999,
}


class HostileRows(NamedTuple):
    """Typed rows to compare on, and what is special about each: as many places as rows, the real rows first."""

    frame: pl.DataFrame
    places: tuple[Place, ...]
    real_rows: int


def measure(model: "TrainedModel", file: bytes, frame: pl.DataFrame, seed: int) -> Parity:
    """Run rows through the trained model and through the file, and tell how far they are apart, and where.

    frame: the training rows, typed. The portable and the packed graph have to agree to the bit, or the difference
    counts as infinite.
    """
    rows = hostile_rows(model.signature, frame, seed)
    blocks = blocks_of_frame(model.signature, rows.frame)
    packed = _run(pack(file, _widths(model.signature)), model.signature, _packed_feeds(model.signature, blocks))
    portable = _run(file, model.signature, portable_feeds(model.signature, blocks))
    unequal = _unequal(packed, portable)
    if unequal.any():
        return Parity(len(unequal), float("inf"), int(unequal.sum()), rows.real_rows, rows.places[unequal.argmax()])
    trained = model.predict(rows.frame)
    apart = _apart(model, trained, packed)
    worst = int(apart.argmax())
    return Parity(
        rows=len(apart),
        max_abs_diff=float(apart[worst]),
        label_flips=_flips(trained, packed, model.head),
        real_rows=rows.real_rows,
        worst=rows.places[worst] if apart[worst] else None,
    )


def passes(parity: Parity) -> bool:
    """Whether the difference is small enough to publish."""
    return parity.label_flips == 0 and parity.max_abs_diff <= TOLERANCE


def hostile_rows(signature: Signature, frame: pl.DataFrame, seed: int) -> HostileRows:
    """Real rows, and real rows with one column after the other made missing, unseen or extreme, and one all missing."""
    real = frame.sample(min(_REAL_ROWS, frame.height), seed=seed)
    frames, places = [real], [Place(None, "a real row")] * real.height
    schema = frame.schema  # made anew at each look, which takes milliseconds on wide tables
    for name in _varied_columns(signature, seed):
        values = strange_values(schema[name])
        again = pl.arange(len(values), eager=True) % real.height
        frames.append(real[again].with_columns(pl.Series(name, list(values.values()), dtype=schema[name])))
        places += [Place(name, value) for value in values]
    frames.append(nothing_but_nulls(real))
    return HostileRows(pl.concat(frames), (*places, Place(None, "nothing but nulls")), real.height)


def nothing_but_nulls(frame: pl.DataFrame) -> pl.DataFrame:
    """One row of the same columns, by a single expression: `DataFrame.clear` takes one for each column.

    >>> nothing_but_nulls(pl.DataFrame({"size": [1.5], "colour": ["red"]})).to_dicts()
    [{'size': None, 'colour': None}]
    """
    return frame.head(1).select(pl.when(False).then(pl.all()))


def strange_values(dtype: pl.DataType) -> dict[str, Any]:
    """Hostile values of a typed frame's column, by what to call them; times in microseconds."""
    if dtype == pl.String:
        return _STRANGE_TEXTS
    return _STRANGE_NUMBERS if dtype == pl.Float64 else _STRANGE_TIMES


def portable_feeds(signature: Signature, blocks: Blocks) -> dict[str, NDArray[Any]]:
    """The inputs of the portable file: one [N, 1] for each raw column."""
    return {
        name: getattr(blocks, block)[:, index : index + 1]
        for block in BLOCKS
        for index, name in enumerate(signature.block(block))
    }


def _varied_columns(signature: Signature, seed: int) -> list[str]:
    """All columns, or so many drawn by the seed that wide tables cost no more."""
    names = list(signature.names)
    most = min(_VARIED_COLUMNS, max(1, _VARIED_CELLS // len(names)))
    if len(names) <= most:
        return names
    drawn = np.random.default_rng(seed).choice(len(names), most, replace=False)
    return [names[index] for index in sorted(drawn)]


def _run(file: bytes, signature: Signature, feeds: dict[str, NDArray[Any]]) -> Outputs:
    session: Any = open_session(file)
    extra = read_extra(file)
    names = ["prediction"] if signature.task == "regression" else ["label", "probabilities"]
    wanted = names if extra is None else [*names, extra]
    rows = len(next(iter(feeds.values())))
    parts = [
        session.run(wanted, {name: values[start : start + _CHUNK_ROWS] for name, values in feeds.items()})
        for start in range(0, rows, _CHUNK_ROWS)
    ]
    found = dict(zip(wanted, [np.concatenate(part) for part in zip(*parts, strict=True)], strict=True))
    if signature.task == "regression":
        return Outputs(None, None, found["prediction"].reshape(-1), found.get("interval"))
    return Outputs(found["label"], found["probabilities"], None, None, found.get("set"))


def _widths(signature: Signature) -> dict[Block, int]:
    return {block: len(signature.block(block)) for block in BLOCKS}


def _packed_feeds(signature: Signature, blocks: Blocks) -> dict[str, NDArray[Any]]:
    return {PACK_TENSOR.format(block): getattr(blocks, block) for block in BLOCKS if signature.block(block)}


def _unequal(left: Outputs, right: Outputs) -> NDArray[np.bool_]:
    """Rows in which any output differs; what is not a number differs from all."""
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(left, right, strict=True) if a is not None]
    return np.any([(a != b).reshape(len(a), -1).any(axis=1) for a, b in pairs], axis=0)


def _apart(model: "TrainedModel", trained: Outputs, served: Outputs) -> NDArray[np.float64]:
    """How far each row's answers are apart; what is not a number is infinitely far."""
    if trained.probabilities is not None:
        apart = np.abs(_numbers(trained.probabilities) - _numbers(served.probabilities)).max(axis=1)
        return np.where(np.isfinite(apart), apart, np.inf)
    expected, found = (model.unit.scale(_values(outputs)) for outputs in (trained, served))
    apart = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    if model.head.interval is not None:
        margin = model.head.interval.margin(_numbers(trained.prediction)) / model.unit.deviation
        apart[margin <= TOLERANCE * np.maximum(1.0, np.abs(expected[:, 0])), 1:] = 0.0  # either range's is right there
    apart = apart.max(axis=1)
    return np.where(np.isfinite(apart), apart, np.inf)


def _flips(trained: Outputs, served: Outputs, head: "Head") -> int:
    """Rows with another label, or another class in their set.

    A tie has no right label, nor has a row that lies at the threshold, nor does a class count that lies at its cut, and
    a set follows its label.
    """
    shares = trained.probabilities
    if shares is None:
        return 0
    is_decided = _margin(shares, head) > TOLERANCE
    flipped = is_decided & (trained.label != served.label)
    if head.sets is not None:
        off = np.asarray(trained.set != served.set) & (head.sets.margin(shares) > TOLERANCE)
        flipped |= is_decided & off.any(axis=1)
    return int(np.sum(flipped))


def _margin(shares: NDArray[np.float32], head: "Head") -> NDArray[np.float64]:
    """How far each row is from another label, as a probability."""
    if head.threshold is not None:
        return head.threshold.margin(shares)
    top = np.sort(shares, axis=1).astype(np.float64)
    return top[:, -1] - top[:, -2]


def _values(outputs: Outputs) -> NDArray[np.float64]:
    """What a regression gives, (rows, 1), or with an interval (rows, 3)."""
    prediction = _numbers(outputs.prediction).reshape(-1, 1)
    return prediction if outputs.interval is None else np.hstack([prediction, outputs.interval])


def _numbers(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
