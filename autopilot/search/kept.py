"""What the parts of trials gave, on the caller's disk: for refits that have no time, and for a run that is resumed."""

import os
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import asdict
from numpy.typing import NDArray

from autopilot.deadline import Answers
from autopilot.search.matrices import Part
from autopilot.search.trial import PartResult


class _Told(Struct, frozen=True):
    """What a part gave beside predictions; fields of `PartResult`."""

    part: Part
    scores: tuple[float, ...]
    rounds: int
    seconds: float
    prepare_s: float
    latency_us: float
    plan_us: float
    measure_s: float
    answers: Answers


class Kept:
    """Results and pickled models in a folder, by trial and part; each is there as a whole or not at all.

    A full disk only means that something cannot be had later.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def put_result(self, number: int, result: PartResult) -> None:
        """Write what a part gave, but for the model; it is on disk when this returns."""
        told = msgspec.json.encode(_Told(**{name: getattr(result, name) for name in _Told.__struct_fields__}))
        buffer = BytesIO()
        np.savez(buffer, told=np.frombuffer(told, dtype=np.uint8), valid=result.valid, test=result.test)
        self._write(f"result-{number}-{result.part.key}.npz", buffer.getvalue())

    def result(self, number: int, part: Part) -> PartResult | None:
        """Read one, without its model; None if there is none."""
        path = self._folder / f"result-{number}-{part.key}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as found:
            told = msgspec.json.decode(found["told"].tobytes(), type=_Told)
            return PartResult(valid=found["valid"], test=found["test"], fitted=b"", **asdict(told))

    def put(self, number: int, part: Part, fitted: bytes) -> None:
        """Write a model."""
        self._write(f"fitted-{number}-{part.key}", fitted)

    def get(self, number: int, part: Part) -> bytes | None:
        """Read a model; None if there is none."""
        path = self._folder / f"fitted-{number}-{part.key}"
        return path.read_bytes() if path.exists() else None

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        with suppress(OSError):
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)


def digest_of(predicted: NDArray[np.float64]) -> str:
    """sha256 of predictions, byte by byte."""
    return sha256(np.ascontiguousarray(predicted).tobytes()).hexdigest()
