"""Checking a model file: does it give the answers that it gave where it was made?"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.card import digest_of
from autopilot.graph.parity import TOLERANCE
from autopilot.load import load
from autopilot.vectors import Vectors, decoded, replay
from storage.errors import ModelFileError
from storage.packed import read_metadata
from storage.store import Store


class Verification(Struct, frozen=True):
    """What `verify` found.

    passed: all of the following is as it should be. intact: the graph is the one of which the card tells the digest.
    rows: test vectors replayed. label_flips: of them, how many have another label (where two classes are as likely,
    both are right). max_abs_diff: of probabilities; for regression in units of the range of the expected answers.
    worst: what the row with the largest difference is. digest: sha256 of the graph. runtime: what replayed them.
    """

    passed: bool
    intact: bool
    rows: int
    label_flips: int
    max_abs_diff: float
    worst: str
    digest: str
    runtime: str


def verify(model: str | Path, *, store: str | Path | Store | None = None) -> Verification:
    """Replay a model's test vectors with onnxruntime, and compare its graph with the digest on its card.

    model: a file, or a registered `name` or `name:3`. Up to 1e-5 of difference passes, as when it was published.
    Raises ModelFileError if the file is no model of ours or has lost its metadata, DataError if there is no file.
    """
    opened = load(model, store=store)
    file = opened.model_bytes
    vectors = _vectors_of(file)
    found = replay(file, vectors.inputs)
    apart, flips = _compare(vectors, found)
    worst = int(apart.argmax())
    digest = digest_of(onnx.load_from_string(file))
    intact = digest == opened.card.digest
    return Verification(
        passed=intact and not flips and bool(apart[worst] <= TOLERANCE),
        intact=intact,
        rows=len(vectors.about),
        label_flips=flips,
        max_abs_diff=float(apart[worst]),
        worst=vectors.about[worst],
        digest=digest,
        runtime=f"onnxruntime {onnxruntime.__version__}",
    )


def _vectors_of(file: bytes) -> Vectors:
    try:
        return msgspec.json.decode(read_metadata(file)["vectors"], type=Vectors)
    except KeyError:
        raise ModelFileError(
            "The file has no test vectors: its metadata were removed. Take the file from where it was made."
        ) from None
    except msgspec.MsgspecError as error:
        raise ModelFileError(
            f"The file's test vectors cannot be read ({error}). Was the file written by an older version? Fit again."
        ) from error


def _compare(vectors: Vectors, found: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float64], int]:
    """How far each row's answer is from the expected one, and how many labels differ."""
    try:
        if "prediction" in found:
            expected = decoded(vectors.outputs["prediction"], np.float64)
            unit = np.ptp(expected) or np.abs(expected).max() or 1.0
            apart, flips = np.abs(found["prediction"] - expected) / unit, 0
        else:
            expected = decoded(vectors.outputs["probabilities"], np.float64)
            apart = np.abs(found["probabilities"] - expected).max(axis=1)
            top = np.sort(expected, axis=1)
            decided = top[:, -1] - top[:, -2] > TOLERANCE
            label = decoded(vectors.outputs["label"], np.object_)
            flips = int(np.sum(decided & (found["label"].astype(str) != label.astype(str))))
    except (KeyError, ValueError) as error:
        raise ModelFileError("The file's test vectors are of another model. Take it from where it was made.") from error
    return np.where(np.isfinite(apart), apart, np.inf), flips
